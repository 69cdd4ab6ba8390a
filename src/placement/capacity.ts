import { aliasMatches } from '../pci/alias/alias-match.js';
import { isHeld } from '../pci/device-state.js';
import { applyPlacement } from './apply-placement.js';
import type { Rejection } from './decision.js';
import { deviceClasses, isFree, matchingPositions } from './device-classes.js';
import { filterChain } from './filters/filters.js';
import { groupHostsOf } from './filters/server-group.filters.js';
import { Fork } from './fork.js';
import { withLowerCaseIds } from './nova/fit-host.js';
import { place } from './place.js';
import { DEVICES_PER_SERVER_MAX, type DeviceRequest, type PlacementRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy, Snapshot, SnapshotDevice } from './snapshot.js';
import type { Steps } from './steps.js';
import { freeCount } from './supply.js';
import { groupKind } from './whole-groups.js';

/** How many copies of one request are tried at most. */
export const COPIES_MAX = 10_000;

export interface HostCount {
  readonly hostId: string;
  readonly host: string;
  readonly count: number;
}

/** Copies of one request that found a place. */
export interface Copies {
  readonly count: number;
  /** All that were asked for have a place: there may be room for more. */
  readonly capped: boolean;
  /** Hosts that got some, in name order. */
  readonly perHost: readonly HostCount[];
  /** Why the next one is refused; null when `capped`. */
  readonly limitedBy: Rejection | null;
}

/**
 * How many more of this fit: decides and applies one after another until one is refused. So it is what really would
 * happen, with the weighers' choice of hosts, and no estimate.
 *
 * @param max where to stop, at most {@link COPIES_MAX}
 */
export function howManyMore(snapshot: Snapshot, request: PlacementRequest, max: number): Steps<Copies> {
  return fillUp(new Fork(snapshot), request, max, 'copy');
}

/**
 * As {@link howManyMore}, on a fork that keeps what was placed.
 *
 * @param owner begins the ids of the copies; nobody else on the fork has such ids
 */
export function* fillUp(fork: Fork, request: PlacementRequest, max: number, owner: string): Steps<Copies> {
  const counts = new Map<string, number>();
  let limitedBy: Rejection | null = null;
  let count = 0;
  for (; count < Math.min(max, COPIES_MAX); count++) {
    const decision = fork.decide(request);
    if (decision.outcome === 'rejected') {
      limitedBy = decision;
      break;
    }
    const host = fork.get(decision.hostId) as HostSnapshot;
    const serverId = `${owner} ${count + 1}`;
    fork.put(arrived(applyPlacement(host, decision, request, { serverId, serverName: serverId }), serverId));
    counts.set(host.id, (counts.get(host.id) ?? 0) + 1);
    yield;
  }
  return { count, capped: limitedBy === null, perHost: inHostOrder(fork, counts), limitedBy };
}

function inHostOrder(fork: Fork, counts: ReadonlyMap<string, number>): HostCount[] {
  return fork.hosts.flatMap(({ id, name }) => {
    const count = counts.get(id);
    return count === undefined ? [] : [{ hostId: id, host: name, count }];
  });
}

/** A server that has come to rest: plans are about what there is room for, not about how many may be on their way at one time. */
export function arrived(host: HostSnapshot, serverId: string): HostSnapshot {
  const servers = host.servers.map((server) => (server.id === serverId ? { ...server, settled: true } : server));
  return { ...host, servers };
}

/**
 * How many of a request one host takes when all go there. The sum over all hosts is {@link howManyMore}, unless the
 * request looks at other hosts, as a server group does.
 */
export function roomOn(host: HostSnapshot, policy: PlacementPolicy, request: PlacementRequest, max: number): number {
  if (!passesFilters(host, policy, request)) return 0;
  // one list all along: what is judged about a kind of request is remembered by list
  const hosts = [host];
  for (let count = 0; count < max; count++) {
    const decision = place({ hosts, policy }, request, []);
    if (decision.outcome === 'rejected') return count;
    const serverId = `copy ${count + 1}`;
    const placed = applyPlacement(hosts[0] as HostSnapshot, decision, request, { serverId, serverName: serverId });
    hosts[0] = arrived(placed, serverId);
  }
  return max;
}

/** Whether no filter turns the host down: the cheap part of a decision. Its devices may still not fit together. */
export function passesFilters(host: HostSnapshot, policy: PlacementPolicy, request: PlacementRequest): boolean {
  const { serverName: _hidden, ...judged } = request;
  const context = { request: judged, policy, excluded: [], groupHosts: groupHostsOf([host], judged) };
  return filterChain(policy.filters).every((filter) => filter.passes(host, context));
}

/** What there is of an alias. Every device of it is in one of the five counts, which make `there`. */
export interface AliasCapacity {
  readonly alias: string | null;
  readonly there: number;
  /** Nobody's; whether it can be had is what `fits` says. */
  readonly free: number;
  readonly inUse: number;
  /** By an admin, or failed, or being cleaned. */
  readonly held: number;
  /** Its PF or a VF of it is in use or held. */
  readonly blocked: number;
  /** In the ledger, and not reported any more. */
  readonly missing: number;
  /** How many servers with one such device, and without vCPUs, memory and disk, would fit now. */
  readonly fits: number;
  /** The most that one server can get; null: not even one. At most {@link DEVICES_PER_SERVER_MAX}. */
  readonly largest: HostCount | null;
}

