import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BerthError } from '../../errors.js';
import { KeystoneAuthentication } from './keystone-authentication.js';

/** Answers as identity v3 does; what it is asked is in `asked`. */
class Keystone {
  readonly asked: string[] = [];
  readonly tokens = new Map<string, object>();
  isUp = true;
  own = 0;
  private readonly server: Server = createServer((request, response) => {
    void this.answer(request).then(([status, body, headers = {}]) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    });
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private async answer(request: IncomingMessage): Promise<[number, object, Record<string, string>?]> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const subject = request.headers['x-subject-token'];
    this.asked.push(`${request.method} ${request.url} ${subject ?? ''}`.trim());
    if (!this.isUp) return [503, {}];
    if (request.method === 'POST') {
      const { auth } = JSON.parse(Buffer.concat(chunks).toString()) as {
        auth: { identity: { password: { user: object } } };
      };
      const isOurs = JSON.stringify(auth.identity.password.user).includes('"password":"hidden"');
      return isOurs ? [201, {}, { 'x-subject-token': `own-${++this.own}` }] : [401, {}];
    }
    if (request.headers['x-auth-token'] !== `own-${this.own}`) return [401, {}];
    const token = this.tokens.get(String(subject));
    return token ? [200, { token }] : [404, {}];
  }
}

const TOKEN = {
  user: { id: 'u1', name: 'alice' },
  project: { id: 'p1', name: 'research' },
  roles: [
    { id: 'r1', name: 'Member' },
    { id: 'r2', name: 'heat_stack_owner' },
  ],
  expires_at: '2099-01-01T00:00:00.000000Z',
};

describe('tokens of Keystone', () => {
  let keystone: Keystone;
  let url: string;
  beforeEach(async () => {
    keystone = new Keystone();
    url = await keystone.start();
    keystone.tokens.set('good', TOKEN);
  });
  afterEach(() => keystone.stop());

  const open = (cacheMs: number, password = 'hidden'): Promise<KeystoneAuthentication> =>
    KeystoneAuthentication.open({
      ...{ url, username: 'berth', password, project: 'service' },
      ...{ userDomain: 'default', projectDomain: 'default', cacheMs },
    });
  const codeOf = (given: Promise<unknown>): Promise<unknown> =>
    given.then(
      () => 'taken',
      (error: BerthError) => error.code,
    );

  it('say who asks; the same one that comes at once and soon again is looked up once', async () => {
    const authentication = await open(60_000);
    const ask = () => authentication.callerOf({ 'x-auth-token': 'good' });
    const [caller] = await Promise.all([ask(), ask(), ask()]);
    expect(caller).toEqual({
      userId: 'u1',
      userName: 'alice',
      projectId: 'p1',
      projectName: 'research',
      role: 'member',
    });
    await ask();
    expect(keystone.asked).toEqual(['POST /v3/auth/tokens', 'GET /v3/auth/tokens good']);
  });

  it('are refused once they were revoked, when the time of the cache is over', async () => {
    const authentication = await open(0);
    expect(await codeOf(authentication.callerOf({ 'x-auth-token': 'good' }))).toBe('taken');
    keystone.tokens.delete('good');
    expect(await codeOf(authentication.callerOf({ 'x-auth-token': 'good' }))).toBe('auth.required');
  });

  it.each([
    ['none', {}, 'auth.required'],
    ['one with a line break in it', { 'x-auth-token': 'a\nb' }, 'auth.required'],
    ['two', { 'x-auth-token': ['good', 'good'] }, 'auth.required'],
    ['one that nobody knows', { 'x-auth-token': 'other' }, 'auth.required'],
    ['one that is over', { 'x-auth-token': 'over' }, 'auth.required'],
    ['one for no project', { 'x-auth-token': 'unscoped' }, 'auth.forbidden'],
    ['one without any of the roles', { 'x-auth-token': 'roleless' }, 'auth.forbidden'],
  ])('%s is refused', async (_what, headers, code) => {
    keystone.tokens.set('over', { ...TOKEN, expires_at: '2020-01-01T00:00:00.000000Z' });
    keystone.tokens.set('unscoped', { ...TOKEN, project: undefined });
    keystone.tokens.set('roleless', { ...TOKEN, roles: [{ id: 'r', name: 'swiftoperator' }] });
    expect(await codeOf((await open(0)).callerOf(headers))).toBe(code);
  });

  it('a lost token of our own is had anew', async () => {
    const authentication = await open(0);
    await authentication.callerOf({ 'x-auth-token': 'good' });
    keystone.own = 7;
    expect(await codeOf(authentication.callerOf({ 'x-auth-token': 'good' }))).toBe('taken');
  });

  it('a Keystone that is away lets nobody in, and nothing of that is remembered', async () => {
    const authentication = await open(60_000);
    keystone.isUp = false;
    expect(await codeOf(authentication.callerOf({ 'x-auth-token': 'good' }))).toBe('auth.unavailable');
    keystone.isUp = true;
    expect(await codeOf(authentication.callerOf({ 'x-auth-token': 'good' }))).toBe('taken');
  });

  it('our own password that is wrong is told as that', async () => {
    const authentication = await open(0, 'mistyped');
    await expect(authentication.callerOf({ 'x-auth-token': 'good' })).rejects.toThrow(/does not let berth in .*401/);
  });

  it('what is not said at the start is named', async () => {
    const settings = { url: null, username: 'berth', password: null, project: 'service' };
    await expect(
      KeystoneAuthentication.open({ ...settings, userDomain: 'default', projectDomain: 'default', cacheMs: 0 }),
    ).rejects.toThrow('auth.strategy keystone needs auth.keystone.url, auth.keystone.password');
  });
});
