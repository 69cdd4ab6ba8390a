import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BerthError } from '../../errors.js';
import type { AuthSettings } from '../../settings/settings.js';
import { loadSettings } from '../../settings/load-settings.js';
import type { Authentication } from './authentication.js';
import { openAuthentication } from './open-authentication.js';
import { highestRole, LOCAL_ADMIN } from './caller.js';
import { isLoopback, isLoopbackHost } from './loopback.js';

/** Nobody here has a token. */
const noLedger = (): never => {
  throw new Error('the ledger was asked for');
};

const { auth: NONE, http: HTTP } = loadSettings({ files: [], env: {} }).settings;

describe('without authentication', () => {
  it.each(['127.0.0.1', '127.1.2.3', 'localhost', '::1', '[::1]'])('%s is this machine', async (host) => {
    expect(isLoopback(host)).toBe(true);
    const authentication = await openAuthentication(NONE, { ...HTTP, host }, noLedger);
    expect(await authentication.callerOf({ host: 'localhost:8790' })).toEqual(LOCAL_ADMIN);
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', '127.example.org', 'localhost.example.org', '::ffff:127.0.0.1'])(
    '%s could be reached by others: nothing is started',
    async (host) => {
      await expect(openAuthentication(NONE, { ...HTTP, host }, noLedger)).rejects.toThrow(
        /auth\.strategy: none .* is for loopback only/,
      );
    },
  );

  it('a browser that was led here under another name is refused', async () => {
    const authentication = await openAuthentication(NONE, HTTP, noLedger);
    for (const host of ['rebound.example:8790', 'localhost.evil.example', '127.0.0.1.evil.example:80']) {
      await expect(authentication.callerOf({ host })).rejects.toMatchObject({ code: 'auth.forbidden' });
    }
    expect(['127.0.0.1:8790', '[::1]:8790', 'LOCALHOST'].map(isLoopbackHost)).toEqual([true, true, true]);
  });
});

describe('with HTTP Basic', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-basic-'));
  const usersFile = join(folder, 'users');
  let authentication: Authentication;
  beforeAll(async () => {
    writeFileSync(usersFile, `alice:${await bcrypt.hash('open:sesame', 4)}\nbob:${await bcrypt.hash('b', 4)}\n`);
    const settings: AuthSettings = {
      ...{ ...NONE, strategy: 'http_basic', usersFile },
      ...{ projects: { alice: 'research' }, roles: { alice: 'admin' } },
    };
    authentication = await openAuthentication(settings, { ...HTTP, host: '0.0.0.0' }, noLedger);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  const refusal = (authorization?: string): Promise<BerthError> =>
    authentication.callerOf({ authorization }).then(
      () => Promise.reject(new Error('was let in')),
      (error: BerthError) => error,
    );

  it('users have the project and the role that the settings say, or their own one as members', async () => {
    expect(await authentication.callerOf({ authorization: basic('alice:open:sesame') })).toMatchObject({
      ...{ userName: 'alice', projectId: 'research', role: 'admin' },
    });
    expect(await authentication.callerOf({ authorization: basic('bob:b') })).toMatchObject({
      ...{ userName: 'bob', projectId: 'bob', role: 'member' },
    });
  });

  it.each([
    ['nothing', undefined],
    ['another scheme', 'Bearer abc'],
    ['no base64', 'Basic %%%'],
    ['no colon', basic('alice')],
    ['no user', basic(':open:sesame')],
    ['a wrong password', basic('alice:open')],
    ['a user that there is not', basic('carol:open:sesame')],
    ['more than a header may have', basic(`alice:${'x'.repeat(2000)}`)],
  ])('%s is refused, with the challenge', async (_what, header) => {
    const error = await refusal(header);
    expect(error).toMatchObject({ code: 'auth.required' });
    expect(error.details['headers']).toEqual({ 'www-authenticate': 'Basic realm="berth", charset="UTF-8"' });
  });

  it('a password that was changed is not known any more, though it was right a moment ago', async () => {
    writeFileSync(usersFile, `alice:${await bcrypt.hash('a new one, longer', 4)}\n`);
    expect((await refusal(basic('alice:open:sesame'))).code).toBe('auth.required');
    expect((await refusal(basic('bob:b'))).code).toBe('auth.required');
  });

  it('many passwords at once are turned away instead of keeping the process busy', async () => {
    const many = Array.from({ length: 60 }, (_unused, index) => refusal(basic(`mallory:${index}`)));
    const codes = new Set((await Promise.all(many)).map(({ code }) => code));
    expect([...codes].sort()).toEqual(['auth.busy', 'auth.required']);
  });

  it('needs a file that is there', async () => {
    const settings: AuthSettings = { ...NONE, strategy: 'http_basic' };
    await expect(openAuthentication(settings, { ...HTTP, host: '0.0.0.0' }, noLedger)).rejects.toThrow(
      'auth.users_file: is missing',
    );
    const absent = { ...settings, usersFile: join(folder, 'absent') };
    await expect(openAuthentication(absent, { ...HTTP, host: '0.0.0.0' }, noLedger)).rejects.toThrow(
      /auth\.users_file: .*ENOENT/,
    );
  });
});

describe('passwords that others could read on the way', () => {
  it.each([
    ['on every address', { host: '0.0.0.0' }, true],
    ['behind a proxy that speaks no TLS', { host: '10.0.0.1', publicUrl: 'http://berth.example' }, true],
    ['on this machine', { host: '127.0.0.1' }, false],
    ['with TLS', { host: '0.0.0.0', tls: { certFile: 'cert.pem', keyFile: 'key.pem' } }, false],
    ['behind a proxy that speaks TLS', { host: '10.0.0.1', publicUrl: 'https://berth.example' }, false],
  ])('%s: %j', async (_what, http, isTold) => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-openly-'));
    const lines: unknown[] = [];
    Logger.overrideLogger({ log() {}, error() {}, warn: (line: unknown) => lines.push(line) });
    try {
      writeFileSync(join(folder, 'users'), `alice:${await bcrypt.hash('x', 4)}\n`);
      const settings: AuthSettings = { ...NONE, strategy: 'http_basic', usersFile: join(folder, 'users') };
      await openAuthentication(settings, { ...HTTP, ...http }, noLedger);
    } finally {
      Logger.overrideLogger(false);
      rmSync(folder, { recursive: true });
    }
    expect(lines.map((line) => JSON.stringify(line))).toEqual(
      isTold ? [expect.stringContaining('readable for everybody on the way')] : [],
    );
  });
});

it('of several roles the highest counts; others mean nothing here', () => {
  expect([['reader', 'Member'], ['ADMIN', 'reader'], ['manager'], ['swift'], []].map(highestRole)).toEqual([
    ...['member', 'admin', 'member', null, null],
  ]);
});
