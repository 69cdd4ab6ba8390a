import type { UsedServer } from '../../../store/server-usage.store.js';
import { stamp } from './stamp.js';

const HOUR_MS = 3_600_000;

/** A window of time, and what time it is. */
export interface UsageTimes {
  readonly start: Date;
  readonly stop: Date;
  readonly now: Date;
}

/**
 * What the projects of some servers used in a window, in the order of the servers.
 *
 * @param detailed whether each server is told
 */
export function usageViews(servers: readonly UsedServer[], times: UsageTimes, detailed: boolean): object[] {
  const projects = [...new Set(servers.map((server) => server.project_id))];
  return projects.map((project) => {
    const own = servers.filter((server) => server.project_id === project);
    const total = (of: (server: UsedServer) => number): number =>
      own.reduce((sum, server) => sum + of(server) * hoursOf(server, times), 0);
    return {
      tenant_id: project,
      ...(detailed ? { server_usages: own.map((server) => serverUsage(server, times)) } : {}),
      total_hours: total(() => 1),
      total_vcpus_usage: total(({ vcpus }) => vcpus),
      total_memory_mb_usage: total(({ memory_mb }) => memory_mb),
      total_local_gb_usage: total(({ disk_gb }) => disk_gb),
      ...{ start: stamp(times.start), stop: stamp(times.stop) },
    };
  });
}

/** How long a server was there within the window. */
function hoursOf({ started_at, ended_at }: UsedServer, { start, stop }: UsageTimes): number {
  const from = Math.max(started_at.getTime(), start.getTime());
  const to = Math.min(ended_at?.getTime() ?? Infinity, stop.getTime());
  return Math.max(0, to - from) / HOUR_MS;
}

const STATES = {
  BUILD: 'building',
  ACTIVE: 'active',
  ERROR: 'error',
  SHELVED: 'shelved_offloaded',
  DELETING: 'active',
  DELETED: 'terminated',
} as const;

function serverUsage(server: UsedServer, times: UsageTimes): object {
  const { id, name, project_id, status, flavor, vcpus, memory_mb, disk_gb, started_at, ended_at } = server;
  return {
    ...{ instance_id: id, name, tenant_id: project_id, flavor: flavor?.name ?? '', state: STATES[status] },
    ...{ vcpus, memory_mb, local_gb: disk_gb, hours: hoursOf(server, times) },
    ...{ started_at: stamp(started_at), ended_at: ended_at && stamp(ended_at) },
    uptime: Math.floor(((ended_at ?? times.now).getTime() - started_at.getTime()) / 1000),
  };
}
