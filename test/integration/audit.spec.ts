import { createHash } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { beforeEach, describe, expect, it } from 'vitest';
import { auditHeadCommand, auditShowCommand, auditVerifyCommand } from '../../src/scheduler/audit-command.js';
import { verifyAudit } from '../../src/scheduler/audit-report.js';
import { AuditSealer } from '../../src/scheduler/audit-sealer.js';
import type { AuditBody } from '../../src/store/audit-bodies.js';
import { pruneAudit, sealAudit, writeAudit } from '../../src/store/audit.store.js';
import { readAuditEnds, readAuditEntries, readTrail } from '../../src/store/audit-views.store.js';
import { insertAlias, deleteAlias } from '../../src/store/catalog.store.js';
import { holdDevice } from '../../src/store/device-holds.store.js';
import { changeHost } from '../../src/store/host-admin.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { contentHash } from '../../src/messages/content-hash.js';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { Ledger } from '../../src/store/ledger.js';
import { aReport } from '../support/reports.js';
import { agentsAnswer, ask, hostWithGpus, onScheduledLedger, remove, scheduler } from '../support/scheduler-world.js';

let source: DataSource;
let ledger: Ledger;
let url: string;

onScheduledLedger((opened) => {
  ({ source, ledger } = opened);
  url = (opened.source.options as { url: string }).url;
});

beforeEach(async () => {
  await source.query(`TRUNCATE audit_pending, audit_entries`);
  await source.query(`UPDATE audit_anchors SET seq = 0, hash = repeat('0', 64)`);
});

async function seal(): Promise<void> {
  while ((await ledger.transaction(sealAudit)).more);
}

async function bodies(): Promise<AuditBody[]> {
  await seal();
  return (await readAuditEntries(ledger.pool, 0)).map(({ body }) => JSON.parse(body) as AuditBody);
}

const idOf = async (table: string): Promise<string> => {
  const [row] = (await source.query(`SELECT id FROM ${table} LIMIT 1`)) as { id: string }[];
  return row?.id ?? '';
};

/** So many entries about nothing. */
async function entries(count: number): Promise<void> {
  for (let index = 1; index <= count; index++) {
    await writeAudit(ledger.pool, [{ kind: 'admin', action: 'test', actor: null, index }]);
  }
  await seal();
}

const verify = (from: number | null = null) => verifyAudit(ledger.pool, from, null);

