import type { DataSource } from 'typeorm';
import { describe, expect, it, vi } from 'vitest';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { DEFAULT_DRIFT_POLICIES, type DriftKind } from '../../src/pci/drift.js';
import type { DriftNote } from '../../src/pci/drift-notes.js';
import { lockClaim } from '../../src/store/claim-outcomes.store.js';
import { holdDevice } from '../../src/store/device-holds.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { agentsAnswer, ask, events, onScheduledLedger, remove, scheduler, show } from '../support/scheduler-world.js';
import { aReport } from '../support/reports.js';

let source: DataSource;
let sequence = 0;

onScheduledLedger((opened) => {
  source = opened.source;
});

const [A, B, C] = ['0000:81:00.0', '0000:82:00.0', '0000:83:00.0'];
const IDS = '10de:1bb0';

interface Card {
  readonly address: string;
  readonly serial?: string;
  readonly more?: Partial<WireDevice>;
}

async function report(cards: readonly Card[], quarantine: readonly DriftKind[] = []): Promise<void> {
  const devices = cards.map(({ address, serial = null, more = {} }) => {
    return {
      address,
      ids: IDS,
      more: { serial_number: serial, pcie_path: [`pci0000:${address.slice(5, 7)}`], ...more },
    };
  });
  const policies = { ...DEFAULT_DRIFT_POLICIES, ...Object.fromEntries(quarantine.map((kind) => [kind, 'quarantine'])) };
  const told = aReport({ host: 'node-1', sequence: ++sequence, devices });
  await source.transaction((tx) => absorbReport(tx, told, policies));
}

interface Row {
  readonly id: string;
  readonly status: string;
  readonly status_reason: string | null;
  readonly drift: readonly DriftNote[] | null;
}

async function at(address: string): Promise<Row> {
  const [row] = (await source.query(`SELECT id, status, status_reason, drift FROM devices WHERE address = $1`, [
    address,
  ])) as [Row];
  return row;
}

async function audited(): Promise<string[]> {
  const rows = (await source.query(
    `SELECT body->>'drift' AS kind, body->>'address' AS address FROM audit_pending
      WHERE body->>'kind' = 'drift' AND (body->>'device_id')::uuid IN (SELECT id FROM devices) ORDER BY id`,
  )) as { kind: string; address: string }[];
  return rows.map(({ kind, address }) => `${kind} ${address}`);
}

/** A server that has the device at the first address, and nothing else is free. */
async function serverWithFirst(cards: readonly Card[]): Promise<string> {
  await report(cards);
  const id = await ask('vm-1');
  await scheduler().schedule(id);
  await agentsAnswer();
  expect(await at(cards[0]?.address as string)).toMatchObject({ status: 'allocated' });
  return id;
}

/** Whether nobody has the server locked. */
async function free(id: string): Promise<boolean> {
  const rows = (await source.query(`SELECT 1 FROM servers WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED`, [
    id,
  ])) as unknown[];
  return rows.length === 1;
}

async function placedNext(name: string): Promise<boolean> {
  const id = await ask(name);
  await scheduler().schedule(id);
  return (await show(id)).host !== null;
}

describe('a card that moves while a server has it', () => {
  const S1 = { serial: 'S1' };

  it('keeps its allocation at the old place and is given to nobody at the new one', async () => {
    const id = await serverWithFirst([{ address: A, ...S1 }]);
    await report([{ address: B, ...S1 }]);
    expect(await at(A)).toMatchObject({ status: 'allocated', drift: [{ kind: 'moved', to: B }] });
    expect(await at(B)).toMatchObject({ status: 'quarantined', drift: [{ kind: 'moved', from: A }] });
    expect((await at(B)).status_reason).toContain('a server still has it there');
    expect(await placedNext('vm-2')).toBe(false);
    expect(await events(id)).toContain('device_drift');
    expect(await audited()).toEqual([`moved ${A}`, `moved ${B}`]);
    await report([{ address: B, ...S1 }, { address: C }]);
    expect(await at(B)).toMatchObject({ status: 'quarantined' });
    expect(await audited()).toHaveLength(2);
  });

  it('is free at the new place when the server is deleted', async () => {
    const id = await serverWithFirst([{ address: A, ...S1 }]);
    await report([{ address: B, ...S1 }]);
    await remove(id);
    expect(await at(A)).toMatchObject({ status: 'removed', drift: null });
    expect(await at(B)).toMatchObject({ status: 'available', status_reason: null, drift: null });
    expect(await placedNext('vm-2')).toBe(true);
  });

  it('is free at the new place when an administrator says so, and stays so', async () => {
    await serverWithFirst([{ address: A, ...S1 }]);
    await report([{ address: B, ...S1 }]);
    const { id } = await at(B);
    await source.transaction((tx) => holdDevice(tx, id, 'repair', null));
    await report([{ address: B, ...S1 }, { address: C }]);
    expect(await at(B)).toMatchObject({ status: 'available', drift: null });
  });

  it('is as before when it is put back', async () => {
    await serverWithFirst([{ address: A, ...S1 }]);
    await report([{ address: B, ...S1 }]);
    await report([{ address: A, ...S1 }]);
    expect(await at(A)).toMatchObject({ status: 'allocated', drift: null });
    expect(await at(B)).toMatchObject({ status: 'removed', drift: null });
  });

  it('and changes places with another one in use: each waits for both', async () => {
    const one = await serverWithFirst([
      { address: A, serial: 'S1' },
      { address: B, serial: 'S2' },
    ]);
    const two = await ask('vm-2');
    await scheduler().schedule(two);
    await agentsAnswer();
    await report([
      { address: A, serial: 'S2' },
      { address: B, serial: 'S1' },
    ]);
    expect([(await at(A)).status, (await at(B)).status]).toEqual(['allocated', 'allocated']);
    await remove(one);
    // the card that is at A now is the other server's
    expect(await at(A)).toMatchObject({ status: 'quarantined' });
    await remove(two);
    expect([(await at(A)).status, (await at(B)).status]).toEqual(['available', 'available']);
  });

  it('is one owner for each device, all along', async () => {
    const id = await serverWithFirst([{ address: A, ...S1 }]);
    await report([{ address: B, ...S1 }]);
    const live = `SELECT count(*)::int AS n FROM allocations WHERE released_at IS NULL`;
    expect(await source.query(live)).toEqual([{ n: 1 }]);
    await remove(id);
    expect(await source.query(live)).toEqual([{ n: 0 }]);
  });
});

