import { appendFileSync, chmodSync, chownSync, copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DatabaseSettings } from '../../src/settings/settings.js';
import { ledgerDataSource } from '../../src/store/database.js';
import { databaseAddress } from '../../src/store/database-address.js';
import { TestAuthority } from '../support/certificates.js';
import { startPostgres, type TestPostgres } from '../support/postgres.js';

const SOON = { timeout: 20_000, interval: 100 };
const NONE = { caFile: null, certFile: null, keyFile: null };

describe('TLS to Postgres', () => {
  let authority: TestAuthority;
  let postgres: TestPostgres;
  let dataFolder: string;
  let url: string;

  beforeAll(async () => {
    authority = await TestAuthority.create();
    postgres = await startPostgres();
    url = postgres.url.replace('127.0.0.1', 'localhost');
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    const [{ folder }] = (await client.query(`SELECT current_setting('data_directory') AS folder`)).rows as [
      { folder: string },
    ];
    dataFolder = folder;
    give(authority.caFile, 'clients.pem');
    await become('localhost');
    await client.query(`CREATE ROLE certified LOGIN`);
    const rules = path.join(folder, 'pg_hba.conf');
    writeFileSync(rules, `hostssl all certified 127.0.0.1/32 cert\n${readFileSync(rules, 'utf8')}`);
    appendFileSync(
      path.join(folder, 'postgresql.conf'),
      `\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\nssl_ca_file = 'clients.pem'\nssl = on\n`,
    );
    await client.query('SELECT pg_reload_conf()');
    await client.end();
    await vi.waitFor(async () => expect(await encryption({ mode: 'require', ...NONE })).not.toBeNull(), SOON);
  });
  afterAll(async () => {
    await postgres?.stop();
    authority?.remove();
  });

  function give(from: string, name: string): void {
    const file = path.join(dataFolder, name);
    const { uid, gid } = statSync(dataFolder);
    copyFileSync(from, file);
    chownSync(file, uid, gid);
    chmodSync(file, 0o600);
  }

  /** Has the server show a certificate of this name from its next start or reload on. */
  async function become(name: string): Promise<void> {
    const { certFile, keyFile } = await authority.sign(name, `DNS:${name}`);
    give(certFile, 'server.pem');
    give(keyFile, 'server.key');
  }

  /** The version of TLS by which the ledger is spoken to; null: none. */
  async function encryption(tls: DatabaseSettings['tls'], address = url): Promise<string | null> {
    const source = ledgerDataSource(databaseAddress({ url: address, poolMax: 1, ...(tls && { tls }) }) ?? '', 1);
    try {
      await source.initialize();
      const rows = await source.query<{ version: string | null }[]>(
        'SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      );
      return rows[0]?.version ?? null;
    } finally {
      if (source.isInitialized) await source.destroy();
    }
  }

  it('is as it is told: none, encrypted, or encrypted to whom the URL names', async () => {
    expect(await encryption(undefined)).toBeNull();
    expect(await encryption({ mode: null, ...NONE })).toBeNull();
    expect(await encryption({ mode: 'disable', ...NONE })).toBeNull();
    expect(await encryption({ mode: 'require', ...NONE })).toBe('TLSv1.3');
    expect(await encryption({ mode: 'require', ...NONE, caFile: authority.caFile })).toBe('TLSv1.3');
    expect(await encryption({ mode: 'verify-full', ...NONE, caFile: authority.caFile })).toBe('TLSv1.3');
  });

  it('a server that somebody else signed is not spoken to, and with verify-full none of another name', async () => {
    const other = await TestAuthority.create();
    await expect(encryption({ mode: 'verify-full', ...NONE, caFile: other.caFile })).rejects.toThrow(/certificate/);
    await expect(encryption({ mode: 'require', ...NONE, caFile: other.caFile })).rejects.toThrow(/certificate/);
    await expect(encryption({ mode: 'verify-full', ...NONE })).rejects.toThrow(/certificate/);
    other.remove();
    const byCa = { ...NONE, caFile: authority.caFile };
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    const reload = () => client.query('SELECT pg_reload_conf()');
    await become('elsewhere.example');
    await reload();
    await vi.waitFor(
      () => expect(encryption({ mode: 'verify-full', ...byCa })).rejects.toThrow(/does not match certificate/),
      SOON,
    );
    expect(await encryption({ mode: 'require', ...byCa })).toBe('TLSv1.3');
    await become('localhost');
    await reload();
    await client.end();
    await vi.waitFor(async () => expect(await encryption({ mode: 'verify-full', ...byCa })).toBe('TLSv1.3'), SOON);
  });

  it('shows a certificate where Postgres wants one', async () => {
    const certified = new URL(url);
    certified.username = 'certified';
    certified.password = '';
    const tls = { mode: 'verify-full', ...NONE, caFile: authority.caFile } as const;
    await expect(encryption(tls, certified.href)).rejects.toThrow(/certificate/);
    const stranger = await authority.sign('somebody');
    await expect(encryption({ ...tls, ...stranger }, certified.href)).rejects.toThrow(/authentication failed/);
    const own = await authority.sign('certified');
    expect(await encryption({ ...tls, ...own }, certified.href)).toBe('TLSv1.3');
  });

  it.each<[string, Partial<DatabaseSettings>, RegExp]>([
    ['files without a mode', { tls: { mode: null, ...NONE, caFile: '/x' } }, /^database\.tls\.mode: say require/],
    [
      'a certificate without a key',
      { tls: { mode: 'require', ...NONE, certFile: '/x' } },
      /^database\.tls\.key_file: is missing/,
    ],
    [
      'a file that there is not',
      { tls: { mode: 'require', ...NONE, caFile: '/nowhere.pem' } },
      /^database\.tls\.ca_file: ENOENT/,
    ],
    [
      'an address where a name is compared',
      { url: 'postgres://u:secret@192.0.2.1/d', tls: { mode: 'verify-full', ...NONE } },
      /^database\.url: names an address/,
    ],
    [
      'two words about it',
      { url: 'postgres://u:secret@h/d?sslmode=require', tls: { mode: 'require', ...NONE } },
      /^database\.url: says something of TLS/,
    ],
  ])('%s: the configuration is refused', (_what, differing, problem) => {
    const ask = () => databaseAddress({ url: 'postgres://u:secret@h/d', poolMax: 1, ...differing });
    expect(ask).toThrow(problem);
    expect(ask).not.toThrow('secret');
  });
});
