import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { aliasMatches } from '../pci/alias/alias-match.js';
import { affinityRank } from './affinity.js';
import { isFree } from './device-classes.js';
import type { DeviceRequest } from './request.js';
import { selectDevices } from './select-devices.js';
import type { HostSnapshot } from './snapshot.js';

const PF = { ids: '8086:1572', deviceType: 'type-PF' } as const;
const vf = (address: string, parentAddress: string): DeviceSketch => ({
  address,
  ids: '8086:154c',
  deviceType: 'type-VF',
  parentAddress,
});

const nic = aHost('nic', [
  { address: '0000:05:00.0', ...PF },
  vf('0000:05:02.0', '0000:05:00.0'),
  vf('0000:05:02.1', '0000:05:00.0'),
  { address: '0000:06:00.0', ...PF },
  vf('0000:06:02.0', '0000:06:00.0'),
]);

function chosen(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  cells: readonly number[] | null = null,
): string[] | string {
  const selection = selectDevices(host, { requests, cells, constraints: [] });
  if (selection.outcome !== 'feasible') return selection.outcome;
  return selection.devices.map((device) => `${device.address.slice(5)}${device.alias === null ? '+' : ''}`);
}

describe('selectDevices', () => {
  it('takes equal devices in address order', () => {
    const host = aHost('h', [{ address: '0000:84:00.0' }, { address: '0000:83:00.0' }].reverse());
    expect(chosen(host, [wants('gpu', 1, '10de:1bb0')])).toEqual(['83:00.0']);
    expect(chosen(host, [wants('gpu', 3, '10de:1bb0')])).toBe('infeasible');
  });

  it('does not depend on the order of requests', () => {
    const host = aHost('h', [{ address: '0000:01:00.0' }, { address: '0000:02:00.0', ids: '10de:20b0' }]);
    const any = {
      ...wants('any', 1, '10de:1bb0'),
      specs: [...wants('a', 1, '10de:1bb0').specs, ...wants('a', 1, '10de:20b0').specs],
    };
    const specific = wants('p5000', 1, '10de:1bb0');
    expect(chosen(host, [any, specific])).toEqual(['02:00.0', '01:00.0']);
    expect(chosen(host, [specific, any])).toEqual(['01:00.0', '02:00.0']);
  });

  it('never hands out a PF together with its VF', () => {
    const pf = (count: number): DeviceRequest => wants('pf', count, '8086:1572', { deviceType: 'type-PF' });
    const vfs = (count: number): DeviceRequest => wants('vf', count, '8086:154c', { deviceType: 'type-VF' });
    expect(chosen(nic, [pf(1), vfs(2)])).toEqual(['06:00.0', '05:02.0', '05:02.1']);
    expect(chosen(nic, [vfs(1), pf(1)])).toHaveLength(2);
    expect(chosen(nic, [pf(1), vfs(3)])).toBe('infeasible');
    expect(chosen(nic, [pf(2), vfs(1)])).toBe('infeasible');
  });

  it('breaks into a PF that is broken into already', () => {
    const host = {
      ...nic,
      devices: nic.devices.map((device) =>
        device.address === '0000:05:00.0' ? { ...device, status: 'unavailable' as const } : device,
      ),
    };
    expect(chosen(host, [wants('vf', 1, '8086:154c', { deviceType: 'type-VF' })])).toEqual(['05:02.0']);
  });

  it('takes an IOMMU group whole, and uses up an opened group before it opens another', () => {
    const host = aHost('h', [
      { address: '0000:25:00.0', group: 1 },
      { address: '0000:25:00.1', ids: '10de:10f0', group: 1 },
      { address: '0000:26:00.0', group: 2 },
      { address: '0000:26:00.1', group: 2 },
    ]);
    expect(chosen(host, [wants('gpu', 2, '10de:1bb0')])).toEqual(['26:00.0', '26:00.1']);
    expect(chosen(host, [wants('gpu', 1, '10de:1bb0'), wants('audio', 1, '10de:10f0')])).toEqual([
      '25:00.0',
      '25:00.1',
    ]);
    expect(chosen(host, [wants('gpu', 3, '10de:1bb0')])).toEqual(['25:00.0', '26:00.0', '26:00.1', '25:00.1+']);
  });

  it('leaves to another request what that can use better', () => {
    const both = [{ address: '0000:25:00.0' }, { address: '0000:25:00.1', ids: '10de:10f0' }];
    const host = aHost(
      'h',
      both.map((device) => ({ ...device, group: 1 })),
    );
    const either = (utility: number): DeviceRequest => {
      const specs = [...wants('x', 1, '10de:10f0').specs, ...wants('x', 1, '10de:1bb0', { utility }).specs];
      return { ...wants('x', 1, '10de:1bb0'), specs };
    };
    for (const requests of [
      [either(0), either(10)],
      [either(10), either(0)],
    ]) {
      const selection = selectDevices(host, { requests, cells: null, constraints: [] });
      expect(selection).toMatchObject({ outcome: 'feasible', utility: 10, devices: { length: 2 } });
    }
  });

  it('proves what requests compete for', () => {
    const host = aHost('h', [
      { address: '0000:01:00.0' },
      { address: '0000:02:00.0' },
      { address: '0000:03:00.0', ids: '8086:0443' },
    ]);
    const selection = selectDevices(host, {
      requests: [wants('a', 2, '10de:1bb0'), wants('qat', 1, '8086:0443'), wants('b', 1, '10de:1bb0')],
      cells: null,
      constraints: [],
    });
    expect(selection).toEqual({ outcome: 'infeasible', competition: { requests: [0, 2], wanted: 3, free: 2 } });
  });

  it.each([6, 7, 8])('takes %i of 8 equal devices without trying their orders', (count) => {
    const host = aHost(
      'h',
      Array.from({ length: 8 }, (_unused, index) => ({ address: `0000:8${index}:00.0`, numaNode: index % 2 })),
    );
    expect(chosen(host, [wants('gpu', count, '10de:1bb0')])).toHaveLength(count);
    expect(chosen(host, [wants('gpu', 9, '10de:1bb0')])).toBe('infeasible');
  });

  describe('NUMA policies, guest on node 0', () => {
    const host = aHost(
      'h',
      [
        { address: '0000:01:00.0', numaNode: 2 },
        { address: '0000:02:00.0', numaNode: null },
        { address: '0000:03:00.0', numaNode: 1 },
        { address: '0000:04:00.0', numaNode: 0 },
      ],
      {
        numaCells: [
          { id: 0, cpus: 8, memoryMb: 1024, socket: 0 },
          { id: 1, cpus: 8, memoryMb: 1024, socket: 0 },
          { id: 2, cpus: 8, memoryMb: 1024, socket: 1 },
        ],
      },
    );
    it.each([
      ['required', 1, ['04:00.0']],
      ['required', 2, 'infeasible'],
      ['legacy', 2, ['02:00.0', '04:00.0']],
      ['legacy', 3, 'infeasible'],
      ['socket', 2, ['03:00.0', '04:00.0']],
      ['socket', 3, 'infeasible'],
      ['preferred', 2, ['02:00.0', '04:00.0']],
      ['preferred', 4, ['01:00.0', '02:00.0', '03:00.0', '04:00.0']],
      ['preferred', 5, 'infeasible'],
    ] as const)('%s, %i devices', (numaPolicy, count, expected) => {
      expect(chosen(host, [wants('gpu', count, '10de:1bb0', { numaPolicy })], [0])).toEqual(expected);
    });
  });
});

