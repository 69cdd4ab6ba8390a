import { compareAddresses, type Address } from './address.js';
import { isBridge, isVirtualFunction, TOLD_DRIFT_KINDS, type ReportedDevice } from './device.js';
import { identityOf, isOtherCard, uniqueCards, uniquePlaces } from './identity.js';
import type { KnownDevice } from './reconcile-inventory.js';

/**
 * How a host comes to differ from what the ledger knows of it.
 *
 *   gone            it is not reported any more
 *   moved           the same card (by its serial number), or the same slot (by the way to it), has another address now
 *   id_changed      another card is in its place, or the card calls itself something else
 *   group_changed   it shares its IOMMU group with others than before
 *   driver_stolen   a driver of the host has it, although a server does
 *   link_degraded   its link has lost lanes or speed
 *
 * The first four follow from two reports, one after the other; the last two only the agent can tell.
 */
export const DRIFT_KINDS = ['gone', 'moved', 'id_changed', 'group_changed', ...TOLD_DRIFT_KINDS] as const;
export type DriftKind = (typeof DRIFT_KINDS)[number];

/** `keep`: it is told, and nothing else. `quarantine`: the device is given to nobody until an administrator has looked at it. */
export const DRIFT_POLICIES = ['keep', 'quarantine'] as const;
export type DriftPolicy = (typeof DRIFT_POLICIES)[number];
export type DriftPolicies = Readonly<Record<DriftKind, DriftPolicy>>;

/** Somebody who takes a device from a server under the server's feet does it again to the next one. */
export const DEFAULT_DRIFT_POLICIES: DriftPolicies = {
  ...{ gone: 'keep', moved: 'keep', id_changed: 'keep', group_changed: 'keep' },
  ...{ driver_stolen: 'quarantine', link_degraded: 'keep' },
};

export interface Drift {
  readonly kind: DriftKind;
  /** Where the ledger shows it: of `moved`, the new place. */
  readonly address: Address;
  /** A sentence without a full stop. */
  readonly reason: string;
  /** Of `moved`: the old place. */
  readonly from?: Address;
}

/** How the report differs from what is known, by address; the same report twice says `gone` and what agents tell again, and nothing else. */
export function driftsOf(known: readonly KnownDevice[], reported: readonly ReportedDevice[]): Drift[] {
  if (known.length === 0) return [];
  const world = worldOf(known, reported);
  const moved = movesIn(world);
  const left = new Set(moved.map(({ from }) => from));
  return [
    ...moved,
    ...known.flatMap((one) => goneOf(one, world, left)),
    ...reported.flatMap((device) => [...changesOf(device, world), ...toldOf(device)]),
  ].sort((a, b) => compareAddresses(a.address, b.address));
}

interface World {
  readonly known: readonly KnownDevice[];
  readonly reported: readonly ReportedDevice[];
  readonly before: ReadonlyMap<Address, KnownDevice>;
  readonly now: ReadonlyMap<Address, ReportedDevice>;
  readonly groupsBefore: ReadonlyMap<number, readonly ReportedDevice[]>;
  readonly groupsNow: ReadonlyMap<number, readonly ReportedDevice[]>;
}

function worldOf(known: readonly KnownDevice[], reported: readonly ReportedDevice[]): World {
  const present = known.filter(({ status, isStale = false }) => status !== 'removed' && !isStale);
  return {
    ...{ known, reported },
    before: new Map(known.map((one) => [one.device.address, one])),
    now: new Map(reported.map((device) => [device.address, device])),
    groupsBefore: groupsOf(present.map(({ device }) => device)),
    groupsNow: groupsOf(reported),
  };
}

type Move = Drift & { readonly from: Address };

function movesIn(world: World): Move[] {
  const { known, before, now } = world;
  const left = known.filter((one) => hasLeft(one, now));
  if (left.length === 0) return [];
  const come = world.reported.filter((device) => {
    const former = before.get(device.address);
    return !former || former.status === 'removed' || isOtherCard(former.device, device);
  });
  if (come.length === 0) return [];
  return [...cardMoves(left, come, world), ...placeMoves(left, come)].filter(isFirstAt);
}

/** Its card is not at its place any more. */
function hasLeft({ device }: KnownDevice, now: ReadonlyMap<Address, ReportedDevice>): boolean {
  const there = now.get(device.address);
  return !there || isOtherCard(device, there);
}

/** By serial number, which nothing else that is reported may have. */
function cardMoves(left: readonly KnownDevice[], come: readonly ReportedDevice[], { reported }: World): Move[] {
  const cards = uniqueCards(reported);
  const origins = originsByCard(left);
  return come.flatMap((device) => {
    const { card } = identityOf(device);
    const origin = card !== null && cards.get(card) === device ? origins.get(card) : undefined;
    if (!origin || origin.address === device.address) return [];
    return [
      move(
        origin.address,
        device,
        `the card with serial number ${device.serialNumber} was at ${origin.address} before`,
      ),
    ];
  });
}

