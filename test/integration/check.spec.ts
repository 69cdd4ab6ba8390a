import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { beforeEach, describe, expect, it } from 'vitest';
import type { WireJournalClaim } from '../../src/messages/bodies.js';
import { check, type CheckQuery, type CheckReport } from '../../src/scheduler/check.js';
import { absorbJournal } from '../../src/store/agent-journals.store.js';
import { askToAttach } from '../../src/store/attach.store.js';
import { CHECK_CODES, type CheckCode } from '../../src/store/check-found.js';
import { sendRelease } from '../../src/store/claim-outcomes.store.js';
import { readHeldDevices, splitForDetach } from '../../src/store/detach.store.js';
import { holdDevice } from '../../src/store/device-holds.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { lockHostForChange, type LockedHost } from '../../src/store/host-admin.store.js';
import type { Ledger } from '../../src/store/ledger.js';
import { lockServerForDelete, markDeleting } from '../../src/store/servers.store.js';
import { endHold, readPfs, wishVfs, type PfRow } from '../../src/store/sriov-wishes.store.js';
import { aReport } from '../support/reports.js';
import * as world from '../support/scheduler-world.js';
import { wants } from '../support/snapshots.js';

let source: DataSource;
let ledger: Ledger;

world.onScheduledLedger((opened) => ({ source, ledger } = opened));

const GPUS = ['0000:80:00.0', '0000:81:00.0', '0000:82:00.0'];
const PF = '0000:90:00.0';
const VFS = ['0000:90:02.0', '0000:90:02.1'];
const GPU_DEVICES = GPUS.map((address) => ({ address, ids: '10de:1bb0' }));
const NIC_DEVICES = [
  { address: PF, ids: '8086:1572', deviceType: 'type-PF' as const },
  ...VFS.map((address) => ({ address, ids: '8086:154c', deviceType: 'type-VF' as const, parentAddress: PF })),
];
const EPOCH = 1_700_000_000_000;

async function report(host: string, sequence = 1): Promise<void> {
  const devices = host === 'node-1' ? [...GPU_DEVICES, ...NIC_DEVICES] : GPU_DEVICES;
  await source.transaction((tx) => absorbReport(tx, aReport({ host, devices, sequence })));
}

/** A server that runs on node-1 with the GPU at 80, node-2 with all its GPUs free. */
let vm: string;
beforeEach(async () => {
  await source.query(`TRUNCATE agent_journals`);
  await report('node-1');
  vm = await running('vm');
  await report('node-2');
});

async function running(name: string, more: Parameters<typeof world.ask>[1] = {}): Promise<string> {
  const id = await preparing(name, more);
  await world.agentsAnswer();
  return id;
}

async function runningOnNode1(name: string): Promise<string> {
  await source.query(`UPDATE hosts SET enabled = name = 'node-1'`);
  const id = await running(name);
  await source.query(`UPDATE hosts SET enabled = true`);
  return id;
}

async function preparing(name: string, more: Parameters<typeof world.ask>[1] = {}): Promise<string> {
  const id = await world.ask(name, more);
  await world.scheduler().schedule(id);
  return id;
}

const sql = (text: string, ...values: unknown[]): Promise<unknown> => source.query(text, values);

/** On node-1. */
const device = (address: string): string =>
  `(SELECT d.id FROM devices d JOIN hosts h ON h.id = d.host_id WHERE h.name = 'node-1' AND d.address = '${address}')`;
const AGO = `now() - interval '1 hour'`;

const QUERY: CheckQuery = { host: null, repair: false, journals: false, waitMs: 5000, max: 100 };

function checked(query: Partial<CheckQuery> = {}): Promise<CheckReport> {
  return check(ledger, world.SETTINGS, { ...QUERY, ...query });
}

function codesOf({ findings }: CheckReport): CheckCode[] {
  return findings.map(({ code }) => code);
}

/** What a kind's disagreement is, how it is put right, and what it takes until it is right. */
interface Case {
  readonly code: CheckCode;
  readonly name?: string;
  readonly plant: () => Promise<unknown>;
  readonly outcome: 'repaired' | 'begun' | 'by_hand';
  /** After the repair has begun; else the agents answer. */
  readonly next?: () => Promise<unknown>;
  /** What is to be seen when all is right again. */
  readonly after?: () => Promise<unknown>;
}

