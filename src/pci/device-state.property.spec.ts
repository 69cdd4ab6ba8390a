import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import { DEVICE_STATUSES, isHeld, transition, type DeviceEvent, type DeviceState } from './device-state.js';
import type { Dialect } from './dialect.js';

type World = Map<string, DeviceState>;
interface Step {
  readonly event: DeviceEvent;
  /** Of the device, counted round. */
  readonly at: number;
  readonly ownerId: string | null;
}

const NOVA_EVENTS = ['claim', 'allocate', 'free', 'remove'] as const;
const ALL_EVENTS = [
  ...NOVA_EVENTS,
  ...(['return', 'delete', 'reserve', 'unreserve', 'clean', 'cleaned', 'fail', 'quarantine', 'repair'] as const),
] as const;
const OWNED_EVENTS: ReadonlySet<DeviceEvent> = new Set(['claim', 'allocate', 'free', 'clean']);

/** A few cards: each number is a PF with so many VFs, 0 a plain device. */
const cards = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 });

function steps(events: readonly DeviceEvent[]): fc.Arbitrary<Step[]> {
  const step = fc.record<Step>({
    // half of all events take a device, so that many are in use and the others have something to happen to
    event: fc.oneof(fc.constantFrom<DeviceEvent>('claim', 'allocate'), fc.constantFrom(...events)),
    at: fc.nat(11),
    ownerId: fc.constantFrom('a', 'b', 'c', null),
  });
  return fc.array(step, { maxLength: 40 });
}

function newWorld(vfCounts: readonly number[]): World {
  const states = vfCounts.flatMap((count, index): DeviceState[] => {
    const free = { status: 'available', ownerId: null } as const;
    const pf = `0000:0${index}:00.0`;
    const vfs = Array.from({ length: count }, (_unused, vf): DeviceState => {
      return { ...free, address: `0000:0${index}:02.${vf}`, deviceType: 'type-VF', parentAddress: pf };
    });
    return [{ ...free, address: pf, deviceType: count > 0 ? 'type-PF' : 'type-PCI', parentAddress: null }, ...vfs];
  });
  return new Map(states.map((state) => [state.address, state]));
}

/** Takes a step, if it is allowed, and holds that a refusal is a typed error that changes nothing. */
function take(world: World, { event, at, ownerId }: Step, dialect: Dialect): DeviceState | null {
  const before = structuredClone([...world]);
  const address = [...world.keys()][at % world.size] ?? '';
  try {
    const changed = transition(world, event, address, OWNED_EVENTS.has(event) ? ownerId : null, dialect);
    expect([...world]).toEqual(before);
    for (const state of changed) world.set(state.address, state);
    return changed[0] ?? null;
  } catch (error) {
    expect(error).toBeInstanceOf(BerthError);
    expect([...world]).toEqual(before);
    return null;
  }
}

const isInUse = (state: DeviceState): boolean => state.status === 'claimed' || state.status === 'allocated';
const isGone = (state: DeviceState): boolean => state.status === 'removed' || state.status === 'deleted';

function relativesOf(world: World, device: DeviceState): DeviceState[] {
  return [...world.values()].filter(
    (other) => other.parentAddress === device.address || other.address === device.parentAddress,
  );
}

function expectNobodyShares(world: World): void {
  for (const device of world.values()) {
    expect(device.ownerId !== null, device.address).toBe(isInUse(device));
    if (isInUse(device)) expect(relativesOf(world, device).filter(isInUse)).toEqual([]);
  }
}

/** A device is kept from use if, and only if, something keeps it. */
function expectNothingLost(world: World): void {
  for (const device of world.values()) {
    expect([...DEVICE_STATUSES, 'deleted']).toContain(device.status);
    const blocked = relativesOf(world, device).some((other) => isInUse(other) || isHeld(other.status));
    if (device.status === 'available') expect(blocked, device.address).toBe(false);
    if (device.status.startsWith('un')) expect(blocked, device.address).toBe(true);
  }
}

describe('any sequence of events', () => {
  it('gives no device two owners, no card to two servers at two levels, and loses no device', () => {
    fc.assert(
      fc.property(cards, steps(ALL_EVENTS), (vfCounts, sequence) => {
        const world = newWorld(vfCounts);
        const inventory = identities(world);
        for (const step of sequence) {
          const owners = new Map([...world.values()].map((device) => [device.address, device.ownerId]));
          const device = take(world, step, 'strict');
          expectNobodyShares(world);
          expectNothingLost(world);
          expect(identities(world)).toEqual(inventory);
          for (const [address, owner] of owners) {
            const now = world.get(address)?.ownerId ?? null;
            if (address !== device?.address) expect(now).toBe(owner);
            else if (owner !== null && now !== null) expect(now).toBe(owner);
            else if (owner !== null) expect([owner, null]).toContain(step.ownerId);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('brings nothing back that was removed, but by its return', () => {
    fc.assert(
      fc.property(cards, steps(ALL_EVENTS), (vfCounts, sequence) => {
        const world = newWorld(vfCounts);
        for (const step of sequence) {
          const gone = [...world.values()].filter(isGone).map((device) => device.address);
          const device = take(world, step, 'strict');
          for (const address of gone) {
            if (step.event === 'return' && device?.address === address) continue;
            expect(world.get(address)).toSatisfy(isGone);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('ends with every device available again, once all is freed and nothing is held', () => {
    fc.assert(
      fc.property(cards, steps(ALL_EVENTS), (vfCounts, sequence) => {
        const world = newWorld(vfCounts);
        for (const step of sequence) take(world, step, 'strict');
        const ways: readonly DeviceEvent[] = ['free', 'unreserve', 'cleaned', 'repair'];
        for (let at = 0; at < world.size; at++) {
          for (const event of ways) take(world, { event, at, ownerId: null }, 'strict');
        }
        const present = [...world.values()].filter((device) => !isGone(device));
        expect(present.filter((device) => device.status !== 'available')).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('gives no card to two servers in the nova dialect either', () => {
    fc.assert(
      fc.property(cards, steps(NOVA_EVENTS), (vfCounts, sequence) => {
        const world = newWorld(vfCounts);
        const inventory = identities(world);
        for (const step of sequence) {
          take(world, step, 'nova');
          expectNobodyShares(world);
          expect(identities(world)).toEqual(inventory);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** What no event may touch. */
function identities(world: World): unknown {
  return [...world.values()].map(({ address, deviceType, parentAddress }) => [address, deviceType, parentAddress]);
}
