import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { applyPlacement, withoutServer } from './apply-placement.js';
import {
  freezeBuild,
  freezeHost,
  sharesBuild,
  thawBuild,
  thawFacts,
  thawHost,
  type Frozen,
} from './frozen-snapshot.js';
import { place } from './place.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/** Written down and read back, as JSON text. */
function roundTrip(host: HostSnapshot): HostSnapshot {
  const { facts, state } = freezeHost(host);
  const again = (part: Frozen): Frozen => JSON.parse(JSON.stringify(part)) as Frozen;
  return thawHost(thawFacts(thawBuild(again(freezeBuild(host))), again(facts)), again(state));
}

const GPU = '10de:1bb0';
const text = fc.oneof(fc.constantFrom('$map', '$object', '__proto__', 'constructor', ''), fc.string());

const aDevice: fc.Arbitrary<Partial<SnapshotDevice>> = fc.record(
  {
    status: fc.constantFrom('available', 'claimed', 'allocated', 'unclaimable', 'unavailable', 'quarantined'),
    owner: fc.option(fc.record({ serverId: fc.uuid(), serverName: text })),
    missing: fc.boolean(),
    sharesUsed: fc.integer({ min: 0, max: 1000 }),
    tags: fc.dictionary(text, text, { maxKeys: 3 }),
    numaNode: fc.constantFrom(0, 1, null),
    resourceClass: fc.option(text),
    traits: fc.array(text, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);

const aServer = fc.record({
  ...{ id: fc.uuid(), name: text, projectId: text },
  ...{ vcpus: fc.nat(64), memoryMb: fc.nat(), diskGb: fc.nat() },
  numaCells: fc.option(fc.array(fc.nat(3), { maxLength: 2 })),
  guestCells: fc.option(fc.array(fc.record({ vcpus: fc.nat(8), memoryMb: fc.nat() }), { maxLength: 2 })),
  cpuPolicy: fc.constantFrom('shared' as const, 'dedicated' as const),
  ...{ groupId: fc.option(fc.uuid()), priority: fc.integer() },
  ...{ preemptible: fc.boolean(), settled: fc.boolean() },
});

const hosts: fc.Arbitrary<HostSnapshot> = fc
  .record({
    devices: fc.array(aDevice, { maxLength: 6 }),
    servers: fc.array(aServer, { maxLength: 3 }),
    status: fc.constantFrom('up' as const, 'down' as const),
    enabled: fc.boolean(),
    disabledReason: fc.option(text),
    generation: fc.nat(),
    failedBuilds: fc.nat(5),
    used: fc.record({ vcpus: fc.nat(32), memoryMb: fc.nat(131_072), diskGb: fc.nat(500) }),
    metadata: fc.dictionary(text, text, { maxKeys: 3 }),
  })
  .map(({ devices, metadata, ...more }) => {
    const sketches = devices.map((device, index): DeviceSketch => {
      // two of a slot, and each slot behind a port of its own
      const address = `0000:${(16 + (index >> 1)).toString(16)}:00.${index % 2}`;
      return { ...device, address, ids: GPU, group: index >> 1 };
    });
    return aHost('h', sketches, { ...more, aggregates: [{ name: 'a', metadata }], traits: ['HW_A'] });
  });

describe('a frozen host', () => {
  it('is the same when it is thawed, whatever is on it', () => {
    fc.assert(
      fc.property(hosts, (host) => {
        const thawed = roundTrip(host);
        expect(thawed).toEqual(host);
        expect(Object.keys(thawed).sort()).toEqual(Object.keys(host).sort());
      }),
      { numRuns: 500 },
    );
  });

  it('decides the same, byte for byte', () => {
    fc.assert(
      fc.property(hosts, fc.integer({ min: 1, max: 3 }), (host, count) => {
        const decide = (one: HostSnapshot): string =>
          JSON.stringify(place({ hosts: [one], policy: POLICY }, aRequest([wants('gpu', count, GPU)]), []));
        expect(decide(roundTrip(host))).toBe(decide(host));
      }),
      { numRuns: 300 },
    );
  });

  it('changes only its state when servers come and go', () => {
    fc.assert(
      fc.property(hosts, (any) => {
        const unowned = any.devices.map((device) =>
          device.status === 'available' ? { ...device, owner: null } : device,
        );
        const host = { ...any, devices: unowned };
        const request = aRequest([wants('gpu', 1, GPU)]);
        const decision = place({ hosts: [host], policy: POLICY }, request, []);
        if (decision.outcome === 'rejected') return;
        const after = applyPlacement(host, decision, request, { serverId: 's', serverName: 'vm' });
        for (const other of [after, withoutServer(after, 's')]) {
          expect(freezeHost(other).facts).toEqual(freezeHost(host).facts);
          expect(sharesBuild(other, host)).toBe(true);
          expect(freezeBuild(other)).toEqual(freezeBuild(host));
        }
        expect(freezeHost(after).state).not.toEqual(freezeHost(host).state);
      }),
      { numRuns: 300 },
    );
  });

  it('writes nothing down for devices that are free', () => {
    const busy: DeviceSketch = { address: '0000:84:00.0', status: 'allocated' };
    const { state } = freezeHost(aHost('h', [{ address: '0000:83:00.0' }, busy]));
    expect(state).toMatchObject({ devices: { '0000:84:00.0': { status: 'allocated', owner: null, missing: false } } });
    expect(Object.keys((state as { devices: object }).devices)).toEqual(['0000:84:00.0']);
  });

  it('shares its build only with hosts of which every part of that is the same', () => {
    const host = aHost('h', [{ address: '0000:83:00.0' }]);
    const like = { ...host, id: 'other', name: 'other', devices: host.devices.map((one) => ({ ...one, id: 'other' })) };
    expect(sharesBuild(host, like)).toBe(true);
    const withDevice = (more: object): HostSnapshot => ({
      ...like,
      devices: like.devices.map((one) => ({ ...one, ...more })),
    });
    const others = [
      { ...like, numaCells: [...like.numaCells] },
      { ...like, topology: new Map(like.topology) },
      { ...like, groups: { ...like.groups } },
      { ...like, devices: [] },
      ...[{ tags: { a: 'b' } }, { numaNode: 7 }, { traits: ['A'] }, { heat: 1 }].map(withDevice),
    ];
    for (const other of others) expect([sharesBuild(host, other), sharesBuild(other, host)]).toEqual([false, false]);
  });

  it('carries fields that it was not told of', () => {
    const host = aHost('h', [{ address: '0000:83:00.0' }]);
    const devices = host.devices.map((device) => ({ ...device, heat: { now: [1.5, null] } }));
    const other = { ...host, devices, racks: new Map([[{ row: 1 }, new Map([['a', ['$map']]])]]) };
    expect(roundTrip(other)).toEqual(other);
  });

  it.each([
    ['a set', new Set(['a'])],
    ['a time', new Date(0)],
    ['no number', Number.NaN],
    ['too large a number', Infinity],
    ['a function', () => 1],
    ['a big integer', 1n],
  ])('refuses what JSON cannot carry: %s', (_name, value) => {
    const host = { ...aHost('h', []), racks: [value] };
    expect(() => freezeHost(host)).toThrow('racks cannot be kept as JSON');
  });
});
