import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { WireCapabilities, WireNumaCell, WireResources } from '../messages/bodies.js';
import type { WireDevice } from '../messages/device-bodies.js';
import { fromWireDevice } from '../messages/wire-device.js';
import { compareAddresses } from '../pci/address.js';
import { attributesOf } from '../pci/device-attributes.js';
import { deviceGroups } from '../pci/device-groups.js';
import type { DeviceStatus } from '../pci/device-state.js';
import type { ReportedDevice } from '../pci/device.js';
import { isHandedOverAsNetdev } from '../pci/binding-mode.js';
import { isolationUnits } from '../pci/iommu.js';
import { topologyOf } from '../pci/topology.js';
import { withheldDevices } from '../pci/withheld.js';
import { PLAIN_HOST } from '../placement/host-defaults.js';
import { promisePuts, putHost } from '../placement/host-list.js';
import { withSharedFacts } from '../placement/host-shape.js';
import type {
  AllocationRatios,
  HostCapabilities,
  HostSnapshot,
  Resources,
  SnapshotDevice,
} from '../placement/snapshot.js';
import { EFFECTIVE_STATUS } from './host-admin.store.js';
import { readSettled, withSettled } from './snapshot-settled.store.js';
import { readTakings } from './snapshot-takings.store.js';
import { ANYTHING_KEPT, markReserved } from './snapshot-reservations.store.js';
import { NOWHERE, readSites, type HostSite } from './snapshot-sites.store.js';
import type { Tx } from './database.js';

interface HostRow {
  readonly id: string;
  readonly name: string;
  readonly generation: number;
  readonly status: 'up' | 'down';
  readonly enabled: boolean;
  readonly disabled_reason: string | null;
  readonly read_only: boolean;
  readonly numa_cells: readonly WireNumaCell[];
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly disk_gb: number;
  readonly reserved: WireResources | null;
  readonly allocation_ratios: AllocationRatios | null;
  readonly traits: readonly string[];
  readonly capabilities: WireCapabilities | null;
  readonly failed_builds: number;
  readonly anything_kept: boolean;
}

interface DeviceRow {
  readonly id: string;
  readonly host_id: string;
  readonly status: DeviceStatus;
  readonly facts: WireDevice;
  readonly missing_since: Date | null;
  readonly server_id: string | null;
  readonly server_name: string | null;
}

interface ChangedRow {
  readonly id: string;
  readonly generation: number;
  readonly facts_generation: number;
  readonly revision: number;
}

interface GoneRow {
  readonly id: string;
  readonly generation: null;
}

/** What is changed by transactions that are not over is not among the rows: from `horizon` on is asked for the next time. */
type ChangeRow = { readonly horizon: number } & (ChangedRow | GoneRow | { readonly id: null });

/** What is read at once is turned into hosts at once: other work of the process is held up for some ten milliseconds. */
const HOSTS_PER_READ = 100;
/** See `readRevised`. */
const REVISED_AT_ONCE = 32;
const REVISED_EVERY_MS = 2_000;
/** Those without a generation are gone; a row without an id says only the horizon. */
const CHANGED_HOSTS = `SELECT n.horizon, c.* FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon) n
   LEFT JOIN (SELECT id, generation, facts_generation, revision FROM hosts WHERE changed_xid >= $1
              UNION ALL SELECT id, NULL, NULL, NULL FROM removed_hosts WHERE changed_xid >= $1) c ON true`;

/** Reads hosts as decisions see them. `ids`: of these hosts only. */
export async function readHosts(tx: Tx, ids: readonly string[]): Promise<HostSnapshot[]> {
  const hosts: HostSnapshot[] = [];
  for (let from = 0; from < ids.length; from += HOSTS_PER_READ) {
    hosts.push(...(await readSomeHosts(tx, ids.slice(from, from + HOSTS_PER_READ))));
  }
  return hosts;
}

/** A VF that is gone because its PF is handed over: a decision names the PF as the cause. */
const VF_OF_PF_IN_USE = `d.parent_address IS NOT NULL AND EXISTS (
  SELECT 1 FROM devices p JOIN allocations pa ON pa.device_id = p.id AND pa.released_at IS NULL
   WHERE p.host_id = d.host_id AND p.address = d.parent_address)`;

