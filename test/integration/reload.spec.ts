import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { deviceView } from '../../src/api/devices/devices.dto.js';
import { hostView } from '../../src/api/hosts/hosts.dto.js';
import type { AgentReport, WireConfiguration } from '../../src/messages/bodies.js';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { applyPlacement } from '../../src/placement/apply-placement.js';
import type { Decision } from '../../src/placement/decision.js';
import { place } from '../../src/placement/place.js';
import { beginRelease, confirmClaims, finishRelease, lockClaim } from '../../src/store/claim-outcomes.store.js';
import { commitDecisions, readWaitingServers } from '../../src/store/claims.store.js';
import { absorbReport, type Absorbed } from '../../src/store/inventory.store.js';
import { findHost, listDevices } from '../../src/store/inventory-views.store.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { onLedger } from '../support/ledger.js';
import { aReport } from '../support/reports.js';
import { aRequest, POLICY, wants } from '../support/snapshots.js';

let source: DataSource;
let cache: SnapshotCache;
let sequence: number;

onLedger((opened) => {
  source = opened;
  cache = new SnapshotCache(opened);
  sequence = 0;
});

const A = '0000:83:00.0';
const B = '0000:84:00.0';
const WITHDRAWN: Partial<WireDevice> = { offer: null, not_offered: 'no device_spec entry matches' };

/** Two P5000 as the agent reports them; `changes` by address. */
function report(changes: Readonly<Record<string, Partial<WireDevice>>> = {}, only = [A, B]): Promise<Absorbed> {
  const devices = only.map((address) => ({ address, ids: '10de:1bb0' }));
  const body = aReport({ host: 'node-1', sequence: ++sequence, devices });
  return absorb({ ...body, devices: body.devices.map((device) => ({ ...device, ...changes[device.address] })) });
}

const absorb = (body: AgentReport): Promise<Absorbed> => source.transaction((tx) => absorbReport(tx, body));

/** Decides on the ledger as it is. */
async function decided(wish = wants('gpu', 1, '10de:1bb0')): Promise<Decision> {
  await cache.refresh();
  return place({ hosts: cache.list(), policy: POLICY }, aRequest([wish]), []);
}

/** A server that has one GPU, ACTIVE. @returns its claim */
async function activeServer(name: string): Promise<string> {
  const id = randomUUID();
  await source.query(
    `INSERT INTO servers (id, name, project_id, status, task_state, request) VALUES ($1, $2, 'default', 'BUILD', 'scheduling', $3)`,
    [id, name, JSON.stringify(aRequest([wants('gpu', 1, '10de:1bb0')], { serverName: name }))],
  );
  await cache.refresh();
  const [server] = await readWaitingServers(source.manager, [id]);
  if (!server) throw new Error('the server does not wait');
  const decision = place({ hosts: cache.list(), policy: POLICY }, server.request, []);
  if (decision.outcome !== 'placed') throw new Error(decision.message);
  const host = cache.get(decision.hostId);
  if (host) cache.put(applyPlacement(host, decision, server.request, { serverId: id, serverName: name }));
  await source.transaction((tx) => commitDecisions(tx, [{ server, decision }], 60_000));
  const [claim] = (await source.query(`SELECT id FROM claims WHERE server_id = $1`, [id])) as [{ id: string }];
  await source.transaction(async (tx) => {
    const locked = await lockClaim(tx, claim.id);
    if (locked) await confirmClaims(tx, [{ claim: locked, bindings: [] }]);
  });
  return claim.id;
}

async function release(claimId: string): Promise<void> {
  for (const step of [beginRelease, finishRelease]) {
    await source.transaction(async (tx) => {
      const claim = await lockClaim(tx, claimId);
      if (claim) await step(tx, claim);
    });
  }
}

/** What REST shows of the host's devices, by address. */
async function shown(): Promise<Record<string, ReturnType<typeof deviceView>>> {
  const filter = { host: 'node-1', vendorId: null, productId: null, deviceType: null, status: null, offered: null };
  const more = { numaNode: null, iommuGroup: null, serverId: null, aliasSpecs: null, aliases: null };
  const rows = await listDevices(source.manager, { ...filter, ...more }, { after: null, limit: 100 });
  return Object.fromEntries(rows.map((row) => [row.address, deviceView(row)]));
}

