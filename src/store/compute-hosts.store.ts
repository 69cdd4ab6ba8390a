import type { WireCapabilities, WireResources } from '../messages/bodies.js';
import { DEFAULT_ZONE } from '../placement/host-defaults.js';
import type { Tx } from './database.js';
import { EFFECTIVE_STATUS } from './host-admin.store.js';

/** A host as clients of Nova see it: a compute service, and a hypervisor. Read only. */
export interface ComputeHostRow {
  readonly id: string;
  readonly number: number;
  readonly name: string;
  readonly status: 'up' | 'down';
  readonly enabled: boolean;
  readonly disabled_reason: string | null;
  readonly forced_down: boolean;
  readonly last_seen_at: Date;
  readonly zone: string;
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly disk_gb: number;
  readonly reserved: WireResources | null;
  readonly cell_count: number;
  readonly capabilities: WireCapabilities | null;
  readonly ip_address: string | null;
  readonly booted_at: Date | null;
  /** Claimed and allocated, by all servers and placements. */
  readonly used_vcpus: number;
  readonly used_memory_mb: number;
  readonly used_disk_gb: number;
  /** Servers that are there or on their way, and those of them with something under way. */
  readonly server_count: number;
  readonly busy_count: number;
}

export interface ComputeHostFilter {
  readonly id?: string;
  readonly number?: number;
  readonly name?: string;
  /** Part of the name, in any case. */
  readonly match?: string;
  readonly zone?: string;
  readonly enabled?: boolean;
  /** Those with a higher number than this host. */
  readonly after?: number;
}

/** So many hosts are in one answer that has no pages. */
export const COMPUTE_HOSTS_MAX = 20_000;

/** In the order in which they became known. */
export async function listComputeHosts(
  tx: Tx,
  filter: ComputeHostFilter = {},
  limit = COMPUTE_HOSTS_MAX,
): Promise<ComputeHostRow[]> {
  const { id = null, number = null, name = null, match = null, zone = null, enabled = null, after = null } = filter;
  return tx.query(
    `SELECT h.id, h.number, h.name, ${EFFECTIVE_STATUS} AS status, h.enabled, h.disabled_reason, h.forced_down,
            h.last_seen_at, site.zone, h.vcpus, h.memory_mb, h.disk_gb, h.capabilities, h.ip_address, h.booted_at,
            coalesce(h.reserved, h.reported_reserved) AS reserved, jsonb_array_length(h.numa_cells) AS cell_count,
            coalesce(used.vcpus, 0)::int AS used_vcpus, coalesce(used.memory_mb, 0)::bigint AS used_memory_mb,
            coalesce(used.disk_gb, 0)::bigint AS used_disk_gb, used.servers AS server_count, used.busy AS busy_count
       FROM hosts h
       CROSS JOIN LATERAL (
         SELECT coalesce((SELECT min(a.availability_zone) FROM aggregate_hosts m JOIN aggregates a ON a.id = m.aggregate_id
                           WHERE m.host_id = h.id), '${DEFAULT_ZONE}') AS zone
       ) site
       LEFT JOIN LATERAL (
         SELECT sum(c.vcpus) AS vcpus, sum(c.memory_mb) AS memory_mb, sum(c.disk_gb) AS disk_gb,
                count(*) FILTER (WHERE ${IS_THERE})::int AS servers,
                count(*) FILTER (WHERE ${IS_THERE} AND s.task_state IS NOT NULL)::int AS busy
           FROM claims c JOIN servers s ON s.id = c.server_id WHERE c.host_id = h.id AND c.status <> 'released'
       ) used ON true
      WHERE ($1::uuid IS NULL OR h.id = $1) AND ($2::bigint IS NULL OR h.number = $2) AND ($3::text IS NULL OR h.name = $3)
        AND ($4::text IS NULL OR strpos(lower(h.name), lower($4)) > 0) AND ($5::text IS NULL OR site.zone = $5)
        AND ($6::boolean IS NULL OR h.enabled = $6) AND ($7::bigint IS NULL OR h.number > $7)
      ORDER BY h.number LIMIT $8`,
    [id, number, name, match, zone, enabled, after, limit],
  );
}

/** A server `s` by its claim `c` of the host: one has only one such claim. */
const IS_THERE = `s.kind = 'server' AND c.kind = 'server' AND c.status IN ('claimed', 'allocated')`;

export interface HostedServer {
  readonly id: string;
  readonly name: string;
}

/** The servers of hosts by their ids, oldest first. */
export async function readHostedServers(
  tx: Tx,
  hostIds: readonly string[],
): Promise<Map<string, readonly HostedServer[]>> {
  const rows = await tx.query<(HostedServer & { host_id: string })[]>(
    `SELECT c.host_id, s.id, s.name FROM claims c JOIN servers s ON s.id = c.server_id
      WHERE c.host_id = ANY($1) AND ${IS_THERE} ORDER BY s.created_at, s.id`,
    [hostIds],
  );
  const byHost = new Map<string, HostedServer[]>(hostIds.map((hostId) => [hostId, []]));
  for (const { host_id: hostId, id, name } of rows) byHost.get(hostId)?.push({ id, name });
  return byHost;
}

export interface ProjectUsage {
  readonly project_id: string;
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly disk_gb: number;
}

/** What projects have of a host, in the projects' order. */
export async function usageByProject(tx: Tx, hostId: string): Promise<ProjectUsage[]> {
  return tx.query(
    `SELECT s.project_id, sum(c.vcpus)::int AS vcpus, sum(c.memory_mb)::bigint AS memory_mb, sum(c.disk_gb)::bigint AS disk_gb
       FROM claims c JOIN servers s ON s.id = c.server_id WHERE c.host_id = $1 AND c.status <> 'released'
      GROUP BY s.project_id ORDER BY s.project_id`,
    [hostId],
  );
}
