import type { ComputeHostRow, HostedServer } from '../../../store/compute-hosts.store.js';

/** From this minor version on hosts have UUIDs, and their servers are asked for by parameter. */
export const UUIDS_SINCE = 53;
/** From this minor version on nothing is said of what is used; that is Placement's. */
export const NO_USAGE_SINCE = 88;

/** What of a host depends on the question, not on the host. */
export interface HypervisorQuestion {
  readonly minor: number;
  readonly now: Date;
  /** By the hosts' ids; null: nobody asked for servers. */
  readonly servers: ReadonlyMap<string, readonly HostedServer[]> | null;
}

/** The id of a host in this version: a small number, or its UUID. */
export function hostIdOf({ id, number }: Pick<ComputeHostRow, 'id' | 'number'>, minor: number): string | number {
  return minor >= UUIDS_SINCE ? id : number;
}

/** A hypervisor in a list. */
export function hypervisorView(host: ComputeHostRow, { minor, servers }: HypervisorQuestion): object {
  const here = servers?.get(host.id) ?? [];
  const isShown = here.length > 0 || (servers !== null && minor >= 75);
  return {
    id: hostIdOf(host, minor),
    hypervisor_hostname: host.name,
    state: host.status,
    status: host.enabled ? 'enabled' : 'disabled',
    ...(isShown ? { servers: here.map(({ id, name }) => ({ uuid: id, name })) } : {}),
  };
}

export function hypervisorDetailView(host: ComputeHostRow, question: HypervisorQuestion): object {
  const { minor, now } = question;
  return {
    ...hypervisorView(host, question),
    hypervisor_type: host.capabilities?.hypervisor_type ?? 'unknown',
    hypervisor_version: host.capabilities?.hypervisor_version ?? 0,
    host_ip: host.ip_address,
    service: { id: hostIdOf(host, minor), host: host.name, disabled_reason: host.disabled_reason },
    // clients stumble over null here, though Nova writes it
    ...(minor >= NO_USAGE_SINCE ? { uptime: uptimeOf(host, now) ?? '' } : usageOf(host, minor)),
  };
}

export function hypervisorUptimeView(host: ComputeHostRow, question: HypervisorQuestion, uptime: string): object {
  return { ...hypervisorView(host, question), uptime };
}

/** Sums of hosts; those that are disabled do not count. */
export function statisticsView(hosts: readonly ComputeHostRow[]): object {
  const enabled = hosts.filter((host) => host.enabled).map(figuresOf);
  const sumOf = (key: keyof ReturnType<typeof figuresOf>): number =>
    enabled.reduce((sum, figures) => sum + figures[key], 0);
  return {
    count: enabled.length,
    ...{ vcpus: sumOf('vcpus'), memory_mb: sumOf('memory_mb'), local_gb: sumOf('local_gb') },
    vcpus_used: sumOf('vcpus_used'),
    memory_mb_used: sumOf('memory_mb_used'),
    local_gb_used: sumOf('local_gb_used'),
    free_ram_mb: sumOf('free_ram_mb'),
    free_disk_gb: sumOf('free_disk_gb'),
    current_workload: sumOf('current_workload'),
    running_vms: sumOf('running_vms'),
    disk_available_least: null,
  };
}

/** How long a host runs, as `uptime` says it; null: not known, as of a host that is down. */
export function uptimeOf({ status, booted_at }: ComputeHostRow, now: Date): string | null {
  if (status === 'down' || booted_at === null) return null;
  const minutes = Math.max(0, Math.floor((now.getTime() - booted_at.getTime()) / 60_000));
  const days = Math.floor(minutes / 1440);
  const daysUp = days === 0 ? '' : `${days} ${days === 1 ? 'day' : 'days'}, `;
  const clock = `${Math.floor((minutes % 1440) / 60)}:${String(minutes % 60).padStart(2, '0')}`;
  return `${now.toISOString().slice(11, 19)} up ${daysUp}${clock}`;
}

function usageOf(host: ComputeHostRow, minor: number): object {
  const cpuInfo = cpuInfoOf(host);
  return {
    ...figuresOf(host),
    disk_available_least: null,
    cpu_info: minor >= 28 ? cpuInfo : JSON.stringify(cpuInfo),
  };
}

/** What is kept for the host itself is used, to Nova. */
function figuresOf(host: ComputeHostRow) {
  const used = {
    vcpus_used: host.used_vcpus + (host.reserved?.vcpus ?? 0),
    memory_mb_used: host.used_memory_mb + (host.reserved?.memory_mb ?? 0),
    local_gb_used: host.used_disk_gb + (host.reserved?.disk_gb ?? 0),
  };
  return {
    ...{ vcpus: host.vcpus, memory_mb: host.memory_mb, local_gb: host.disk_gb, ...used },
    free_ram_mb: host.memory_mb - used.memory_mb_used,
    free_disk_gb: host.disk_gb - used.local_gb_used,
    current_workload: host.busy_count,
    running_vms: host.server_count,
  };
}

function cpuInfoOf({ capabilities, cell_count }: ComputeHostRow): object {
  const { architecture = null, cpu_features: features = [] } = capabilities ?? {};
  return { ...(architecture === null ? {} : { arch: architecture }), features, topology: { cells: cell_count } };
}