/** What is offered of the devices that a host reports; in their order. */
export type Reoffer = (
  devices: readonly ReportedDevice[],
  host: { readonly readOnly: boolean },
) => readonly ReportedDevice[];

/** As {@link readHosts}, as if something else were offered of what the hosts reported last. Nothing is written. */
export function readHostsReoffered(tx: Tx, ids: readonly string[], reoffer: Reoffer): Promise<HostSnapshot[]> {
  return readSomeHosts(tx, ids, reoffer);
}

async function readSomeHosts(tx: Tx, ids: readonly string[], reoffer: Reoffer | null = null): Promise<HostSnapshot[]> {
  // hosts first: a change between the statements raises the generation, and a claim on the old one is refused
  const hosts = (await tx.query(
    `SELECT h.id, h.name, h.generation, ${EFFECTIVE_STATUS} AS status, h.enabled, h.disabled_reason, h.read_only, h.numa_cells,
            h.vcpus, h.memory_mb, h.disk_gb, coalesce(h.reserved, h.reported_reserved) AS reserved,
            h.allocation_ratios, h.traits, h.capabilities, h.failed_builds, ${ANYTHING_KEPT} AS anything_kept
       FROM hosts h WHERE h.id = ANY($1)`,
    [ids],
  )) as HostRow[];
  const sites = await readSites(tx, ids);
  const devices = (await tx.query(
    `SELECT d.id, d.host_id, d.status, d.facts, d.missing_since, a.server_id, s.name AS server_name
       FROM devices d
       LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
       LEFT JOIN servers s ON s.id = a.server_id
      WHERE d.host_id = ANY($1) AND (d.status <> 'removed' OR a.id IS NOT NULL OR ${VF_OF_PF_IN_USE})
        AND (d.offered OR d.iommu_group IS NOT NULL OR d.facts ? 'protection' OR a.id IS NOT NULL OR $2)`,
    [ids, reoffer !== null],
  )) as DeviceRow[];
  const byHost = new Map<string, DeviceRow[]>(hosts.map((host) => [host.id, []]));
  for (const device of devices) byHost.get(device.host_id)?.push(device);
  const snapshots = hosts.map((host) => {
    const reported = reportedBy(host, byHost.get(host.id) ?? [], reoffer);
    return withSharedFacts(hostSnapshot(host, sites.get(host.id) ?? NOWHERE, reported));
  });
  return hosts[0]?.anything_kept ? markReserved(tx, snapshots) : snapshots;
}

interface Reported {
  readonly row: DeviceRow;
  readonly device: ReportedDevice;
}

function reportedBy(host: HostRow, rows: readonly DeviceRow[], reoffer: Reoffer | null): Reported[] {
  const reported = rows.map((row) => ({ row, device: fromWireDevice(row.facts) }));
  if (!reoffer) return reported;
  const present = reported.filter(({ row }) => row.status !== 'removed');
  const offered = reoffer(
    present.map(({ device }) => device),
    { readOnly: host.read_only },
  );
  const byAddress = new Map(offered.map((device) => [device.address, device]));
  return reported.map(({ row, device }) => ({ row, device: byAddress.get(device.address) ?? device }));
}

function hostSnapshot(host: HostRow, site: HostSite, reported: readonly Reported[]): HostSnapshot {
  // the IOMMU group of what is gone may belong to something else by now
  const present = reported.filter(({ row }) => row.status !== 'removed');
  // one that was withdrawn while in use goes on to hold its group: nobody else may have the rest of that
  const counts = ({ row, device }: (typeof present)[number]) => device.offer !== null || row.server_id !== null;
  const counted = present.map((entry) => ({
    ...entry.device,
    offered: counts(entry),
    asNetdev: isHandedOverAsNetdev(entry.device.offer?.tags ?? {}),
  }));
  const withheld = host.read_only ? [] : withheldDevices(present.filter(isKept).map(({ device }) => device));
  return {
    ...site,
    id: host.id,
    name: host.name,
    generation: host.generation,
    status: host.status,
    enabled: host.enabled,
    disabledReason: host.disabled_reason,
    readOnly: host.read_only,
    numaCells: host.numa_cells.map((cell) => ({
      id: cell.id,
      cpus: cell.cpus,
      memoryMb: cell.memory_mb,
      socket: cell.socket,
    })),
    capacity: resourcesOf(host),
    reserved: host.reserved === null ? PLAIN_HOST.reserved : resourcesOf(host.reserved),
    allocationRatios: host.allocation_ratios,
    traits: host.traits,
    capabilities: host.capabilities === null ? PLAIN_HOST.capabilities : capabilitiesOf(host.capabilities),
    failedBuilds: host.failed_builds,
    devices: reported
      .filter(({ row, device }) => device.offer !== null || row.server_id !== null)
      .map(({ row, device }) => snapshotDevice(row, device))
      .sort((a, b) => compareAddresses(a.address, b.address)),
    ...(withheld.length > 0 && { withheld }),
    units: isolationUnits(counted),
    groups: deviceGroups(counted),
    topology: topologyOf(counted),
  };
}