describe('the life of a server', () => {
  it('is in the audit, step by step', async () => {
    await hostWithGpus('a', 1);
    const id = await ask('vm');
    await scheduler().schedule(id);
    await agentsAnswer();
    await remove(id);
    const [device_id, host_id] = [await idOf('devices'), await idOf('hosts')];
    const [{ record_sha256 }] = (await source.query(
      `SELECT encode(sha256(convert_to(record::text, 'UTF8')), 'hex') AS record_sha256 FROM decisions`,
    )) as [{ record_sha256: string }];
    const step = (event: string, from: string, to: string, server_id: string | null): AuditBody => ({
      kind: 'transition',
      transitions: [{ device_id, host_id, address: '0000:80:00.0', event, from, to, server_id }] as never,
    });
    expect(await bodies()).toEqual([
      step('return', 'removed', 'available', null),
      step('claim', 'available', 'claimed', id),
      {
        kind: 'decision',
        decisions: [{ server_id: id, attempt: 1, outcome: 'placed', host_id, record_sha256 }],
      },
      step('allocate', 'claimed', 'allocated', id),
      step('free', 'allocated', 'available', id),
    ]);
    expect(await verify()).toMatchObject({ broken: null, entries: 5, pending: 0 });
    const { text, exitCode } = await auditShowCommand(url, { server: id.toUpperCase() });
    expect(exitCode).toBe(0);
    expect(text.split('\n').map((line) => line.replace(/^(\d+) {2}\S+ {2}/, '$1 '))).toEqual([
      `2 device 0000:80:00.0 of host a: available → claimed (claim, server ${id})`,
      expect.stringMatching(new RegExp(`^3 server ${id}, attempt 1: placed on host a, record [0-9a-f]{16}…$`)),
      `4 device 0000:80:00.0 of host a: claimed → allocated (allocate, server ${id})`,
      `5 device 0000:80:00.0 of host a: allocated → available (free, server ${id})`,
      '',
    ]);
    expect((await auditShowCommand(url, { device: device_id, limit: '2' })).text).toMatch(/^4 .*\n5 .*\n$/);
  });

  it('tells of a refusal, of who has to leave, and of the relatives that follow a device', async () => {
    await hostWithGpus('a', 1);
    const [low, high, none] = [
      await ask('low', { preemptible: true }),
      await ask('high', { priority: 5 }),
      await ask('none'),
    ];
    const service = scheduler({ preemption: true });
    for (const id of [low]) await service.schedule(id);
    await agentsAnswer();
    await service.schedule(high);
    await service.schedule(none);
    const said = await bodies();
    const host_id = await idOf('hosts');
    expect(said.filter(({ kind }) => kind === 'preemption')).toEqual([
      { kind: 'preemption', server_id: high, host_id, victims: [low] },
    ]);
    const decisions = said.flatMap((body) => (body.kind === 'decision' ? body.decisions : []));
    expect(decisions.map(({ server_id, outcome }) => [server_id, outcome])).toEqual([
      [low, 'placed'],
      [high, 'rejected'],
      [none, 'rejected'],
    ]);
  });

  it('tells of the functions of one card together', async () => {
    const pf = { address: '0000:05:00.0', ids: '8086:10ed', deviceType: 'type-PF' as const };
    const vf = { address: '0000:05:10.0', ids: '8086:10ed', deviceType: 'type-VF' as const, parentAddress: pf.address };
    await source.transaction((tx) => absorbReport(tx, aReport({ host: 'a', devices: [pf, vf] })));
    await seal();
    const [row] = (await source.query(`SELECT id FROM devices WHERE address = $1`, [pf.address])) as [{ id: string }];
    await ledger.transaction((tx) => holdDevice(tx, row.id, 'quarantine', 'ECC errors'));
    const said = (await bodies()).slice(1);
    expect(said).toMatchObject([
      {
        transitions: [
          { address: pf.address, event: 'quarantine', from: 'available', to: 'quarantined', server_id: null },
          { address: vf.address, event: 'quarantine', from: 'available', to: 'unclaimable', server_id: null },
        ],
      },
      { kind: 'admin', action: 'device.quarantine', actor: 'rest', device_id: row.id, reason: 'ECC errors' },
    ]);
  });
});

