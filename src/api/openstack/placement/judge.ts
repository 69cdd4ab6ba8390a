import { ANY_DEVICE, type AliasSpec } from '../../../pci/alias/alias.js';
import { place } from '../../../placement/place.js';
import type { Decision } from '../../../placement/decision.js';
import {
  DEVICE_REQUESTS_MAX,
  type DeviceRequest,
  DEVICES_PER_SERVER_MAX,
  type PlacementRequest,
} from '../../../placement/request.js';
import type { HostSnapshot, PlacementPolicy } from '../../../placement/snapshot.js';
import { cardsOf, classOf, type Provider } from './provider-tree.js';

/** Provider uuid → class → amount, all of one tree. */
export type Wanted = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** A tag that the devices of a provider have while it is decided on them: the engine knows no providers. Nobody can write it, for its blank. */
const PROVIDER_TAG = 'placement provider';

/** Who wants it. */
export interface Wisher {
  readonly name: string;
  readonly projectId: string;
}

/**
 * Whether a host gives so much of these providers: the engine decides, which knows of IOMMU groups, holds and filters, and which
 * devices they are.
 *
 * @param tree of the host as it is now
 */
export function judge(tree: readonly Provider[], wanted: Wanted, wisher: Wisher, policy: PlacementPolicy): Decision {
  const [{ host }] = tree as [Provider];
  return place({ hosts: [tagged(host)], policy }, requestOf(tree, wanted, wisher, true), []);
}

/** More than the engine takes in one request. */
export function isTooMuch(tree: readonly Provider[], wanted: Wanted): boolean {
  const requests = deviceRequests(tree, wanted, false);
  return (
    requests.length > DEVICE_REQUESTS_MAX ||
    requests.reduce((sum, { count }) => sum + count, 0) > DEVICES_PER_SERVER_MAX
  );
}

/** @param isTied whether devices have to be those of the providers that are named, or only like them */
export function requestOf(
  tree: readonly Provider[],
  wanted: Wanted,
  { name, projectId }: Wisher,
  isTied: boolean,
): PlacementRequest {
  const plain = (resource: string): number =>
    [...wanted.values()].reduce((sum, amounts) => sum + (amounts.get(resource) ?? 0), 0);
  return {
    ...{ serverName: name, projectId, guestCells: null },
    ...{ vcpus: plain('VCPU'), memoryMb: plain('MEMORY_MB'), diskGb: plain('DISK_GB') },
    devices: deviceRequests(tree, wanted, isTied),
  };
}

function deviceRequests(tree: readonly Provider[], wanted: Wanted, isTied: boolean): DeviceRequest[] {
  return tree.flatMap((provider) => {
    const amounts = provider.parent === null ? [] : [...(wanted.get(provider.uuid) ?? [])];
    return amounts.map(([name, count]): DeviceRequest => ({
      ...{ alias: name, count, numaPolicy: 'legacy' },
      specs: specsOf(provider, name, isTied),
    }));
  });
}

/** PFs are given only to who asks for their type: one line for each type that there is. */
function specsOf({ devices, address }: Provider, name: string, isTied: boolean): AliasSpec[] {
  const types = new Set(devices.filter((device) => classOf(device) === name).map(({ deviceType }) => deviceType));
  return [...types].map((deviceType) => ({
    ...ANY_DEVICE,
    ...{ deviceType, resourceClass: name, withoutTags: ['physical_network'] },
    tags: isTied ? { [PROVIDER_TAG]: address } : {},
  }));
}

const marked = new WeakMap<HostSnapshot, HostSnapshot>();

function tagged(host: HostSnapshot): HostSnapshot {
  let copy = marked.get(host);
  if (!copy) marked.set(host, (copy = taggedNow(host)));
  return copy;
}

function taggedNow(host: HostSnapshot): HostSnapshot {
  const addresses = new Map(
    cardsOf(host).flatMap(({ address, devices }) => devices.map(({ id }) => [id, address] as const)),
  );
  return {
    ...host,
    devices: host.devices.map((device) => {
      const address = addresses.get(device.id);
      return address === undefined ? device : { ...device, tags: { ...device.tags, [PROVIDER_TAG]: address } };
    }),
  };
}
