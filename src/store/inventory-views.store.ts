import type {
  WireCapabilities,
  WireConfiguration,
  WireIommu,
  WireNumaCell,
  WireResources,
} from '../messages/bodies.js';
import type { WireDevice } from '../messages/device-bodies.js';
import { fromWireDevice } from '../messages/wire-device.js';
import type { AliasSpec } from '../pci/alias/alias.js';
import { aliasMatches } from '../pci/alias/alias-match.js';
import { attributesOf } from '../pci/device-attributes.js';
import type { DeviceType, Tags } from '../pci/device.js';
import type { DeviceStatus } from '../pci/device-state.js';
import { DEFAULT_ZONE } from '../placement/host-defaults.js';
import type { AllocationRatios } from '../placement/snapshot.js';
import type { DriftNote } from '../pci/drift-notes.js';
import type { Tx } from './database.js';
import { EFFECTIVE_STATUS } from './host-admin.store.js';

/** What people are shown of hosts and devices: read only, joined for the eye. Writers use `inventory.store.ts`. */
export interface HostRow {
  readonly id: string;
  readonly name: string;
  readonly status: 'up' | 'down';
  readonly enabled: boolean;
  readonly disabled_reason: string | null;
  readonly forced_down: boolean;
  readonly generation: number;
  readonly last_seen_at: Date;
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly disk_gb: number;
  readonly numa_cells: WireNumaCell[];
  readonly kernel: string | null;
  readonly kernel_kind: 'live' | 'simulated';
  readonly read_only: boolean;
  readonly agent_version: string;
  readonly configuration: WireConfiguration | null;
  readonly availability_zone: string;
  /** Names, in name order. */
  readonly aggregates: readonly string[];
  readonly traits: readonly string[];
  readonly reserved: WireResources | null;
  readonly allocation_ratios: AllocationRatios | null;
  readonly capabilities: WireCapabilities | null;
  readonly iommu: WireIommu | null;
  readonly compute_driver: string | null;
  readonly failed_builds: number;
  readonly ip_address: string | null;
  readonly booted_at: Date | null;
  readonly used_vcpus: number;
  readonly used_memory_mb: number;
  readonly used_disk_gb: number;
  readonly devices_reported: number;
  readonly devices_offered: number;
  readonly devices_available: number;
  readonly created_at: Date;
}

export interface DeviceRow {
  readonly id: string;
  readonly host_id: string;
  readonly host_name: string;
  readonly kernel_kind: 'live' | 'simulated';
  readonly address: string;
  readonly offered: boolean;
  readonly status: DeviceStatus;
  readonly status_reason: string | null;
  readonly facts: WireDevice;
  readonly pending_facts: WireDevice | null;
  readonly missing_since: Date | null;
  readonly drift: readonly DriftNote[] | null;
  readonly updated_at: Date;
  readonly server_id: string | null;
  readonly server_name: string | null;
  readonly alias: string | null;
  /** Name of the server's port that asked for it. */
  readonly port: string | null;
}

/** What the pools of a host are made from. */
export interface PoolDeviceRow {
  readonly host_name: string;
  readonly address: string;
  readonly vendor_id: string;
  readonly product_id: string;
  readonly device_type: DeviceType;
  readonly numa_node: number | null;
  readonly parent_address: string | null;
  readonly tags: Tags;
  readonly status: DeviceStatus;
  readonly missing: boolean;
}

export interface HostFilter {
  /** Name or id. */
  readonly host: string | null;
  readonly status: 'up' | 'down' | null;
  /** Name or id. */
  readonly aggregate?: string | null;
}

export interface DeviceFilter {
  /** Name or id of a host. */
  readonly host: string | null;
  readonly vendorId: string | null;
  readonly productId: string | null;
  readonly deviceType: string | null;
  readonly status: string | null;
  readonly offered: boolean | null;
  readonly numaNode: number | null;
  readonly iommuGroup: number | null;
  readonly serverId: string | null;
  /** One of these. */
  readonly vendorIds?: readonly string[] | null;
}

const HOST_COLUMNS = `
  h.id, h.name, ${EFFECTIVE_STATUS} AS status, h.enabled, h.disabled_reason, h.forced_down, h.generation, h.last_seen_at, h.vcpus, h.memory_mb, h.disk_gb,
  h.numa_cells, h.kernel, h.kernel_kind, h.read_only, h.agent_version, h.configuration, h.traits,
  coalesce(h.reserved, h.reported_reserved) AS reserved, h.allocation_ratios, h.capabilities, h.iommu, h.compute_driver, h.failed_builds,
  h.ip_address, h.booted_at,
  h.created_at`;