describe('what administrators do', () => {
  it('to hosts and aliases is in the audit', async () => {
    await hostWithGpus('a', 0);
    const id = await idOf('hosts');
    await ledger.transaction((tx) => changeHost(tx, id, { enabled: false, disabledReason: 'fan' }));
    const alias = { name: 'gpu', numaPolicy: 'legacy', specs: [] } as never;
    await ledger.transaction((tx) => insertAlias(tx, alias));
    await ledger.transaction((tx) => deleteAlias(tx, 'gpu'));
    expect(await bodies()).toEqual([
      {
        ...{ kind: 'admin', action: 'host.change', actor: 'rest', host_id: id },
        changed: { enabled: false, disabled_reason: 'fan' },
      },
      { kind: 'admin', action: 'alias.created', actor: 'rest', aliases: ['gpu'] },
      { kind: 'admin', action: 'alias.deleted', actor: 'rest', aliases: ['gpu'] },
    ]);
  });

  it('in device_spec, against what a host needs itself, is in the audit once', async () => {
    const plain = aReport({ host: 'a', devices: [{ address: '0000:80:00.0', ids: '8086:1572' }] });
    const reasons = (code: string) => [{ code, text: 'carries the default route (eth0)', remedy: 'move it' }];
    let sequence = 0;
    const report = async (more: Partial<WireDevice>): Promise<void> => {
      const devices = plain.devices.map((device) => ({ ...device, ...more }));
      sequence += 1;
      const hash = contentHash({ facts: plain.facts, devices });
      await ledger.transaction((tx) => absorbReport(tx, { ...plain, devices, sequence, hash }));
    };
    const overrides = async () =>
      (await bodies()).filter((body) => body.kind === 'admin' && body.action === 'device.protection_overridden');
    await report({ protection: { reasons: reasons('default_route'), overridden: false }, offer: null });
    expect(await overrides()).toEqual([]);
    await report({ protection: { reasons: reasons('default_route'), overridden: true } });
    const once = {
      ...{ kind: 'admin', action: 'device.protection_overridden', actor: 'device_spec', entry: 0 },
      ...{ host: 'a', host_id: await idOf('hosts'), address: '0000:80:00.0' },
      reasons: [{ code: 'default_route', text: 'carries the default route (eth0)' }],
    };
    expect(await overrides()).toEqual([once]);
    await report({ protection: { reasons: reasons('default_route'), overridden: true }, driver: 'ice' });
    await report({ original: { driver: 'ice', netdevs: ['eth0'] }, driver: 'vfio-pci' });
    await report({ protection: { reasons: reasons('default_route'), overridden: true } });
    expect(await overrides()).toHaveLength(1);
    await report({ protection: { reasons: reasons('broker_connection'), overridden: true } });
    expect((await overrides()).map((body) => 'reasons' in body && body.reasons)).toMatchObject([
      [{ code: 'default_route' }],
      [{ code: 'broker_connection' }],
    ]);
    expect(await verify()).toMatchObject({ broken: null });
  });

  it('leaves nothing in the audit when it is undone', async () => {
    await hostWithGpus('a', 1);
    await seal();
    const device = await idOf('devices');
    const undone = ledger.transaction(async (tx) => {
      await holdDevice(tx, device, 'reserve', 'why');
      throw new Error('the power went');
    });
    await expect(undone).rejects.toThrow('the power went');
    await ledger.transaction((tx) => holdDevice(tx, device, 'quarantine', 'why'));
    expect(await bodies()).toMatchObject([
      { kind: 'transition' },
      { kind: 'transition' },
      { action: 'device.quarantine' },
    ]);
    expect(await verify()).toMatchObject({ broken: null, entries: 3 });
  });
});

describe('the hash of an entry', () => {
  it('is what SQL makes of it, of any text and to the microsecond', async () => {
    const odd = 'ä "quoted" \\ \u2028 \n 😀 \u0000';
    await writeAudit(ledger.pool, [{ kind: 'admin', action: 'test', actor: odd, number: 1e21, small: 0.1 }]);
    await entries(3);
    const rows = (await source.query(
      `SELECT hash, encode(sha256(convert_to(concat_ws(E'\\n', previous_hash, seq,
                to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), writer, body::text), 'UTF8')), 'hex') AS sql
         FROM audit_entries ORDER BY seq`,
    )) as { hash: string; sql: string }[];
    expect(rows).toHaveLength(4);
    for (const { hash, sql } of rows) expect(sql).toBe(hash);
    expect(await verify()).toMatchObject({ broken: null, entries: 4 });
  });

  it('does not depend on the time zone of the connection', async () => {
    await entries(2);
    const database = `ALTER DATABASE "${new URL(url).pathname.slice(1)}"`;
    await source.query(`${database} SET timezone = 'Asia/Kathmandu'`);
    try {
      expect((await auditVerifyCommand(url, {})).exitCode).toBe(0);
    } finally {
      await source.query(`${database} RESET timezone`);
    }
  });
});

