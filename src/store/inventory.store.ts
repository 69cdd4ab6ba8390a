import { randomUUID } from 'node:crypto';
import type { AgentReport } from '../messages/bodies.js';
import type { WireDevice } from '../messages/device-bodies.js';
import { fromWireDevice, toWireDevice } from '../messages/wire-device.js';
import type { ReportedDevice } from '../pci/device.js';
import { DEFAULT_DRIFT_POLICIES, driftsOf, type Drift, type DriftPolicies } from '../pci/drift.js';
import type { DriftNote } from '../pci/drift-notes.js';
import { isOtherCard } from '../pci/identity.js';
import { isHeld, type DeviceStatus } from '../pci/device-state.js';
import { reconcileInventory, type Reconciliation } from '../pci/reconcile-inventory.js';
import type { Tx } from './database.js';
import { recordDrifts, type DriftingHost } from './device-drift.store.js';
import { settleDeviceClaims } from './device-claims.store.js';
import { readDeviceStates, touchHosts, writeDeviceStates } from './device-states.store.js';
import { jsonList } from './json-list.js';
import { auditOverrides } from './protection-overrides.store.js';
import { settleWishes } from './sriov-wishes.store.js';

export type Absorbed =
  /** `staleEpoch`: a former life of the agent still speaks. */
  | { readonly outcome: 'ignored'; readonly why: 'stale_epoch' | 'stale_sequence' }
  | { readonly outcome: 'absorbed'; readonly hostId: string; readonly reconciliation: Reconciliation };

interface KnownRow {
  readonly id: string;
  readonly host_id: string;
  readonly address: string;
  readonly status: DeviceStatus;
  readonly facts: WireDevice;
  /** Whether another card sits at the address of one in use. */
  readonly pending: boolean;
  readonly missing_since: Date | null;
  readonly in_use: boolean;
  readonly drift: readonly DriftNote[] | null;
}

interface HostRow {
  readonly id: string;
  readonly name: string;
  readonly epoch: number;
  readonly report_sequence: number;
}

/** A report that is taken in, and what it changes. */
interface News {
  readonly hostId: string;
  readonly report: AgentReport;
  /** By address. */
  readonly known: ReadonlyMap<string, KnownRow>;
  readonly reconciliation: Reconciliation;
  /** What happened to its devices. */
  readonly drifts: readonly Drift[];
  /** Devices that are written. */
  readonly written: readonly ReportedDevice[];
  /** Devices of which only the facts are kept, for when the one in use is freed. */
  readonly parked: readonly ReportedDevice[];
}

/** {@link absorbReports} of one. */
export async function absorbReport(
  tx: Tx,
  report: AgentReport,
  policies: DriftPolicies = DEFAULT_DRIFT_POLICIES,
): Promise<Absorbed> {
  const absorbed = await absorbReports(tx, [report], policies);
  return absorbed.get(report.host) as Absorbed;
}

/**
 * Takes in full reports, at most one of each host: the host's facts, and its devices as `reconcileInventory` sorts them. What
 * is older than what the ledger has (epoch, then sequence) is ignored. The same report twice changes nothing. Some ten
 * statements, however many hosts there are.
 *
 * @returns by the hosts' names
 */
export async function absorbReports(
  tx: Tx,
  reports: readonly AgentReport[],
  policies: DriftPolicies = DEFAULT_DRIFT_POLICIES,
): Promise<Map<string, Absorbed>> {
  const hosts = await lockHosts(tx, reports);
  const outdated = new Map(
    reports.flatMap((report) => {
      const why = reasonToIgnore(hosts.get(report.host) as HostRow, report);
      return why === null ? [] : [[report.host, { outcome: 'ignored', why } as const]];
    }),
  );
  const current = reports.filter(({ host }) => !outdated.has(host));
  if (current.length === 0) return outdated;
  const known = await readKnown(
    tx,
    current.map(({ host }) => (hosts.get(host) as HostRow).id),
  );
  const news = current.map((report) => {
    const { id } = hosts.get(report.host) as HostRow;
    return newsOf(id, report, known.get(id) ?? []);
  });
  await updateHosts(tx, news);
  await auditOverrides(tx, news);
  await writeDevices(tx, news);
  await moveStates(tx, news);
  await recordDrifts(tx, news.filter(isDrifting).map(driftingHost), policies);
  await settleWishes(
    tx,
    news.map(({ hostId, report }) => ({ hostId, told: report.facts.sriov ?? [] })),
  );
  await settleDeviceClaims(
    tx,
    news.map(({ hostId, report }) => ({ hostId, told: report.facts.device_claims ?? [] })),
  );
  await touchHosts(
    tx,
    news.map(({ hostId }) => ({ id: hostId, by: 1 })),
  );
  const absorbed = news.map(({ hostId, report, reconciliation }): [string, Absorbed] => [
    report.host,
    { outcome: 'absorbed', hostId, reconciliation },
  ]);
  return new Map([...outdated, ...absorbed]);
}

