import { BerthError } from '../../errors.js';
import type { Address } from '../address.js';
import { componentCovers, singleAddress } from './device-spec-address.js';
import type { AddressPattern } from './device-spec-address.js';
import { indexOf, probeOf } from './device-spec-index.js';
import type { Probe } from './device-spec-index.js';
import { ANY_PLACE, placeAskedFor } from './device-spec-places.js';
import { hostContext, matchDeviceSpec } from './device-spec.js';
import type { DeviceSpec, HostContext } from './device-spec.js';
import { asUnbound, isBridge } from '../device.js';
import type { OriginalState, PciDevice } from '../device.js';
import { spelledAddress } from '../nova/nova-address.js';

/** What one entry of a whitelist means on one host. Bridges are left out: they are never handed out. */
export interface EntryCoverage {
  readonly entry: number;
  readonly where: string;
  readonly matched: readonly Address[];
  /** Those of them that no earlier entry matches. */
  readonly decided: readonly Address[];
  /** Earlier entries that decide what this one matches as well, in order. */
  readonly decidedBy: readonly number[];
}

/**
 * Something that whoever wrote the whitelist will not have meant. `dead`: it matches nothing on this host. `shadowed`: earlier
 * entries decide all that it matches on this host. `unreachable`: one earlier entry matches all that it can ever match.
 */
export interface SpecFinding {
  readonly kind: 'dead' | 'shadowed' | 'unreachable';
  readonly entry: number;
  /** The earlier entries that take its place. */
  readonly by: readonly number[];
  /** A sentence for people, with both places. */
  readonly message: string;
}

/** Pairs of entry and device above which a scan is not looked through. */
export const COVERAGE_PAIRS_MAX = 20_000_000;

/** What each entry means on a host, from its scan; devices that the agent holds bound count as they were before. */
export function coverDeviceSpecs(
  specs: readonly DeviceSpec[],
  devices: readonly (PciDevice & { readonly original?: OriginalState })[],
): EntryCoverage[] {
  const covered = specs.map(() => ({ matched: [] as Address[], decided: [] as Address[], by: new Set<number>() }));
  const unbound = devices.map(asUnbound);
  const host = hostContext(unbound);
  for (const device of unbound) {
    if (isBridge(device)) continue;
    const matching = indexOf(specs).all(probeOf(device, host.devnames), (spec) => means(spec, device, host));
    const [first] = matching;
    for (const entry of matching) {
      covered[entry]?.matched.push(device.address);
      if (entry === first) covered[entry]?.decided.push(device.address);
      else if (first !== undefined) covered[entry]?.by.add(first);
    }
  }
  return covered.map(({ matched, decided, by }, entry) => {
    const decidedBy = [...by].sort((a, b) => a - b);
    return { entry, where: specs[entry]?.where ?? '', matched, decided, decidedBy };
  });
}

/** In the nova dialect there are addresses that cannot be read; nothing means them. */
function means(spec: DeviceSpec, device: PciDevice, host: HostContext): boolean {
  try {
    return matchDeviceSpec(spec, device, host);
  } catch (error) {
    if (error instanceof BerthError) return false;
    throw error;
  }
}

/** What is odd about a whitelist on one host, one finding an entry at most: what can never be comes before what is not now. */
export function findingsOf(specs: readonly DeviceSpec[], coverage: readonly EntryCoverage[]): SpecFinding[] {
  const unreachable = new Map(unreachableEntries(specs).map((finding) => [finding.entry, finding]));
  return coverage.flatMap(({ entry, matched, decided, decidedBy }): SpecFinding[] => {
    const never = unreachable.get(entry);
    if (never) return [never];
    const title = `entry ${entry + 1} (${specs[entry]?.where})`;
    if (matched.length === 0) {
      return [{ kind: 'dead', entry, by: [], message: `${title} matches no device of this host` }];
    }
    if (decided.length > 0) return [];
    const message = `${title} matches ${count(matched.length)}, which ${placesOf(specs, decidedBy)} decide${decidedBy.length === 1 ? 's' : ''}`;
    return [{ kind: 'shadowed', entry, by: decidedBy, message }];
  });
}

