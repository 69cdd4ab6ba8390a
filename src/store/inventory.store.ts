import { randomUUID } from 'node:crypto';
import type { AgentReport, WireDevice } from '../messages/bodies.js';
import { fromWireDevice, toWireDevice } from '../messages/wire-device.js';
import type { ReportedDevice } from '../pci/device.js';
import { isHeld, type DeviceStatus } from '../pci/device-state.js';
import { reconcileInventory, type Reconciliation } from '../pci/reconcile-inventory.js';
import type { Tx } from './database.js';
import { readDeviceStates, touchHosts, writeDeviceStates } from './device-states.store.js';

export type Absorbed =
  /** `staleEpoch`: a former life of the agent still speaks. */
  | { readonly outcome: 'ignored'; readonly why: 'stale_epoch' | 'stale_sequence' }
  | { readonly outcome: 'absorbed'; readonly hostId: string; readonly reconciliation: Reconciliation };

interface KnownRow {
  readonly id: string;
  readonly address: string;
  readonly status: DeviceStatus;
  readonly facts: WireDevice;
  /** Whether another card sits at the address of one in use. */
  readonly pending: boolean;
  readonly missing_since: Date | null;
  readonly in_use: boolean;
}

/**
 * Takes in a host's full report: the host's facts, and its devices as `reconcileInventory` sorts them. What is older
 * than what the ledger has (epoch, then sequence) is ignored. The same report twice changes nothing.
 */
export async function absorbReport(tx: Tx, report: AgentReport): Promise<Absorbed> {
  await insertHost(tx, report);
  const [host] = (await tx.query(`SELECT id, epoch, report_sequence FROM hosts WHERE name = $1 FOR UPDATE`, [
    report.host,
  ])) as [{ id: string; epoch: number; report_sequence: number }];
  if (host.epoch > report.epoch) return { outcome: 'ignored', why: 'stale_epoch' };
  if (host.epoch === report.epoch && host.report_sequence > report.sequence) {
    return { outcome: 'ignored', why: 'stale_sequence' };
  }
  const known = await readKnown(tx, host.id);
  const reported = report.devices.map(fromWireDevice);
  const reconciliation = reconcileInventory(
    known.map((row) => ({ device: fromWireDevice(row.facts), status: row.status, inUse: row.in_use })),
    reported,
  );
  await updateHost(tx, host.id, report);
  await writeDevices(tx, host.id, known, reported, reconciliation);
  await moveStates(tx, host.id, reconciliation);
  await touchHosts(tx, [{ id: host.id, by: 1 }]);
  return { outcome: 'absorbed', hostId: host.id, reconciliation };
}

/** A host is known from its first report on. Epoch 0: any report is newer. */
async function insertHost(tx: Tx, report: AgentReport): Promise<void> {
  await tx.query(
    `INSERT INTO hosts (id, name, status, epoch, report_sequence, report_hash, last_seen_at, vcpus, memory_mb, disk_gb,
                        numa_cells, kernel, kernel_kind, read_only, agent_version)
     VALUES ($1, $2, 'up', 0, 0, '', now(), 0, 0, 0, '[]', NULL, $3, $4, $5) ON CONFLICT (name) DO NOTHING`,
    [randomUUID(), report.host, report.facts.kernel_kind, report.facts.read_only, report.facts.agent_version],
  );
}

async function updateHost(tx: Tx, hostId: string, { facts, ...stamp }: AgentReport): Promise<void> {
  await tx.query(
    `UPDATE hosts SET status = 'up', epoch = $2, report_sequence = $3, report_hash = $4, last_seen_at = now(),
            vcpus = $5, memory_mb = $6, disk_gb = $7, numa_cells = $8::jsonb, kernel = $9, kernel_kind = $10,
            read_only = $11, agent_version = $12, configuration = $13::jsonb, capabilities = $14::jsonb,
            reported_reserved = $15::jsonb
      WHERE id = $1`,
    [
      hostId,
      stamp.epoch,
      stamp.sequence,
      stamp.hash,
      facts.vcpus,
      facts.memory_mb,
      facts.disk_gb,
      JSON.stringify(facts.numa_cells),
      facts.kernel,
      facts.kernel_kind,
      facts.read_only,
      facts.agent_version,
      facts.configuration ? JSON.stringify(facts.configuration) : null,
      facts.capabilities ? JSON.stringify(facts.capabilities) : null,
      facts.reserved ? JSON.stringify(facts.reserved) : null,
    ],
  );
}

