import { DEFAULT_ZONE, PLAIN_HOST } from '../placement/host-defaults.js';
import type { GuestCell } from '../placement/request.js';
import type { HostAggregate, HostedServer, HostSnapshot, Resources } from '../placement/snapshot.js';
import type { Tx } from './database.js';

/** What a decision knows of a host that others say: which servers it has, and where it belongs. */
export type HostSite = Pick<HostSnapshot, 'used' | 'servers' | 'aggregates' | 'availabilityZone'>;

const NOTHING: Resources = { vcpus: 0, memoryMb: 0, diskGb: 0 };

/** Of a host with no server and in no aggregate. */
export const NOWHERE: HostSite = {
  used: NOTHING,
  servers: PLAIN_HOST.servers,
  aggregates: PLAIN_HOST.aggregates,
  availabilityZone: DEFAULT_ZONE,
};

/** Reads the sites of hosts, in two statements; a host with none is left out. */
export async function readSites(tx: Tx, hostIds: readonly string[]): Promise<ReadonlyMap<string, HostSite>> {
  const sites = new Map<string, HostSite>();
  const change = (hostId: string, differing: Partial<HostSite>): void => {
    sites.set(hostId, { ...(sites.get(hostId) ?? NOWHERE), ...differing });
  };
  for (const [hostId, servers] of await readServers(tx, hostIds)) {
    change(hostId, { servers, used: servers.reduce(plus, NOTHING) });
  }
  for (const [hostId, membership] of await readMemberships(tx, hostIds)) change(hostId, membership);
  return sites;
}

/** Which servers hosts have, and what these take; of each of the hosts. */
export async function readTakenResources(
  tx: Tx,
  hostIds: readonly string[],
): Promise<ReadonlyMap<string, Pick<HostSite, 'used' | 'servers'>>> {
  const byHost = await readServers(tx, hostIds);
  return new Map(
    hostIds.map((hostId) => {
      const servers = byHost.get(hostId);
      if (!servers) return [hostId, { used: NOWHERE.used, servers: NOWHERE.servers }];
      return [hostId, { used: servers.reduce(plus, NOTHING), servers }];
    }),
  );
}

interface ServerRow {
  readonly host_id: string;
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly disk_gb: number;
  readonly numa_cells: readonly number[] | null;
  readonly guest_cells: readonly GuestCell[] | null;
  readonly cpu_policy: 'shared' | 'dedicated' | null;
  readonly group_id: string | null;
  readonly priority: number;
  readonly preemptible: boolean;
  readonly settled: boolean;
}

/** A server that was sent elsewhere holds its devices until they are given back, but is no member of its group there. */
async function readServers(tx: Tx, hostIds: readonly string[]): Promise<Map<string, HostedServer[]>> {
  const rows = (await tx.query(
    `SELECT c.host_id, s.id, s.name, s.project_id, c.vcpus, c.memory_mb, c.disk_gb, c.numa_cells,
            s.request -> 'guestCells' AS guest_cells, s.request ->> 'cpuPolicy' AS cpu_policy,
            CASE WHEN s.host_id = c.host_id THEN s.group_id END AS group_id, s.priority, s.preemptible,
            c.status = 'allocated' AND s.status = 'ACTIVE' AND s.task_state IS NULL AS settled
       FROM claims c JOIN servers s ON s.id = c.server_id
      WHERE c.host_id = ANY($1) AND c.status <> 'released' AND c.kind = 'server'
      ORDER BY s.id, c.id`,
    [hostIds],
  )) as ServerRow[];
  return grouped(rows.map((row) => [row.host_id, hostedServer(row)]));
}

function hostedServer(row: ServerRow): HostedServer {
  return {
    id: row.id,
    name: row.name,
    projectId: row.project_id,
    vcpus: row.vcpus,
    memoryMb: row.memory_mb,
    diskGb: row.disk_gb,
    // where a server roams nothing hangs on the node that its devices are on
    numaCells: row.guest_cells === null && row.cpu_policy !== 'dedicated' ? null : row.numa_cells,
    guestCells: row.guest_cells,
    cpuPolicy: row.cpu_policy ?? 'shared',
    groupId: row.group_id,
    priority: row.priority,
    preemptible: row.preemptible,
    settled: row.settled,
  };
}

interface AggregateRow extends HostAggregate {
  readonly availability_zone: string | null;
  readonly host_ids: readonly string[];
}

type Membership = Pick<HostSite, 'aggregates' | 'availabilityZone'>;

/** Each aggregate is one object, and hosts of the same aggregates share the list of them. */
async function readMemberships(tx: Tx, hostIds: readonly string[]): Promise<Map<string, Membership>> {
  const rows = (await tx.query(
    `SELECT a.name, a.availability_zone, a.metadata, array_agg(m.host_id::text) AS host_ids
       FROM aggregates a JOIN aggregate_hosts m ON m.aggregate_id = a.id
      WHERE m.host_id = ANY($1) GROUP BY a.id`,
    [hostIds],
  )) as AggregateRow[];
  const inOrder = rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  const shown = inOrder.map(({ name, metadata }): HostAggregate => ({ name, metadata }));
  const places = grouped(inOrder.flatMap(({ host_ids }, place) => host_ids.map((id) => [id, place] as const)));
  const known = new Map<string, Membership>();
  return new Map(
    [...places].map(([hostId, own]) => {
      const key = own.join();
      const zone = own.map((place) => inOrder[place]?.availability_zone ?? null).find((name) => name !== null);
      const membership = known.get(key) ?? {
        aggregates: own.flatMap((place) => shown[place] ?? []),
        availabilityZone: zone ?? DEFAULT_ZONE,
      };
      known.set(key, membership);
      return [hostId, membership];
    }),
  );
}

function grouped<T>(entries: readonly (readonly [string, T])[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const [key, value] of entries) {
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}

function plus(used: Resources, part: Resources): Resources {
  return {
    vcpus: used.vcpus + part.vcpus,
    memoryMb: used.memoryMb + part.memoryMb,
    diskGb: used.diskGb + part.diskGb,
  };
}