describe('whoever changes the chain by SQL', () => {
  beforeEach(() => entries(10));

  const SHIFT = `UPDATE audit_entries SET seq = seq + 1000 WHERE seq >= 4; UPDATE audit_entries SET seq = seq - 999 WHERE seq > 1000;`;

  it.each([
    ['a body', `UPDATE audit_entries SET body = '{"kind": "admin"}' WHERE seq = 4`, 'changed', 4],
    ['a space in a body', `UPDATE audit_entries SET body = (body::text || ' ')::json WHERE seq = 4`, 'changed', 4],
    ['a time', `UPDATE audit_entries SET at = at + interval '1 microsecond' WHERE seq = 4`, 'changed', 4],
    ['a writer', `UPDATE audit_entries SET writer = writer || 'x' WHERE seq = 10`, 'changed', 10],
    ['a subject', `UPDATE audit_entries SET subjects = ARRAY[gen_random_uuid()] WHERE seq = 4`, 'changed', 4],
    ['a hash', `UPDATE audit_entries SET hash = repeat('f', 64) WHERE seq = 1`, 'changed', 1],
    ['a link', `UPDATE audit_entries SET previous_hash = repeat('f', 64) WHERE seq = 4`, 'changed', 4],
    ['one removed', `DELETE FROM audit_entries WHERE seq = 4`, 'missing', 4],
    ['the first removed', `DELETE FROM audit_entries WHERE seq = 1`, 'missing', 1],
    ['the last removed', `DELETE FROM audit_entries WHERE seq = 10`, 'cut', 10],
    ['all removed', `TRUNCATE audit_entries`, 'cut', 1],
    [
      'two that change places',
      `UPDATE audit_entries SET seq = 1000 WHERE seq = 4; UPDATE audit_entries SET seq = 4 WHERE seq = 7;
       UPDATE audit_entries SET seq = 7 WHERE seq = 1000`,
      'reordered',
      4,
    ],
    [
      'one put between',
      `${SHIFT} INSERT INTO audit_entries SELECT 4, at, writer, body, subjects, previous_hash, hash FROM audit_entries WHERE seq = 5`,
      'inserted',
      4,
    ],
    [
      'one put behind',
      `INSERT INTO audit_entries SELECT 11, at, writer, body, subjects, hash, hash FROM audit_entries WHERE seq = 10`,
      'inserted',
      11,
    ],
    ['the anchor of the end', `UPDATE audit_anchors SET hash = repeat('f', 64) WHERE name = 'head'`, 'changed', 10],
    [
      'the anchor of the end back',
      `UPDATE audit_anchors SET seq = 9, hash = (SELECT hash FROM audit_entries WHERE seq = 9) WHERE name = 'head'`,
      'inserted',
      10,
    ],
  ])('is found: %s', async (_what, sql, kind, seq) => {
    expect(await verify()).toMatchObject({ broken: null });
    for (const statement of sql.split(';')) await source.query(statement);
    expect(await verify()).toMatchObject({ broken: { kind, seq } });
    const { text, exitCode } = await auditVerifyCommand(url, {});
    expect(exitCode).toBe(1);
    expect(text).toContain(`The audit chain is broken: entry ${seq} `);
    expect(text).toContain(`(${kind})`);
    // and it is not covered up by what is sealed afterwards
    if (kind === 'cut' || kind === 'inserted') {
      await entries(2);
      expect((await verify()).broken).not.toBeNull();
    }
  });

  it('is found by an anchor when all of it was made anew', async () => {
    const { text: anchor } = await auditHeadCommand(url);
    expect(anchor).toMatch(/^10:[0-9a-f]{64}\n$/);
    expect((await auditVerifyCommand(url, { anchor })).exitCode).toBe(0);
    const rows = await readAuditEntries(ledger.pool, 0);
    let previous = '0'.repeat(64);
    for (const { seq, at, writer, body } of rows) {
      const said = seq === 3 ? '{"kind":"admin"}' : body;
      const hash = createHash('sha256').update([previous, seq, at, writer, said].join('\n')).digest('hex');
      await source.query(`UPDATE audit_entries SET body = $2, previous_hash = $3, hash = $4 WHERE seq = $1`, [
        seq,
        said,
        previous,
        hash,
      ]);
      previous = hash;
    }
    await source.query(`UPDATE audit_anchors SET hash = $1 WHERE name = 'head'`, [previous]);
    expect((await auditVerifyCommand(url, {})).exitCode).toBe(0);
    const found = await auditVerifyCommand(url, { anchor, json: true });
    expect(JSON.parse(found.text)).toMatchObject({ broken: { kind: 'rewritten', seq: 10 } });
    expect(found.exitCode).toBe(1);
  });

  it('is looked for from an entry on', async () => {
    await source.query(`UPDATE audit_entries SET writer = 'x' WHERE seq = 4`);
    expect(await verify(5)).toMatchObject({ broken: null, from: 4, entries: 6 });
    expect(await verify(4)).toMatchObject({ broken: { kind: 'changed', seq: 4 } });
    await source.query(`DELETE FROM audit_entries WHERE seq = 4`);
    expect(await verify(5)).toMatchObject({ broken: { kind: 'missing', seq: 4 } });
    expect(await verify(11)).toMatchObject({ broken: null, entries: 0 });
  });

  it.each([
    [{ from: '0' }, '--from: write a whole number'],
    [{ from: '12' }, '--from: entries 1 to 10 are kept'],
    [{ anchor: '3:abc' }, '--anchor: write SEQ:HASH'],
    [{ from: '9', anchor: `3:${'0'.repeat(64)}` }, '--anchor: entry 3 is before 9'],
  ])('is not looked for with %j', async (options, message) => {
    await expect(auditVerifyCommand(url, options)).rejects.toMatchObject({
      code: 'request.invalid',
      message: expect.stringContaining(message) as string,
    });
  });

  it('keeps the sealer from its work by removing the end, but loses nothing', async () => {
    await source.query(`DELETE FROM audit_anchors WHERE name = 'head'`);
    await writeAudit(ledger.pool, [{ kind: 'admin', action: 'test', actor: null }]);
    await expect(ledger.transaction(sealAudit)).rejects.toMatchObject({ code: 'audit.damaged' });
    expect(await source.query(`SELECT 1 FROM audit_pending`)).toHaveLength(1);
    await expect(auditVerifyCommand(url, {})).rejects.toMatchObject({ code: 'audit.damaged' });
    await source.query(`INSERT INTO audit_anchors (name, seq, hash) VALUES ('head', 0, '')`);
  });
});