/** Of several places that had the card, the one whose server waits for it. */
function originsByCard(left: readonly KnownDevice[]): Map<string, ReportedDevice> {
  const devicesOf = (list: readonly KnownDevice[]): ReportedDevice[] => list.map(({ device }) => device);
  return new Map([
    ...uniqueCards(devicesOf(left.filter(({ status }) => status === 'removed'))),
    ...uniqueCards(devicesOf(left.filter(({ status }) => status !== 'removed'))),
    ...uniqueCards(devicesOf(left.filter(({ inUse }) => inUse))),
  ]);
}

/** By the way to its slot: the buses were numbered anew. */
function placeMoves(left: readonly KnownDevice[], come: readonly ReportedDevice[]): Move[] {
  const origins = uniquePlaces(left.filter(({ status }) => status !== 'removed').map(({ device }) => device));
  const places = uniquePlaces(come);
  return [...places].flatMap(([place, device]) => {
    const origin = origins.get(place);
    if (!origin || origin.address === device.address || isOtherCard(origin, device)) return [];
    return [move(origin.address, device, `its slot had the address ${origin.address} before`)];
  });
}

function move(from: Address, { address }: ReportedDevice, reason: string): Move {
  return { kind: 'moved', address, reason, from };
}

function isFirstAt(one: Move, index: number, moves: readonly Move[]): boolean {
  return moves.findIndex((other) => other.address === one.address || other.from === one.from) === index;
}

/** VFs come and go with their number, which is nobody's drift as long as nobody has them. */
function goneOf({ device, status, inUse }: KnownDevice, { now }: World, left: ReadonlySet<Address>): Drift[] {
  const { address } = device;
  if (now.has(address) || status === 'removed' || left.has(address)) return [];
  if (isVirtualFunction(device) && !inUse) return [];
  return [{ kind: 'gone', address, reason: 'it is not there any more' }];
}

function changesOf(device: ReportedDevice, world: World): Drift[] {
  const { address } = device;
  const former = world.before.get(address);
  if (!former || former.status === 'removed') return [];
  if (isOtherCard(former.device, device)) {
    return [{ kind: 'id_changed', address, reason: `it was ${named(former.device)} and is ${named(device)}` }];
  }
  const reason = former.isStale ? null : groupChange(former.device, device, world);
  return reason === null ? [] : [{ kind: 'group_changed', address, reason }];
}

function toldOf({ address, drift }: ReportedDevice): Drift[] {
  return (drift ?? []).map(({ kind, reason }) => ({ kind, address, reason }));
}

/** A group's number says nothing, as the next boot gives others; who else is in it does. */
function groupChange(before: ReportedDevice, now: ReportedDevice, world: World): string | null {
  if (isBridge(now)) return null;
  if (before.iommuGroup === null || now.iommuGroup === null) {
    if (before.iommuGroup === now.iommuGroup) return null;
    return now.iommuGroup === null ? 'it has no IOMMU group any more' : 'it has an IOMMU group now';
  }
  const then = companions(before, world.groupsBefore);
  const today = companions(now, world.groupsNow);
  const come = today.filter((address) => !then.includes(address));
  const gone = then.filter((address) => !today.includes(address));
  if (come.length + gone.length === 0) return null;
  const parts = [
    ...(come.length > 0 ? [`shares its IOMMU group with ${listed(come)} now`] : []),
    ...(gone.length > 0 ? [`shares its IOMMU group no longer with ${listed(gone)}`] : []),
  ];
  return `it ${parts.join(', and ')}`;
}

/** Who else is in its group; its own VFs or its PF come and go with their number. */
function companions(device: ReportedDevice, groups: ReadonlyMap<number, readonly ReportedDevice[]>): Address[] {
  const members = groups.get(device.iommuGroup as number) ?? [];
  return members.filter((other) => !isKin(device, other)).map(({ address }) => address);
}

function isKin(device: ReportedDevice, other: ReportedDevice): boolean {
  if (device.address === other.address) return true;
  const [one, two] = [device.parentAddress ?? device.address, other.parentAddress ?? other.address];
  return one === two;
}

function groupsOf(devices: readonly ReportedDevice[]): Map<number, ReportedDevice[]> {
  const groups = new Map<number, ReportedDevice[]>();
  for (const device of devices) {
    if (device.iommuGroup === null || isBridge(device)) continue;
    const members = groups.get(device.iommuGroup);
    if (members) members.push(device);
    else groups.set(device.iommuGroup, [device]);
  }
  return groups;
}

const LISTED_MAX = 4;

function listed(addresses: readonly Address[]): string {
  const shown = addresses.slice(0, LISTED_MAX).join(', ');
  const more = addresses.length - LISTED_MAX;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

function named({ vendorId, productId, deviceType, serialNumber }: ReportedDevice): string {
  return `${vendorId}:${productId} (${deviceType}${serialNumber === null ? '' : `, serial number ${serialNumber}`})`;
}