/** Hosts in name order, after the name `after`. */
export async function listHosts(
  tx: Tx,
  filter: HostFilter,
  page: { readonly after: string | null; readonly limit: number },
): Promise<HostRow[]> {
  return tx.query(
    `SELECT ${HOST_COLUMNS},
            coalesce(used.vcpus, 0) AS used_vcpus, coalesce(used.memory_mb, 0) AS used_memory_mb,
            coalesce(used.disk_gb, 0) AS used_disk_gb,
            coalesce(site.zone, '${DEFAULT_ZONE}') AS availability_zone, site.aggregates,
            d.reported AS devices_reported, d.offered AS devices_offered, d.available AS devices_available
     FROM (
       SELECT * FROM hosts h
       WHERE ($1::text IS NULL OR name = $1 OR id::text = lower($1))
         AND ($2::text IS NULL OR ${EFFECTIVE_STATUS} = $2)
         AND ($3::text IS NULL OR name > $3)
         AND ($5::text IS NULL OR EXISTS (
           SELECT 1 FROM aggregate_hosts m JOIN aggregates a ON a.id = m.aggregate_id
            WHERE m.host_id = h.id AND (a.name = $5 OR a.id::text = lower($5))))
       ORDER BY name LIMIT $4
     ) h
     LEFT JOIN LATERAL (
       SELECT coalesce(jsonb_agg(a.name ORDER BY a.name), '[]') AS aggregates, min(a.availability_zone) AS zone
       FROM aggregate_hosts m JOIN aggregates a ON a.id = m.aggregate_id WHERE m.host_id = h.id
     ) site ON true
     LEFT JOIN LATERAL (
       SELECT sum(vcpus) AS vcpus, sum(memory_mb) AS memory_mb, sum(disk_gb) AS disk_gb
       FROM claims WHERE host_id = h.id AND status <> 'released'
     ) used ON true
     LEFT JOIN LATERAL (
       SELECT count(*) FILTER (WHERE status <> 'removed') AS reported,
              count(*) FILTER (WHERE offered AND status <> 'removed') AS offered,
              count(*) FILTER (WHERE offered AND status = 'available' AND missing_since IS NULL) AS available
       FROM devices WHERE host_id = h.id
     ) d ON true
     ORDER BY h.name`,
    [filter.host, filter.status, page.after, page.limit, filter.aggregate ?? null],
  );
}

/** By name or id. */
export async function findHost(tx: Tx, nameOrId: string): Promise<HostRow | null> {
  const rows = await listHosts(tx, { host: nameOrId, status: null }, { after: null, limit: 1 });
  return rows[0] ?? null;
}

const NAMES_MAX = 1000;

/** For suggestions. */
export async function hostNames(tx: Tx): Promise<string[]> {
  const rows = await tx.query<{ name: string }[]>(`SELECT name FROM hosts ORDER BY name LIMIT ${NAMES_MAX}`);
  return rows.map((row) => row.name);
}

const DEVICES = `
  SELECT d.id, d.host_id, h.name AS host_name, h.kernel_kind, d.address, d.offered, d.status, d.status_reason,
         d.facts, d.pending_facts,
         d.missing_since, d.drift, d.updated_at, s.id AS server_id, s.name AS server_name, a.alias,
         s.request #>> ARRAY['devices', a.request_index::text, 'port', 'name'] AS port
  FROM devices d
  JOIN hosts h ON h.id = d.host_id
  LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
  LEFT JOIN servers s ON s.id = a.server_id`;

/** Devices in order of host name and address, after the device with the id `after`. */
export async function listDevices(
  tx: Tx,
  filter: DeviceFilter,
  page: { readonly after: string | null; readonly limit: number },
): Promise<DeviceRow[]> {
  const conditions = new Conditions();
  if (filter.host !== null) conditions.add((p) => `(h.name = ${p} OR h.id::text = lower(${p}))`, filter.host);
  if (filter.vendorIds) conditions.add((p) => `d.vendor_id = ANY(${p})`, filter.vendorIds);
  if (filter.vendorId !== null) conditions.add((p) => `d.vendor_id = ${p}`, filter.vendorId);
  if (filter.productId !== null) conditions.add((p) => `d.product_id = ${p}`, filter.productId);
  if (filter.deviceType !== null) conditions.add((p) => `d.device_type = ${p}`, filter.deviceType);
  if (filter.status !== null) conditions.add((p) => `d.status = ${p}`, filter.status);
  if (filter.offered !== null) conditions.add((p) => `d.offered = ${p}`, filter.offered);
  if (filter.numaNode !== null) conditions.add((p) => `d.numa_node = ${p}`, filter.numaNode);
  if (filter.iommuGroup !== null) conditions.add((p) => `d.iommu_group = ${p}`, filter.iommuGroup);
  if (filter.serverId !== null) conditions.add((p) => `s.id = ${p}::uuid`, filter.serverId);
  if (page.after !== null) conditions.add(comesAfter, page.after);
  const limit = conditions.parameter(page.limit);
  return tx.query(`${DEVICES} ${conditions.where()} ORDER BY h.name, length(d.address), d.address LIMIT ${limit}`, [
    ...conditions.values,
  ]);
}