/** Whether the host has it, and nobody else. */
function isKept({ row, device }: Reported): boolean {
  return device.offer === null && row.server_id === null && row.missing_since === null;
}

function resourcesOf({ vcpus, memory_mb, disk_gb }: WireResources): Resources {
  return { vcpus, memoryMb: memory_mb, diskGb: disk_gb };
}

function capabilitiesOf(wire: WireCapabilities): HostCapabilities {
  return {
    architecture: wire.architecture,
    hypervisorType: wire.hypervisor_type,
    hypervisorVersion: wire.hypervisor_version,
    cpuFeatures: wire.cpu_features,
  };
}

function snapshotDevice(row: DeviceRow, device: ReturnType<typeof fromWireDevice>): SnapshotDevice {
  return {
    id: row.id,
    address: device.address,
    vendorId: device.vendorId,
    productId: device.productId,
    deviceType: device.deviceType,
    parentAddress: device.parentAddress,
    numaNode: device.numaNode,
    acsRedirect: device.acsRedirect,
    tags: device.offer?.tags ?? {},
    resourceClass: device.offer?.resourceClass ?? null,
    traits: device.offer?.traits ?? [],
    attributes: attributesOf(device),
    status: row.status,
    owner: row.server_id === null ? null : { serverId: row.server_id, serverName: row.server_name ?? '' },
    missing: row.missing_since !== null,
  };
}

/**
 * All hosts in memory, kept fresh from the ledger. Staleness can cost a claim a retry, never a double allocation.
 *
 * Follows changes by transaction id: each read asks for every host changed by a transaction that was not over yet at
 * the read before, so that a long transaction cannot slip through.
 */
@Injectable()
export class SnapshotCache {
  /** In name order; `places` has the index of each id. */
  private readonly hosts: HostSnapshot[] = [];
  private places = new Map<string, number>();
  /** Of each host, the generation at which all of it was read. */
  private readonly factsOf = new Map<string, number>();
  /** Of each host, the number of the last change that is of no matter for decisions. */
  private readonly revisions = new Map<string, number>();
  /** Hosts with such a change that is not read yet → its number. */
  private readonly revised = new Map<string, number>();
  private revisedReadAtMs = -Infinity;
  private horizon = 0;
  private refreshing: Promise<void> | null = null;
  private taken = 0;
  private followers: ((host: HostSnapshot) => void)[] = [];
  private droppers: (() => void)[] = [];

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Has `told` called with every host that is new or becomes another, in order; not with what is put ahead of a commit. `dropped` is
   * called when hosts are gone.
   */
  follow(told: (host: HostSnapshot) => void, dropped: () => void): void {
    this.followers.push(told);
    this.droppers.push(dropped);
  }

  /** Reads what has changed since the last time. Calls that come while one runs share the next. */
  async refresh(): Promise<void> {
    await this.refreshing?.catch(() => undefined);
    this.refreshing ??= this.readChanges().finally(() => (this.refreshing = null));
    await this.refreshing;
  }

  /** Reads these hosts anew and takes the ledger's word, also where it is older than what was put ahead of a commit. */
  async revert(ids: readonly string[]): Promise<void> {
    const read = await this.readFully(ids);
    for (const host of read) this.set(host);
    this.drop(ids.filter((id) => !read.some((host) => host.id === id)));
    this.taken += ids.length;
  }

  /** Takes over a host as this process decided or read it. An older generation than the known one is ignored. */
  put(host: HostSnapshot): void {
    const known = this.get(host.id);
    if (!known || known.generation <= host.generation) this.set(host);
  }