const vmIs = (status: string) => async (): Promise<void> => expect(await world.states([vm])).toEqual([status]);

async function group(policy: string): Promise<string> {
  const id = randomUUID();
  await sql(`INSERT INTO server_groups (id, name, project_id, policy) VALUES ($1, 'apart', 'default', $2)`, id, policy);
  return id;
}

async function startDelete(id: string): Promise<void> {
  await source.transaction(async (tx) => {
    await lockServerForDelete(tx, id);
    await markDeleting(tx, id);
  });
}

const CASES: readonly Case[] = [
  {
    code: 'check.device_without_owner',
    plant: () => sql(`UPDATE devices SET status = 'allocated' WHERE id = ${device('0000:81:00.0')}`),
    outcome: 'repaired',
  },
  {
    code: 'check.device_not_taken',
    plant: () => sql(`UPDATE devices SET status = 'available' WHERE id = ${device('0000:80:00.0')}`),
    outcome: 'repaired',
  },
  {
    code: 'check.device_claim_status',
    plant: () => sql(`UPDATE devices SET status = 'claimed' WHERE id = ${device('0000:80:00.0')}`),
    outcome: 'repaired',
  },
  {
    code: 'check.device_relatives',
    plant: () => sql(`UPDATE devices SET status = 'unclaimable' WHERE id = ${device('0000:90:02.0')}`),
    outcome: 'repaired',
  },
  {
    code: 'check.pf_and_vf_in_use',
    plant: async () => {
      await running('nic', { devices: [wants('vf', 1, '8086:154c', { deviceType: 'type-VF' })] });
      await sql(
        `INSERT INTO allocations (id, claim_id, server_id, device_id)
         SELECT gen_random_uuid(), id, server_id, ${device(PF)} FROM claims WHERE server_id = $1`,
        vm,
      );
      await sql(`UPDATE devices SET status = 'allocated' WHERE id = ${device(PF)}`);
      await sql(`UPDATE devices SET status = 'unavailable' WHERE device_type = 'type-VF' AND status = 'available'`);
    },
    outcome: 'by_hand',
  },
  {
    code: 'check.iommu_group_split',
    plant: async () => {
      await runningOnNode1('other');
      await sql(`UPDATE devices SET iommu_group = 99 WHERE status = 'allocated'`);
    },
    outcome: 'by_hand',
  },
  {
    code: 'check.device_missing',
    plant: () => sql(`UPDATE devices SET missing_since = now() WHERE id = ${device('0000:81:00.0')}`),
    outcome: 'repaired',
    after: async () =>
      expect(await sql(`SELECT status FROM devices WHERE id = ${device('0000:81:00.0')}`)).toEqual([
        { status: 'removed' },
      ]),
  },
  {
    code: 'check.device_pending',
    plant: () =>
      sql(`UPDATE devices SET pending_facts = facts || '{"product_id": "20b0"}' WHERE id = ${device('0000:81:00.0')}`),
    outcome: 'repaired',
    after: async () =>
      expect(await sql(`SELECT product_id FROM devices WHERE id = ${device('0000:81:00.0')}`)).toEqual([
        { product_id: '20b0' },
      ]),
  },
  {
    code: 'check.device_held_by_agent',
    plant: () =>
      sql(
        `UPDATE devices SET updated_at = ${AGO},
                facts = facts || '{"driver": "vfio-pci", "original": {"driver": "nvidia", "netdevs": []}}'
          WHERE id = ${device('0000:81:00.0')}`,
      ),
    outcome: 'begun',
    next: async () => {
      expect(await messages()).toContainEqual({ queue: 'berth.agent.node-1', type: 'report.request' });
      await report('node-1', 2);
    },
  },
  {
    code: 'check.device_rebound',
    plant: () => sql(`UPDATE claims SET updated_at = ${AGO}`),
    outcome: 'by_hand',
  },
  {
    code: 'check.claim_unwanted',
    plant: () => sql(`UPDATE servers SET status = 'ERROR' WHERE id = $1`, vm),
    outcome: 'begun',
  },
  {
    code: 'check.claim_unwanted',
    name: 'of a server that waits',
    plant: () =>
      sql(
        `UPDATE servers SET status = 'BUILD', task_state = 'waiting', host_id = NULL, queued_at = now(), queue_rank = 0 WHERE id = $1`,
        vm,
      ),
    outcome: 'begun',
    after: vmIs('BUILD waiting'),
  },
  {
    code: 'check.delete_stuck',
    plant: async () => {
      await startDelete(vm);
      await sql(`UPDATE server_events SET created_at = ${AGO}`);
    },
    outcome: 'begun',
    after: vmIs('DELETED'),
  },
  {
    code: 'check.claim_expired',
    plant: async () => {
      vm = await preparing('late');
      await sql(`UPDATE claims SET expires_at = ${AGO} WHERE server_id = $1`, vm);
    },
    outcome: 'begun',
    after: vmIs('BUILD scheduling'),
  },
  {
    code: 'check.release_stuck',
    plant: async () => {
      await startDelete(vm);
      await sql(`UPDATE claims SET status = 'releasing', created_at = ${AGO}`);
      await sql(`UPDATE server_events SET created_at = ${AGO}`);
      await sql(`DELETE FROM outbox`);
    },
    outcome: 'begun',
    next: async () => {
      expect(await messages()).toEqual([{ queue: 'berth.agent.node-1', type: 'devices.release' }]);
      await world.agentsAnswer();
    },
    after: vmIs('DELETED'),
  },
  {
    code: 'check.allocation_released_early',
    plant: () => sql(`UPDATE allocations SET released_at = now() WHERE server_id = $1`, vm),
    outcome: 'repaired',
  },
  {
    code: 'check.allocation_released_early',
    name: 'of a device that is said to be free',
    plant: async () => {
      await sql(`UPDATE allocations SET released_at = now() WHERE server_id = $1`, vm);
      await sql(`UPDATE devices SET status = 'available' WHERE id = ${device('0000:80:00.0')}`);
    },
    outcome: 'repaired',
    after: async () =>
      expect(await sql(`SELECT status FROM devices WHERE id = ${device('0000:80:00.0')}`)).toEqual([
        { status: 'allocated' },
      ]),
  },
  {
    code: 'check.allocation_outlives_claim',
    plant: async () => {
      await sql(`UPDATE claims SET status = 'released'`);
      await sql(`UPDATE servers SET status = 'DELETED' WHERE id = $1`, vm);
    },
    outcome: 'begun',
    after: async () =>
      expect(await sql(`SELECT status FROM devices WHERE id = ${device('0000:80:00.0')}`)).toEqual([
        { status: 'available' },
      ]),
  },
  {
    code: 'check.allocation_server_differs',
    plant: async () => {
      const other = await running('other');
      await sql(`UPDATE allocations SET server_id = $2 WHERE server_id = $1`, vm, other);
    },
    outcome: 'repaired',
  },
  {
    code: 'check.allocation_host_differs',
    plant: async () => {
      await sql(
        `UPDATE allocations SET device_id = (SELECT d.id FROM devices d JOIN hosts h ON h.id = d.host_id
           WHERE h.name = 'node-2' AND d.address = '0000:80:00.0')`,
      );
      await sql(
        `UPDATE devices d SET status = CASE h.name WHEN 'node-1' THEN 'available' ELSE 'allocated' END
           FROM hosts h WHERE h.id = d.host_id AND d.address = '0000:80:00.0'`,
      );
    },
    outcome: 'by_hand',
  },
  {
    code: 'check.server_host_differs',
    plant: () => sql(`UPDATE servers SET host_id = (SELECT id FROM hosts WHERE name = 'node-2') WHERE id = $1`, vm),
    outcome: 'repaired',
    after: async () => expect(await world.show(vm)).toMatchObject({ host: 'node-1' }),
  },
  {
    code: 'check.server_without_claim',
    plant: async () => {
      vm = await running('plain', { devices: [] });
      await sql(`UPDATE claims SET status = 'released' WHERE server_id = $1`, vm);
    },
    outcome: 'repaired',
    after: vmIs('ERROR'),
  },
  {
    code: 'check.server_without_claim',
    name: 'that is being prepared',
    plant: async () => {
      vm = await preparing('lost');
      await sql(
        `UPDATE devices d SET status = 'available' FROM allocations a WHERE a.device_id = d.id AND a.server_id = $1`,
        vm,
      );
      await sql(`UPDATE allocations SET released_at = now() WHERE server_id = $1`, vm);
      await sql(`UPDATE claims SET status = 'released' WHERE server_id = $1`, vm);
    },
    outcome: 'begun',
    after: vmIs('BUILD scheduling'),
  },
  {
    code: 'check.server_claim_status',
    plant: () => sql(`UPDATE servers SET status = 'BUILD', task_state = 'preparing' WHERE id = $1`, vm),
    outcome: 'repaired',
    after: vmIs('ACTIVE'),
  },
  {
    code: 'check.server_claim_status',
    name: 'of a claim that was never confirmed',
    plant: async () => {
      vm = await preparing('early');
      await sql(`UPDATE servers SET status = 'ACTIVE', task_state = NULL WHERE id = $1`, vm);
    },
    outcome: 'begun',
    after: vmIs('ACTIVE'),
  },
  {
    code: 'check.delete_finished',
    plant: async () => {
      vm = await running('plain', { devices: [] });
      await sql(`UPDATE claims SET status = 'released' WHERE server_id = $1`, vm);
      await sql(`UPDATE servers SET status = 'DELETING', task_state = 'releasing' WHERE id = $1`, vm);
    },
    outcome: 'repaired',
    after: vmIs('DELETED'),
  },
  {
    code: 'check.queue_fields',
    plant: async () => {
      vm = await preparing('patient', { gpus: 9, wait: true });
      await sql(`UPDATE servers SET queue_rank = NULL, queued_at = NULL WHERE id = $1`, vm);
    },
    outcome: 'repaired',
    after: vmIs('BUILD waiting'),
  },
  {
    code: 'check.change_lost',
    plant: () => sql(`UPDATE servers SET task_state = 'detaching' WHERE id = $1`, vm),
    outcome: 'repaired',
    after: vmIs('ACTIVE'),
  },
  {
    code: 'check.group_policy',
    plant: async () => {
      const id = await group('anti-affinity');
      await runningOnNode1('other');
      await sql(`UPDATE servers SET group_id = $1, request = jsonb_set(request, '{host}', $2::jsonb)`, id, hostOf(id));
    },
    outcome: 'by_hand',
  },
  {
    code: 'check.group_membership',
    plant: async () => sql(`UPDATE servers SET group_id = $2 WHERE id = $1`, vm, await group('affinity')),
    outcome: 'repaired',
  },
  {
    code: 'check.host_oversubscribed',
    plant: () => sql(`UPDATE hosts SET vcpus = 0`),
    outcome: 'by_hand',
  },
  {
    code: 'check.host_generation',
    plant: () => sql(`UPDATE hosts SET generation = 0 WHERE name = 'node-1'`),
    outcome: 'repaired',
    after: async () =>
      expect(await sql(`SELECT generation > 1 AS raised FROM hosts WHERE name = 'node-1'`)).toEqual([{ raised: true }]),
  },
  {
    code: 'check.outbox_old',
    plant: async () => {
      await sql(`DELETE FROM outbox WHERE queue <> 'berth.agent.node-1'`);
      await sql(`UPDATE outbox SET created_at = ${AGO}`);
    },
    outcome: 'by_hand',
  },
  {
    code: 'check.sriov_hold_stale',
    plant: async () => {
      await wishVfsOf(PF);
      await sql(`UPDATE sriov_wishes SET state = 'refused', holds = false`);
    },
    outcome: 'repaired',
    after: async () => expect(await statusesOfNic()).toEqual(['available', 'available', 'available']),
  },
  {
    code: 'check.sriov_hold_stale',
    name: 'of a wish that was answered',
    plant: async () => {
      await wishVfsOf(PF);
      await sql(`UPDATE sriov_wishes SET state = 'applied'`);
    },
    outcome: 'repaired',
    after: async () => {
      expect(await statusesOfNic()).toEqual(['available', 'available', 'available']);
      expect(await sql(`SELECT holds, state FROM sriov_wishes`)).toEqual([{ holds: false, state: 'applied' }]);
    },
  },
  ...[
    { name: 'that was taken out', change: `DELETE FROM devices WHERE address = '0000:90:00.0'` },
    {
      name: 'that is another card',
      change: `UPDATE devices SET product_id = '1593' WHERE address = '0000:90:00.0'`,
    },
    {
      name: 'that has no VFs any more',
      change: `UPDATE devices SET facts = facts || '{"sriov": null}' WHERE address = '0000:90:00.0'`,
    },
  ].map(({ name, change }): Case => ({
    ...{ code: 'check.sriov_pf_gone', name, outcome: 'by_hand' },
    plant: async () => {
      await wishVfsOf(PF);
      await source.transaction(async (tx) => {
        const host = (await lockHostForChange(tx, 'node-1')) as LockedHost;
        await endHold(tx, host.id, PF);
      });
      await sql(`UPDATE sriov_wishes SET state = 'applied', asked_at = ${AGO}`);
      await sql(`DELETE FROM devices WHERE parent_address = '0000:90:00.0'`);
      await sql(change);
    },
  })),
];

