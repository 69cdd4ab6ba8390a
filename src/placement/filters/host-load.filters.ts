import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';
import { aggregateNumber, WHOLE_NUMBER } from './aggregate-metadata.js';
import type { Filter } from './filter.js';

/** Nova's defaults of `max_instances_per_host` and `max_io_ops_per_host`. */
const INSTANCES_MAX = 50;
const IO_OPS_MAX = 8;

/** A limit of what a host has at one time: how many there are, and where its limit is said. */
interface Load {
  readonly code: string;
  readonly noun: string;
  /** Of nova.conf, and of aggregate metadata. */
  readonly key: string;
  readonly countOf: (host: HostSnapshot) => number;
  readonly limitOf: (policy: PlacementPolicy) => number;
}

const INSTANCES: Load = {
  code: 'servers.too_many',
  noun: 'server(s)',
  key: 'max_instances_per_host',
  countOf: ({ servers }) => servers.length,
  limitOf: ({ maxInstancesPerHost = INSTANCES_MAX }) => maxInstancesPerHost,
};

const IO_OPS: Load = {
  code: 'io_ops.too_many',
  noun: 'server(s) on the way to or from the host',
  key: 'max_io_ops_per_host',
  countOf: ioOpsOf,
  limitOf: ({ maxIoOpsPerHost = IO_OPS_MAX }) => maxIoOpsPerHost,
};

/** Not more servers on one host than `max_instances_per_host`. */
export const numInstancesFilter = loadFilter('NumInstancesFilter', INSTANCES, false);
/** The same; an aggregate may say another number (the least, of several). */
export const aggregateNumInstancesFilter = loadFilter('AggregateNumInstancesFilter', INSTANCES, true);
/** Not more servers that come or go at one time than `max_io_ops_per_host`. */
export const ioOpsFilter = loadFilter('IoOpsFilter', IO_OPS, false);
/** The same; an aggregate may say another number (the least, of several). */
export const aggregateIoOpsFilter = loadFilter('AggregateIoOpsFilter', IO_OPS, true);

/** What Nova counts as `num_io_ops`: servers that are being built, moved or taken away. */
export function ioOpsOf({ servers }: Pick<HostSnapshot, 'servers'>): number {
  return servers.reduce((count, { settled }) => (settled ? count : count + 1), 0);
}

function loadFilter(name: string, load: Load, byAggregate: boolean): Filter {
  const limitOn = (host: HostSnapshot, policy: PlacementPolicy): number =>
    (byAggregate ? aggregateNumber(host, load.key, WHOLE_NUMBER) : null) ?? load.limitOf(policy);
  return {
    name,
    passes: (host, { policy }) => load.countOf(host) < limitOn(host, policy),
    explain: (host, { policy }) => {
      const [found, most] = [load.countOf(host), limitOn(host, policy)];
      if (found < most) return [];
      const message = `${found} ${load.noun}, at most ${most} (${load.key})`;
      return [{ code: load.code, message, details: { found, max: most } }];
    },
  };
}