function reasonToIgnore(host: HostRow, report: AgentReport): 'stale_epoch' | 'stale_sequence' | null {
  if (host.epoch > report.epoch) return 'stale_epoch';
  return host.epoch === report.epoch && host.report_sequence > report.sequence ? 'stale_sequence' : null;
}

/** @returns by name */
async function lockHosts(tx: Tx, reports: readonly AgentReport[]): Promise<Map<string, HostRow>> {
  await insertHosts(tx, reports);
  const rows = (await tx.query(
    `SELECT id, name, epoch, report_sequence FROM hosts WHERE name = ANY($1) ORDER BY id FOR UPDATE`,
    [reports.map(({ host }) => host)],
  )) as HostRow[];
  return new Map(rows.map((row) => [row.name, row]));
}

/** A host is known from its first report on. Epoch 0: any report is newer. In name order: others may bring the same new hosts. */
async function insertHosts(tx: Tx, reports: readonly AgentReport[]): Promise<void> {
  const rows = reports.map(({ host, facts: { kernel_kind, read_only, agent_version } }) =>
    JSON.stringify({ id: randomUUID(), name: host, kernel_kind, read_only, agent_version }),
  );
  await tx.query(
    `INSERT INTO hosts (id, name, status, epoch, report_sequence, report_hash, last_seen_at, vcpus, memory_mb, disk_gb,
                        numa_cells, kernel, kernel_kind, read_only, agent_version)
     SELECT r.id, r.name, 'up', 0, 0, '', now(), 0, 0, 0, '[]', NULL, r.kernel_kind, r.read_only, r.agent_version
       FROM json_to_recordset($1::json) AS r(id uuid, name text, kernel_kind text, read_only boolean, agent_version text)
      WHERE NOT EXISTS (SELECT 1 FROM hosts h WHERE h.name = r.name)
      ORDER BY r.name
     ON CONFLICT (name) DO NOTHING`,
    [jsonList(rows)],
  );
}

/** @returns by the hosts' ids */
async function readKnown(tx: Tx, hostIds: readonly string[]): Promise<Map<string, KnownRow[]>> {
  const rows = (await tx.query(
    `SELECT d.id, d.host_id, d.address, d.status, d.facts, d.pending_facts IS NOT NULL AS pending, d.missing_since,
            a.id IS NOT NULL AS in_use, d.drift
       FROM devices d LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
      WHERE d.host_id = ANY($1)`,
    [hostIds],
  )) as KnownRow[];
  const byHost = new Map<string, KnownRow[]>(hostIds.map((hostId) => [hostId, []]));
  for (const row of rows) byHost.get(row.host_id)?.push(row);
  return byHost;
}

function newsOf(hostId: string, report: AgentReport, rows: readonly KnownRow[]): News {
  const known = new Map(rows.map((row) => [row.address, row]));
  const reported = report.devices.map(fromWireDevice);
  const before = rows.map((row) => ({
    ...{ device: fromWireDevice(row.facts), status: row.status, inUse: row.in_use },
    isStale: row.pending || row.missing_since !== null,
  }));
  const reconciliation = reconcileInventory(before, reported);
  const { added, changed, returned } = reconciliation;
  // also what looks as it did before it vanished, or before another card was in its place
  const back = reported.filter((device) => {
    const row = known.get(device.address);
    return row !== undefined && (row.missing_since !== null || row.pending);
  });
  const all = [
    ...new Map([...added, ...changed, ...returned, ...back].map((device) => [device.address, device])).values(),
  ];
  const parked = new Set(all.filter((device) => isParked(known.get(device.address), device)));
  const written = all.filter((device) => !parked.has(device));
  return { hostId, report, known, reconciliation, drifts: driftsOf(before, reported), written, parked: [...parked] };
}

/** A server has the card that was there, and not this one. */
function isParked(row: KnownRow | undefined, device: ReportedDevice): boolean {
  return row?.in_use === true && isOtherCard(fromWireDevice(row.facts), device);
}

function isDrifting({ drifts, known }: News): boolean {
  return drifts.length > 0 || [...known.values()].some(({ drift }) => drift !== null);
}

function driftingHost({ hostId, report, known, drifts, parked }: News): DriftingHost {
  const absent = new Set(parked.map(({ address }) => address));
  const reported = new Set(report.devices.map(({ address }) => address));
  const devices = [...new Set([...known.keys(), ...reported])].map((address) => ({
    address,
    present: reported.has(address) && !absent.has(address),
    notes: known.get(address)?.drift ?? [],
  }));
  return { hostId, hostName: report.host, drifts, devices };
}

