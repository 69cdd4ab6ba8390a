import type { Address } from '../pci/address.js';
import { isVirtualFunction } from '../pci/device.js';
import { DISTANCES, distanceBetween, isRedirected, spreadOf, type Distance } from '../pci/topology.js';
import type { ChosenDevice, ConstraintOutcome } from './decision.js';
import type { TopologyAttribute, TopologyConstraint, TopologyRule } from './request.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/**
 * What a constraint looks at in a device: devices with equal texts are together, null is a device that has no such thing.
 */
export function placeFor(rule: TopologyRule, host: HostSnapshot, device: SnapshotDevice): string | null {
  if (rule.kind === 'within' || rule.kind === 'pair') {
    return host.topology.get(device.address)?.[rule.level] ?? `alone ${device.address}`;
  }
  return attributeOf(rule.attribute, host, device);
}

function attributeOf(attribute: TopologyAttribute, host: HostSnapshot, device: SnapshotDevice): string | null {
  const near = host.topology.get(device.address);
  switch (attribute) {
    case 'switch':
      return near?.PIX ?? null;
    case 'root_port':
      return near?.PXB ?? null;
    case 'pcie_root':
      return near?.PHB ?? null;
    case 'numa_node':
      return device.numaNode === null ? null : String(device.numaNode);
    case 'pf':
      return device.parentAddress;
    case 'slot':
    case 'card':
      return pieceOf(attribute, host, device);
  }
}

/** The first function of a device's slot or card. A VF is in the slot, and on the card, of its PF. */
export function pieceOf(kind: 'slot' | 'card', host: HostSnapshot, device: SnapshotDevice): string {
  const address = (isVirtualFunction(device) ? device.parentAddress : null) ?? device.address;
  return host.groups[kind].get(address)?.members[0] ?? address.slice(0, -2);
}

/** Whether chosen devices meet a constraint, however they were chosen: the definition that the search is held to. */
export function meets(
  { requests, ...rule }: TopologyConstraint,
  host: HostSnapshot,
  devices: readonly ChosenDevice[],
): boolean {
  const asked = askedBy(requests, host, devices);
  const places = asked.map(({ device }) => placeFor(rule, host, device));
  switch (rule.kind) {
    case 'within':
    case 'same':
      return places.every((place) => place !== null && place === places[0]);
    case 'distinct':
      return places.every((place, at) => place === null || places.indexOf(place) === at);
    case 'pair': {
      const count = (place: string | null, request: number | undefined): number =>
        asked.filter((entry, at) => entry.requestIndex === request && places[at] === place).length;
      return places.every((place) => count(place, requests[0]) <= rule.per * count(place, requests[1]));
    }
  }
}

/** What became of every constraint: met or not, how far its devices are from each other, and who is paired with whom. */
export function outcomesOf(
  constraints: readonly TopologyConstraint[],
  host: HostSnapshot,
  devices: readonly ChosenDevice[],
): ConstraintOutcome[] {
  return constraints.map((constraint, index) => {
    const met = meets(constraint, host, devices);
    const asked = askedBy(constraint.requests, host, devices);
    const common = { constraint: index, met, acsRedirect: isRedirected(asked.map(({ device }) => device)) };
    if (constraint.kind !== 'pair') {
      const addresses = asked.map(({ device }) => device.address);
      return { ...common, distance: spreadOf(host.topology, addresses) };
    }
    const pairs = pairsOf(constraint, host, asked);
    return { ...common, distance: farthest(host, pairs), pairs };
  });
}

interface Asked {
  readonly device: SnapshotDevice;
  readonly requestIndex: number;
}

function askedBy(requests: readonly number[], host: HostSnapshot, devices: readonly ChosenDevice[]): Asked[] {
  const byAddress = new Map(host.devices.map((device) => [device.address, device]));
  return devices.flatMap(({ address, requestIndex }) => {
    const device = byAddress.get(address);
    return device && requestIndex !== null && requests.includes(requestIndex) ? [{ device, requestIndex }] : [];
  });
}

/** Each device of the first request with the nearest of the second that has room for it, nearest pairs first. */
function pairsOf(
  constraint: TopologyConstraint & { readonly kind: 'pair' },
  host: HostSnapshot,
  asked: readonly Asked[],
): [Address, Address][] {
  const of = (request: number | undefined): Address[] =>
    asked.filter(({ requestIndex }) => requestIndex === request).map(({ device }) => device.address);
  const [many, few] = [of(constraint.requests[0]), of(constraint.requests[1])];
  const room = new Map(few.map((address) => [address, constraint.per]));
  const partner = new Map<Address, Address>();
  for (const level of DISTANCES) {
    for (const one of many) {
      if (partner.has(one)) continue;
      const other = few.find(
        (address) => (room.get(address) ?? 0) > 0 && distanceBetween(host.topology, one, address) === level,
      );
      if (other === undefined) continue;
      partner.set(one, other);
      room.set(other, (room.get(other) ?? 0) - 1);
    }
  }
  return many.flatMap((one) => {
    const other = partner.get(one);
    return other === undefined ? [] : [[one, other]];
  });
}

function farthest(host: HostSnapshot, pairs: readonly (readonly [Address, Address])[]): Distance {
  const levels = pairs.map(([a, b]) => DISTANCES.indexOf(distanceBetween(host.topology, a, b)));
  return DISTANCES[Math.max(0, ...levels)] as Distance;
}