describe('sealers', () => {
  it('at once, with writers at work and some of them undone, make one chain without gaps', async () => {
    const sealers = [1, 2, 3].map(() => new AuditSealer(ledger, { keepDays: 0 }));
    for (const sealer of sealers) sealer.onApplicationBootstrap();
    const write = async (index: number): Promise<void> => {
      const work = ledger.transaction(async (tx) => {
        await writeAudit(tx, [{ kind: 'admin', action: 'test', actor: null, index }]);
        if (index % 5 === 0) throw new Error('undone');
      });
      await work.catch(() => undefined);
    };
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 10 }, (_, index) => write(round * 10 + index)));
      for (const sealer of sealers) sealer.nudge();
    }
    for (let tries = 0; tries < 100 && (await readAuditEnds(ledger.pool)).pending > 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await Promise.all(sealers.map((sealer) => sealer.beforeApplicationShutdown()));
    expect(await verify()).toMatchObject({ broken: null, entries: 160, pending: 0 });
  });

  it('that are undone leave everything as it was', async () => {
    await entries(2);
    await writeAudit(ledger.pool, [{ kind: 'admin', action: 'test', actor: null }]);
    const crash = ledger.transaction(async (tx) => {
      expect(await sealAudit(tx)).toEqual({ sealed: 1, more: true });
      throw new Error('the power went');
    });
    await expect(crash).rejects.toThrow('the power went');
    expect(await verify()).toMatchObject({ broken: null, entries: 2, pending: 1 });
    await seal();
    expect(await verify()).toMatchObject({ broken: null, entries: 3, pending: 0 });
  });

  it('wait for nobody: one that finds another at work does nothing', async () => {
    await writeAudit(ledger.pool, [{ kind: 'admin', action: 'test', actor: null }]);
    await ledger.transaction(async (tx) => {
      expect(await sealAudit(tx)).toMatchObject({ sealed: 1 });
      expect(await ledger.transaction(sealAudit)).toEqual({ sealed: 0, more: false });
    });
  });

  it('take no more at a time than memory has room for', async () => {
    const large = 'x'.repeat(3 * 1024 * 1024);
    await writeAudit(
      ledger.pool,
      Array.from({ length: 5 }, () => ({ kind: 'admin' as const, action: 'test', actor: large })),
    );
    expect(await ledger.transaction(sealAudit)).toMatchObject({ sealed: 1 });
    await seal();
    expect(await readAuditEntries(ledger.pool, 0)).toHaveLength(2);
    expect(await readTrail(ledger.pool, { subjects: [], after: null, limit: 5 })).toMatchObject({ complete: false });
    expect(await verify()).toMatchObject({ broken: null, entries: 5 });
  });
});

