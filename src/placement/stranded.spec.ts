import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { atOnce } from '../../test/support/steps.js';
import { type Kind, wish, worlds } from '../../test/support/worlds.js';
import { place } from './place.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from './snapshot.js';
import { type AliasMix, fragmentationByAlias, hostFragments } from './stranded.js';

const GPU = '10de:1bb0';
const AT = (slot: number): string => `0000:81:0${slot}.0`;
const mixOf = (...requests: PlacementRequest[]): AliasMix => ({
  alias: wants('gpu', 1, GPU),
  shapes: requests.map((request) => ({ request, weight: 1 })),
});
const gpus = (count: number, more: Partial<PlacementRequest> = {}) => aRequest([wants('gpu', count, GPU)], more);

function codesOf(host: HostSnapshot, mix: AliasMix): Record<string, string> {
  const { stranded } = hostFragments(host, POLICY, mix);
  return Object.fromEntries(stranded.map(({ device, code }) => [device.address, code]));
}

describe('stranded devices and their causes', () => {
  const owner = { serverId: 's', serverName: 's' };
  const two = [{ address: AT(0) }, { address: AT(1) }];

  it.each<[string, HostSnapshot, AliasMix, Record<string, string>]>([
    ['none', aHost('h', two), mixOf(gpus(1)), {}],
    [
      'the host is silent',
      aHost('h', [{ address: AT(0) }], { status: 'down' }),
      mixOf(gpus(1)),
      { [AT(0)]: 'host.silent' },
    ],
    ['disabled', aHost('h', [{ address: AT(0) }], { enabled: false }), mixOf(gpus(1)), { [AT(0)]: 'host.disabled' }],
    [
      'no vCPU is left for the smallest',
      aHost('h', two, { used: { vcpus: 63, memoryMb: 0, diskGb: 0 } }),
      mixOf(gpus(1, { vcpus: 2 }), gpus(1, { vcpus: 8 })),
      { [AT(0)]: 'vcpus.not_enough', [AT(1)]: 'vcpus.not_enough' },
    ],
    [
      'no memory, no disk',
      aHost('h', [{ address: AT(0) }], { used: { vcpus: 0, memoryMb: 131_072, diskGb: 0 } }),
      mixOf(gpus(1)),
      { [AT(0)]: 'memory.not_enough' },
    ],
    [
      'held; in use is nobody’s business',
      aHost('h', [
        { address: AT(0), status: 'quarantined' },
        { address: AT(1), status: 'allocated', owner },
      ]),
      mixOf(gpus(1)),
      { [AT(0)]: 'device.held' },
    ],
    [
      'the IOMMU group is not viable, or in use in part',
      aHost('h', [
        { address: AT(0), group: 1 },
        { address: AT(7), group: 1, driver: 'ahci', offered: false },
        { address: AT(1), group: 2 },
        { address: AT(2), group: 2, ids: '10de:10f0', status: 'reserved' },
      ]),
      mixOf(gpus(1)),
      { [AT(0)]: 'device.iommu_group', [AT(1)]: 'device.iommu_group' },
    ],
    [
      'one is left where two are asked for',
      aHost('h', [{ address: AT(0) }]),
      mixOf(gpus(2)),
      { [AT(0)]: 'device.not_enough_free' },
    ],
    [
      'its NUMA node has too few',
      aHost('h', [...two, { address: AT(2), numaNode: 1 }]),
      mixOf(aRequest([wants('gpu', 2, GPU, { numaPolicy: 'required' })])),
      { [AT(2)]: 'device.not_together' },
    ],
    ['a smaller one would fit', aHost('h', [{ address: AT(0) }]), mixOf(gpus(1), gpus(2)), {}],
  ])('%s', (_what, host, mix, expected) => {
    expect(codesOf(host, mix)).toEqual(expected);
  });

  it('a PF whose VF is in use', () => {
    const host = aHost('h', [
      { address: AT(0), ids: '8086:1572', deviceType: 'type-PF', status: 'unavailable' },
      { address: AT(1), ids: '8086:154c', deviceType: 'type-VF', parentAddress: AT(0), status: 'allocated', owner },
    ]);
    const mix = { alias: wish('nic', 1), shapes: [{ request: aRequest([wish('nic', 1)]), weight: 1 }] };
    expect(codesOf(host, mix)).toEqual({ [AT(0)]: 'device.relative_in_use' });
  });

  it('sums causes by kind of device over hosts, and weighs the mix', () => {
    const hosts = [
      aHost('a', two),
      aHost('b', [{ address: AT(0) }]),
      aHost('c', [{ address: AT(0) }], { status: 'down' }),
      aHost('d', [{ address: AT(0) }], { status: 'down' }),
    ];
    const shapes = [
      { request: gpus(1), weight: 3 },
      { request: gpus(2), weight: 1 },
    ];
    const [answer] = atOnce(fragmentationByAlias({ hosts, policy: POLICY }, [{ alias: wants('gpu', 1, GPU), shapes }]));
    expect(answer).toMatchObject({
      ...{ alias: 'gpu', idle: 5, free: 5, stranded: 2 },
      causes: [
        {
          ...{ code: 'host.silent', vendorId: '10de', productId: '1bb0', deviceType: 'type-PCI' },
          ...{
            count: 2,
            hostCount: 2,
            hosts: ['c', 'd'],
            example: `c ${AT(0)}: the agent of the host does not report`,
          },
        },
      ],
      // b: only the pairs cannot use it (1 of 4); c and d: nobody
      fragmentation: (1 * 0.25 + 2) / 5,
      worstHosts: [
        { host: 'c', free: 1, unusable: 1 },
        { host: 'd', free: 1, unusable: 1 },
        { host: 'b', free: 1, unusable: 0.25 },
      ],
    });
  });

  const shape = fc.record({
    kind: fc.constantFrom<Kind>('gpu', 'gpu', 'nic', 'vf'),
    count: fc.constantFrom(1, 2),
    vcpus: fc.constantFrom(0, 1, 4),
    policy: fc.constantFrom('legacy' as const, 'required' as const),
    guestCells: fc.constantFrom(null, [{ vcpus: 1, memoryMb: 512 }]),
  });

  it('is what trying every set of devices finds', () => {
    fc.assert(
      fc.property(
        worlds({ hosts: 2, cards: 4, servers: 3 }),
        fc.array(shape, { minLength: 1, maxLength: 2 }),
        (given, kinds) => {
          const kind = (kinds[0] as (typeof kinds)[number]).kind;
          const requests = kinds.map(({ count, vcpus, policy, guestCells }) =>
            aRequest([wish(kind, count, policy)], { vcpus, guestCells }),
          );
          const { hosts, policy } = given.snapshot;
          const mix = { alias: wish(kind, 1), shapes: requests.map((request) => ({ request, weight: 1 })) };
          for (const host of hosts) {
            const found = hostFragments(host, policy, mix).stranded.map(({ device }) => device.address);
            expect(found).toEqual(strandedByForce(host, policy, requests));
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Idle devices of the alias for which no set of free devices with them in it serves any of the requests. */
function strandedByForce(host: HostSnapshot, policy: PlacementPolicy, requests: readonly PlacementRequest[]): string[] {
  const spec = requests[0]?.devices[0]?.specs[0];
  const ofAlias = host.devices.filter(
    (device) => `${device.vendorId}:${device.productId}` === `${spec?.vendorId}:${spec?.productId}`,
  );
  const idle = ofAlias.filter((device) => device.owner === null && !device.missing);
  return idle
    .filter((device) => {
      return !requests.some((request) => {
        const others = idle.filter((other) => other !== device);
        const sets = request.devices[0]?.count === 1 ? [[device]] : others.map((other) => [device, other]);
        return sets.some((set) => servedWith(host, policy, request, ofAlias, set));
      });
    })
    .map(({ address }) => address);
}

/** Whether the request is served with just these of the alias's devices, all others being held. */
function servedWith(
  host: HostSnapshot,
  policy: PlacementPolicy,
  request: PlacementRequest,
  ofAlias: readonly SnapshotDevice[],
  set: readonly SnapshotDevice[],
): boolean {
  const mates = new Set(set.flatMap(({ address }) => host.units.get(address)?.members ?? []));
  const devices = host.devices.map((device) => {
    if (!ofAlias.includes(device) || device.status !== 'available' || set.includes(device)) return device;
    // what shares the group has to come along; it is made another kind of device, so that it serves no wish
    return mates.has(device.address) ? { ...device, productId: 'mate' } : { ...device, status: 'reserved' as const };
  });
  const decision = place({ hosts: [{ ...host, devices }], policy }, request, []);
  return decision.outcome === 'placed';
}
