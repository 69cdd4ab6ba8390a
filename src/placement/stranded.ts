import { aliasMatches } from '../pci/alias/alias-match.js';
import { devicesOf, isPlain, passesFilters, useOf } from './capacity.js';
import type { Decision } from './decision.js';
import { deviceClasses, isFree, matchingPositions } from './device-classes.js';
import { withLowerCaseIds } from './nova/fit-host.js';
import { place } from './place.js';
import type { DeviceRequest, PlacementRequest, TopologyConstraint } from './request.js';
import type { HostSnapshot, PlacementPolicy, Snapshot, SnapshotDevice } from './snapshot.js';
import type { Steps } from './steps.js';

/** A kind of server that is asked for, and how often. */
export interface Shape {
  readonly request: PlacementRequest;
  /** Beside the others of the mix; more than 0. */
  readonly weight: number;
}

/** An alias, and the servers that ask for it. */
export interface AliasMix {
  readonly alias: DeviceRequest;
  /** At least one; each asks for the alias. The smallest comes first: its refusal is told as the cause. */
  readonly shapes: readonly Shape[];
}

/** Devices of one kind that nobody can have, for one cause. */
export interface StrandedCause {
  /** `device.held`, `device.relative_in_use`, `device.iommu_group`, or the code of the reason why the smallest server does not fit. */
  readonly code: string;
  readonly vendorId: string;
  readonly productId: string;
  readonly deviceType: string;
  readonly count: number;
  readonly hostCount: number;
  /** In name order, at most 20. */
  readonly hosts: readonly string[];
  /** The reason as it is told of the first of them. */
  readonly example: string;
}

export interface AliasFragmentation {
  readonly alias: string | null;
  /** Devices that no server has: free, held, or blocked by a relative. */
  readonly idle: number;
  /** Those of them that are free as far as they themselves go. */
  readonly free: number;
  /** Idle devices that no server of the mix could have now. */
  readonly stranded: number;
  /** Most devices first. */
  readonly causes: readonly StrandedCause[];
  /**
   * Of the mix: what share of the free devices the next server cannot use, on average; 0 without any. Source of the measure:
   * F of "Beware of Fragmentation" (Weng et al., USENIX ATC 2023), device by device.
   */
  readonly fragmentation: number;
  /** Hosts with the most unusable devices first, at most 20. */
  readonly worstHosts: readonly HostFragmentation[];
}

export interface HostFragmentation {
  readonly host: string;
  readonly free: number;
  /** Expected number of free devices that the next server of the mix cannot use. */
  readonly unusable: number;
}

const HOSTS_NAMED_MAX = 20;

/** How much of what nobody has could be had by nobody, and why. */
export function* fragmentationByAlias(snapshot: Snapshot, mixes: readonly AliasMix[]): Steps<AliasFragmentation[]> {
  const all: AliasFragmentation[] = [];
  for (const mix of mixes) all.push(yield* fragmentationOf(snapshot, mix));
  return all;
}

function* fragmentationOf({ hosts, policy }: Snapshot, mix: AliasMix): Steps<AliasFragmentation> {
  const causes = new Map<string, StrandedCause>();
  const perHost: HostFragmentation[] = [];
  let [idle, free, unusable, strandedCount] = [0, 0, 0, 0];
  for (const host of hosts) {
    const found = hostFragments(host, policy, mix);
    if (found.idle === 0) continue;
    idle += found.idle;
    free += found.free;
    unusable += found.unusable;
    strandedCount += found.stranded.length;
    if (found.unusable > 0) perHost.push({ host: host.name, free: found.free, unusable: found.unusable });
    addCauses(causes, host.name, found.stranded);
    yield;
  }
  return {
    ...{ alias: mix.alias.alias, idle, free, stranded: strandedCount },
    causes: [...causes.values()].sort((a, b) => b.count - a.count),
    fragmentation: free === 0 ? 0 : unusable / free,
    worstHosts: perHost.sort((a, b) => b.unusable - a.unusable).slice(0, HOSTS_NAMED_MAX),
  };
}

/** A device that nobody can have, and why. */
export interface StrandedDevice extends Why {
  readonly device: SnapshotDevice;
}

interface Why {
  readonly code: string;
  readonly message: string;
}