describe('a device in use that is no longer offered', () => {
  it('stays with its server, is shown with the reason, and is nobody’s afterwards', async () => {
    await report();
    const claim = await activeServer('vm');
    const absorbed = await report({ [A]: WITHDRAWN, [B]: WITHDRAWN });
    expect(absorbed).toMatchObject({ reconciliation: { withdrawn: [A], vanished: [] } });
    expect((await shown())[A]).toMatchObject({
      status: 'allocated',
      offered: false,
      offer: null,
      owner: { server_name: 'vm' },
      not_offered: 'no longer offered: no device_spec entry matches; drained when server vm releases it',
      change_pending: false,
    });
    expect((await shown())[B]).toMatchObject({ status: 'available', offered: false, owner: null });
    const [server] = (await source.query(`SELECT status FROM servers`)) as [{ status: string }];
    expect(server.status).toBe('ACTIVE');
    expect(await decided()).toMatchObject({ outcome: 'rejected' });
    expect(await report({ [A]: WITHDRAWN, [B]: WITHDRAWN })).toMatchObject({ reconciliation: { withdrawn: [] } });

    await release(claim);
    expect((await shown())[A]).toMatchObject({
      status: 'available',
      offered: false,
      owner: null,
      not_offered: 'no device_spec entry matches',
    });
    expect(await decided()).toMatchObject({ outcome: 'rejected' });
    expect(await findHost(source.manager, 'node-1')).toMatchObject({ devices_offered: 0, devices_available: 0 });
  });

  it('is not drained when it is offered again meanwhile', async () => {
    await report();
    const claim = await activeServer('vm');
    await report({ [A]: WITHDRAWN });
    await report();
    expect((await shown())[A]).toMatchObject({ status: 'allocated', offered: true, not_offered: null });
    await release(claim);
    expect(await decided(wants('gpu', 2, '10de:1bb0'))).toMatchObject({ outcome: 'placed' });
  });

  it('is drained as well when it was claimed, and its agent has not answered yet', async () => {
    await report();
    const claim = await activeServer('vm');
    await source.query(`UPDATE claims SET status = 'claimed'`);
    await source.query(`UPDATE devices SET status = 'claimed' WHERE address = $1`, [A]);
    await report({ [A]: WITHDRAWN, [B]: WITHDRAWN });
    expect((await shown())[A]).toMatchObject({ status: 'claimed', offered: false, owner: { server_name: 'vm' } });
    await source.transaction(async (tx) => {
      const locked = await lockClaim(tx, claim);
      if (locked) await confirmClaims(tx, [{ claim: locked, bindings: [] }]);
    });
    expect((await shown())[A]).toMatchObject({ status: 'allocated', offered: false });
  });

  it('goes on to hold its IOMMU group: nobody else gets what is newly offered of that', async () => {
    const sameGroup = { [A]: { iommu_group: 7 }, [B]: { iommu_group: 7 } };
    await report({ [A]: sameGroup[A] as object, [B]: { ...sameGroup[B], ...WITHDRAWN } });
    const claim = await activeServer('vm');
    await report({ [A]: { ...sameGroup[A], ...WITHDRAWN, driver: 'vfio-pci' }, [B]: sameGroup[B] as object });
    expect((await shown())[B]).toMatchObject({ status: 'available', offered: true });
    expect(await decided()).toMatchObject({ outcome: 'rejected' });
    await release(claim);
    await report({ [A]: { ...sameGroup[A], ...WITHDRAWN }, [B]: sameGroup[B] as object });
    expect(await decided()).toMatchObject({ outcome: 'placed', devices: [{ address: B }] });
  });

  it('is not lost when it vanishes on top of that', async () => {
    await report();
    const claim = await activeServer('vm');
    await report({ [A]: WITHDRAWN });
    await report({}, [B]);
    expect((await shown())[A]).toMatchObject({ status: 'allocated', owner: { server_name: 'vm' } });
    expect((await shown())[A]?.missing_since).toBeInstanceOf(Date);
    await release(claim);
    expect((await shown())[A]).toMatchObject({ status: 'removed', offered: false });
  });
});

