import { randomUUID } from 'node:crypto';
import pg from 'pg';
import request, { type Agent } from 'supertest';
import { loadSettings } from '../../src/settings/load-settings.js';
import type { AuthSettings, HttpSettings } from '../../src/settings/settings.js';
import { createApi } from '../../src/api/create-api.js';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { createTestDatabase } from './postgres.js';

/** The REST face on a database of its own, without scheduler and agents. */
export interface RestApi {
  readonly http: Agent;
  /** What the scheduler and agents would write. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  readonly databaseUrl: string;
  close(): Promise<void>;
}

export const PAGE_SIZE_MAX = 50;
export const BODY_BYTES_MAX = 65_536;

/**
 * @param serverUrl a Postgres in which databases can be created
 * @param auth how it finds out who asks; left out: everybody is the administrator
 * @param http what differs from the defaults of its HTTP face
 */
export async function startRestApi(
  serverUrl: string,
  auth: Partial<AuthSettings> = {},
  http: Partial<HttpSettings> = {},
): Promise<RestApi> {
  const { settings } = loadSettings({ files: [], env: {} });
  const database = await createTestDatabase(serverUrl);
  const app = await createApi(
    {
      database: { url: database.url, poolMax: 8 },
      http: { ...settings.http, port: 0, bodyBytesMax: BODY_BYTES_MAX, pageSizeMax: PAGE_SIZE_MAX, ...http },
      auth: { ...settings.auth, ...auth },
      scheduler: {
        ...settings.scheduler,
        compat: 'strict',
        tieBreak: 'name',
        filters: ['ComputeFilter', 'PciPassthroughFilter'],
        weigherMultipliers: {},
        cpuAllocationRatio: 16,
        ramAllocationRatio: 1,
        diskAllocationRatio: 1,
      },
      pci: { exclusiveTags: ['physical_network'] },
    },
    { logger: false },
  );
  await app.listen(0, '127.0.0.1');
  const pool = new pg.Pool({ connectionString: database.url, max: 4 });
  pool.on('error', () => undefined); // tests end connections on purpose
  return {
    http: request.agent(await app.getUrl()),
    sql: async <Row>(text: string, values: unknown[] = []) => (await pool.query(text, values)).rows as Row[],
    databaseUrl: database.url,
    close: async () => {
      await app.close();
      await pool.end();
      await database.drop();
    },
  };
}

export interface HostSketch {
  readonly name: string;
  readonly kernelKind?: 'live' | 'simulated';
  readonly status?: 'up' | 'down';
  readonly devices?: readonly Partial<WireDevice>[];
}

/** Writes a host and its devices as if its agent had reported. */
export async function insertHost(api: RestApi, sketch: HostSketch): Promise<{ id: string; deviceIds: string[] }> {
  const id = randomUUID();
  await api.sql(
    `INSERT INTO hosts (id, name, status, epoch, report_sequence, report_hash, generation, last_seen_at, vcpus,
                        memory_mb, disk_gb, numa_cells, kernel, kernel_kind, read_only, agent_version)
     VALUES ($1, $2, $3, 1, 1, '', 1, now(), 64, 262144, 1000, $4, 'Linux 6.1', $5, false, '0.1.0')`,
    [
      id,
      sketch.name,
      sketch.status ?? 'up',
      JSON.stringify([0, 1].map((cell) => ({ id: cell, cpus: 32, memory_mb: 131_072, socket: cell }))),
      sketch.kernelKind ?? 'live',
    ],
  );
  const deviceIds: string[] = [];
  for (const device of sketch.devices ?? []) deviceIds.push(await insertDevice(api, id, wireDevice(device)));
  return { id, deviceIds };
}

async function insertDevice(api: RestApi, hostId: string, facts: WireDevice): Promise<string> {
  const id = randomUUID();
  await api.sql(
    `INSERT INTO devices (id, host_id, address, vendor_id, product_id, device_type, numa_node, iommu_group, offered,
                          status, facts, parent_address)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'available', $10, $11)`,
    [
      id,
      hostId,
      facts.address,
      facts.vendor_id,
      facts.product_id,
      facts.device_type,
      facts.numa_node,
      facts.iommu_group,
      facts.offer !== null,
      JSON.stringify(facts),
      facts.parent_address,
    ],
  );
  return id;
}

/** A P5000, offered, alone in IOMMU group 25, but for what is said. */
export function wireDevice(differing: Partial<WireDevice>): WireDevice {
  return {
    address: '0000:83:00.0',
    vendor_id: '10de',
    product_id: '1bb0',
    class_code: '030000',
    subsystem_vendor_id: '10de',
    subsystem_product_id: '11b2',
    revision: 'a1',
    device_type: 'type-PCI',
    parent_address: null,
    numa_node: 1,
    driver: null,
    iommu_group: 25,
    sriov: null,
    netdevs: [],
    pcie_path: ['pci0000:80', '0000:80:02.0'],
    link: { current_speed: '8.0 GT/s PCIe', max_speed: '8.0 GT/s PCIe', current_width: 16, max_width: 16 },
    reset_methods: ['bus'],
    offer: { entry: 0, tags: {}, resource_class: null, traits: [] },
    not_offered: null,
    ...differing,
  };
}

/** Gives devices to a server, as the scheduler and the agent would have. */
export async function insertAllocations(
  api: RestApi,
  claim: {
    readonly serverId: string;
    readonly hostId: string;
    readonly active: boolean;
    readonly devices: readonly { readonly id: string; readonly alias: string | null; readonly iommuGroup?: number }[];
  },
): Promise<void> {
  const { serverId, hostId, active, devices } = claim;
  const claimId = randomUUID();
  await api.sql(`UPDATE servers SET status = $2, task_state = $3, host_id = $4, attempts = 1 WHERE id = $1`, [
    serverId,
    active ? 'ACTIVE' : 'BUILD',
    active ? null : 'preparing',
    hostId,
  ]);
  await api.sql(
    `INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb, numa_cells)
     VALUES ($1, $2, $3, 1, $4, 4, 8192, 40, '[1]')`,
    [claimId, serverId, hostId, active ? 'allocated' : 'claimed'],
  );
  for (const device of devices) {
    await api.sql(
      `INSERT INTO allocations (id, claim_id, server_id, device_id, alias, request_index, binding)
       SELECT $1, $2, $3, d.id, $4, $5, CASE WHEN $6 THEN json_build_object('address', d.address, 'driver', 'vfio-pci',
                'original_driver', 'nvidia', 'iommu_group', d.iommu_group) END
       FROM devices d WHERE d.id = $7`,
      [randomUUID(), claimId, serverId, device.alias, device.alias === null ? null : 0, active, device.id],
    );
    await api.sql(`UPDATE devices SET status = $2 WHERE id = $1`, [device.id, active ? 'allocated' : 'claimed']);
  }
}
