import { ratiosOf } from '../allocation-ratios.js';
import type { Reason } from '../decision.js';
import type { AllocationRatios, HostSnapshot, PlacementPolicy, Resources } from '../snapshot.js';
import { aggregateNumber } from './aggregate-metadata.js';
import type { Filter, FilterContext, JudgedRequest } from './filter.js';

/** One of the three plain resources. */
interface Resource {
  readonly field: keyof Resources;
  readonly ratio: keyof AllocationRatios;
  /** Of nova.conf, and of aggregate metadata. */
  readonly ratioKey: string;
  /** Of reason codes. */
  readonly noun: string;
  readonly unit: string;
  readonly roomOf: (host: HostSnapshot, request: JudgedRequest, ratio: number) => Room;
}

/** What a host may give out, and what of it is left. */
interface Room {
  readonly total: number;
  readonly free: number;
}

const CPU: Resource = {
  ...{ field: 'vcpus', ratio: 'cpu', ratioKey: 'cpu_allocation_ratio', noun: 'vcpus', unit: 'vCPUs' },
  roomOf: cpuRoom,
};
const RAM: Resource = {
  ...{ field: 'memoryMb', ratio: 'ram', ratioKey: 'ram_allocation_ratio', noun: 'memory', unit: 'MiB of memory' },
  roomOf: (host, _request, ratio) => plainRoom(host, 'memoryMb', ratio),
};
const DISK: Resource = {
  ...{ field: 'diskGb', ratio: 'disk', ratioKey: 'disk_allocation_ratio', noun: 'disk', unit: 'GiB of disk' },
  roomOf: (host, _request, ratio) => plainRoom(host, 'diskGb', ratio),
};

/** vCPUs left, with `cpu_allocation_ratio`. */
export const coreFilter = resourceFilter('CoreFilter', CPU, false);
/** Memory left, with `ram_allocation_ratio`. */
export const ramFilter = resourceFilter('RamFilter', RAM, false);
/** Disk left, with `disk_allocation_ratio`. */
export const diskFilter = resourceFilter('DiskFilter', DISK, false);
/** The same with the ratio that an aggregate of the host says (the least, of several). */
export const aggregateCoreFilter = resourceFilter('AggregateCoreFilter', CPU, true);
export const aggregateRamFilter = resourceFilter('AggregateRamFilter', RAM, true);
export const aggregateDiskFilter = resourceFilter('AggregateDiskFilter', DISK, true);

function resourceFilter(name: string, resource: Resource, byAggregate: boolean): Filter {
  const ratioOn = (host: HostSnapshot, policy: PlacementPolicy): number => {
    const said = byAggregate ? aggregateNumber(host, resource.ratioKey) : null;
    return said !== null && said > 0 ? said : ratiosOf(host, policy)[resource.ratio];
  };
  const roomOn = (host: HostSnapshot, { request, policy }: FilterContext): Room =>
    resource.roomOf(host, request, ratioOn(host, policy));
  return {
    name,
    passes: (host, context) => {
      const wanted = context.request[resource.field];
      return wanted === 0 || (wanted <= host.capacity[resource.field] && wanted <= roomOn(host, context).free);
    },
    explain: (host, context) => reasonsOf(resource, context.request[resource.field], host, roomOn(host, context)),
  };
}

/** A ratio lets servers share, but none is larger than the host. Source: Nova's filters, Placement's `max_unit`. */
function reasonsOf({ field, noun, unit }: Resource, wanted: number, host: HostSnapshot, room: Room): Reason[] {
  const capacity = host.capacity[field];
  const free = Math.max(0, room.free);
  const { total } = room;
  if (wanted === 0) return [];
  if (wanted > room.free) {
    const message = `${wanted} ${unit} wanted, ${free} of ${total} free`;
    return [{ code: `${noun}.not_enough`, message, details: { wanted, free, total } }];
  }
  if (wanted <= capacity) return [];
  const message = `${wanted} ${unit} wanted, the host has ${capacity}, whatever the allocation ratio`;
  return [{ code: `${noun}.larger_than_host`, message, details: { wanted, free, total, capacity } }];
}

function plainRoom({ capacity, reserved, used }: HostSnapshot, field: keyof Resources, ratio: number): Room {
  const total = Math.floor((capacity[field] - reserved[field]) * ratio);
  return { total, free: total - used[field] };
}

/** CPUs that are a server's own are shared by nobody: the ratio is for the others. */
function cpuRoom({ capacity, reserved, used, servers }: HostSnapshot, request: JudgedRequest, ratio: number): Room {
  const pinned = servers.reduce((sum, { cpuPolicy, vcpus }) => (cpuPolicy === 'dedicated' ? sum + vcpus : sum), 0);
  const shared = used.vcpus - pinned;
  const cpus = capacity.vcpus - reserved.vcpus;
  if (request.cpuPolicy === 'dedicated') return { total: cpus, free: cpus - pinned - Math.ceil(shared / ratio) };
  const total = Math.floor((cpus - pinned) * ratio);
  return { total, free: total - shared };
}
