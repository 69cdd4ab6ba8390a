import { novaCellChoices } from '../src/placement/nova/cells.js';
import { NovaPools } from '../src/placement/nova/pools.js';
import { poolRequestOf, type RequestInput } from './stats.js';

interface HostInput {
  readonly name: string;
  readonly numa_topology: readonly { id: number; socket: number | null; cpus: number; memory_mb: number }[] | null;
  readonly pools: readonly Readonly<Record<string, unknown>>[] | null;
}

interface FilterInput {
  readonly hosts: readonly HostInput[];
  readonly requests: readonly RequestInput[];
  readonly instance_cells: readonly { readonly cpus: number; readonly memory_mb: number }[] | null;
}

/** Hosts that pass. */
export function answerFilter({ hosts, requests, instance_cells: cells }: FilterInput): unknown {
  const fits = new Map(hosts.map((host) => [host.name, cells && fitOf(host, requests, cells)]));
  const passes = (host: HostInput): boolean => cells === null || fits.get(host.name) !== null;
  return {
    PciPassthroughFilter: hosts.filter((host) => passesPci(host, requests)).map(({ name }) => name),
    NUMATopologyFilter: hosts.filter(passes).map(({ name }) => name),
    ...(cells === null ? {} : { fit: Object.fromEntries(fits) }),
    ...(cells === null ? {} : { fit_exists: Object.fromEntries([...fits].map(([name, fit]) => [name, fit !== null])) }),
  };
}

function passesPci(host: HostInput, requests: readonly RequestInput[]): boolean {
  if (requests.length === 0) return true;
  return poolsOf(host)?.supports(requests.map(poolRequestOf), null) ?? false;
}

function fitOf(
  host: HostInput,
  inputs: readonly RequestInput[],
  cells: NonNullable<FilterInput['instance_cells']>,
): readonly number[] | null {
  if (!host.numa_topology) return null;
  const pools = poolsOf(host);
  const requests = inputs.map(poolRequestOf);
  const hostCells = host.numa_topology.map(({ id, cpus, memory_mb }) => ({ id, cpus, memoryMb: memory_mb }));
  const guestCells = cells.map(({ cpus, memory_mb }) => ({ vcpus: cpus, memoryMb: memory_mb }));
  for (const choice of novaCellChoices(hostCells, guestCells, pools?.pools ?? null, requests.length > 0)) {
    if (!pools || requests.length === 0 || pools.supports(requests, choice)) return choice;
  }
  return null;
}

function poolsOf({ pools, numa_topology }: HostInput): NovaPools | null {
  if (!pools) return null;
  const counted = pools.map(({ count, ...key }) => ({ key, count: count as number }));
  return NovaPools.counted(counted, numa_topology);
}