/** Entries that can never decide, on whatever host, because one before them is at least as wide. */
export function unreachableEntries(specs: readonly DeviceSpec[]): SpecFinding[] {
  const index = indexOf(specs);
  return specs.flatMap((spec, entry): SpecFinding[] => {
    const wider = index.first(probeOfEntry(spec), (other) => other === spec || isAtLeastAsWide(other, spec));
    // Entries are found in order: at the latest the entry itself.
    if (wider < 0 || wider >= entry) return [];
    const message = `entry ${entry + 1} (${spec.where}) never decides: entry ${wider + 1} (${specs[wider]?.where}) matches all that it matches; move it before that one, or remove it`;
    return [{ kind: 'unreachable', entry, by: [wider], message }];
  });
}

/** Whether `wide` matches every device that `narrow` matches, whatever the host. Rather no than a wrong yes. */
function isAtLeastAsWide(wide: DeviceSpec, narrow: DeviceSpec): boolean {
  return (
    asksNoMore(wide.vendorId, narrow.vendorId) &&
    asksNoMore(wide.productId, narrow.productId) &&
    (wide.classPrefix === null || (narrow.classPrefix ?? '').startsWith(wide.classPrefix)) &&
    asksNoMore(wide.subsystemVendorId, narrow.subsystemVendorId) &&
    asksNoMore(wide.subsystemProductId, narrow.subsystemProductId) &&
    asksNoMore(wide.driver, narrow.driver) &&
    asksNoMore(wide.serial, narrow.serial) &&
    asksNoMore(wide.iommuGroup, narrow.iommuGroup) &&
    asksNoMore(wide.numaNode, narrow.numaNode) &&
    (!asksForRemoteManaged(wide) || asksForRemoteManaged(narrow)) &&
    placeIsAtLeastAsWide(wide, narrow)
  );
}

function asksForRemoteManaged({ nova, tags }: DeviceSpec): boolean {
  return nova ? nova.remoteManaged : tags['remote_managed'] === 'true';
}

function asksNoMore<T>(wide: T | null, narrow: T | null): boolean {
  return wide === null || wide === narrow;
}

function placeIsAtLeastAsWide(wide: DeviceSpec, narrow: DeviceSpec): boolean {
  if (wide.devname !== null) return wide.devname === narrow.devname;
  if (wide.address === null || isAnywhere(wide.address)) return true;
  if (narrow.address === null || !covers(wide.address, narrow.address)) return false;
  const single = spelledAddress(narrow.address);
  // One address stands for the VFs of a PF as well, which may lie anywhere.
  return single === null || single === spelledAddress(wide.address);
}

function isAnywhere(pattern: AddressPattern): boolean {
  return Object.values(pattern).every(({ kind }) => kind === 'any');
}

function covers(wide: AddressPattern, narrow: AddressPattern): boolean {
  return (
    componentCovers(wide.domain, narrow.domain) &&
    componentCovers(wide.bus, narrow.bus) &&
    componentCovers(wide.slot, narrow.slot) &&
    componentCovers(wide.function, narrow.function)
  );
}

/** A wider entry asks for a part of what this one asks for. */
function probeOfEntry(spec: DeviceSpec): Probe {
  const single = spec.address && singleAddress(spec.address);
  return {
    vendorId: spec.vendorId,
    productId: spec.productId,
    addresses: single === null ? [] : [single],
    devnames: spec.devname === null ? [] : [spec.devname],
    place: spec.address ? placeAskedFor(spec.address) : ANY_PLACE,
    serial: spec.serial,
    iommuGroup: spec.iommuGroup,
  };
}

const PLACES_MAX = 3;

function placesOf(specs: readonly DeviceSpec[], entries: readonly number[]): string {
  const named = entries.slice(0, PLACES_MAX).map((entry) => `entry ${entry + 1} (${specs[entry]?.where})`);
  const more = entries.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(' and ');
}

function count(devices: number): string {
  return devices === 1 ? '1 device' : `${devices} devices`;
}