export interface HostFragments {
  readonly idle: number;
  readonly free: number;
  /** Expected number of free devices that the next server of the mix cannot use. */
  readonly unusable: number;
  readonly stranded: readonly StrandedDevice[];
}

/** {@link fragmentationByAlias} of one host. */
export function hostFragments(host: HostSnapshot, policy: PlacementPolicy, { alias, shapes }: AliasMix): HostFragments {
  const devices = devicesOf(host, alias, policy).filter((device) => !['inUse', 'missing'].includes(useOf(device)));
  if (devices.length === 0) return { idle: 0, free: 0, unusable: 0, stranded: [] };
  const free = devices.filter((device) => useOf(device) === 'free');
  const answers = shapes.map(({ request }) => usableBy(host, policy, asCompared(request, policy), alias.alias));
  const total = shapes.reduce((sum, { weight }) => sum + weight, 0);
  const unusable = answers.reduce((sum, { usable }, at) => {
    const weight = (shapes[at] as Shape).weight / total;
    return sum + weight * free.filter(({ address }) => !usable.has(address)).length;
  }, 0);
  const stranded = devices
    .filter(({ address }) => !answers.some(({ usable }) => usable.has(address)))
    .map((device) => ({ device, ...(ownCause(host, device) ?? (answers[0] as Usable).why()) }));
  return { idle: devices.length, free: free.length, unusable, stranded };
}

/** Nova's rules compare ids in either case, `aliasMatches` as they are. */
function asCompared(request: PlacementRequest, { compat }: PlacementPolicy): PlacementRequest {
  return compat === 'nova' ? { ...request, devices: request.devices.map(withLowerCaseIds) } : request;
}

interface Usable {
  /** Addresses. */
  readonly usable: ReadonlySet<string>;
  /** What is told of the others. */
  readonly why: () => Why;
}

const NOT_TOGETHER: Why = {
  code: 'device.not_together',
  message: 'the server would fit, but not with this device: what it would have to go with is not free, or too far',
};

/** Which free devices of a host a request could get for an alias. Of equal ones all, if one: nothing tells them apart. */
function usableBy(
  host: HostSnapshot,
  policy: PlacementPolicy,
  request: PlacementRequest,
  alias: string | null,
): Usable {
  const whole = (): Decision => place({ hosts: [host], policy }, request, []);
  if (!passesFilters(host, policy, request)) return { usable: new Set(), why: () => whyOf(whole()) };
  if (isCounted(host, policy, request)) return { usable: matchingOn(host, request), why: () => NOT_TOGETHER };
  const decision = whole();
  if (decision.outcome === 'rejected') return { usable: new Set(), why: () => whyOf(decision) };
  const usable = new Set<string>();
  for (const group of deviceClasses(host)) {
    for (const [index, wanted] of request.devices.entries()) {
      if (wanted.alias !== alias) continue;
      for (const position of matchingPositions(group, wanted)) {
        const first = group.members[position] as SnapshotDevice;
        if (usable.has(first.address) || !fitsWith(host, policy, request, index, first)) continue;
        for (const unit of group.units) usable.add((unit[position] as SnapshotDevice).address);
      }
    }
  }
  return { usable, why: () => NOT_TOGETHER };
}

/** Whether any free device that matches can be among those that it gets: then a look at each would tell no more. */
function isCounted(host: HostSnapshot, policy: PlacementPolicy, request: PlacementRequest): boolean {
  const { devices, guestCells, cpuPolicy = 'shared', constraints = [] } = request;
  const [wanted, ...others] = devices;
  if (!wanted || others.length > 0) return false;
  if (guestCells !== null || cpuPolicy === 'dedicated' || constraints.length > 0) return false;
  return isPlain(host, policy, wanted);
}

function matchingOn(host: HostSnapshot, { devices }: PlacementRequest): Set<string> {
  const usable = new Set<string>();
  for (const group of deviceClasses(host)) {
    for (const position of matchingPositions(group, devices[0] as DeviceRequest)) {
      for (const unit of group.units) usable.add((unit[position] as SnapshotDevice).address);
    }
  }
  return usable;
}

