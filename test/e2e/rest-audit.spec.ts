import { execFile } from 'node:child_process';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { sealAudit } from '../../src/store/audit.store.js';
import { inTransaction, ledgerDataSource } from '../../src/store/database.js';
import { PROGRAM } from '../support/berth-process.js';
import { insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

const NOBODY = '00000000-0000-4000-8000-000000000000';

interface Told {
  readonly exitCode: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

describe('the audit', () => {
  let api: RestApi;
  let source: DataSource;
  let devices: readonly string[];
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    source = await ledgerDataSource(api.databaseUrl, 1).initialize();
    const addresses = ['0000:83:00.0', '0000:84:00.0'];
    const sketch = addresses.map((address, index) => ({ address, iommu_group: 30 + index }));
    ({ deviceIds: devices } = await insertHost(api, { name: 'node-1', devices: sketch }));
    for (const id of devices) {
      await api.http.post(`/v1/devices/${id}/reserve`).send({ reason: 'for Friday' }).expect(200);
    }
    await api.http.patch('/v1/hosts/node-1').send({ enabled: false, disabled_reason: 'fan' }).expect(200);
  });
  afterAll(async () => {
    await source?.destroy();
    await api?.close();
  });

  function audit(...words: readonly string[]): Promise<Told> {
    const env = { PATH: process.env['PATH'] };
    return new Promise((resolve) => {
      const args = [PROGRAM, 'audit', ...words, '--database-url', api.databaseUrl];
      execFile(process.execPath, args, { env }, (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr });
      });
    });
  }

  it('says how much is not sealed yet, and what the end of the chain is', async () => {
    const before = await api.http.get('/v1/audit/head').expect(200);
    expect(before.body).toMatchObject({ seq: 0, pruned: 0, pending: 5, anchor: `0:${'0'.repeat(64)}` });
    expect((await api.http.get('/v1/audit').expect(200)).body).toEqual({ entries: [], next: null });
    await inTransaction(source, sealAudit);
    const after = await api.http.get('/v1/audit/head').expect(200);
    expect(after.body).toMatchObject({ seq: 5, pending: 0 });
    expect(after.body.anchor).toBe(`5:${after.body.hash}`);
  });

  it('is listed oldest first, page by page', async () => {
    const first = await api.http.get('/v1/audit?limit=2').expect(200);
    expect(first.body.entries).toMatchObject([
      {
        seq: 1,
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        previous_hash: '0'.repeat(64),
        body: { kind: 'transition', transitions: [{ device_id: devices[0], event: 'reserve', to: 'reserved' }] },
      },
      { seq: 2, body: { kind: 'admin', action: 'device.reserve', device_id: devices[0], reason: 'for Friday' } },
    ]);
    const [one, two] = first.body.entries;
    expect(two.previous_hash).toBe(one.hash);
    expect(first.body.next).toBe('/v1/audit?limit=2&marker=2');
    const second = await api.http.get(first.body.next).expect(200);
    expect(second.body.entries.map((entry: { seq: number }) => entry.seq)).toEqual([3, 4]);
    const last = await api.http.get(second.body.next).expect(200);
    expect(last.body).toMatchObject({ entries: [{ seq: 5, body: { action: 'host.change' } }], next: null });
  });

  it.each<[string, () => string, number[]]>([
    ['a device', () => `device_id=${devices[1]}`, [3, 4]],
    ['a device, in capitals', () => `device_id=${devices[1]?.toUpperCase()}`, [3, 4]],
    ['a host', () => 'host=node-1', [1, 2, 3, 4, 5]],
    ['a host and a device', () => `host=node-1&device_id=${devices[0]}`, [1, 2]],
    ['a server', () => `server_id=${NOBODY}`, []],
    ['a host that is not there', () => 'host=node-9', []],
  ])('is found by %s', async (_what, query, seqs) => {
    const { body } = await api.http.get(`/v1/audit?${query()}`).expect(200);
    expect(body.entries.map((entry: { seq: number }) => entry.seq)).toEqual(seqs);
    expect(body.next).toBeNull();
  });

  it.each([
    ['device_id=7', 'device_id'],
    ['server_id=x', 'server_id'],
    ['host=', 'host'],
    ['marker=x', 'marker'],
    ['marker=99999999999999999999', 'marker'],
    ['limit=0', 'limit'],
    ['after=3', 'after'],
  ])('is not asked with %s', async (query, field) => {
    const { body } = await api.http.get(`/v1/audit?${query}`).expect(400);
    expect(body).toMatchObject({ code: 'request.invalid', errors: [{ field }] });
  });

  it('is verified from the command line, against an anchor, and tells who changed it', async () => {
    const head = await audit('head');
    expect(head).toMatchObject({ exitCode: 0, stderr: '' });
    const whole = await audit('verify', '--anchor', head.stdout.trim());
    expect(whole).toMatchObject({ exitCode: 0, stderr: '' });
    expect(whole.stdout).toBe(
      `The audit chain is whole: 5 entries after 0, up to 5, as sealed; 0 not sealed yet.\nHead: ${head.stdout}`,
    );
    const shown = await audit('show', '--device', devices[0] ?? '');
    expect(shown.stdout).toMatch(
      /^1 {2}\S+ {2}device 0000:83:00\.0 of host node-1: available → reserved \(reserve\)\n2 {2}\S+ {2}device\.reserve by rest \{.*"reason":"for Friday"\}\n$/,
    );
    await api.sql(`UPDATE audit_entries SET body = replace(body::text, 'Friday', 'Monday')::json WHERE seq = 2`);
    const broken = await audit('verify');
    expect(broken.exitCode).toBe(1);
    expect(broken.stdout).toMatch(
      /^The audit chain is broken: entry 2 is not what was sealed: it was changed \(changed\)\.\n/,
    );
    expect(await audit('verify', '--anchor', '5')).toMatchObject({
      exitCode: 2,
      stderr: 'berth: request.invalid: --anchor: write SEQ:HASH as `berth audit head` prints it\n',
    });
  });
});