describe('what is older than it is kept', () => {
  const aged = (days: number, upTo: number) =>
    source.query(`UPDATE audit_pending SET at = now() - $1::int * interval '1 day' WHERE body->>'index' <= $2`, [
      days,
      String(upTo),
    ]);
  const write = async (count: number): Promise<void> => {
    for (let index = 1; index <= count; index++) {
      await writeAudit(ledger.pool, [{ kind: 'admin', action: 'test', actor: null, index }]);
    }
  };

  it('goes from the start; where the chain begins then is kept, and that it went is told', async () => {
    await write(9);
    await aged(10, 4);
    await seal();
    const { text: old } = await auditHeadCommand(url);
    const [fourth] = (await readAuditEntries(ledger.pool, 3)).slice(0, 1);
    expect(await ledger.transaction((tx) => pruneAudit(tx, 0))).toBe(false);
    expect(await ledger.transaction((tx) => pruneAudit(tx, 11))).toBe(false);
    expect(await verify()).toMatchObject({ from: 0, entries: 9 });
    expect(await ledger.transaction((tx) => pruneAudit(tx, 9))).toBe(false);
    expect(await readAuditEnds(ledger.pool)).toMatchObject({ start: { seq: 4, hash: fourth?.hash }, pending: 1 });
    await seal();
    expect(await verify()).toMatchObject({ broken: null, from: 4, entries: 6 });
    expect((await readAuditEntries(ledger.pool, 9)).map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { kind: 'admin', action: 'audit.prune', actor: null, seq: 4, hash: fourth?.hash, keep_days: 9 },
    ]);
    expect((await auditVerifyCommand(url, { anchor: old })).exitCode).toBe(0);
    const gone = auditVerifyCommand(url, { anchor: `3:${'0'.repeat(64)}` });
    await expect(gone).rejects.toThrow('entry 3 is before 5');
    await source.query(`DELETE FROM audit_entries WHERE seq = 5`);
    expect(await verify()).toMatchObject({ broken: { kind: 'missing', seq: 5 } });
  });

  it('goes altogether, and the chain goes on', async () => {
    await write(3);
    await aged(10, 9);
    await seal();
    expect(await ledger.transaction((tx) => pruneAudit(tx, 1))).toBe(true);
    await seal();
    expect(await verify()).toMatchObject({ broken: null, from: 3, entries: 1, last: { seq: 4 } });
  });
});