  /** {@link put} of a known host as a decision leaves it; whoever follows the cache is told of the decision instead. */
  putAhead(host: HostSnapshot): void {
    const place = this.places.get(host.id);
    if (place !== undefined) putHost(this.hosts, place, host);
  }

  get(id: string): HostSnapshot | undefined {
    const place = this.places.get(id);
    return place === undefined ? undefined : this.hosts[place];
  }

  /** Counts the hosts that were taken over from the ledger: it grows when others, and not our own decisions, change one. */
  get changes(): number {
    return this.taken;
  }

  /** In name order. The array is the cache's own: it changes with the next `put`. */
  list(): readonly HostSnapshot[] {
    return this.hosts;
  }

  private set(host: HostSnapshot): void {
    const place = this.places.get(host.id);
    if (place !== undefined) putHost(this.hosts, place, host);
    else this.insert([host]);
    for (const told of this.followers) told(host);
  }

  private insert(hosts: readonly HostSnapshot[]): void {
    if (hosts.length === 0) return;
    this.hosts.push(...hosts);
    this.hosts.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.places = new Map(this.hosts.map((host, place) => [host.id, place]));
    promisePuts(this.hosts);
  }

  private drop(ids: readonly string[]): void {
    const gone = new Set(ids.filter((id) => this.places.has(id)));
    if (gone.size === 0) return;
    const left = this.hosts.filter((host) => !gone.has(host.id));
    this.hosts.length = 0;
    this.places.clear();
    this.insert(left);
    for (const dropped of this.droppers) dropped();
  }

  private async readChanges(): Promise<void> {
    const answer = (await this.dataSource.query(CHANGED_HOSTS, [this.horizon])) as ChangeRow[];
    const changed = answer.filter((row) => row.id !== null);
    this.drop(changed.filter((row) => row.generation === null).map((row) => row.id));
    const rows = changed.filter((row) => row.generation !== null);
    const stale = rows.filter((row) => (this.get(row.id)?.generation ?? -1) < row.generation);
    const read = await this.readStale(stale);
    this.insert(read.filter((host) => !this.places.has(host.id)));
    for (const host of read) this.put(host);
    this.taken += read.length;
    for (const { id, revision } of stale) this.isRevised(id, revision);
    for (const { id, revision } of rows) if ((this.revisions.get(id) ?? -1) < revision) this.revised.set(id, revision);
    await this.readRevised();
    this.horizon = answer[0]?.horizon ?? this.horizon;
  }

  /** Where only who has what has changed, only that is read. */
  private async readStale(stale: readonly ChangedRow[]): Promise<HostSnapshot[]> {
    const tx = this.dataSource.manager;
    const known = stale.flatMap(({ id, facts_generation }) => {
      const host = this.get(id);
      return host && (this.factsOf.get(id) ?? -1) >= facts_generation ? [host] : [];
    });
    const taken = await readTakings(tx, known, this.factsOf);
    const done = new Set(taken.map(({ id }) => id));
    const others = stale.filter(({ id }) => !done.has(id)).map(({ id }) => id);
    return [...taken, ...(await this.readFully(others))];
  }

  private async readFully(ids: readonly string[]): Promise<HostSnapshot[]> {
    const hosts = await readHosts(this.dataSource.manager, ids);
    for (const { id, generation } of hosts) this.factsOf.set(id, generation);
    return hosts;
  }

  /** Few are read at once; many, as come with every batch of a busy time, now and then. */
  private async readRevised(): Promise<void> {
    const nowMs = Date.now();
    if (this.revised.size === 0) return;
    if (this.revised.size > REVISED_AT_ONCE && nowMs - this.revisedReadAtMs < REVISED_EVERY_MS) return;
    this.revisedReadAtMs = nowMs;
    const revised = [...this.revised];
    this.revised.clear();
    const settled = await readSettled(
      this.dataSource.manager,
      revised.map(([id]) => id),
    );
    for (const [id, revision] of revised) {
      this.isRevised(id, revision);
      const host = this.get(id);
      const now = host && withSettled(host, settled);
      if (now && now !== host) this.set(now);
    }
  }

  private isRevised(id: string, revision: number): void {
    this.revisions.set(id, revision);
    this.revised.delete(id);
  }
}
