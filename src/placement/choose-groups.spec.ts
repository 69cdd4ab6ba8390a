import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import type { AliasGroup } from '../pci/alias/alias-fields.js';
import { aliasMatches } from '../pci/alias/alias-match.js';
import { affinityRank } from './affinity.js';
import { isFree } from './device-classes.js';
import type { DeviceRequest } from './request.js';
import { selectDevices } from './select-devices.js';
import type { HostSnapshot } from './snapshot.js';
import { freeCount } from './supply.js';
import { groupKind } from './whole-groups.js';

const GPU = '10de:1bb0';
const AUDIO = '10de:10f0';
const NIC = '8086:1572';
const VF = '8086:154c';
const owner = { serverId: 's', serverName: 'vm-1' };

function chosen(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  cells: readonly number[] | null = null,
): unknown {
  const selection = selectDevices(host, { requests, cells, constraints: [] });
  if (selection.outcome !== 'feasible') return selection.outcome;
  return selection.devices.map(({ address, requestIndex }) => `${address.slice(5)}${requestIndex === null ? '+' : ''}`);
}

/** A GPU with its audio function; each has an IOMMU group of its own unless another is given. */
function gpuCard(slot: string, more: Partial<DeviceSketch> = {}, audio: Partial<DeviceSketch> = {}): DeviceSketch[] {
  return [
    { address: `0000:${slot}:00.0`, ids: GPU, ...more },
    { address: `0000:${slot}:00.1`, ids: AUDIO, ...more, ...audio },
  ];
}

const full = (count: number, group: AliasGroup = 'slot'): DeviceRequest => wants('gpu-full', count, GPU, { group });

describe('whole slots', () => {
  it('come with all their functions, also from IOMMU groups of their own', () => {
    const host = aHost('h', [...gpuCard('83'), ...gpuCard('84')]);
    expect(chosen(host, [full(1)])).toEqual(['83:00.0', '83:00.1+']);
    expect(chosen(host, [full(2)])).toEqual(['83:00.0', '84:00.0', '83:00.1+', '84:00.1+']);
    expect(chosen(host, [full(3)])).toBe('infeasible');
    expect(chosen(host, [wants('gpu', 1, GPU)])).toEqual(['83:00.0']);
  });

  it.each<[string, DeviceSketch[]]>([
    ['in use', gpuCard('83', {}, { status: 'allocated', owner })],
    ['missing', gpuCard('83', {}, { missing: true })],
    ['not offered', gpuCard('83', {}, { offered: false })],
    ['not safe to hand over', gpuCard('83', {}, { group: null })],
  ])('with a function that is %s are not whole', (_case, card) => {
    expect(chosen(aHost('h', [...card, ...gpuCard('84')]), [full(1)])).toEqual(['84:00.0', '84:00.1+']);
    expect(chosen(aHost('h', card), [full(1)])).toBe('infeasible');
  });

  it('count once when several of their functions match', () => {
    const host = aHost('h', [...gpuCard('83', { ids: GPU }, { ids: GPU }), { address: '0000:84:00.0', ids: GPU }]);
    expect(freeCount(host, full(1))).toBe(2);
    // the slot with less to come along first
    expect(chosen(host, [full(1)])).toEqual(['84:00.0']);
    expect(chosen(host, [full(2)])).toEqual(['83:00.0', '84:00.0', '83:00.1+']);
    expect(chosen(host, [full(3)])).toBe('infeasible');
  });

  it('go to one request: their other functions serve nobody else', () => {
    const host = aHost('h', [...gpuCard('83'), ...gpuCard('84')]);
    const audio = wants('audio', 1, AUDIO);
    expect(chosen(host, [full(1), audio])).toEqual(['83:00.0', '84:00.1', '83:00.1+']);
    expect(chosen(host, [audio, full(1)])).toEqual(['84:00.1', '83:00.0', '83:00.1+']);
    expect(chosen(host, [full(2), audio])).toBe('infeasible');
  });

  it('of one IOMMU group come together, and what is left of it serves others', () => {
    const host = aHost('h', [...gpuCard('83', { group: 1 }), ...gpuCard('84', { group: 1 })]);
    expect(chosen(host, [full(1)])).toEqual(['83:00.0', '83:00.1+', '84:00.0+', '84:00.1+']);
    expect(chosen(host, [full(2)])).toEqual(['83:00.0', '84:00.0', '83:00.1+', '84:00.1+']);
    expect(chosen(host, [full(1), wants('audio', 1, AUDIO)])).toEqual(['83:00.0', '84:00.1', '83:00.1+', '84:00.0+']);
  });

  it('with a PF exclude its VFs', () => {
    const nic: DeviceSketch[] = ['81', '82'].flatMap((bus): DeviceSketch[] => [
      { address: `0000:${bus}:00.0`, ids: NIC, deviceType: 'type-PF' },
      { address: `0000:${bus}:00.1`, ids: NIC, deviceType: 'type-PF' },
      { address: `0000:${bus}:02.0`, ids: VF, deviceType: 'type-VF', parentAddress: `0000:${bus}:00.0` },
    ]);
    const nics = (count: number): DeviceRequest => wants('nic', count, NIC, { deviceType: 'type-PF', group: 'slot' });
    const vfs = (count: number): DeviceRequest => wants('vf', count, VF, { deviceType: 'type-VF' });
    expect(chosen(aHost('h', nic), [nics(1), vfs(1)])).toEqual(['81:00.0', '82:02.0', '81:00.1+']);
    expect(chosen(aHost('h', nic), [vfs(2), nics(1)])).toBe('infeasible');
    expect(chosen(aHost('h', nic), [nics(2)])).toHaveLength(4);
  });

  it('are near as their requested device is', () => {
    const host = aHost('h', [...gpuCard('83', { numaNode: 1 }), ...gpuCard('84', { numaNode: 0 })]);
    const required = { ...full(1), numaPolicy: 'required' as const };
    expect(chosen(host, [required], [0])).toEqual(['84:00.0', '84:00.1+']);
    expect(chosen(host, [{ ...required, count: 2 }], [0])).toBe('infeasible');
    expect(chosen(host, [{ ...full(1), numaPolicy: 'preferred' }], [0])).toEqual(['84:00.0', '84:00.1+']);
  });

  it('that are equal are not tried in every order', () => {
    const cards = Array.from({ length: 16 }, (_unused, slot) => gpuCard(`8${slot.toString(16)}`)).flat();
    // one audio function is wanted beside all slots: nothing can do that, and that is seen at once
    expect(chosen(aHost('h', cards), [full(15), wants('audio', 1, AUDIO)])).toHaveLength(31);
    expect(chosen(aHost('h', cards), [full(16), wants('audio', 1, AUDIO)])).toBe('infeasible');
    expect(chosen(aHost('h', cards), [full(8), wants('gpu', 9, GPU)])).toBe('infeasible');
  });
});

