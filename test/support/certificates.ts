import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { run } from './processes.js';

/** A certificate and its key, as files. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority of the tests' own, and what it signs; made by openssl as docs/operating.md has it. */
export class TestAuthority {
  private signed = 0;

  private constructor(
    readonly folder: string,
    readonly caFile: string,
    private readonly keyFile: string,
  ) {}

  static async create(): Promise<TestAuthority> {
    const folder = mkdtempSync(path.join(tmpdir(), 'berth-certificates-'));
    const [caFile, keyFile] = [path.join(folder, 'ca.pem'), path.join(folder, 'ca.key')];
    const words = ['req', '-x509', ...KEY, '-days', '2', '-subj', '/CN=Berth tests', '-keyout', keyFile];
    await run('openssl', [...words, '-out', caFile]);
    return new TestAuthority(folder, caFile, keyFile);
  }

  ca(): string {
    return readFileSync(this.caFile, 'utf8');
  }

  /** @param names of a server, as openssl writes them: `DNS:localhost,IP:127.0.0.1`; left out: it is a client's */
  async sign(commonName: string, names?: string): Promise<Certificate> {
    this.signed += 1;
    const file = (ending: string): string => path.join(this.folder, `${this.signed}.${ending}`);
    const [certFile, keyFile, request, more] = [file('pem'), file('key'), file('csr'), file('ext')];
    const use = `extendedKeyUsage=${names === undefined ? 'clientAuth' : 'serverAuth'}\n`;
    writeFileSync(more, names === undefined ? use : `subjectAltName=${names}\n${use}`);
    await run('openssl', ['req', ...KEY, '-subj', `/CN=${commonName}`, '-keyout', keyFile, '-out', request]);
    const signer = ['-CA', this.caFile, '-CAkey', this.keyFile, '-CAcreateserial', '-days', '2', '-extfile', more];
    await run('openssl', ['x509', '-req', '-in', request, ...signer, '-out', certFile]);
    return { certFile, keyFile };
  }

  /** What 127.0.0.1 and localhost show to their clients. */
  forThisMachine(): Promise<Certificate> {
    return this.sign('localhost', 'DNS:localhost,IP:127.0.0.1');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
