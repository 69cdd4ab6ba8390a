import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { BerthProcess, PROGRAM } from '../support/berth-process.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

/** What must be in no output; with characters that URLs write otherwise. */
const SECRET = 'hunter2+Recognisable/SECRET=%';
/** Pieces and other spellings of it, which would do as well. */
const SPELLINGS = [
  'Recognisable',
  Buffer.from(`alice:${SECRET}`).toString('base64').slice(0, 20),
  Buffer.from(`Recognisable`).toString('base64').slice(0, 14),
];
const ENCODED = encodeURIComponent(SECRET);
/** Nobody listens there. */
const NOWHERE = '127.0.0.1:9';
const DATABASE_NOWHERE = `postgres://berth:${ENCODED}@${NOWHERE}/berth`;
const BROKER_NOWHERE = `amqp://berth:${ENCODED}@${NOWHERE}`;
const RUN_MS_MAX = 25_000;
const AT_ONCE = 2;

const folder = mkdtempSync(join(tmpdir(), 'berth-secrets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

interface Run {
  readonly what: string;
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What it has to say, so that it is known to have come to where it could have told. */
  readonly says: RegExp;
}

const YAML_WITH = (line: string): string => `log_level: debug\n${line}\n`;
const FAILING: readonly Run[] = [
  ...['migrate', 'check', 'replay'].map((command) => ({
    ...{ what: `${command} without a database`, words: [command], env: { DATABASE_URL: DATABASE_NOWHERE } },
    says: /ECONNREFUSED/,
  })),
  {
    ...{ what: 'audit without a database', words: ['audit', 'verify', '--database', DATABASE_NOWHERE] },
    says: /ECONNREFUSED/,
  },
  {
    ...{ what: 'api without a database', words: ['api'], env: { DATABASE_URL: DATABASE_NOWHERE } },
    says: /ECONNREFUSED/,
  },
  {
    what: 'scheduler without database and broker',
    ...{ words: ['scheduler'], env: { DATABASE_URL: DATABASE_NOWHERE, AMQP_URL: BROKER_NOWHERE } },
    says: /ECONNREFUSED/,
  },
  {
    what: 'a database URL of another kind',
    ...{ words: ['api'], env: { DATABASE_URL: `mysql://berth:${ENCODED}@${NOWHERE}/x` } },
    says: /database\.url: has to begin with/,
  },
  {
    ...{
      what: 'a database URL that is none',
      words: ['api'],
      env: { DATABASE_URL: `postgres://u:${SECRET}@h:port/x` },
    },
    says: /database\.url: has to be a URL/,
  },
  {
    what: 'a database URL with TLS said twice',
    words: ['api'],
    env: { DATABASE_URL: `${DATABASE_NOWHERE}?sslmode=require`, BERTH_DATABASE_TLS_MODE: 'require' },
    says: /database\.url: says something of TLS/,
  },
  {
    what: 'an unknown sslmode, with a file that there is not',
    ...{ words: ['migrate'], env: { DATABASE_URL: `${DATABASE_NOWHERE}?sslmode=odd&sslrootcert=/nowhere` } },
    says: /ENOENT|sslmode|ECONNREFUSED/,
  },
  {
    ...{ what: 'a broker URL of another kind', words: ['agent'], env: { AMQP_URL: `http://u:${ENCODED}@${NOWHERE}` } },
    says: /bus\.url: has to begin with/,
  },
  {
    what: 'a broker URL that names a user beside a certificate',
    words: ['agent'],
    env: { AMQP_URL: BROKER_NOWHERE, BERTH_BUS_AUTH: 'external', BERTH_BUS_TLS_CERT_FILE: '/x' },
    says: /bus\.tls\.key_file: is missing/,
  },
  {
    what: "an agent with another's user",
    words: ['agent'],
    env: { AMQP_URL: BROKER_NOWHERE, BERTH_BUS_AGENT_USERS: 'per_host' },
    says: /bus\.url: names the user berth;/,
  },
  {
    what: 'a broker URL where there is no such key',
    words: ['check-config', '-c', file('key.yaml', YAML_WITH(`bus:\n  ulr: ${BROKER_NOWHERE}`))],
    says: /bus\.ulr: unknown key/,
  },
  {
    what: 'a file that is no YAML',
    words: ['check-config', '-c', file('none.yaml', YAML_WITH(`auth:\n  keystone: {password: "${SECRET}", ]`))],
    says: /none\.yaml:\d+/,
  },
  {
    what: 'a password that is no text',
    words: ['check-config', '-c', file('list.yaml', YAML_WITH(`auth:\n  keystone:\n    password: ["${SECRET}"]`))],
    says: /auth\.keystone\.password: has to be a text/,
  },
  {
    what: 'a nova.conf with passwords in it',
    words: [
      ...['check-config', '-c'],
      file(
        'nova.conf',
        `[DEFAULT]\ntransport_url = rabbit://u:${SECRET}@h\n[database]\nconnection = mysql://u:${SECRET}@h/n\n[pci]\nalias = {"password": "x"\n`,
      ),
    ],
    says: /nova\.conf:\d+/,
  },
  {
    what: 'a users file with a hash of another kind',
    words: ['api'],
    env: {
      ...{ DATABASE_URL: DATABASE_NOWHERE, BERTH_AUTH_STRATEGY: 'http_basic' },
      BERTH_AUTH_USERS_FILE: file('users', `alice:$apr1$${SECRET}\nbob:${SECRET}\n${SECRET}\n`),
    },
    says: /the hash of alice is not of bcrypt/,
  },
  {
    what: 'a key that is none',
    words: ['api'],
    env: {
      ...{ DATABASE_URL: DATABASE_NOWHERE },
      BERTH_HTTP_TLS_CERT_FILE: file('cert.pem', `-----BEGIN CERTIFICATE-----\n${SECRET}\n-----END CERTIFICATE-----\n`),
      BERTH_HTTP_TLS_KEY_FILE: file('key.pem', `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`),
    },
    says: /cannot be used together/,
  },
  {
    what: 'a command that gets no answer',
    words: ['quota', 'show', '--project', 'x'],
    env: {
      ...{ BERTH_URL: `http://${NOWHERE}`, OS_AUTH_TYPE: 'http_basic', OS_USERNAME: 'alice', OS_PASSWORD: SECRET },
    },
    says: /./,
  },
  {
    what: 'the making of a user of the broker',
    words: ['broker-user', 'gpu-1', '--definitions', '--password-file', file('password', `${SECRET}\n`)],
    says: /password_hash/,
  },
];

describe('secrets are in no output', () => {
  it('of the built program, whatever fails', { timeout: 280_000 }, async () => {
    const waiting = [...FAILING];
    const told: string[] = [];
    const worker = async (): Promise<void> => {
      for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
        const output = await outputOf(run);
        expect(output, run.what).toMatch(run.says);
        told.push(...spelledIn(output).map((spelling) => `${run.what}: ${spelling}\n${output.slice(0, 2000)}`));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    expect(told).toEqual([]);
  });

  describe('of roles that run', () => {
    let database: TestDatabase;
    const roles: BerthProcess[] = [];
    beforeAll(async () => (database = await createTestDatabase(inject('databaseUrl'))));
    afterAll(async () => {
      await Promise.all(roles.map((role) => role.stop()));
      await database?.drop();
    });

    async function start(role: 'api' | 'scheduler' | 'agent', env: Record<string, string>): Promise<BerthProcess> {
      const made = new BerthProcess({
        ...{ role, name: role, config: [] },
        env: { BERTH_HTTP_PORT: '0', BERTH_LOG_LEVEL: 'debug', ...env },
      });
      roles.push(made);
      await made.start({ ready: false });
      return made;
    }
    const agentEnv = {
      ...{ BERTH_SYSFS_ROOT: join(folder, 'no-sysfs'), BERTH_STATE_DIR: join(folder, 'state') },
    };
    const rabbitWithout = (password: string): string => {
      const url = new URL(inject('amqpUrl'));
      url.password = password;
      return url.href;
    };

    it('an agent and a scheduler whom the broker does not let in', async () => {
      const wrong = rabbitWithout(ENCODED);
      const agent = await start('agent', { ...agentEnv, AMQP_URL: wrong });
      const scheduler = await start('scheduler', { DATABASE_URL: database.url, AMQP_URL: wrong });
      for (const one of [agent, scheduler]) {
        await vi.waitFor(() => expect(one.log()).toMatch(/ACCESS.REFUSED/i), { timeout: 60_000, interval: 100 });
        const ready = await (await fetch(`${one.url}/readyz`)).text();
        expect(spelledIn(one.log() + ready)).toEqual([]);
      }
    });

    it('an api that is sent passwords and tokens, right or wrong, whole or malformed', async () => {
      const api = await start('api', {
        ...{ DATABASE_URL: database.url, BERTH_AUTH_STRATEGY: 'http_basic', BERTH_AUTH_ROLES: 'alice=admin' },
        BERTH_AUTH_USERS_FILE: file('good-users', `alice:${HASH}\n`),
      });
      const answers = await Promise.all(requestsTo(api.url));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 400, 401, 404]));
      await vi.waitFor(() => expect(api.log()).toContain('/v1/flavors'), { timeout: 20_000, interval: 50 });
      expect(spelledIn(api.log())).toEqual([]);
      for (const { text } of answers) expect(spelledIn(text)).toEqual([]);
    });

    it('an api whose Keystone is away, or is none', async () => {
      const api = await start('api', {
        ...{
          DATABASE_URL: database.url,
          BERTH_AUTH_STRATEGY: 'keystone',
          BERTH_AUTH_KEYSTONE_URL: `http://${NOWHERE}`,
        },
        ...{ BERTH_AUTH_KEYSTONE_USERNAME: 'berth', BERTH_AUTH_KEYSTONE_PASSWORD: SECRET },
        BERTH_AUTH_KEYSTONE_PROJECT: 'service',
      });
      const answers = await Promise.all(requestsTo(api.url));
      expect(answers.map(({ status }) => status)).toContain(503);
      expect(spelledIn(api.log() + answers.map(({ text }) => text).join())).toEqual([]);
    });
  });
});