describe('whole cards', () => {
  it('are told apart from single slots of the same devices', () => {
    const [root, port] = ['pci0000:00', '0000:00:01.0'];
    const host = aHost('h', [
      { address: '0000:01:00.0', ids: GPU, pciePath: [root, port] },
      { address: '0000:01:01.0', ids: NIC, pciePath: [root, port] },
      { address: '0000:02:00.0', ids: GPU },
    ]);
    const nic = wants('nic', 1, NIC, { group: 'card' });
    expect(chosen(host, [full(1), nic])).toEqual(['02:00.0', '01:01.0', '01:00.0+']);
    expect(chosen(host, [full(2), nic])).toBe('infeasible');
  });

  it('take the slots behind their own switch along', () => {
    const [root, top] = ['pci0000:00', '0000:00:01.0'];
    const arc: DeviceSketch[] = [
      { address: '0000:01:00.0', ids: '8086:4fa1', classCode: '060400', offered: false, pciePath: [root, top] },
      {
        address: '0000:03:00.0',
        ids: GPU.replace('10de', '8086'),
        pciePath: [root, top, '0000:01:00.0', '0000:02:01.0'],
      },
      { address: '0000:04:00.0', ids: '8086:4f90', pciePath: [root, top, '0000:01:00.0', '0000:02:04.0'] },
    ];
    const arcs = (group: AliasGroup): DeviceRequest => wants('arc', 1, '8086:1bb0', { group });
    expect(chosen(aHost('h', arc), [arcs('card')])).toEqual(['03:00.0', '04:00.0+']);
    expect(chosen(aHost('h', arc), [arcs('slot')])).toEqual(['03:00.0']);
  });
});