/** As somebody asks for VFs over REST. */
async function wishVfsOf(address: string): Promise<void> {
  await sql(
    `UPDATE devices SET facts = facts || '{"sriov": {"total_vfs": 64, "num_vfs": 2}}' WHERE id = ${device(address)}`,
  );
  await source.transaction(async (tx) => {
    const host = (await lockHostForChange(tx, 'node-1')) as LockedHost;
    const [pf] = await readPfs(tx, host.id, address);
    await wishVfs(tx, host, pf as PfRow, { vf_count: 8, autoprobe: null, vfs: null });
  });
}

async function statusesOfNic(): Promise<string[]> {
  const rows = (await sql(`SELECT status FROM devices WHERE address LIKE '0000:90:%' ORDER BY address`)) as {
    status: string;
  }[];
  return rows.map(({ status }) => status);
}

const hostOf = (id: string): string => JSON.stringify({ group: { id } });

async function messages(): Promise<unknown> {
  return sql(`SELECT queue, message->>'type' AS type FROM outbox ORDER BY id`);
}

describe('a disagreement in the ledger', () => {
  it.each(CASES.map((one) => ({ ...one, title: [one.code, one.name ?? []].flat().join(' ') })))(
    '$title is found, alone, and put right',
    async ({ plant, code, outcome, next, after }) => {
      expect(codesOf(await checked())).toEqual([]);
      await plant();
      const found = await checked();
      expect(found.findings).toMatchObject([{ code, outcome: null }]);
      expect(found.left).toBe(1);
      expect(found.findings[0]?.problem).not.toMatch(/undefined|null|\[object/);
      const repaired = await checked({ repair: true });
      expect(repaired.findings).toMatchObject([{ code, outcome, why: null }]);
      expect(repaired.left).toBe(outcome === 'by_hand' ? 1 : 0);
      if (outcome === 'by_hand') return;
      if (outcome === 'begun') await (next ?? world.agentsAnswer)();
      await after?.();
      expect(codesOf(await checked())).toEqual([]);
      expect((await checked({ repair: true })).findings).toEqual([]);
    },
  );
});

describe('the ledger and the journal of an agent', () => {
  /** Agents whose journals say this, by host, answer for as long as the work takes. */
  async function withAgents<T>(journals: Record<string, WireJournalClaim[]>, work: () => Promise<T>): Promise<T> {
    const over = new AbortController();
    const answers = (async () => {
      while (!over.signal.aborted) {
        const asked = (await sql(
          `DELETE FROM outbox WHERE message->>'type' = 'journal.request' RETURNING queue, message->'body'->>'asked_at' AS at`,
        )) as [{ queue: string; at: string }[], number];
        for (const { queue, at } of asked[0]) {
          const host = queue.slice('berth.agent.'.length);
          const claims = journals[host];
          if (claims) await absorbJournal(source.manager, { host, epoch: EPOCH, asked_at: at, claims });
        }
        await delay(10);
      }
    })();
    return work().finally(async () => {
      over.abort();
      await answers;
    });
  }

  async function journalOf(host: string): Promise<WireJournalClaim[]> {
    const rows = (await sql(
      `SELECT c.id AS claim_id, c.server_id, 'prepared' AS state, json_agg(d.address ORDER BY d.address) AS addresses
         FROM claims c JOIN hosts h ON h.id = c.host_id JOIN allocations a ON a.claim_id = c.id JOIN devices d ON d.id = a.device_id
        WHERE h.name = $1 AND c.status = 'allocated' AND a.released_at IS NULL GROUP BY c.id`,
      host,
    )) as WireJournalClaim[];
    return rows;
  }

  const found = (journals: Record<string, WireJournalClaim[]>, query: Partial<CheckQuery> = {}): Promise<CheckReport> =>
    withAgents(journals, () => checked({ journals: true, ...query }));

  it('agree on what runs', async () => {
    const journals = { 'node-1': await journalOf('node-1'), 'node-2': [] };
    expect(journals['node-1']).toHaveLength(1);
    expect(await found(journals)).toMatchObject({ findings: [], unanswered: [], silent: [] });
  });

  it('agree while devices are being detached, whatever the agent has heard of it', async () => {
    vm = await running('two', { gpus: 2 });
    const before = { 'node-1': await journalOf('node-1'), 'node-2': await journalOf('node-2') };
    const held = await readHeldDevices(ledger.pool, vm);
    await source.transaction((tx) => splitForDetach(tx, vm, held.slice(0, 1)));
    expect(codesOf(await found(before))).toEqual([]);
    const after = { 'node-1': await journalOf('node-1'), 'node-2': await journalOf('node-2') };
    expect(after).not.toEqual(before);
    expect(codesOf(await found(after))).toEqual([]);
  });

  it.each([
    ['that the ledger does not know', randomUUID(), 'not in the ledger'],
    ['that the ledger has released', null, 'released'],
  ])('disagree on a claim %s: its release is sent', async (_what, stranger, said) => {
    const own = await journalOf('node-1');
    if (stranger === null) await world.remove(vm);
    const claimId = stranger ?? own[0]?.claim_id ?? '';
    const orphan = {
      claim_id: claimId,
      server_id: randomUUID(),
      state: 'prepared',
      addresses: ['0000:82:00.0'],
    } as const;
    const journals = { 'node-1': [...(stranger === null ? [] : own), orphan as never], 'node-2': [] };
    const report = await found(journals);
    expect(report.findings).toMatchObject([{ code: 'check.journal_orphan', claim_id: claimId, host: 'node-1' }]);
    expect(report.findings[0]?.problem).toContain(said);
    await sql(`DELETE FROM outbox`);
    expect(await found(journals, { repair: true })).toMatchObject({ findings: [{ outcome: 'begun' }], left: 0 });
    expect(await sql(`SELECT queue, message->'body' AS body, message->>'type' AS type FROM outbox`)).toEqual([
      {
        queue: 'berth.agent.node-1',
        type: 'devices.release',
        body: { claim_id: claimId, server_id: orphan.server_id },
      },
    ]);
    const gone = { 'node-1': journals['node-1'].filter((claim) => claim.claim_id !== claimId), 'node-2': [] };
    expect(codesOf(await found(gone))).toEqual([]);
  });

  it('disagree on a claim that never reached its agent: it is prepared again', async () => {
    const own = await journalOf('node-1');
    const id = await preparing('late');
    const journals = { 'node-1': own, 'node-2': [] };
    expect(codesOf(await found(journals)), 'it may be under way').toEqual([]);
    await sql(`UPDATE claims SET updated_at = now() - interval '1 minute' WHERE server_id = $1`, id);
    await sql(`DELETE FROM outbox`);
    const report = await found(journals, { repair: true });
    expect(report.findings).toMatchObject([{ code: 'check.journal_missing', server_id: id, outcome: 'begun' }]);
    expect(await messages()).toMatchObject([{ type: 'devices.prepare' }]);
    await world.agentsAnswer();
    const all = { 'node-1': await journalOf('node-1'), 'node-2': await journalOf('node-2') };
    expect(codesOf(await found(all))).toEqual([]);
  });

  it.each([
    ['has lost', null],
    ['is giving back', 'releasing'],
  ] as const)(
    'disagree on a claim that the agent %s: the server is told, and it is prepared again',
    async (_what, state) => {
      const own = await journalOf('node-1');
      const left = state === null ? [] : own.map((claim) => ({ ...claim, state }));
      const journals = { 'node-1': left, 'node-2': [] };
      expect((await found(journals)).findings).toMatchObject([{ code: 'check.journal_lost', server_id: vm }]);
      await sql(`DELETE FROM outbox`);
      expect(await found(journals, { repair: true })).toMatchObject({ findings: [{ outcome: 'begun' }], left: 0 });
      expect(await messages()).toMatchObject([{ type: 'devices.prepare' }]);
      expect((await world.events(vm)).at(-1)).toBe('repaired');
      expect(codesOf(await found({ 'node-1': own, 'node-2': [] }))).toEqual([]);
    },
  );

  it('disagree on the devices of a claim: that is for people', async () => {
    const own = await journalOf('node-1');
    const journals = { 'node-1': own.map((claim) => ({ ...claim, addresses: ['0000:82:00.0'] })), 'node-2': [] };
    const report = await found(journals, { repair: true });
    expect(report).toMatchObject({ findings: [{ code: 'check.journal_devices', outcome: 'by_hand' }], left: 1 });
  });

  it('are not compared where the agent does not answer, and not asked where the host is down', async () => {
    await sql(`UPDATE hosts SET status = 'down' WHERE name = 'node-2'`);
    expect(await found({}, { waitMs: 300 })).toMatchObject({
      findings: [],
      unanswered: ['node-1'],
      silent: ['node-2'],
    });
    expect(await found({}, { waitMs: 300, host: 'node-1' })).toMatchObject({ hosts: 1, unanswered: ['node-1'] });
    await expect(checked({ host: 'node-9' })).rejects.toMatchObject({ code: 'host.unknown' });
  });

  it('of a former life, or of an earlier question, is not taken for the answer', async () => {
    const claims = await journalOf('node-1');
    const asked = (at: string, epoch = EPOCH): Promise<void> =>
      absorbJournal(source.manager, { host: 'node-1', epoch, asked_at: at, claims });
    await asked('2026-01-02T00:00:00.000Z');
    await asked('2026-01-01T00:00:00.000Z');
    await asked('2026-01-03T00:00:00.000Z', EPOCH - 1);
    expect(await sql(`SELECT epoch, asked_at FROM agent_journals`)).toEqual([
      { epoch: EPOCH, asked_at: new Date('2026-01-02T00:00:00.000Z') },
    ]);
  });
});

describe('a healthy ledger', () => {
  it('has nothing to find, whatever servers have gone through', async () => {
    const fine = async (): Promise<void> => expect((await checked()).findings).toEqual([]);
    const own = world.scheduler({ preemption: true });
    await fine();
    const spare = await world.ask('spare', { gpus: 2, preemptible: true });
    await own.schedule(spare);
    await fine();
    await world.agentsAnswer();
    await fine();
    const [first = ''] = await world.askTogether(2, 2);
    await own.schedule(first);
    await fine();
    await world.agentsAnswer();
    const important = await world.ask('important', { gpus: 2, priority: 9, wait: true });
    await own.schedule(important);
    await fine();
    await world.agentsAnswer();
    await own.lookAtQueue();
    await fine();
    await world.agentsAnswer();
    await own.lookAtQueue();
    await world.remove(first);
    await fine();
    await source.transaction((tx) => askToAttach(tx, vm, [world.gpu(1)]));
    await fine();
    await own.schedule(vm);
    await fine();
    await world.agentsAnswer();
    await fine();
    const held = await readHeldDevices(ledger.pool, vm);
    const split = await source.transaction((tx) => splitForDetach(tx, vm, held.slice(-1)));
    await source.transaction((tx) => sendRelease(tx, { id: split.id, serverId: vm, hostName: split.hostName }));
    await fine();
    await world.agentsAnswer();
    await fine();
    const nic = await running('nic', { devices: [wants('vf', 1, '8086:154c', { deviceType: 'type-VF' })] });
    await fine();
    const [vf] = (await sql(`SELECT id FROM devices WHERE device_type = 'type-VF' AND status = 'available'`)) as [
      { id: string },
    ];
    await source.transaction((tx) => holdDevice(tx, vf.id, 'quarantine', 'it is hot'));
    await fine();
    for (const id of [vm, nic, important]) await world.remove(id);
    await fine();
    expect(await world.states([vm, nic])).toEqual(['DELETED', 'DELETED']);
  });
});

describe('a check', () => {
  it('has a case for every kind', () => {
    const covered = new Set<string>(CASES.map(({ code }) => code));
    const left = CHECK_CODES.filter((code) => !covered.has(code) && !code.startsWith('check.journal_'));
    expect(left).toEqual([]);
  });

  it('repairs what is wrong in several ways at once, and tells what it cannot', async () => {
    await running('other');
    await sql(`UPDATE devices SET status = 'allocated' WHERE status = 'available'`);
    await sql(`UPDATE servers SET host_id = NULL WHERE id = $1`, vm);
    await sql(`UPDATE hosts SET generation = 0`);
    const { left, findings } = await checked({ repair: true });
    expect(new Set(findings.map(({ outcome }) => outcome))).toEqual(new Set(['repaired', 'gone']));
    expect(left).toBe(0);
    expect((await checked()).findings).toEqual([]);
  });

  it('does not give a device back to a claim when somebody else has it by now', async () => {
    await sql(`UPDATE allocations SET released_at = now() WHERE server_id = $1`, vm);
    await sql(`UPDATE devices SET status = 'available' WHERE id = ${device('0000:80:00.0')}`);
    await sql(`UPDATE hosts SET enabled = false WHERE name = 'node-2'`);
    await running('thief', { gpus: 3 });
    const { findings, left } = await checked({ repair: true });
    expect(findings).toMatchObject([
      {
        code: 'check.allocation_released_early',
        outcome: 'refused',
        why: 'somebody else has 0000:80:00.0 by now',
      },
    ]);
    expect(left).toBe(1);
  });

  it('lists so many of a kind, and says that there are more', async () => {
    await sql(`UPDATE devices SET status = 'allocated' WHERE status = 'available' AND device_type = 'type-PCI'`);
    const { findings, more } = await checked({ max: 2 });
    expect(codesOf({ findings } as never)).toEqual(['check.device_without_owner', 'check.device_without_owner']);
    expect(more).toEqual(['check.device_without_owner']);
    expect(codesOf(await checked({ host: 'node-1' }))).toHaveLength(2);
  });

  it('says after repairs whether there are more still, and the audit tells what was mended', async () => {
    await sql(`UPDATE devices SET status = 'allocated' WHERE status = 'available' AND device_type = 'type-PCI'`);
    const sinceId = await lastAudit();
    const { findings, left, more } = await checked({ max: 1, repair: true });
    // one finding of a host has all its devices settled
    expect(findings.map(({ outcome }) => outcome)).toEqual(['repaired', 'repaired']);
    expect([left, more]).toEqual([0, []]);
    const rows = (await sql(`SELECT body FROM audit_pending WHERE id > $1`, sinceId)) as {
      body: { transitions: { event: string; from: string; to: string }[] };
    }[];
    const mended = rows.flatMap(({ body }) => body.transitions).map(({ event, from, to }) => `${event} ${from} ${to}`);
    expect(mended).toEqual(Array.from({ length: 5 }, () => 'repair allocated available'));
  });

  async function lastAudit(): Promise<number> {
    const [row] = (await sql(`SELECT coalesce(max(id), 0) AS id FROM audit_pending`)) as [{ id: number }];
    return row.id;
  }
});
