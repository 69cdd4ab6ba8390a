import fc from 'fast-check';
import { NUMA_POLICIES } from '../../src/pci/alias/numa-policy.js';
import { applyPlacement } from '../../src/placement/apply-placement.js';
import { Fork } from '../../src/placement/fork.js';
import type { DeviceRequest, PlacementRequest } from '../../src/placement/request.js';
import type { HostSnapshot, PlacementPolicy, Snapshot } from '../../src/placement/snapshot.js';
import { aHost, aRequest, type DeviceSketch, POLICY, wants } from './snapshots.js';

/** Small clusters that came about as real ones do: hosts, servers that were placed on them, and holds. */
export interface World {
  readonly snapshot: Snapshot;
  /** What the servers that are there asked for, by their ids. */
  readonly requests: ReadonlyMap<string, PlacementRequest>;
}

const IDS = { gpu: '10de:1bb0', fpga: '10ee:5000', nic: '8086:1572', vf: '8086:154c' } as const;
const TYPES = { gpu: 'type-PCI', fpga: 'type-PCI', nic: 'type-PF', vf: 'type-VF' } as const;
export type Kind = keyof typeof IDS;

/** `count` devices of a kind. */
export function wish(kind: Kind, count: number, numaPolicy: (typeof NUMA_POLICIES)[number] = 'legacy'): DeviceRequest {
  return wants(kind, count, IDS[kind], { deviceType: TYPES[kind], numaPolicy });
}

interface Card {
  readonly kind: 'gpu' | 'fpga' | 'nic';
  readonly vfs: number;
  readonly numaNode: number | null;
  /** Whether its IOMMU group also holds the next card, or a function that the host uses. */
  readonly group: 'own' | 'next' | 'host';
}

const aCard: fc.Arbitrary<Card> = fc.record({
  kind: fc.constantFrom('gpu', 'gpu', 'fpga', 'nic'),
  vfs: fc.nat({ max: 2 }),
  numaNode: fc.constantFrom(0, 1, null),
  group: fc.constantFrom('own', 'own', 'own', 'own', 'next', 'host'),
});

function sketchesOf(cards: readonly Card[]): DeviceSketch[] {
  let group = 0;
  return cards.flatMap((card, index): DeviceSketch[] => {
    const bus = (0x10 + index).toString(16);
    const at = (slot: number): string => `0000:${bus}:0${slot}.0`;
    const isShared = index > 0 && cards[index - 1]?.group === 'next';
    const own = isShared ? group : (group += 10);
    const common = { numaNode: card.numaNode };
    const first = { address: at(0), ids: IDS[card.kind], deviceType: TYPES[card.kind], group: own, ...common };
    const vfs = Array.from({ length: card.kind === 'nic' ? card.vfs : 0 }, (_, vf): DeviceSketch => {
      const rest = { deviceType: TYPES.vf, parentAddress: at(0), group: own + 1 + vf, ...common };
      return { address: at(vf + 1), ids: IDS.vf, ...rest };
    });
    if (vfs.length > 0) group += 5;
    if (card.group !== 'host') return [first, ...vfs];
    return [first, ...vfs, { address: at(7), ids: '8086:ffff', group: own, driver: 'ahci', offered: false }];
  });
}

const aWish: fc.Arbitrary<DeviceRequest> = fc
  .record({
    kind: fc.constantFrom<Kind>('gpu', 'gpu', 'fpga', 'nic', 'vf'),
    count: fc.constantFrom(1, 1, 2, 3),
    policy: fc.constantFrom(...NUMA_POLICIES),
  })
  .map(({ kind, count, policy }) => wish(kind, count, policy));

/** A server with one wish, or two. */
export const anyRequest: fc.Arbitrary<PlacementRequest> = fc
  .record({
    devices: fc.array(aWish, { minLength: 1, maxLength: 2 }),
    vcpus: fc.constantFrom(0, 1, 2, 4),
    guestCells: fc.constantFrom(null, null, [{ vcpus: 1, memoryMb: 512 }]),
  })
  .map(({ devices, vcpus, guestCells }) => aRequest(devices, { vcpus, guestCells }));

interface HostSketch {
  readonly cards: readonly Card[];
  readonly vcpus: number;
  readonly state: 'fine' | 'down' | 'disabled';
}

function hostOf({ cards, vcpus, state }: HostSketch, index: number): HostSnapshot {
  const capacity = { vcpus, memoryMb: 131_072, diskGb: 1000 };
  return aHost(`h${index}`, sketchesOf(cards), {
    ...{ capacity, status: state === 'down' ? 'down' : 'up', enabled: state !== 'disabled' },
  });
}

/** @param size most hosts, cards a host, and servers */
export function worlds(size: {
  readonly hosts: number;
  readonly cards: number;
  readonly servers: number;
}): fc.Arbitrary<World> {
  return fc
    .record({
      hosts: fc.array(
        fc.record({
          cards: fc.array(aCard, { minLength: 1, maxLength: size.cards }),
          vcpus: fc.constantFrom(2, 4, 8),
          state: fc.constantFrom('fine', 'fine', 'fine', 'fine', 'down', 'disabled'),
        }),
        { minLength: 1, maxLength: size.hosts },
      ),
      servers: fc.array(anyRequest, { maxLength: size.servers }),
      held: fc.array(fc.nat({ max: 30 }), { maxLength: 2 }),
    })
    .map(({ hosts, servers, held }) => settledWorld(hosts.map(hostOf), servers, held));
}

function settledWorld(
  hosts: readonly HostSnapshot[],
  servers: readonly PlacementRequest[],
  held: readonly number[],
  policy: PlacementPolicy = POLICY,
): World {
  const fork = new Fork({ hosts, policy });
  const requests = new Map<string, PlacementRequest>();
  for (const [index, request] of servers.entries()) {
    // spread over the hosts, as after years of coming and going
    const others = fork.hosts.filter((_host, at) => at !== index % hosts.length);
    const there = fork.decide(
      request,
      others.map(({ id }) => ({ hostId: id, reason: 'spread' })),
    );
    const decision = there.outcome === 'placed' ? there : fork.decide(request);
    if (decision.outcome === 'rejected') continue;
    const serverId = `s${index}`;
    const host = fork.get(decision.hostId) as HostSnapshot;
    fork.put(applyPlacement(host, decision, request, { serverId, serverName: serverId }));
    requests.set(serverId, request);
  }
  for (const host of [...fork.hosts]) fork.put(withHolds(settled(host), held));
  return { snapshot: { hosts: [...fork.hosts], policy }, requests };
}

/** Its servers have arrived. */
export function settled(host: HostSnapshot): HostSnapshot {
  return { ...host, servers: host.servers.map((server) => ({ ...server, settled: true })) };
}

/** Functions without relatives only: those of others follow rules that are tested elsewhere. */
function withHolds(host: HostSnapshot, held: readonly number[]): HostSnapshot {
  const devices = host.devices.map((device, index) => {
    const isHeld = held.includes(index) && device.status === 'available' && device.deviceType === 'type-PCI';
    return isHeld ? { ...device, status: 'reserved' as const } : device;
  });
  return { ...host, devices };
}
