import type { Address } from '../pci/address.js';
import type { Candidate } from './candidates.js';
import type { DeviceClass } from './device-classes.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/** For each candidate of a request: the one before it that nothing tells apart from it; -1: none. */
export type Twins = readonly number[];

/** Where a class is: the switch that all members of its units are below. */
export interface Homes {
  readonly homeOf: (group: DeviceClass) => string;
  /** A number for what a class is, wherever it is. */
  readonly lookOf: (group: DeviceClass) => number;
  readonly twinsOf: (candidates: readonly Candidate[]) => Twins;
}

/**
 * Finds switches with the same below them that hang side by side: eight GPUs on eight equal root ports are as good as
 * one class of eight, for whatever is taken below one could as well be taken below the other. A search that takes from
 * such twins in falling numbers misses nothing but mirror images.
 *
 * Left out are switches that are tied to others: by an IOMMU group that spans several, by a PF whose VFs are elsewhere, or
 * by VFs of several PFs.
 */
export function homesOf(host: HostSnapshot, classes: readonly DeviceClass[]): Homes {
  const home = new Map(classes.map((group) => [group, homeText(host, group)]));
  const tenants = new Map<string, DeviceClass[]>();
  for (const group of classes) {
    const text = home.get(group) ?? '';
    tenants.set(text, [...(tenants.get(text) ?? []), group]);
  }
  const numbers = new Map<string, number>();
  const numberOf = (text: string): number => {
    if (!numbers.has(text)) numbers.set(text, numbers.size);
    return numbers.get(text) as number;
  };
  const own = new Map(classes.map((group) => [group, numberOf(ownLook(group))]));
  const ownOf = (group: DeviceClass): number => own.get(group) as number;
  const tied = tiedHomes(host, classes, home);
  const looks = new Map(
    [...tenants].map(([text, groups]) => [text, tied.has(text) ? null : switchLook(host, text, groups, ownOf)]),
  );
  return {
    homeOf: (group) => home.get(group) ?? '',
    lookOf: ownOf,
    twinsOf: (candidates) => {
      const last = new Map<string, number>();
      return candidates.map(({ group, positions }, at) => {
        const look = looks.get(home.get(group) ?? '') ?? null;
        if (look === null) return -1;
        const key = `${look} ${ownOf(group)} ${positions.join()}`;
        const before = last.get(key) ?? -1;
        last.set(key, at);
        return before;
      });
    },
  };
}

/** Homes of PFs and VFs whose relatives live elsewhere, and of units that are at home in several. */
function tiedHomes(
  host: HostSnapshot,
  classes: readonly DeviceClass[],
  home: ReadonlyMap<DeviceClass, string>,
): ReadonlySet<string> {
  const families = new Map<Address, Set<string>>();
  const spanned: string[] = [];
  for (const group of classes) {
    if (home.get(group) === '') {
      for (const unit of group.units) for (const { address } of unit) spanned.push(nearOf(host, address));
    }
    for (const pf of [...group.parents, ...group.pfs]) {
      families.set(pf, (families.get(pf) ?? new Set()).add(home.get(group) ?? ''));
    }
  }
  return new Set([...spanned, ...[...families.values()].flatMap((homes) => (homes.size > 1 ? [...homes] : []))]);
}

/** Empty: the members of a unit are below several switches, or it is not known where they are. */
function homeText(host: HostSnapshot, { members }: DeviceClass): string {
  const texts = new Set(members.map(({ address }) => nearOf(host, address)));
  return texts.size === 1 ? ([...texts][0] ?? '') : '';
}

function nearOf({ topology }: HostSnapshot, address: Address): string {
  return topology.get(address)?.PIX ?? '';
}

/** What is below a switch and above it, its own name left out; null: it has no twin. */
function switchLook(
  host: HostSnapshot,
  home: string,
  groups: readonly DeviceClass[],
  ownOf: (group: DeviceClass) => number,
): string | null {
  const pfs = new Set(groups.flatMap(({ parents, pfs: own }) => [...parents, ...own]));
  const first = groups[0]?.members[0];
  const own = new Set(groups.map(ownOf));
  // alike and yet two classes: a constraint tells them apart
  if (home === '' || pfs.size > 1 || own.size < groups.length || !first) return null;
  return JSON.stringify([above(host, first), groups.map((group) => `${ownOf(group)}:${group.units.length}`).sort()]);
}

/** The lowest of the neighbourhoods above the switch that has another switch in it as well. */
function above(host: HostSnapshot, { address }: SnapshotDevice): string {
  const near = host.topology.get(address);
  for (const level of ['PXB', 'PHB', 'NODE'] as const) {
    for (const other of host.topology.values()) {
      if (other[level] === near?.[level] && other.PIX !== near.PIX) return `${level} ${near[level]}`;
    }
  }
  return 'host';
}

/** What a class is, but for where. */
function ownLook({ members, breaks }: DeviceClass): string {
  const parts = members.map((member) => [
    ...[member.vendorId, member.productId, member.deviceType, member.numaNode, member.parentAddress !== null],
    ...[member.resourceClass, member.traits, Object.entries(member.tags).sort(([a], [b]) => (a < b ? -1 : 1))],
    member.attributes.key,
  ]);
  return JSON.stringify([parts, breaks.length]);
}
