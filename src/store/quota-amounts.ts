import type { ChosenDevice, Decision, Rejection } from '../placement/decision.js';
import type { DeviceRequest, PlacementRequest } from '../placement/request.js';
import type { Fault } from './entities/workload.entities.js';

/** How much of each resource: `servers`, `vcpus`, `memory_mb`, `disk_gb`, `devices`, `alias:NAME`, `class:…`. */
export type Amounts = ReadonlyMap<string, number>;

/** The resources that every project has some of; the others are by alias and class. */
export const PLAIN_RESOURCES = ['servers', 'vcpus', 'memory_mb', 'disk_gb', 'devices'] as const;

/** A resource of which a project would have more than it may. */
export interface QuotaExcess {
  readonly projectId: string;
  readonly resource: string;
  readonly limit: number;
  /** Without what is wanted. */
  readonly used: number;
  readonly wanted: number;
}

/** What a server takes that is placed with these devices; without their classes, which the ledger knows. */
export function amountsOfPlacement(request: PlacementRequest, devices: readonly ChosenDevice[]): Amounts {
  return new Map([...amountsOfSize(request), ...amountsOfDevices(devices)]);
}

/** Of devices that were chosen. A companion counts as a device and for its class, and for no alias: nobody asked for it. */
export function amountsOfDevices(devices: readonly Pick<ChosenDevice, 'alias' | 'requestIndex'>[]): Amounts {
  return countedDevices(
    devices.map(({ alias, requestIndex }) => ({ alias: requestIndex === null ? null : alias, count: 1 })),
  );
}

/** The least that a server of this request takes, wherever it is placed. */
export function amountsOfRequest(request: PlacementRequest): Amounts {
  return new Map([...amountsOfSize(request), ...amountsOfWishes(request.devices)]);
}

/** The least that these requests take: companions are not known yet, and of classes only those that all specs name. */
export function amountsOfWishes(devices: readonly DeviceRequest[]): Amounts {
  const amounts = new Map(countedDevices(devices));
  for (const { specs, count } of devices) {
    for (const resource of classesOf(specs)) amounts.set(resource, (amounts.get(resource) ?? 0) + count);
  }
  return amounts;
}

/** So many of the same. */
export function times(amounts: Amounts, count: number): Amounts {
  return new Map([...amounts].map(([resource, amount]) => [resource, amount * count]));
}

/** What is above a limit, the first in the order of the limits; null: all fits. */
export function excessOf(projectId: string, limits: Amounts, used: Amounts, wanted: Amounts): QuotaExcess | null {
  for (const [resource, limit] of limits) {
    const [has, more] = [used.get(resource) ?? 0, wanted.get(resource) ?? 0];
    if (more > 0 && has + more > limit) return { projectId, resource, limit, used: has, wanted: more };
  }
  return null;
}

export function excessMessage({ projectId, resource, limit, used, wanted }: QuotaExcess): string {
  return `Project ${projectId} is at its quota of ${resource}: the limit is ${limit}, ${used} used, ${wanted} more wanted.`;
}

export function quotaFault(excess: QuotaExcess): Fault {
  return { code: 'quota.exceeded', message: excessMessage(excess), details: detailsOf(excess) };
}

/** Stands where the name of a filter does; it turns down the request, not hosts. */
export const QUOTA_FILTER = 'Quota';

/** The "no" of a quota, before what hosts have against it. */
export function quotaRejection(excess: QuotaExcess, decision: Decision): Rejection {
  const message = excessMessage(excess);
  const others = decision.outcome === 'rejected' ? decision.rejections : [];
  const reason = { code: 'quota.exceeded', message: message.slice(0, -1), details: detailsOf(excess) };
  return {
    outcome: 'rejected',
    message,
    rejections: [{ filter: QUOTA_FILTER, hosts: [], hostCount: 0, reasons: [reason] }, ...others],
    hostsConsidered: decision.hostsConsidered,
  };
}

function detailsOf({ resource, limit, used, wanted }: QuotaExcess): Readonly<Record<string, unknown>> {
  return { resource, limit, used, wanted };
}

function amountsOfSize({ vcpus, memoryMb, diskGb }: PlacementRequest): Amounts {
  return new Map([
    ['servers', 1],
    ['vcpus', vcpus],
    ['memory_mb', memoryMb],
    ['disk_gb', diskGb],
  ]);
}

function countedDevices(devices: readonly { readonly alias: string | null; readonly count: number }[]): Amounts {
  const amounts = new Map<string, number>();
  const add = (resource: string, count: number): void => {
    amounts.set(resource, (amounts.get(resource) ?? 0) + count);
  };
  for (const { alias, count } of devices) {
    add('devices', count);
    if (alias !== null) add(`alias:${alias}`, count);
  }
  return amounts;
}

function classesOf(specs: DeviceRequest['specs']): string[] {
  const classes = new Set(specs.map(({ resourceClass }) => resourceClass));
  const ids = new Set(specs.map(({ vendorId, productId }) => vendorId && productId && `${vendorId}:${productId}`));
  return [classes, ids].flatMap((named) => {
    const [only] = named;
    return named.size === 1 && only ? [`class:${only}`] : [];
  });
}
