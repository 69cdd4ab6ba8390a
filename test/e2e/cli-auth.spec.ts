import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { berth, type Ended } from '../support/cli.js';
import { type RestApi, startRestApi } from '../support/rest-api.js';

const PASSWORD = 'a pass:word';

describe('berth says who asks', () => {
  const home = mkdtempSync(join(tmpdir(), 'berth-home-'));
  const usersFile = join(home, 'users');
  let api: RestApi;
  let url: string;
  beforeAll(async () => {
    const hash = await bcrypt.hash(PASSWORD, 4);
    writeFileSync(usersFile, `ann:${hash}\nbob:${hash}\n`);
    api = await startRestApi(inject('databaseUrl'), {
      ...{ strategy: 'http_basic', usersFile, projects: { ann: 'operations', bob: 'red' } },
      roles: { ann: 'admin', bob: 'reader' },
    });
    url = new URL(api.http.get('/').url).origin;
  });
  afterAll(async () => {
    await api?.close();
    rmSync(home, { recursive: true });
  });

  const run = (env: Readonly<Record<string, string>>, ...words: string[]): Promise<Ended> =>
    berth([...(words.length > 0 ? words : ['flavor', 'list', '-f', 'json'])], { HOME: home, ...env }, '', home);
  const user = (name: string): Record<string, string> => ({ OS_USERNAME: name, OS_PASSWORD: PASSWORD });

  it('by HTTP Basic', async () => {
    const env = { OS_AUTH_TYPE: 'http_basic', OS_ENDPOINT: `${url}/compute/v2.1`, ...user('ann') };
    expect(await run(env)).toMatchObject({ code: 0, stdout: '[]\n', stderr: '' });
    const made = await run({ ...env, ...user('bob') }, 'flavor', 'create', 'x');
    expect(made).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^berth: auth\.forbidden: /) });
  });

  it('by a password, for which there is a token and a catalog', async () => {
    const env = { OS_AUTH_TYPE: 'password', OS_AUTH_URL: `${url}/identity`, OS_PROJECT_NAME: 'operations' };
    expect(await run({ ...env, ...user('ann') })).toMatchObject({ code: 0, stdout: '[]\n', stderr: '' });
    const wrong = await run({ ...env, ...user('ann'), OS_PASSWORD: 'no' });
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toMatch(/^berth: auth\.required: the identity service refuses: /);
    expect(wrong.stderr).not.toContain('at '); // no stack
    const other = await run({ ...env, ...user('bob') });
    expect(other.code, "another's project").toBe(1);
  });

  it('by a token that somebody got before', async () => {
    const auth = {
      identity: {
        methods: ['password'],
        password: { user: { name: 'ann', password: PASSWORD, domain: { id: 'default' } } },
      },
    };
    const { headers } = await api.http.post('/identity/v3/auth/tokens').send({ auth }).expect(201);
    const OS_TOKEN = headers['x-subject-token'] as string;
    expect((await run({ BERTH_URL: url, OS_TOKEN })).code).toBe(0);
    expect((await run({ OS_AUTH_URL: `${url}/identity/v3`, OS_TOKEN })).code, 'by the catalog').toBe(0);
    expect((await run({ BERTH_URL: url, OS_TOKEN: 'x' })).code).toBe(1);
  });

  it('by nobody: is told how to say it, and sends no password that was not asked for', async () => {
    const { code, stderr } = await run({ BERTH_URL: url, ...user('ann') });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^berth: auth\.required: [^]*OS_AUTH_TYPE/);
  });

  it('by a profile, and is warned when others may read it', async () => {
    const folder = join(home, '.config/berth');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'client.yaml');
    const lab = { url, auth_type: 'http_basic', username: 'ann', password: PASSWORD };
    writeFileSync(file, JSON.stringify({ profile: 'lab', profiles: { lab, bare: { url } } }), { mode: 0o600 });
    expect(await run({})).toMatchObject({ code: 0, stderr: '' });
    expect((await run({ BERTH_PROFILE: 'bare' })).code).toBe(1);
    expect((await run({}, 'flavor', 'list', '--profile', 'lba')).stderr).toContain('there is: lab, bare');
    chmodSync(file, 0o644);
    expect((await run({})).stderr).toContain(`chmod 600 ${file}`);
    rmSync(file);
  });

  it('by a cloud of clouds.yaml', async () => {
    const auth = { auth_url: `${url}/identity/v3`, username: 'ann', password: PASSWORD, project_name: 'operations' };
    writeFileSync(join(home, 'clouds.yaml'), JSON.stringify({ clouds: { lab: { auth } } }));
    expect(await run({ OS_CLOUD: 'lab' })).toMatchObject({ code: 0, stderr: '' });
    expect((await run({}, 'flavor', 'list', '--os-cloud', 'lab')).code).toBe(0);
    expect(await run({ OS_CLOUD: 'lib' })).toMatchObject({ code: 2, stderr: expect.stringContaining('there is: lab') });
  });

  describe('to what is not Berth', () => {
    const answering = async (listener: RequestListener): Promise<Server & { url: string }> => {
      const server = createServer(listener);
      await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
      return Object.assign(server, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    };

    it('does not carry a password where an answer points to', async () => {
      const asked: string[] = [];
      const away = await answering((request, answer) => void answer.end(asked.push(request.url ?? '')));
      const trap = await answering((_request, answer) => void answer.writeHead(307, { location: away.url }).end());
      const env = { OS_AUTH_TYPE: 'http_basic', BERTH_URL: trap.url, ...user('ann') };
      const { code, stderr } = await run(env);
      expect([code, asked]).toEqual([1, []]);
      expect(stderr).toBe(`berth: the answer is 307 and points to ${away.url}, and not from Berth: is --url right?\n`);
      trap.close();
      away.close();
    });

    it('says that a catalog has no Berth, and what it has', async () => {
      const body = { token: { catalog: [{ type: 'compute', endpoints: [] }] } };
      const keystone = await answering(
        (_request, answer) => void answer.writeHead(201, { 'x-subject-token': 't' }).end(JSON.stringify(body)),
      );
      const { code, stderr } = await run({ OS_AUTH_URL: keystone.url, ...user('ann') });
      expect(code).toBe(2);
      expect(stderr).toMatch(/no public endpoint of a service of type "berth" \(there is: compute\)/);
      keystone.close();
    });
  });

  it('reads lists to their end, page after page', async () => {
    await api.sql(
      `INSERT INTO flavors (id, name, vcpus, ram_mb, disk_gb, extra_specs)
       SELECT 'f' || i, 'f' || lpad(i::text, 3, '0'), 1, i, 0, '{}' FROM generate_series(1, 120) i`,
    );
    const env = { OS_AUTH_TYPE: 'http_basic', BERTH_URL: url, ...user('bob') };
    const all = await run(env, 'flavor', 'list', '-f', 'value', '-c', 'name');
    expect(all.stdout.trim().split('\n')).toHaveLength(120);
    const some = await run(
      env,
      'flavor',
      'list',
      '-f',
      'value',
      '-c',
      'ram_mb',
      '--limit',
      '70',
      '--sort-column',
      'RAM MB',
    );
    expect(some.stdout.trim().split('\n')).toEqual(Array.from({ length: 70 }, (_, at) => String(at + 1)));
  });
});