describe('drift of a device in use', () => {
  const stolen = { drift: [{ kind: 'driver_stolen' as const, reason: 'its driver is nvme' }] };

  it('driver_stolen is shown, and quarantines when the server is gone', async () => {
    const id = await serverWithFirst([{ address: A }]);
    await report([{ address: A, more: stolen }]);
    expect(await at(A)).toMatchObject({
      status: 'allocated',
      drift: [{ kind: 'driver_stolen', policy: 'quarantine' }],
    });
    await report([{ address: A }]);
    await remove(id);
    expect(await at(A)).toMatchObject({ status: 'quarantined', status_reason: 'its driver is nvme', drift: null });
  });

  it('link_degraded is shown as long as it lasts, and by default nothing else', async () => {
    const degraded = { drift: [{ kind: 'link_degraded' as const, reason: 'x8, was x16' }] };
    const id = await serverWithFirst([{ address: A }]);
    await report([{ address: A, more: degraded }]);
    await remove(id);
    expect(await at(A)).toMatchObject({ status: 'available', drift: [{ kind: 'link_degraded' }] });
    await report([{ address: A }]);
    expect(await at(A)).toMatchObject({ status: 'available', drift: null });
  });

  it('another card of the same make waits for the end of the allocation', async () => {
    const id = await serverWithFirst([{ address: A, serial: 'S1' }]);
    await report([{ address: A, serial: 'S9' }]);
    const serial = async (): Promise<unknown> => {
      const rows = (await source.query(`SELECT facts->>'serial_number' AS s FROM devices`)) as { s: string }[];
      return rows.map(({ s }) => s);
    };
    expect(await serial()).toEqual(['S1']);
    expect(await at(A)).toMatchObject({ drift: [{ kind: 'id_changed' }] });
    await remove(id);
    expect(await serial()).toEqual(['S9']);
    expect(await at(A)).toMatchObject({ status: 'available', drift: null });
  });

  it('is told in the history of a server that others have locked, while they wait for the host', async () => {
    const id = await serverWithFirst([{ address: A }]);
    const [claim] = (await source.query(`SELECT id FROM claims WHERE server_id = $1`, [id])) as [{ id: string }];
    let locking: Promise<unknown> = Promise.resolve();
    await source.transaction(async (tx) => {
      await tx.query(`SELECT 1 FROM hosts FOR UPDATE`);
      locking = source.transaction((other) => lockClaim(other, claim.id));
      await vi.waitFor(async () => expect(await free(id)).toBe(false));
      const devices = [{ address: A, ids: IDS, more: stolen }];
      await absorbReport(tx, aReport({ host: 'node-1', sequence: ++sequence, devices }));
    });
    expect(await locking).toMatchObject({ serverId: id });
    expect(await events(id)).toContain('device_drift');
  });

  it('gone is noted while it lasts', async () => {
    await serverWithFirst([{ address: A }]);
    await report([]);
    expect(await at(A)).toMatchObject({ status: 'allocated', drift: [{ kind: 'gone' }] });
    await report([{ address: A }]);
    expect(await at(A)).toMatchObject({ status: 'allocated', drift: null });
  });
});

describe('drift of a free device', () => {
  it('is in the audit, and quarantines where the policy says so', async () => {
    await report([{ address: A, more: { iommu_group: 1 } }]);
    const shared = [A, B].map((address) => ({ address, more: { iommu_group: 1 } }));
    await report(shared);
    expect(await at(A)).toMatchObject({ status: 'available', drift: null });
    expect(await audited()).toEqual([`group_changed ${A}`]);
    await report([{ address: A, more: { iommu_group: 2 } }, shared[1] as Card], ['group_changed']);
    expect(await at(A)).toMatchObject({ status: 'quarantined' });
    expect((await at(A)).status_reason).toContain(`no longer with ${B}`);
  });

  it('gone can mean that it is looked at when it is back', async () => {
    await report([{ address: A }]);
    await report([], ['gone']);
    expect(await at(A)).toMatchObject({ status: 'removed' });
    await report([{ address: A }], ['gone']);
    expect(await at(A)).toMatchObject({ status: 'quarantined', status_reason: 'it is not there any more' });
  });
});