async function updateHosts(tx: Tx, news: readonly News[]): Promise<void> {
  const rows = news.map(({ hostId, report: { epoch, sequence, hash, facts } }) =>
    JSON.stringify({ ...facts, id: hostId, epoch, sequence, hash }),
  );
  await tx.query(
    `UPDATE hosts h SET status = 'up', epoch = r.epoch, report_sequence = r.sequence, report_hash = r.hash,
            last_seen_at = now(), vcpus = r.vcpus, memory_mb = r.memory_mb, disk_gb = r.disk_gb,
            numa_cells = r.numa_cells, kernel = r.kernel, kernel_kind = r.kernel_kind, read_only = r.read_only,
            agent_version = r.agent_version, configuration = r.configuration, capabilities = r.capabilities,
            reported_reserved = r.reserved, iommu = r.iommu, sriov = r.sriov,
            compute_driver = r.compute_driver, ip_address = r.ip_address, booted_at = r.booted_at
       FROM json_to_recordset($1::json) AS r(id uuid, epoch bigint, sequence bigint, hash text, vcpus int,
            memory_mb bigint, disk_gb bigint, numa_cells jsonb, kernel text, kernel_kind text, read_only boolean,
            agent_version text, configuration jsonb, capabilities jsonb, reserved jsonb, iommu jsonb, sriov jsonb,
            compute_driver text, ip_address text, booted_at timestamptz)
      WHERE h.id = r.id`,
    [jsonList(rows)],
  );
}

/** Writes every device that is new or differs; one in use that became another card keeps its identity until it is freed. */
async function writeDevices(tx: Tx, news: readonly News[]): Promise<void> {
  await parkFacts(tx, news);
  await upsertDevices(tx, news);
  const missing = news.flatMap(({ known, reconciliation }) =>
    reconciliation.vanished
      .filter(({ address, inUse }) => inUse || isHeld(known.get(address)?.status))
      .map(({ address }) => known.get(address)?.id),
  );
  if (missing.length === 0) return;
  await tx.query(`UPDATE devices SET missing_since = coalesce(missing_since, now()) WHERE id = ANY($1)`, [missing]);
}

async function parkFacts(tx: Tx, news: readonly News[]): Promise<void> {
  const parked = news.flatMap(({ known, parked }) =>
    parked.map((device) => ({ id: known.get(device.address)?.id, device })),
  );
  if (parked.length === 0) return;
  await tx.query(
    `UPDATE devices d SET pending_facts = p.facts, missing_since = NULL
       FROM ROWS FROM (unnest($1::uuid[]), jsonb_array_elements($2::jsonb)) AS p(id, facts) WHERE d.id = p.id`,
    [parked.map(({ id }) => id), factsList(parked.map(({ device }) => device))],
  );
}

async function upsertDevices(tx: Tx, news: readonly News[]): Promise<void> {
  const written = news.flatMap(({ written }) => written);
  if (written.length === 0) return;
  await tx.query(
    `INSERT INTO devices (id, host_id, address, vendor_id, product_id, device_type, parent_address, numa_node,
                          iommu_group, offered, status, facts)
     SELECT gen_random_uuid(), host_id, f->>'address', f->>'vendor_id', f->>'product_id', f->>'device_type',
            f->>'parent_address', (f->>'numa_node')::int, (f->>'iommu_group')::int, f->'offer' <> 'null', 'removed', f
       FROM ROWS FROM (unnest($1::uuid[]), jsonb_array_elements($2::jsonb)) AS w(host_id, f)
     ON CONFLICT (host_id, address) DO UPDATE SET
       vendor_id = excluded.vendor_id, product_id = excluded.product_id, device_type = excluded.device_type,
       parent_address = excluded.parent_address, numa_node = excluded.numa_node, iommu_group = excluded.iommu_group,
       offered = excluded.offered, facts = excluded.facts, pending_facts = NULL, missing_since = NULL,
       updated_at = now()`,
    [news.flatMap(({ hostId, written }) => written.map(() => hostId)), factsList(written)],
  );
}

function factsList(devices: readonly ReportedDevice[]): string {
  return jsonList(devices.map((device) => JSON.stringify(toWireDevice(device))));
}

/** A new device is written as `removed` and returns like any other: as free as its relatives let it be. */
async function moveStates(tx: Tx, news: readonly News[]): Promise<void> {
  const moving = news.filter(({ reconciliation: { added, returned, vanished } }) =>
    [added, returned, vanished].some(({ length }) => length > 0),
  );
  if (moving.length === 0) return;
  const states = await readDeviceStates(
    tx,
    moving.map(({ hostId }) => hostId),
  );
  for (const { hostId, reconciliation } of moving) {
    const host = states.get(hostId);
    const given = reconciliation.vanished.filter(({ address, inUse }) => !inUse && !isHeld(host?.status(address)));
    for (const { address } of given) host?.apply('remove', address, null);
    for (const { address } of [...reconciliation.added, ...reconciliation.returned])
      host?.apply('return', address, null);
  }
  await writeDeviceStates(tx, states.values());
}