function whyOf({ rejections }: Decision): Why {
  const [first] = rejections;
  const reason = first?.reasons[0];
  if (reason) return { code: reason.code, message: reason.message };
  return { code: 'host.turned_down', message: `turned down by ${first?.filter}` };
}

/** Whether the request fits when one of its wishes has to be served with this very device. */
function fitsWith(
  host: HostSnapshot,
  policy: PlacementPolicy,
  request: PlacementRequest,
  index: number,
  device: SnapshotDevice,
): boolean {
  const devices = host.devices.map((other) => (other === device ? marked(other, policy) : other));
  const wanted = request.devices[index] as DeviceRequest;
  const specs = wanted.specs.filter((spec) => aliasMatches([spec], device)).map((spec) => marked(spec, policy));
  const pinned = withPinned(request, index, { ...wanted, specs });
  return place({ hosts: [{ ...host, devices }], policy }, pinned, []).outcome === 'placed';
}

/** What only the device has, and the request for it asks for. Nova's rules know no tags beyond their own, and no selectors. */
function marked<T extends Pick<SnapshotDevice, 'tags'> & { readonly productId: string | null }>(
  thing: T,
  { compat }: PlacementPolicy,
): T {
  if (compat === 'nova') return { ...thing, productId: 'marked' };
  return { ...thing, tags: { ...thing.tags, 'marked by berth': '' } };
}

/** The request with one device of a wish taken out as a wish of its own, under the same constraints. */
function withPinned(request: PlacementRequest, index: number, wanted: DeviceRequest): PlacementRequest {
  const { count, countMax, ...one } = wanted;
  const devices = [...request.devices];
  if (count === 1) {
    devices[index] = { ...one, count: 1 };
    return { ...request, devices };
  }
  const { specs } = devices[index] as DeviceRequest;
  devices[index] = { ...one, specs, count: count - 1, ...(countMax !== undefined && { countMax: countMax - 1 }) };
  const constraints = (request.constraints ?? []).map((rule) => withIndex(rule, index, devices.length));
  return { ...request, devices: [...devices, { ...one, count: 1 }], ...(request.constraints && { constraints }) };
}

/** A pair has two sides only: the device that was taken out is left to itself. */
function withIndex(rule: TopologyConstraint, index: number, more: number): TopologyConstraint {
  if (rule.kind === 'pair' || !rule.requests.includes(index)) return rule;
  return { ...rule, requests: [...rule.requests, more] };
}

/** What keeps a device itself from being had, whatever the server; null: nothing. */
function ownCause(host: HostSnapshot, device: SnapshotDevice): Why | null {
  const use = useOf(device);
  if (device.reservation) return { code: 'device.reserved', message: 'it is kept by a reservation' };
  if (use === 'held') return { code: 'device.held', message: `it is ${device.status}` };
  if (use === 'blocked') return { code: 'device.relative_in_use', message: 'its PF, or a VF of it, is in use or held' };
  const unit = host.units.get(device.address);
  if (!unit) return { code: 'device.iommu_group', message: 'its IOMMU group is not known' };
  if (unit.blockedBy !== null) return { code: 'device.iommu_group', message: unit.blockedBy };
  const taken = host.devices.find((other) => unit.members.includes(other.address) && !isFree(other));
  if (!taken) return null;
  const message = `IOMMU group ${unit.iommuGroup} also holds ${taken.address}, which is ${taken.status}`;
  return { code: 'device.iommu_group', message };
}

/** The causes of one host, added to those of the hosts before it. */
function addCauses(causes: Map<string, StrandedCause>, host: string, stranded: readonly StrandedDevice[]): void {
  const here = new Set<string>();
  for (const { device, code, message } of stranded) {
    const { vendorId, productId, deviceType } = device;
    const key = [code, vendorId, productId, deviceType].join(' ');
    const known = causes.get(key) ?? {
      ...{ code, vendorId, productId, deviceType, count: 0, hostCount: 0, hosts: [] },
      example: `${host} ${device.address}: ${message}`,
    };
    const isNew = !here.has(key);
    here.add(key);
    causes.set(key, {
      ...known,
      count: known.count + 1,
      hostCount: known.hostCount + (isNew ? 1 : 0),
      hosts: isNew && known.hosts.length < HOSTS_NAMED_MAX ? [...known.hosts, host] : known.hosts,
    });
  }
}