/** How many devices are read in one statement, and for one page, when each has to be looked at. */
export interface ReadLimits {
  readonly chunk: number;
  readonly rows: number;
}

const READ_LIMITS: ReadLimits = { chunk: 500, rows: 10_000 };

/** Devices that an alias takes. */
export interface TakenDevices {
  readonly rows: readonly DeviceRow[];
  /** Where the next page begins after: the last device that was shown or looked at. null: there is no more. */
  readonly continueAfter: string | null;
}

/**
 * As {@link listDevices}, only offered devices that one of the specs takes. What a spec takes is for `aliasMatches` to say,
 * as it is in placement, so rows are read in chunks and looked at one by one, until the page is full or `reads.rows` have
 * been read.
 */
export async function listDevicesTaken(
  tx: Tx,
  filter: DeviceFilter,
  specs: readonly AliasSpec[],
  page: { readonly after: string | null; readonly limit: number },
  reads: ReadLimits = READ_LIMITS,
): Promise<TakenDevices> {
  if (filter.offered === false) return { rows: [], continueAfter: null };
  const narrowed = { ...filter, offered: true, vendorIds: vendorsOf(specs) };
  const taken: DeviceRow[] = [];
  let after = page.after;
  for (let read = 0; read < reads.rows; read += reads.chunk) {
    const rows = await listDevices(tx, narrowed, { after, limit: reads.chunk });
    taken.push(...rows.filter((row) => isTaken(row, specs)));
    if (taken.length > page.limit) {
      const shown = taken.slice(0, page.limit);
      return { rows: shown, continueAfter: shown.at(-1)?.id ?? null };
    }
    after = rows.at(-1)?.id ?? null;
    if (rows.length < reads.chunk) return { rows: taken, continueAfter: null };
  }
  return { rows: taken, continueAfter: after };
}

/** Every device that the specs take has one of these vendors; null: any. Spares looking at all others. */
function vendorsOf(specs: readonly AliasSpec[]): readonly string[] | null {
  const vendors = specs.map((spec) => spec.vendorId);
  return vendors.includes(null) ? null : [...new Set(vendors as string[])];
}

function isTaken(row: DeviceRow, specs: readonly AliasSpec[]): boolean {
  const device = fromWireDevice(row.facts);
  if (device.offer === null) return false;
  const { tags, resourceClass, traits } = device.offer;
  const candidate = { ...device, tags, resourceClass, traits, attributes: attributesOf(device) };
  return aliasMatches(specs, candidate);
}

export async function findDevice(tx: Tx, id: string): Promise<DeviceRow | null> {
  const rows = await tx.query<DeviceRow[]>(`${DEVICES} WHERE d.id = $1`, [id]);
  return rows[0] ?? null;
}

/** Offered devices of these hosts, in order of host name and address. */
export async function listPoolDevices(tx: Tx, hostIds: readonly string[]): Promise<PoolDeviceRow[]> {
  return tx.query(
    `SELECT h.name AS host_name, d.address, d.vendor_id, d.product_id, d.device_type, d.numa_node,
            d.facts ->> 'parent_address' AS parent_address, d.facts #> '{offer,tags}' AS tags, d.status,
            d.missing_since IS NOT NULL AS missing
     FROM devices d JOIN hosts h ON h.id = d.host_id
     WHERE d.host_id = ANY($1) AND d.offered AND d.status <> 'removed'
     ORDER BY h.name, length(d.address), d.address`,
    [hostIds],
  );
}

/** WHERE, grown one condition at a time. */
class Conditions {
  readonly values: unknown[] = [];
  private readonly texts: string[] = [];

  add(text: (parameter: string) => string, value: unknown): void {
    this.texts.push(text(this.parameter(value)));
  }

  parameter(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  where(): string {
    return this.texts.length === 0 ? '' : `WHERE ${this.texts.join(' AND ')}`;
  }
}

/** `h.name >=` alone lets the database begin at the marker's host. */
function comesAfter(parameter: string): string {
  const marker = (columns: string): string =>
    `(SELECT ${columns} FROM devices md JOIN hosts mh ON mh.id = md.host_id WHERE md.id = ${parameter}::uuid)`;
  return `h.name >= ${marker('mh.name')}
    AND (h.name, length(d.address), d.address) > ${marker('mh.name, length(md.address), md.address')}`;
}