describe('alternatives with utilities', () => {
  const better = (count: number, more: Partial<DeviceRequest> = {}): DeviceRequest => ({
    ...wants('gpu', count, GPU),
    specs: [
      ...wants('gpu', 1, GPU, { utility: 10 }).specs,
      ...wants('gpu', 1, '10de:20b0', { utility: 100 }).specs,
      ...wants('gpu', 1, '10de:20b0', { utility: 50, deviceType: 'type-PF' }).specs,
    ],
    ...more,
  });
  const host = aHost('h', [
    { address: '0000:01:00.0', numaNode: 0 },
    { address: '0000:02:00.0', numaNode: 1, ids: '10de:20b0' },
    { address: '0000:03:00.0', numaNode: 1, ids: '10de:20b0', deviceType: 'type-PF' },
  ]);

  it('the best that there is comes first, and says which it is', () => {
    expect(selectDevices(host, { requests: [better(2)], cells: null, constraints: [] })).toEqual({
      outcome: 'feasible',
      devices: [
        { deviceId: 'h/0000:02:00.0', address: '0000:02:00.0', alias: 'gpu', requestIndex: 0, alternative: 1 },
        { deviceId: 'h/0000:03:00.0', address: '0000:03:00.0', alias: 'gpu', requestIndex: 0, alternative: 2 },
      ],
      distance: 0,
      utility: 150,
      isBest: true,
    });
    expect(chosen(host, [better(3)])).toHaveLength(3);
  });

  it('NUMA policies are kept, nearness alone is not', () => {
    expect(chosen(host, [better(1, { numaPolicy: 'required' })], [0])).toEqual(['01:00.0']);
    expect(chosen(host, [better(1, { numaPolicy: 'preferred' })], [0])).toEqual(['02:00.0']);
  });

  it('what only the better one can serve is left to who has no alternative', () => {
    const strict = wants('a100', 1, '10de:20b0');
    expect(chosen(host, [better(1), strict])).toEqual(['03:00.0', '02:00.0']);
  });

  it('the better group comes first', () => {
    const groups = better(1, {
      specs: better(1).specs.map((spec) => ({ ...spec, group: 'slot' as const })),
    });
    expect(chosen(host, [groups])).toEqual(['02:00.0']);
    expect(chosen(host, [{ ...groups, count: 3 }])).toHaveLength(3);
  });

  it('that are all as good say nothing', () => {
    const same = better(1, { specs: better(1).specs.map((spec) => ({ ...spec, utility: 7 })) });
    expect(selectDevices(host, { requests: [same], cells: null, constraints: [] })).toMatchObject({
      utility: 0,
      devices: [{ address: '0000:01:00.0' }],
    });
  });
});

