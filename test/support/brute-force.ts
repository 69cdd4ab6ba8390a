import { DISTANCES, distanceBetween, spreadOf } from '../../src/pci/topology.js';
import { affinityRank } from '../../src/placement/affinity.js';
import { aliasMatches } from '../../src/pci/alias/alias-match.js';
import { utilityOf } from '../../src/placement/alternatives.js';
import type { Wanted } from '../../src/placement/candidates.js';
import type { TopologyAttribute, TopologyConstraint } from '../../src/placement/request.js';
import type { HostSnapshot, SnapshotDevice } from '../../src/placement/snapshot.js';

/** Which devices each request gets, by the request's index. */
export type Choice = readonly (readonly SnapshotDevice[])[];

/** Every choice of devices that serves all requests: tried one by one, with nothing clever in it. */
export function everyChoice(host: HostSnapshot, wanted: Wanted): Choice[] {
  const choices: Choice[] = [];
  const extend = (sofar: Choice): void => {
    const request = wanted.requests[sofar.length];
    if (!request) {
      if (isAllowed(host, wanted, sofar)) choices.push(sofar);
      return;
    }
    const taken = new Set(sofar.flat());
    const fitting = host.devices.filter((device) => !taken.has(device) && aliasMatches(request.specs, device));
    for (const some of subsets(fitting, request.count)) extend([...sofar, some]);
  };
  extend([]);
  return choices;
}

function subsets<T>(items: readonly T[], size: number): (readonly T[])[] {
  if (size === 0) return [[]];
  return items.flatMap((item, at) => subsets(items.slice(at + 1), size - 1).map((rest) => [item, ...rest]));
}

/** Whether the devices may be handed out together, by the rules as they are told to users. */
export function isAllowed(host: HostSnapshot, { requests, cells, constraints }: Wanted, choice: Choice): boolean {
  const taken = takenWith(host, choice);
  const addresses = new Set(taken.map(({ address }) => address));
  return (
    taken.every((device) => device.status === 'available' && !device.missing) &&
    taken.every(({ address }) => host.units.get(address)?.blockedBy === null) &&
    !taken.some(({ parentAddress }) => parentAddress !== null && addresses.has(parentAddress)) &&
    choice.every((devices, at) =>
      devices.every(
        ({ numaNode }) => affinityRank(numaNode, requests[at]?.numaPolicy ?? 'legacy', cells, host.numaCells) !== null,
      ),
    ) &&
    constraints.every((constraint) => isKept(host, constraint, choice))
  );
}

/** The devices, and all that shares an IOMMU group with one of them. */
export function takenWith(host: HostSnapshot, choice: Choice): SnapshotDevice[] {
  const addresses = new Set(choice.flat().flatMap(({ address }) => host.units.get(address)?.members ?? [address]));
  return host.devices.filter(({ address }) => addresses.has(address));
}

function isKept(host: HostSnapshot, constraint: TopologyConstraint, choice: Choice): boolean {
  const devices = constraint.requests.flatMap((index) => choice[index] ?? []);
  const pairs = devices.flatMap((a, at) => devices.slice(at + 1).map((b) => [a, b] as const));
  const isNear = (a: SnapshotDevice, b: SnapshotDevice, level: (typeof DISTANCES)[number]): boolean =>
    DISTANCES.indexOf(distanceBetween(host.topology, a.address, b.address)) <= DISTANCES.indexOf(level);
  switch (constraint.kind) {
    case 'within':
      return pairs.every(([a, b]) => isNear(a, b, constraint.level));
    case 'same':
    case 'distinct': {
      const values = devices.map((device) => valueOf(constraint.attribute, host, device));
      const differ = values.every((value, at) => value === null || !values.slice(at + 1).includes(value));
      return constraint.kind === 'distinct' ? differ : values.every((value) => value !== null && value === values[0]);
    }
    case 'pair': {
      const [many = [], few = []] = constraint.requests.map((index) => choice[index] ?? []);
      const room = few.map(() => constraint.per);
      const serve = (at: number): boolean =>
        at === many.length ||
        few.some((other, place) => {
          if ((room[place] as number) === 0 || !isNear(many[at] as SnapshotDevice, other, constraint.level))
            return false;
          room[place] = (room[place] as number) - 1;
          if (serve(at + 1)) return true;
          room[place] = (room[place] as number) + 1;
          return false;
        });
      return serve(0);
    }
  }
}

function valueOf(
  attribute: TopologyAttribute,
  { topology, groups }: HostSnapshot,
  device: SnapshotDevice,
): string | null {
  const near = topology.get(device.address);
  const physical = device.deviceType === 'type-VF' ? (device.parentAddress ?? device.address) : device.address;
  switch (attribute) {
    case 'numa_node':
      return device.numaNode === null ? null : `${device.numaNode}`;
    case 'pf':
      return device.parentAddress;
    case 'switch':
      return near?.PIX ?? null;
    case 'root_port':
      return near?.PXB ?? null;
    case 'pcie_root':
      return near?.PHB ?? null;
    case 'slot':
      return physical.slice(0, -2);
    case 'card':
      return groups.card.get(physical)?.members[0] ?? physical.slice(0, -2);
  }
}

/** What makes a choice better, greatest first: as `search.ts` says, but for the good sets that are left behind. */
export function valueOfChoice(host: HostSnapshot, { requests, cells }: Wanted, choice: Choice): readonly number[] {
  const asked = choice.flatMap((devices, at) => devices.map((device) => ({ device, request: requests[at] })));
  const sum = (part: (entry: (typeof asked)[number]) => number): number =>
    asked.reduce((total, entry) => total + part(entry), 0);
  const spread = DISTANCES.indexOf(
    spreadOf(
      host.topology,
      asked.map(({ device }) => device.address),
    ),
  );
  const broken = new Set(
    takenWith(host, choice)
      .map(({ parentAddress }) => host.devices.find(({ address }) => address === parentAddress))
      .filter((pf) => pf?.status === 'available'),
  );
  return [
    sum(({ device, request }) => (request ? utilityOf(request, device) : 0)),
    -sum(
      ({ device, request }) =>
        affinityRank(device.numaNode, request?.numaPolicy ?? 'legacy', cells, host.numaCells) ?? 0,
    ),
    spread === DISTANCES.indexOf('SYS') ? -1 : 0,
    -(takenWith(host, choice).length - asked.length),
    -broken.size,
    -Math.max(1, spread),
  ];
}

export function compareValues(a: readonly number[], b: readonly number[]): number {
  return a.map((part, at) => part - (b[at] as number)).find((difference) => difference !== 0) ?? 0;
}
