import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchangeWith } from './http-exchange.js';

describe('over TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-tls-'));
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  let server: Server;
  let url: string;
  beforeAll(async () => {
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', key, '-out', certificate];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        ...subject,
        ...files,
      ],
      {
        stdio: 'ignore',
      },
    );
    server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, answer) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        if (request.url === '/empty') return void answer.writeHead(204).end();
        return void answer
          .writeHead(201, { 'x-method': request.method })
          .end(`${request.headers['x-auth-token'] ?? ''} ${body}`);
      });
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server?.close();
    rmSync(folder, { recursive: true });
  });

  it('trusts whom the file names', async () => {
    const exchange = exchangeWith({ caCert: certificate, insecure: false });
    const request = new Request(`${url}/x`, { method: 'PUT', body: 'hällo', headers: { 'x-auth-token': 't' } });
    const answer = await exchange(request);
    expect([answer.status, answer.headers.get('x-method'), await answer.text()]).toEqual([201, 'PUT', 't hällo']);
    const empty = await exchange(new Request(`${url}/empty`, { method: 'DELETE' }));
    expect([empty.status, await empty.text()]).toEqual([204, '']);
  });

  it('trusts nobody else, and says what would help', async () => {
    const asked = exchangeWith({ caCert: null, insecure: false })(new Request(url));
    await expect(asked).rejects.toThrow(/does not answer: .*certificate.*--os-cacert \(OS_CACERT\)/);
  });

  it('asks nobody for a certificate if it is told not to', async () => {
    expect((await exchangeWith({ caCert: null, insecure: true })(new Request(url))).status).toBe(201);
  });

  it('says that the file cannot be read', () => {
    expect(() => exchangeWith({ caCert: join(folder, 'none'), insecure: false })).toThrow('--os-cacert: ENOENT');
  });
});