describe('a device in use whose entry changes', () => {
  const tagged = (rack: string): Partial<WireDevice> => ({
    offer: { entry: 1, tags: { rack }, resource_class: 'PGPU', traits: ['HW_GPU'] },
  });

  it('has its new tags at once, and is placed by them when it is free', async () => {
    await report({ [A]: tagged('a1') });
    const claim = await activeServer('vm');
    const before = await shown();
    const used = before[A]?.status === 'allocated' ? A : B;
    await report({ [used]: tagged('b7') });
    expect((await shown())[used]).toMatchObject({
      status: 'allocated',
      offered: true,
      change_pending: false,
      offer: { tags: { rack: 'b7' } },
    });
    await release(claim);
    await cache.refresh();
    const device = cache.list()[0]?.devices.find(({ address }) => address === used);
    expect(device).toMatchObject({
      status: 'available',
      tags: { rack: 'b7' },
      resourceClass: 'PGPU',
      traits: ['HW_GPU'],
    });
  });
});

describe('another card at the address of a device in use', () => {
  const OTHER: Partial<WireDevice> = { vendor_id: '1002', product_id: '738c', numa_node: 1, iommu_group: 99 };

  it('that is not offered is not offered after the release either', async () => {
    await report();
    const claim = await activeServer('vm');
    await report({ [A]: { ...OTHER, ...WITHDRAWN } });
    expect((await shown())[A]).toMatchObject({ vendor_id: '10de', change_pending: true, offered: true });
    await release(claim);
    const device = (await shown())[A];
    expect(device).toMatchObject({ vendor_id: '1002', change_pending: false, offered: false, status: 'available' });
    const [row] = (await source.query(`SELECT numa_node, iommu_group FROM devices WHERE address = $1`, [A])) as [
      object,
    ];
    expect(row).toEqual({ numa_node: 1, iommu_group: 99 });
    expect(await findHost(source.manager, 'node-1')).toMatchObject({ devices_offered: 1 });
  });

  it('that is offered, in the place of one that was not any more, can be placed after the release', async () => {
    await report();
    const claim = await activeServer('vm');
    await report({ [A]: WITHDRAWN });
    await report({ [A]: OTHER });
    await release(claim);
    expect((await shown())[A]).toMatchObject({ vendor_id: '1002', offered: true, status: 'available' });
    expect(await decided(wants('mi100', 1, '1002:738c'))).toMatchObject({ outcome: 'placed' });
  });

  it('is forgotten when the first one is back before the release', async () => {
    await report();
    const claim = await activeServer('vm');
    await report({ [A]: OTHER });
    await report();
    expect((await shown())[A]).toMatchObject({ vendor_id: '10de', change_pending: false });
    await release(claim);
    expect((await shown())[A]).toMatchObject({ vendor_id: '10de', status: 'available' });
  });

  it('that came after the first one had vanished is there after the release', async () => {
    await report();
    const claim = await activeServer('vm');
    await report({}, [B]);
    await report({ [A]: OTHER });
    expect((await shown())[A]).toMatchObject({ missing_since: null, change_pending: true });
    await release(claim);
    expect((await shown())[A]).toMatchObject({ vendor_id: '1002', status: 'available', missing_since: null });
  });
});

describe('the configuration that an agent tells of', () => {
  const configuration: WireConfiguration = {
    loaded_at: '2026-03-01T12:00:00.000Z',
    problem: 'agent.yaml:3: vendor: unknown key',
    needs_restart: ['agent.sysfs_root'],
  };

  it('is shown with its host; of an agent that tells none there is none', async () => {
    const body = aReport({ host: 'node-1', devices: [] });
    const told = async (): Promise<unknown> => {
      const host = await findHost(source.manager, 'node-1');
      return host && hostView(host).configuration;
    };
    await absorb(body);
    expect(await told()).toBeNull();
    await absorb({ ...body, sequence: 2, facts: { ...body.facts, configuration } });
    expect(await told()).toEqual(configuration);
    await absorb({ ...body, sequence: 3 });
    expect(await told()).toBeNull();
  });
});