/** Of the password `x`, which is not the secret. */
const HASH = '$2b$04$HDCJB9DHOkp2G0su5uyYbeBerW36/lL.vWjytGBN//sfZ.S.LFCDq';

function requestsTo(url: string): Promise<{ status: number; text: string }>[] {
  const basic = `Basic ${Buffer.from(`alice:${SECRET}`).toString('base64')}`;
  const tokens = `${url}/identity/v3/auth/tokens`;
  const body = (user: unknown): string =>
    JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } } } });
  const post = (text: string): Promise<Response> =>
    fetch(tokens, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text });
  const asked = [
    fetch(`${url}/healthz`),
    fetch(`${url}/v1/nothing`),
    fetch(`${url}/v1/flavors`, { headers: { authorization: basic } }),
    fetch(`${url}/v1/flavors`, { headers: { authorization: `Bearer ${SECRET}` } }),
    fetch(`${url}/v1/flavors`, { headers: { 'x-auth-token': SECRET } }),
    post(body({ name: 'alice', password: SECRET })),
    post(body({ name: 'alice', password: [SECRET] })),
    post(body({ name: 'alice', password: { deep: SECRET } })),
  ];
  return asked.map(async (answering) => {
    const answer = await answering;
    return { status: answer.status, text: await answer.text() };
  });
}

function spelledIn(output: string): string[] {
  return SPELLINGS.filter((spelling) => output.includes(spelling));
}

/** Everything that it says until it ends, or for a while. */
function outputOf({ words, env = {} }: Run): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, ...words], {
      env: {
        ...{ PATH: process.env['PATH'] ?? '', BERTH_HTTP_PORT: '0', BERTH_LOG_LEVEL: 'debug' },
        ...{ BERTH_STATE_DIR: join(folder, 'state'), ...env },
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += String(bytes)));
    const end = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(end);
      resolve(output);
    });
  });
}