describe('selectDevices against brute force', () => {
  const ids = ['10de:1bb0', '10de:20b0', '8086:154c'];
  const arbitraryHost = fc
    .record({
      plain: fc.array(
        fc.record({
          ids: fc.constantFrom(...ids),
          numaNode: fc.constantFrom(null, 0, 1),
          group: fc.integer({ min: 0, max: 4 }),
          busy: fc.boolean(),
        }),
        { maxLength: 4 },
      ),
      cards: fc.array(fc.record({ vfs: fc.integer({ min: 0, max: 2 }), numaNode: fc.constantFrom(null, 0, 1) }), {
        maxLength: 2,
      }),
    })
    .map(({ plain, cards }) => {
      const devices: DeviceSketch[] = plain.map((sketch, index) => ({
        address: `0000:0${index}:00.0`,
        ids: sketch.ids,
        numaNode: sketch.numaNode,
        group: sketch.group,
        status: sketch.busy && index === 0 ? 'allocated' : 'available',
      }));
      cards.forEach(({ vfs, numaNode }, card) => {
        const address = `0000:a${card}:00.0`;
        devices.push({ address, ...PF, numaNode, group: 50 + 10 * card });
        for (let index = 1; index <= vfs; index++) {
          devices.push({ ...vf(`0000:a${card}:00.${index}`, address), numaNode, group: 50 + 10 * card + index });
        }
      });
      return aHost('h', devices);
    });
  const arbitraryRequests = fc.array(
    fc.record({
      count: fc.integer({ min: 1, max: 3 }),
      numaPolicy: fc.constantFrom('required', 'legacy', 'preferred', 'socket'),
      kinds: fc.uniqueArray(fc.constantFrom(...ids, 'pf'), { minLength: 1, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 3 },
  );

  it('agrees on feasibility, and its answers are valid', () => {
    fc.assert(
      fc.property(
        arbitraryHost,
        arbitraryRequests,
        fc.constantFrom(null, [0], [1], [0, 1]),
        (host, sketches, cells) => {
          const requests = sketches.map(({ count, numaPolicy, kinds }, index) => ({
            ...wants(`r${index}`, count, ids[0] as string, { numaPolicy }),
            specs: kinds.flatMap((kind) =>
              kind === 'pf'
                ? wants('x', 1, PF.ids, { deviceType: 'type-PF' }).specs
                : wants('x', 1, kind, { deviceType: kind === '8086:154c' ? 'type-VF' : 'type-PCI' }).specs,
            ),
          }));
          const selection = selectDevices(host, { requests, cells, constraints: [] });
          expect(selection.outcome).toBe(bruteForce(host, requests, cells) ? 'feasible' : 'infeasible');
          if (selection.outcome === 'feasible') assertValid(host, requests, cells, selection.devices);
        },
      ),
      { numRuns: 1500 },
    );
  });
});

function eligible(host: HostSnapshot, request: DeviceRequest, cells: readonly number[] | null): string[] {
  return host.devices
    .filter((device) => aliasMatches(request.specs, device))
    .filter((device) => affinityRank(device.numaNode, request.numaPolicy, cells, host.numaCells) !== null)
    .filter((device) => {
      const unit = host.units.get(device.address);
      const members = host.devices.filter((other) => unit?.members.includes(other.address));
      return unit?.blockedBy === null && members.every(isFree);
    })
    .map((device) => device.address);
}

/** Tries every assignment of devices to the slots of the requests. */
function bruteForce(host: HostSnapshot, requests: readonly DeviceRequest[], cells: readonly number[] | null): boolean {
  const slots = requests.flatMap((request) =>
    Array.from({ length: request.count }, () => eligible(host, request, cells)),
  );
  const extend = (taken: readonly string[]): boolean => {
    const options = slots[taken.length];
    if (!options) return compatible(host, taken);
    return options.some(
      (address) => !taken.includes(address) && compatible(host, taken) && extend([...taken, address]),
    );
  };
  return extend([]);
}

function compatible(host: HostSnapshot, taken: readonly string[]): boolean {
  const all = new Set(taken.flatMap((address) => host.units.get(address)?.members ?? []));
  return !host.devices.some(
    (device) => all.has(device.address) && device.parentAddress !== null && all.has(device.parentAddress),
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
  for (const address of addresses) {
    for (const member of host.units.get(address)?.members ?? []) expect(addresses).toContain(member);
  }
  requests.forEach((request, index) => {
    const own = devices.filter((device) => device.requestIndex === index);
    expect(own).toHaveLength(request.count);
    for (const device of own) expect(eligible(host, request, cells)).toContain(device.address);
  });
}