async function readKnown(tx: Tx, hostId: string): Promise<KnownRow[]> {
  return (await tx.query(
    `SELECT d.id, d.address, d.status, d.facts, d.pending_facts IS NOT NULL AS pending, d.missing_since,
            a.id IS NOT NULL AS in_use
       FROM devices d LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
      WHERE d.host_id = $1`,
    [hostId],
  )) as KnownRow[];
}

/** Writes every device that is new or differs; one in use that became another card keeps its identity until it is freed. */
async function writeDevices(
  tx: Tx,
  hostId: string,
  known: readonly KnownRow[],
  reported: readonly ReportedDevice[],
  { added, changed, returned, vanished }: Reconciliation,
): Promise<void> {
  const rows = new Map(known.map((row) => [row.address, row]));
  // also what looks as it did before it vanished, or before another card was in its place
  const back = reported.filter((device) => {
    const row = rows.get(device.address);
    return row !== undefined && (row.missing_since !== null || row.pending);
  });
  const written = new Map([...added, ...changed, ...returned, ...back].map((device) => [device.address, device]));
  const swapped = [...written.values()].filter((device) => isOtherCard(rows.get(device.address), device));
  await parkFacts(tx, swapped, rows);
  await upsertDevices(
    tx,
    hostId,
    [...written.values()].filter((device) => !swapped.includes(device)),
  );
  const kept = vanished.filter(({ address, inUse }) => inUse || isHeld(rows.get(address)?.status));
  await tx.query(
    `UPDATE devices SET missing_since = coalesce(missing_since, now()) WHERE host_id = $1 AND address = ANY($2)`,
    [hostId, kept.map((entry) => entry.address)],
  );
}

function isOtherCard(row: KnownRow | undefined, device: ReportedDevice): boolean {
  if (!row?.in_use) return false;
  const { vendor_id, product_id, device_type } = row.facts;
  return vendor_id !== device.vendorId || product_id !== device.productId || device_type !== device.deviceType;
}

async function parkFacts(
  tx: Tx,
  devices: readonly ReportedDevice[],
  rows: ReadonlyMap<string, KnownRow>,
): Promise<void> {
  if (devices.length === 0) return;
  await tx.query(
    `UPDATE devices d SET pending_facts = p.facts, missing_since = NULL
       FROM unnest($1::uuid[], $2::jsonb[]) AS p(id, facts) WHERE d.id = p.id`,
    [
      devices.map((device) => rows.get(device.address)?.id),
      devices.map((device) => JSON.stringify(toWireDevice(device))),
    ],
  );
}

async function upsertDevices(tx: Tx, hostId: string, devices: readonly ReportedDevice[]): Promise<void> {
  if (devices.length === 0) return;
  const facts = devices.map(toWireDevice);
  await tx.query(
    `INSERT INTO devices (id, host_id, address, vendor_id, product_id, device_type, parent_address, numa_node,
                          iommu_group, offered, status, facts)
     SELECT gen_random_uuid(), $1, f->>'address', f->>'vendor_id', f->>'product_id', f->>'device_type',
            f->>'parent_address', (f->>'numa_node')::int, (f->>'iommu_group')::int, f->'offer' <> 'null', 'removed', f
       FROM unnest($2::jsonb[]) AS f
     ON CONFLICT (host_id, address) DO UPDATE SET
       vendor_id = excluded.vendor_id, product_id = excluded.product_id, device_type = excluded.device_type,
       parent_address = excluded.parent_address, numa_node = excluded.numa_node, iommu_group = excluded.iommu_group,
       offered = excluded.offered, facts = excluded.facts, pending_facts = NULL, missing_since = NULL,
       updated_at = now()`,
    [hostId, facts.map((fact) => JSON.stringify(fact))],
  );
}

/** A new device is written as `removed` and returns like any other: as free as its relatives let it be. */
async function moveStates(tx: Tx, hostId: string, { added, returned, vanished }: Reconciliation): Promise<void> {
  const states = await readDeviceStates(tx, [hostId]);
  const host = states.get(hostId);
  const given = vanished.filter(({ address, inUse }) => !inUse && !isHeld(host?.status(address)));
  for (const { address } of given) host?.apply('remove', address, null);
  for (const { address } of [...added, ...returned]) host?.apply('return', address, null);
  await writeDeviceStates(tx, states.values());
}
