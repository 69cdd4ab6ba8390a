import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { atOnce } from '../../test/support/steps.js';
import { anyRequest, type Kind, wish, worlds } from '../../test/support/worlds.js';
import { NUMA_POLICIES } from '../pci/alias/numa-policy.js';
import { bareRequest, capacityByAlias, howManyMore, roomOn } from './capacity.js';
import { Fork } from './fork.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';

const GPU = '10de:1bb0';
const AT = (slot: number): string => `0000:81:0${slot}.0`;

function world(...hosts: HostSnapshot[]): Snapshot {
  return { hosts, policy: POLICY };
}

describe('how many more of this fit', () => {
  const four = aHost(
    'four',
    [0, 1, 2, 3].map((slot) => ({ address: AT(slot) })),
  );
  const one = aHost('one', [{ address: AT(0) }], { capacity: { vcpus: 1, memoryMb: 4096, diskGb: 0 } });

  it('counts what is placed one after another, host by host, and tells why no more fit', () => {
    const answer = atOnce(howManyMore(world(four, one), aRequest([wants('gpu', 1, GPU)]), 100));
    expect(answer).toMatchObject({
      count: 5,
      capped: false,
      perHost: [
        { hostId: 'id-four', host: 'four', count: 4 },
        { hostId: 'id-one', host: 'one', count: 1 },
      ],
      limitedBy: { outcome: 'rejected' },
    });
    expect(answer.limitedBy?.rejections.map(({ filter, hosts }) => [filter, hosts])).toEqual([
      ['PciPassthroughFilter', ['four']],
      ['CoreFilter', ['one']],
    ]);
  });

  it('stops where it is told to, and says so', () => {
    const answer = atOnce(howManyMore(world(four), aRequest([wants('gpu', 1, GPU)]), 3));
    expect(answer).toMatchObject({ count: 3, capped: true, limitedBy: null });
  });

  it('says zero, and why, where none fits', () => {
    const answer = atOnce(howManyMore(world(four), aRequest([wants('gpu', 5, GPU)]), 3));
    expect(answer).toMatchObject({ count: 0, capped: false, perHost: [] });
    expect(answer.limitedBy?.message).toContain('5 wanted');
  });

  it('is the sum of what each host takes alone', () => {
    fc.assert(
      fc.property(worlds({ hosts: 3, cards: 4, servers: 4 }), anyRequest, ({ snapshot }, request) => {
        const { count, perHost } = atOnce(howManyMore(snapshot, request, 1000));
        const alone = snapshot.hosts.map((host) => roomOn(host, snapshot.policy, request, 1000));
        expect(count).toBe(alone.reduce((sum, room) => sum + room, 0));
        expect(perHost.map((entry) => entry.count)).toEqual(alone.filter((room) => room > 0));
      }),
      { numRuns: 80 },
    );
  });
});

describe('capacity of an alias', () => {
  it('counts every device once, by what becomes of it', () => {
    const owner = { serverId: 's', serverName: 's' };
    const host = aHost('h', [
      { address: AT(0) },
      { address: AT(1), status: 'allocated', owner },
      { address: AT(2), status: 'quarantined' },
      { address: AT(3), status: 'unavailable' },
      { address: AT(4), missing: true },
      { address: AT(5), status: 'removed' },
      { address: AT(6), group: 99 },
      { address: AT(7), group: 99, ids: '8086:1234', driver: 'ahci', offered: false },
      { address: '0000:82:00.0', ids: '10de:2bb0' },
    ]);
    const down = aHost('down', [{ address: AT(0) }], { status: 'down' });
    const [gpu] = atOnce(capacityByAlias(world(down, host), [wants('gpu', 1, GPU)]));
    expect(gpu).toEqual({
      ...{ alias: 'gpu', there: 7, free: 3, inUse: 1, held: 1, blocked: 1, missing: 1, fits: 1 },
      largest: { hostId: 'id-h', host: 'h', count: 1 },
    });
  });

  it('knows that what shares an IOMMU group goes to one server', () => {
    const host = aHost('h', [
      { address: AT(0), group: 1 },
      { address: AT(1), group: 1 },
      { address: AT(2), group: 2 },
    ]);
    const [gpu] = atOnce(capacityByAlias(world(host), [wants('gpu', 1, GPU)]));
    expect(gpu).toMatchObject({ free: 3, fits: 2, largest: { count: 3 } });
  });

  it('goes by filters that count servers', () => {
    const host = aHost('h', [{ address: AT(0) }, { address: AT(1) }, { address: AT(2) }]);
    const policy = { ...POLICY, filters: [...POLICY.filters, 'NumInstancesFilter'], maxInstancesPerHost: 2 };
    const [gpu] = atOnce(capacityByAlias({ hosts: [host], policy }, [wants('gpu', 1, GPU)]));
    expect(gpu).toMatchObject({ free: 3, fits: 2, largest: { count: 3 } });
  });

  const wished = fc
    .record({ kind: fc.constantFrom<Kind>('gpu', 'fpga', 'nic', 'vf'), policy: fc.constantFrom(...NUMA_POLICIES) })
    .map(({ kind, policy }) => {
      const alias = wish(kind, 1, policy);
      // "a NIC, whole or a VF of it": the one excludes the other
      return kind === 'nic' ? { ...alias, specs: [...alias.specs, ...wish('vf', 1).specs] } : alias;
    });

  it('is what the engine places, device by device, however it was counted', () => {
    fc.assert(
      fc.property(worlds({ hosts: 3, cards: 4, servers: 4 }), wished, ({ snapshot }, alias) => {
        const [answer] = atOnce(capacityByAlias(snapshot, [alias]));
        expect(answer?.fits).toBe(atOnce(howManyMore(snapshot, bareRequest([alias]), 1000)).count);
        const counts = [20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1];
        const most = counts.find(
          (count) => new Fork(snapshot).decide(bareRequest([{ ...alias, count }])).outcome === 'placed',
        );
        expect(answer?.largest?.count).toBe(most);
      }),
      { numRuns: 100 },
    );
  });
});
