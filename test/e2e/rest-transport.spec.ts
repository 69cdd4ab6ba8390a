import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Agent, get as httpsGet } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { BerthProcess } from '../support/berth-process.js';
import { TestAuthority } from '../support/certificates.js';
import { createTestDatabase } from '../support/postgres.js';
import { BODY_BYTES_MAX, type RestApi, startRestApi } from '../support/rest-api.js';

const folder = mkdtempSync(join(tmpdir(), 'berth-transport-'));
const usersFile = join(folder, 'users');
const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const SECURE = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};
/** 431, or a connection that was cut while the client was still sending. */
const REFUSED = [431, 'cut'];
const HTTP_BASIC = { strategy: 'http_basic', usersFile, roles: { root: 'admin' } } as const;

beforeAll(async () => {
  const hash = await bcrypt.hash('right', 4);
  writeFileSync(usersFile, ['root', 'alice', 'bob'].map((user) => `${user}:${hash}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('headers for browsers and caches', () => {
  let api: RestApi;
  beforeAll(async () => (api = await startRestApi(inject('databaseUrl'))));
  afterAll(() => api.close());

  it.each([
    ['an answer', '/v1/hosts', 200],
    ['the question whether it lives', '/healthz', 200],
    ['a path that there is not', '/v1/nothing', 404],
    ['a path that is malformed', '/v1/hosts/%zz', 400],
    ['an error of a face', '/compute/v2.1/nothing', 404],
    ['a bad query', '/v1/hosts?limit=none', 400],
  ])('%s has them', async (_what, path, status) => {
    const answer = await api.http.get(path);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject(SECURE);
    expect(answer.headers['strict-transport-security']).toBeUndefined();
  });
});

describe('what a client can draw out is bounded', () => {
  let api: RestApi;
  let port: number;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    port = Number(new URL((api.http.get('/') as unknown as { url: string }).url).port);
  });
  afterAll(() => api.close());

  it.each([
    ['/v1/flavors', (body: object) => expect(body).toMatchObject({ code: 'request.too_large', status: 413 })],
    ['/identity/v3/auth/tokens', (body: object) => expect(body).toMatchObject({ error: { code: 413 } })],
  ])('a body above the limit is refused by %s, as its clients read it', async (path, expected) => {
    const answer = await api.http.post(path).send({ text: 'x'.repeat(BODY_BYTES_MAX) });
    expect(answer.status).toBe(413);
    expected(answer.body as object);
  });

  it('headers above 16 KiB are refused, be they in one or in the path', async () => {
    expect(REFUSED).toContain(await statusOf(port, { path: '/healthz', headers: { 'x-long': 'x'.repeat(17_000) } }));
    expect(REFUSED).toContain(await statusOf(port, { path: `/v1/hosts?x=${'x'.repeat(17_000)}` }));
    expect(await statusOf(port, { path: `/v1/hosts?x=${'x'.repeat(10_000)}` })).toBe(400);
  });

  it('a client that never ends its headers is let go', async () => {
    const socket = connectPlain({ port, host: '127.0.0.1' });
    const began = Date.now();
    let said = '';
    socket.on('data', (bytes) => (said += String(bytes)));
    socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n');
    const slow = setInterval(() => socket.write('x-slow: 1\r\n'), 2_000);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(slow);
    expect(said).toMatch(/^HTTP\/1\.1 408 /);
    expect(Date.now() - began).toBeLessThan(40_000);
  });
});

describe('rates', () => {
  let api: RestApi;
  beforeAll(async () => {
    const rate = { requestsPerCaller: 20, requestsPerAddress: 60, failedLoginsPerAddress: 5 };
    api = await startRestApi(inject('databaseUrl'), HTTP_BASIC, { rate, trustedProxies: ['127.0.0.1'] });
  });
  afterAll(() => api.close());
  const from = (address: string, path: string, user?: string, password = 'right') => {
    const asked = api.http.get(path).set('x-forwarded-for', address);
    return user === undefined ? asked : asked.set('authorization', basic(user, password));
  };

  it('a caller who asks too often waits, and nobody else does', async () => {
    for (let count = 0; count < 20; count++) expect((await from('192.0.2.1', '/v1/flavors', 'alice')).status).toBe(200);
    const refused = await from('192.0.2.2', '/v1/flavors', 'alice');
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({ code: 'request.too_many', status: 429 });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.headers).toMatchObject(SECURE);
    const face = await from('192.0.2.2', '/compute/v2.1/nothing', 'alice');
    expect(face.status).toBe(404);
    expect((await from('192.0.2.1', '/v1/flavors', 'bob')).status).toBe(200);
    expect((await from('192.0.2.1', '/healthz')).status).toBe(200);
  });

  it('passwords cannot be guessed: after some wrong ones not even the right one is looked at', async () => {
    const guess = (address: string, password: string) => from(address, '/v1/flavors', 'root', password);
    for (let count = 0; count < 5; count++) expect((await guess('198.51.100.7', `wrong ${count}`)).status).toBe(401);
    const refused = await guess('198.51.100.7', 'right');
    expect(refused.status).toBe(429);
    expect(refused.body.detail).toMatch(/^Too many wrong passwords .*try again in \d+ s$/);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(5);
    expect((await guess('198.51.100.8', 'right')).status).toBe(200);
    // who was right a moment ago goes on, though somebody guesses behind the same address
    expect((await guess('198.51.100.7', 'right')).status).toBe(200);
  });

  it('passwords for tokens and tokens themselves count alike, and the face says it in its own way', async () => {
    const body = (password: string) => ({
      auth: { identity: { methods: ['password'], password: { user: { name: 'bob', password } } } },
    });
    const ask = (password: string) =>
      api.http.post('/identity/v3/auth/tokens').set('x-forwarded-for', '2001:db8:1:1::7').send(body(password));
    for (let count = 0; count < 3; count++) expect((await ask('wrong')).status).toBe(401);
    const token = 'x'.repeat(43);
    const look = (address: string) =>
      api.http.get('/v1/flavors').set({ 'x-forwarded-for': address, 'x-auth-token': token });
    expect((await look('2001:db8:1:1::8')).status).toBe(401);
    expect((await look('2001:db8:1:1:ffff::9')).status).toBe(401);
    expect((await look('2001:db8:1:1::7')).status).toBe(429);
    const refused = await ask('another');
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({ error: { code: 429, title: 'Too Many Requests' } });
    expect((await look('2001:db8:1:2::7')).status).toBe(401);
  });

  it('who does not say who asks is counted by address', async () => {
    for (let count = 0; count < 60; count++) expect((await from('203.0.113.5', '/v1/hosts')).status).toBe(401);
    expect((await from('203.0.113.5', '/v1/hosts')).status).toBe(429);
    const compute = await from('203.0.113.5', '/compute');
    expect(compute.body).toEqual({
      overLimit: { code: 429, message: expect.any(String), retryAfter: compute.headers['retry-after'] },
    });
    expect((await from('203.0.113.5', '/v1/flavors', 'bob')).status).toBe(200);
  });

  it('bcrypt keeps nobody waiting: while passwords are guessed, health is answered at once', async () => {
    const slow = await bcrypt.hash('right', 12);
    const file = join(folder, 'slow-users');
    writeFileSync(file, `root:${slow}\n`);
    const own = await startRestApi(inject('databaseUrl'), { ...HTTP_BASIC, usersFile: file });
    try {
      const guesses = Array.from({ length: 4 }, (_unused, index) =>
        own.http.get('/v1/flavors').set('authorization', basic('root', `wrong ${index}`)),
      );
      const state = { isOver: false };
      const ended = Promise.all(guesses).finally(() => (state.isOver = true));
      const waits: number[] = [];
      while (!state.isOver) {
        const began = performance.now();
        expect((await own.http.get('/healthz')).status).toBe(200);
        waits.push(performance.now() - began);
      }
      expect((await ended).map(({ status }) => status)).toEqual([401, 401, 401, 401]);
      // four of some 300 ms each: an event loop that had them to do would answer a few times between them
      expect(waits.length).toBeGreaterThan(20);
      expect(Math.max(...waits)).toBeLessThan(1_000);
    } finally {
      await own.close();
    }
  });
});

describe('TLS', () => {
  let authority: TestAuthority;
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let api: BerthProcess;
  let tls: { cert: string; key: string };

  beforeAll(async () => {
    authority = await TestAuthority.create();
    tls = { cert: join(folder, 'berth.pem'), key: join(folder, 'berth.key') };
    await renew('first');
    database = await createTestDatabase(inject('databaseUrl'));
    const env = {
      ...{ DATABASE_URL: database.url, BERTH_HTTP_PORT: '0', BERTH_AUTH_STRATEGY: 'http_basic' },
      ...{ BERTH_AUTH_USERS_FILE: usersFile, BERTH_AUTH_ROLES: 'root=admin' },
      ...{ BERTH_HTTP_TLS_CERT_FILE: tls.cert, BERTH_HTTP_TLS_KEY_FILE: tls.key, BERTH_HTTP_HOST: '0.0.0.0' },
    };
    api = new BerthProcess({ role: 'api', name: 'api with TLS', config: [], env });
    await api.start({ ready: false });
  });
  afterAll(async () => {
    await api?.stop();
    await database?.drop();
    authority?.remove();
  });

  /** Puts another certificate where the process reads it. */
  async function renew(name: string): Promise<void> {
    const { certFile, keyFile } = await authority.sign(name, 'DNS:localhost,IP:127.0.0.1');
    copyFileSync(certFile, tls.cert);
    copyFileSync(keyFile, tls.key);
  }

  const port = (): number => Number(new URL(api.url).port);
  const shown = async (): Promise<string> => {
    const socket = await handshake(port(), { ca: authority.ca() });
    const name = String(socket.getPeerCertificate().subject.CN);
    socket.destroy();
    return name;
  };

  it('is what the face is served by: links and the catalog say https, browsers are told to stay', async () => {
    expect(api.url).toMatch(/^https:/);
    const { body, headers } = await ask(`${api.url.replace('0.0.0.0', '127.0.0.1')}/identity/v3`, authority.ca());
    expect(JSON.stringify(body)).toContain(`"href":"https://127.0.0.1:${port()}/identity/v3/"`);
    expect(headers).toMatchObject({ ...SECURE, 'strict-transport-security': 'max-age=31536000' });
    expect(api.log()).not.toContain('readable for everybody');
  });

  it('speaks 1.2 and 1.3, and nothing older, and no plain HTTP', async () => {
    const speak = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') =>
      // what is old is allowed to this client only at a security level that allows it
      handshake(port(), {
        ca: authority.ca(),
        minVersion: version,
        maxVersion: version,
        ciphers: 'DEFAULT@SECLEVEL=0',
      });
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await speak(version);
      expect(socket.getProtocol()).toBe(version);
      socket.destroy();
    }
    await expect(speak('TLSv1.1')).rejects.toThrow(/alert protocol version|unsupported protocol/i);
    await expect(fetch(`http://127.0.0.1:${port()}/healthz`)).rejects.toThrow('fetch failed');
  });

  it('takes a renewed certificate at SIGHUP; one that cannot be used is told, and the old one stays', async () => {
    expect(await shown()).toBe('first');
    await renew('second');
    expect(await shown()).toBe('first');
    api.signal('SIGHUP');
    await vi.waitFor(async () => expect(await shown()).toBe('second'), { timeout: 20_000, interval: 100 });
    writeFileSync(tls.cert, 'no certificate\n');
    api.signal('SIGHUP');
    await vi.waitFor(() => expect(api.log()).toContain('the certificate read before stays in use'), {
      timeout: 20_000,
      interval: 100,
    });
    expect(await shown()).toBe('second');
    await renew('third');
    api.signal('SIGHUP');
    await vi.waitFor(async () => expect(await shown()).toBe('third'), { timeout: 20_000, interval: 100 });
  });
});

function statusOf(port: number, options: { path: string; headers?: Record<string, string> }): Promise<number | 'cut'> {
  return new Promise((resolve) => {
    httpRequest({ host: '127.0.0.1', port, ...options }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on('error', () => resolve('cut'))
      .end();
  });
}

function handshake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, ...options }, () => resolve(socket));
    socket.once('error', reject);
  });
}

function ask(url: string, ca: string): Promise<{ body: unknown; headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    httpsGet(url, { agent: new Agent({ ca }) }, (answer) => {
      let text = '';
      answer.on('data', (bytes) => (text += String(bytes)));
      answer.on('end', () => resolve({ body: JSON.parse(text), headers: answer.headers }));
    }).on('error', reject);
  });
}
