import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { NUMA_POLICIES } from '../pci/alias/numa-policy.js';
import type { Decision } from './decision.js';
import { place } from './place.js';
import type { DeviceRequest, GuestCell } from './request.js';

/** One card: a plain device, or a PF with VFs; each is in IOMMU groups of its own and in a slot of its own. */
interface Card {
  readonly kind: 'gpu' | 'fpga' | 'nic';
  readonly vfs: number;
  readonly numaNode: number | null;
  readonly busy: boolean;
  readonly tagged: boolean;
}

const aCard: fc.Arbitrary<Card> = fc.record({
  kind: fc.constantFrom('gpu', 'fpga', 'nic'),
  vfs: fc.nat({ max: 3 }),
  numaNode: fc.constantFrom(0, 1, null),
  busy: fc.boolean(),
  tagged: fc.boolean(),
});

const IDS = { gpu: '10de:1bb0', fpga: '10ee:5000', nic: '8086:1572', vf: '8086:154c' } as const;

function sketchesOf(card: Card, bus: number): DeviceSketch[] {
  const at = (slot: number): string =>
    `0000:${bus.toString(16).padStart(2, '0')}:${slot.toString(16).padStart(2, '0')}.0`;
  const common = { numaNode: card.numaNode, tags: card.tagged ? { rack: 'a' } : {} };
  const status = card.busy ? ('allocated' as const) : ('available' as const);
  const group = (slot: number): number => bus * 32 + slot;
  if (card.kind !== 'nic') return [{ address: at(0), ids: IDS[card.kind], status, group: group(0), ...common }];
  // of a NIC in use a VF is out, so that its PF is unavailable
  const inUse = card.busy && card.vfs > 0;
  const pf = { address: at(0), ids: IDS.nic, deviceType: 'type-PF' as const, group: group(0), ...common };
  return [
    { ...pf, status: inUse ? ('unavailable' as const) : ('available' as const) },
    ...Array.from({ length: card.vfs }, (_, index) => ({
      ...{ address: at(index + 1), ids: IDS.vf, deviceType: 'type-VF' as const, parentAddress: at(0) },
      ...{ status: inUse && index === 0 ? ('allocated' as const) : ('available' as const), group: group(index + 1) },
      ...common,
    })),
  ];
}

const aWish: fc.Arbitrary<DeviceRequest> = fc
  .record({
    kind: fc.constantFrom('gpu', 'fpga', 'nic', 'vf'),
    count: fc.integer({ min: 1, max: 3 }),
    numaPolicy: fc.constantFrom(...NUMA_POLICIES),
    or: fc.boolean(),
    rack: fc.boolean(),
  })
  .map(({ kind, count, numaPolicy, or, rack }) => {
    const deviceType = kind === 'nic' ? 'type-PF' : kind === 'vf' ? 'type-VF' : 'type-PCI';
    const wish = wants(kind, count, IDS[kind], { deviceType, numaPolicy, ...(rack ? { tags: { rack: 'a' } } : {}) });
    return or ? { ...wish, specs: [...wish.specs, ...wants('gpu', 1, IDS.gpu).specs] } : wish;
  });

const cards = fc.array(aCard, { maxLength: 5 });
const wishes = fc.array(aWish, { minLength: 1, maxLength: 3 });
const guest: fc.Arbitrary<readonly GuestCell[] | null> = fc.constantFrom(null, [{ vcpus: 1, memoryMb: 512 }]);

function decide(given: readonly Card[], asked: readonly DeviceRequest[], guestCells: readonly GuestCell[] | null) {
  const devices = given.flatMap((card, index) => sketchesOf(card, index + 1));
  return place({ hosts: [aHost('h', devices)], policy: POLICY }, aRequest(asked, { guestCells }), []);
}

/** What a decision gives; the words of a refusal follow the order of the question. */
function chosenOf(decision: Decision): unknown {
  return decision.outcome === 'placed' ? decision.devices : 'rejected';
}

const RUNS = { numRuns: 300 };

describe('laws of placing', () => {
  it('one more device never makes a request fail', () => {
    fc.assert(
      fc.property(cards, aCard, wishes, guest, (given, more, asked, cells) => {
        if (decide(given, asked, cells).outcome === 'placed') {
          expect(decide([...given, more], asked, cells).outcome).toBe('placed');
        }
      }),
      RUNS,
    );
  });

  it('one wish less never makes a request fail', () => {
    fc.assert(
      fc.property(cards, wishes, guest, (given, asked, cells) => {
        if (decide(given, asked, cells).outcome === 'placed') {
          expect(decide(given, asked.slice(1), cells).outcome).toBe('placed');
        }
      }),
      RUNS,
    );
  });

  it('the order of requests does not matter', () => {
    fc.assert(
      fc.property(cards, wishes, guest, (given, asked, cells) => {
        const outcome = decide(given, asked, cells).outcome;
        expect(decide(given, [...asked].reverse(), cells).outcome).toBe(outcome);
      }),
      RUNS,
    );
  });

  it('the order of alternatives does not matter', () => {
    fc.assert(
      fc.property(cards, wishes, guest, (given, asked, cells) => {
        const turned = asked.map((wish) => ({ ...wish, specs: [...wish.specs].reverse() }));
        expect(chosenOf(decide(given, turned, cells))).toEqual(chosenOf(decide(given, asked, cells)));
      }),
      RUNS,
    );
  });

  it('what is given was free, fits, is as much as was asked for, and no PF goes with its VF', () => {
    fc.assert(
      fc.property(cards, wishes, guest, (given, asked, cells) => {
        const decision = decide(given, asked, cells);
        if (decision.outcome !== 'placed') return;
        const devices = new Map(
          given.flatMap((card, index) => sketchesOf(card, index + 1)).map((one) => [one.address, one]),
        );
        const taken = decision.devices.map(({ address }) => devices.get(address));
        expect(new Set(taken).size).toBe(taken.length);
        for (const device of taken) {
          expect(device?.status).toBe('available');
          expect(taken.some((other) => other?.address === device?.parentAddress)).toBe(false);
        }
        asked.forEach((wish, index) => {
          const own = decision.devices.filter(({ requestIndex }) => requestIndex === index);
          expect(own).toHaveLength(wish.count);
        });
      }),
      RUNS,
    );
  });

  it('the same question has the same answer, byte for byte, whatever was asked in between', () => {
    fc.assert(
      fc.property(cards, wishes, guest, (given, asked, cells) => {
        const devices = given.flatMap((card, index) => sketchesOf(card, index + 1));
        const snapshot = { hosts: [aHost('h', devices)], policy: POLICY };
        const first = JSON.stringify(place(snapshot, aRequest(asked, { guestCells: cells }), []));
        place(snapshot, aRequest([...asked].reverse()), []);
        expect(JSON.stringify(place(snapshot, aRequest(asked, { guestCells: cells }), []))).toBe(first);
      }),
      { numRuns: 100 },
    );
  });
});