describe('groups against brute force', () => {
  const ids = [GPU, AUDIO, NIC];
  const arbitrarySlot = fc.record({
    functions: fc.array(
      fc.record({
        ids: fc.constantFrom(...ids, GPU, GPU),
        numaNode: fc.constantFrom(0, 1),
        group: fc.constantFrom(0, 0, 1, undefined, undefined, undefined),
        state: fc.constantFrom(...Array.from({ length: 10 }, () => 'free'), 'busy', 'kept'),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    vfs: fc.integer({ min: 0, max: 1 }),
    // two slots of one number are one card
    port: fc.integer({ min: 0, max: 2 }),
  });
  const arbitraryHost = fc.array(arbitrarySlot, { minLength: 1, maxLength: 4, size: 'max' }).map((slots) =>
    aHost(
      'h',
      slots.flatMap(({ functions, vfs, port }, slot): DeviceSketch[] => {
        const address = `0000:0${slot}:00`;
        const pciePath = ['pci0000:00', `port ${port}`];
        const isPf = functions[0]?.ids === NIC && vfs > 0;
        const physical = functions.map((one, fn): DeviceSketch => ({
          ...{ address: `${address}.${fn}`, ids: one.ids, numaNode: one.numaNode, pciePath },
          ...(one.group !== undefined && { group: one.group === null ? null : 90 + one.group }),
          ...(isPf && fn === 0 && { deviceType: 'type-PF' as const }),
          ...(one.state === 'busy' && { status: 'allocated' as const, owner }),
          offered: one.state !== 'kept',
        }));
        const vf: DeviceSketch = {
          ...{ address: `${address}.7`, ids: VF, deviceType: 'type-VF', parentAddress: `${address}.0`, pciePath },
          ...{ numaNode: 0, group: 50 + slot },
        };
        return isPf ? [...physical, vf] : physical;
      }),
    ),
  );
  const arbitraryRequests = fc.array(
    fc.record({
      count: fc.integer({ min: 1, max: 2 }),
      numaPolicy: fc.constantFrom('required', 'legacy', 'preferred'),
      kinds: fc.uniqueArray(fc.constantFrom(...ids, GPU, 'pf', VF), { minLength: 1, maxLength: 3, size: 'max' }),
      group: fc.constantFrom(null, 'slot', 'card'),
      utility: fc.constantFrom(0, 10),
    }),
    { minLength: 1, maxLength: 2 },
  );

  it('agree on feasibility, and the answers are valid', () => {
    let feasible = 0;
    fc.assert(
      fc.property(arbitraryHost, arbitraryRequests, fc.constantFrom(null, [0], [1]), (host, sketches, cells) => {
        const requests = sketches.map(({ count, numaPolicy, kinds, group, utility }, index) => ({
          ...wants(`r${index}`, count, GPU, { numaPolicy }),
          specs: kinds.flatMap((kind, at) => {
            const type = kind === 'pf' ? 'type-PF' : kind === VF ? 'type-VF' : 'type-PCI';
            const more = { deviceType: type, group, utility: at * utility } as const;
            return wants('x', 1, kind === 'pf' ? NIC : kind, more).specs;
          }),
        }));
        const selection = selectDevices(host, { requests, cells, constraints: [] });
        expect(selection.outcome).toBe(bruteForce(host, requests, cells) ? 'feasible' : 'infeasible');
        requests.forEach((request) => {
          const one = { ...request, count: freeCount(host, request) + 1 };
          expect(selectDevices(host, { requests: [one], cells, constraints: [] }).outcome).toBe('infeasible');
        });
        if (selection.outcome !== 'feasible') return;
        feasible++;
        assertValid(host, requests, cells, selection.devices);
      }),
      { numRuns: 1500 },
    );
    expect(feasible).toBeGreaterThan(200);
  });
});

/** What a request for `address` takes; null when that is not whole, or not free. */
function wholeOf(host: HostSnapshot, kind: AliasGroup | null, address: string): readonly string[] | null {
  const group = kind === null ? undefined : host.groups[kind].get(address);
  if (group && group.blockedBy !== null) return null;
  const members = group?.members ?? [address];
  const usable = members.every((member) => {
    const unit = host.units.get(member);
    const all = unit?.members.map((other) => host.devices.find((device) => device.address === other));
    return unit?.blockedBy === null && all?.every((device) => device !== undefined && isFree(device));
  });
  return usable ? members : null;
}

function optionsOf(host: HostSnapshot, request: DeviceRequest, cells: readonly number[] | null): (readonly string[])[] {
  const all = host.devices
    .filter((device) => aliasMatches(request.specs, device))
    .filter((device) => affinityRank(device.numaNode, request.numaPolicy, cells, host.numaCells) !== null)
    .flatMap((device) => {
      const whole = wholeOf(host, groupKind(request), device.address);
      return whole ? [whole] : [];
    });
  return [...new Map(all.map((option) => [option.join(), option])).values()];
}

/** Tries every way to give each wish a device or a group of its own. */
function bruteForce(host: HostSnapshot, requests: readonly DeviceRequest[], cells: readonly number[] | null): boolean {
  const wishes = requests.flatMap((request) =>
    Array.from({ length: request.count }, () => optionsOf(host, request, cells)),
  );
  const extend = (at: number, taken: readonly string[]): boolean => {
    const options = wishes[at];
    if (!options) return compatible(host, taken);
    return options.some(
      (option) => option.every((address) => !taken.includes(address)) && extend(at + 1, [...taken, ...option]),
    );
  };
  return extend(0, []);
}

function compatible(host: HostSnapshot, taken: readonly string[]): boolean {
  const all = new Set(taken.flatMap((address) => host.units.get(address)?.members ?? []));
  return !host.devices.some(
    ({ address, parentAddress }) => all.has(address) && parentAddress !== null && all.has(parentAddress),
  );
}

function assertValid(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  cells: readonly number[] | null,
  devices: readonly { readonly address: string; readonly requestIndex: number | null }[],
): void {
  const addresses = devices.map((device) => device.address);
  expect(new Set(addresses).size).toBe(addresses.length);
  expect(compatible(host, addresses)).toBe(true);
  const wanted = new Set<string>();
  requests.forEach((request, index) => {
    const own = devices.filter((device) => device.requestIndex === index);
    expect(own).toHaveLength(request.count);
    const options = optionsOf(host, request, cells);
    const groups = own.map(({ address }) => options.find((option) => option.includes(address)) ?? ['none']);
    expect(new Set(groups).size).toBe(groups.length);
    for (const address of groups.flat()) {
      expect(addresses).toContain(address);
      // a group is nobody else's
      expect(wanted).not.toContain(address);
      wanted.add(address);
    }
  });
  // nothing comes along without a cause
  const caused = new Set([...wanted].flatMap((address) => host.units.get(address)?.members ?? []));
  expect([...caused].sort()).toEqual([...addresses].sort());
}
