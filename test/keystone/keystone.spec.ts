import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { BerthProcess } from '../support/berth-process.js';
import { writeConfig } from '../support/fleet.js';
import { temporaryDirectory } from '../support/hosts.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/rest-client.js';
import { BERTHS_OWN, TestKeystone } from './keystone.js';

const CACHE_MS = 1_000;
const SHORT_S = 4;

describe("with a distribution's Keystone", () => {
  let keystone: TestKeystone;
  let database: TestDatabase;
  let folder: string;
  let berth: BerthProcess;
  let red: string;

  beforeAll(async () => {
    [keystone, database, folder] = await Promise.all([
      ...[TestKeystone.start(), createTestDatabase(inject('databaseUrl')), temporaryDirectory()],
    ] as const);
    const service = await keystone.addProject(BERTHS_OWN.project);
    await keystone.addUser(BERTHS_OWN.username, 'service', service);
    const [one, blue, operations] = [
      ...[await keystone.addProject('red'), await keystone.addProject('blue'), await keystone.addProject('operations')],
    ] as const;
    red = one as string;
    await keystone.addUser('root', 'admin', operations as string);
    await keystone.addUser('bob', 'member', red);
    await keystone.addUser('rita', 'reader', red);
    await keystone.addUser('dave', 'member', blue as string);
    await keystone.addUser('guest', 'visitor', red);
    const auth = { strategy: 'keystone', keystone: { url: keystone.url, cache_ms: CACHE_MS, ...BERTHS_OWN } };
    berth = new BerthProcess({
      ...{ role: 'api', name: 'api', env: { DATABASE_URL: database.url, BERTH_HTTP_PORT: '0' } },
      config: writeConfig(join(folder, 'config'), { 'api.yaml': JSON.stringify({ auth }) }),
    });
    await berth.start();
  });
  afterAll(async () => {
    await berth?.stop();
    await keystone?.close();
    await database?.drop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  interface Answer {
    readonly status: number;
    readonly headers: Headers;
    readonly body: { readonly [key: string]: unknown };
  }
  const ask = async (token: string | null, path = '/v1/servers', body?: object): Promise<Answer> => {
    const headers = {
      ...(token === null ? {} : { 'x-auth-token': token }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
    const answer = await fetch(`${berth.url}${path}`, init);
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Answer['body'] };
  };

  it('tokens are who they were given to: role and project count', async () => {
    const [root, bob, rita, dave] = [
      await keystone.tokenFor('root', 'operations'),
      await keystone.tokenFor('bob', 'red'),
      await keystone.tokenFor('rita', 'red'),
      await keystone.tokenFor('dave', 'blue'),
    ];
    const made = await ask(bob, '/v1/servers', { name: 'red one', vcpus: 1 });
    expect(made.status).toBe(202);
    expect(made.body).toMatchObject({ name: 'red one', project_id: red });
    const path = `/v1/servers/${String(made.body['id'])}`;
    for (const token of [root, bob, rita]) expect((await ask(token, path)).status).toBe(200);
    expect((await ask(dave, path)).status).toBe(404);
    expect((await ask(dave)).body['servers']).toEqual([]);
    expect((await ask(rita, '/v1/servers', { name: 'no', vcpus: 1 })).status).toBe(403);
    expect((await ask(bob, '/v1/hosts')).status).toBe(403);
    expect((await ask(root, '/v1/hosts')).status).toBe(200);
    expect((await ask(bob, `/v2.1/${red}/images`)).status).toBe(200);
    expect((await ask(dave, `/v2.1/${red}/images`)).status).toBe(400);
  });

  it.each([
    ['none', () => Promise.resolve(null), 401],
    ['one that is none', () => Promise.resolve('gAAAAABmadeup'), 401],
    ['one with another letter in it', async () => altered(await keystone.tokenFor('bob', 'red')), 401],
    ['one for no project', () => keystone.tokenFor('bob'), 403],
    ['one of somebody without a role that counts', () => keystone.tokenFor('guest', 'red'), 403],
  ])('a token is refused: %s', async (_what, token, status) => {
    const { body, headers, ...answer } = await ask(await token());
    expect(answer.status).toBe(status);
    expect(body['code']).toBe(status === 401 ? 'auth.required' : 'auth.forbidden');
    expect(headers.get('www-authenticate')).toBe(status === 401 ? `Keystone uri="${keystone.url}/v3"` : null);
  });

  it('a token that was revoked is refused once auth.keystone.cache_ms are over', async () => {
    const [revoked, other] = [await keystone.tokenFor('bob', 'red'), await keystone.tokenFor('bob', 'red')];
    expect((await ask(revoked)).status).toBe(200);
    await keystone.revoke(revoked);
    await sleep(CACHE_MS);
    expect((await ask(revoked)).status).toBe(401);
    expect((await ask(other)).status).toBe(200);
  });

  it("without Keystone it says so, with 503; with it again all goes on, and a token that is over is refused, also Berth's own", async () => {
    const known = await keystone.tokenFor('bob', 'red');
    await keystone.stop();
    const refused = await eventually(10_000, async () => {
      const answer = await ask(known);
      expect(answer.status).toBe(503);
      return answer;
    });
    expect(refused.body['code']).toBe('auth.unavailable');
    expect(refused.body['detail']).toMatch(/^Keystone cannot be asked: it does not answer/);
    expect(refused.headers.get('retry-after')).toBe('5');
    // It starts without Keystone, and has no token of its own then.
    await berth.stop();
    await berth.start();
    await keystone.serve(SHORT_S);
    expect((await ask(known)).status).toBe(200);
    const short = await keystone.tokenFor('bob', 'red');
    expect((await ask(short)).status).toBe(200);
    await sleep(SHORT_S * 1_000);
    expect((await ask(short)).status).toBe(401);
    expect((await ask(known)).status).toBe(200);
  });
});

/** The same token with another letter in the middle. */
function altered(token: string): string {
  const at = Math.floor(token.length / 2);
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
}