/**
 * What there is of each alias, and how much of that can be had.
 *
 * @param aliases requests for one device of each
 */
export function* capacityByAlias(snapshot: Snapshot, aliases: readonly DeviceRequest[]): Steps<AliasCapacity[]> {
  const all: AliasCapacity[] = [];
  for (const alias of aliases) all.push(yield* capacityOf(snapshot, alias));
  return all;
}

function* capacityOf({ hosts, policy }: Snapshot, alias: DeviceRequest): Steps<AliasCapacity> {
  const counts = { free: 0, inUse: 0, held: 0, blocked: 0, missing: 0 };
  let there = 0;
  let fits = 0;
  let largest: HostCount | null = null;
  for (const host of hosts) {
    const devices = devicesOf(host, alias, policy);
    if (devices.length === 0) continue;
    there += devices.length;
    for (const device of devices) counts[useOf(device)]++;
    const room = bareRoom(host, policy, alias);
    fits += room;
    const most: number = largest?.count ?? 0;
    const count: number = room === 0 ? 0 : largestOn(host, policy, alias, most);
    if (count > most) largest = { hostId: host.id, host: host.name, count };
    yield;
  }
  return { alias: alias.alias, there, ...counts, fits, largest };
}

/** The devices of a host that an alias means, free or not; those that are gone while their PF is handed over are left out. */
export function devicesOf(host: HostSnapshot, alias: DeviceRequest, { compat }: PlacementPolicy): SnapshotDevice[] {
  const { specs } = compat === 'nova' ? withLowerCaseIds(alias) : alias;
  return host.devices.filter((device) => device.status !== 'removed' && aliasMatches(specs, device));
}

/** What becomes of a device now; each is in one count only. */
export function useOf(device: SnapshotDevice): 'free' | 'inUse' | 'held' | 'blocked' | 'missing' {
  if (device.owner !== null || (device.sharesUsed ?? 0) > 0) return 'inUse';
  if (device.missing) return 'missing';
  if (isFree(device)) return 'free';
  return isHeld(device.status) || device.reservation ? 'held' : 'blocked';
}

/** A server that is nothing but these devices. */
export function bareRequest(devices: readonly DeviceRequest[]): PlacementRequest {
  const nothing = { vcpus: 0, memoryMb: 0, diskGb: 0, guestCells: null };
  return { serverName: 'bare', projectId: '', ...nothing, devices };
}

function bareRoom(host: HostSnapshot, policy: PlacementPolicy, alias: DeviceRequest): number {
  const request = bareRequest([{ ...alias, count: 1 }]);
  const isCounted = isPlain(host, policy, alias) && policy.filters.every((name) => BLIND_FILTERS.has(name));
  if (!isCounted) return roomOn(host, policy, request, host.devices.length);
  if (!passesFilters(host, policy, request)) return 0;
  const classes = deviceClasses(host).filter((group) => matchingPositions(group, alias).length > 0);
  return classes.reduce((sum, { units }) => sum + units.length, 0);
}

/** @param atLeast less than that is of no interest */
function largestOn(host: HostSnapshot, policy: PlacementPolicy, alias: DeviceRequest, atLeast: number): number {
  const most = Math.min(
    DEVICES_PER_SERVER_MAX,
    policy.compat === 'nova' ? host.devices.length : freeCount(host, alias),
  );
  if (most <= atLeast || isPlain(host, policy, alias)) return most;
  // fewer are never harder to find than more
  let [fits, tooMany] = [0, most + 1];
  while (tooMany - fits > 1) {
    const count = (fits + tooMany) >> 1;
    const { outcome } = place({ hosts: [host], policy }, bareRequest([{ ...alias, count }]), []);
    if (outcome === 'placed') fits = count;
    else tooMany = count;
  }
  return fits;
}

/** Filters that do not turn a host down for what other servers without size and group have taken. */
const BLIND_FILTERS: ReadonlySet<string> = new Set([
  'RetryFilter',
  'AllHostsFilter',
  'ComputeFilter',
  'CoreFilter',
  'RamFilter',
  'DiskFilter',
  'AggregateCoreFilter',
  'AggregateRamFilter',
  'AggregateDiskFilter',
  'NUMATopologyFilter',
  'PciPassthroughFilter',
  'TraitsFilter',
  'RequestedHostFilter',
  'AvailabilityZoneFilter',
  'ComputeCapabilitiesFilter',
  'ImagePropertiesFilter',
  'ServerGroupAntiAffinityFilter',
  'ServerGroupAffinityFilter',
  'DifferentHostFilter',
  'SameHostFilter',
  'AggregateInstanceExtraSpecsFilter',
  'AggregateImagePropertiesIsolation',
  'AggregateMultiTenancyIsolation',
]);

/**
 * Whether counting is exact: single whole devices that are as good on every node, none of which is a PF that excludes
 * others. Otherwise the engine is asked, device by device.
 */
export function isPlain(host: HostSnapshot, policy: PlacementPolicy, alias: DeviceRequest): boolean {
  if (policy.compat === 'nova' || groupKind(alias) !== null || alias.share !== undefined) return false;
  if (alias.numaPolicy === 'required' || alias.numaPolicy === 'socket') return false;
  return deviceClasses(host).every((group) => group.pfs.length === 0 || matchingPositions(group, alias).length === 0);
}
