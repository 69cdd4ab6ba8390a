import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { atOnce } from '../../test/support/steps.js';
import { BerthError } from '../errors.js';
import { applyPlacement } from './apply-placement.js';
import type { Placement } from './decision.js';
import { Fork } from './fork.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';
import { type Change, changedFork, whatIf } from './what-if.js';

const GPU = '10de:1bb0';
const NIC = '8086:1572';
const VF = '8086:154c';
const AT = (slot: number): string => `0000:81:0${slot}.0`;

const gpu = (count = 1) => aRequest([wants('gpu', count, GPU)]);

function world(...hosts: HostSnapshot[]): Snapshot {
  return { hosts, policy: POLICY };
}

const a = aHost('a', [{ address: AT(0) }, { address: AT(1) }]);
const b = aHost('b', [{ address: AT(0), status: 'reserved' }], { status: 'down', enabled: false });
const nic = aHost('nic', [
  { address: AT(0), ids: NIC, deviceType: 'type-PF' },
  { address: AT(1), ids: VF, deviceType: 'type-VF', parentAddress: AT(0) },
  { address: AT(2), ids: VF, deviceType: 'type-VF', parentAddress: AT(0) },
]);

/** The host with a server on it that asked for so many GPUs. */
function busy(host: HostSnapshot, count: number, serverId = 's1'): HostSnapshot {
  const request = gpu(count);
  const decision = new Fork(world(host)).decide(request) as Placement;
  return applyPlacement(host, decision, request, { serverId, serverName: serverId });
}

function counts(
  snapshot: Snapshot,
  changes: readonly Change[],
  ...asked: ReturnType<typeof gpu>[]
): [number, number][] {
  const wanted = asked.map((request) => ({ request, copies: 100 }));
  return atOnce(whatIf(snapshot, changedFork(snapshot, changes), wanted)).map(({ before, after }) => [
    before.count,
    after.count,
  ]);
}

describe('what if', () => {
  it.each<[string, Snapshot, Change[], [number, number]]>([
    ['nothing changes', world(a), [], [2, 2]],
    ['hosts are added', world(a), [{ kind: 'add_hosts', like: 'a', count: 3 }], [2, 8]],
    [
      'a new one is free, whatever its model is now',
      world(busy(a, 2)),
      [{ kind: 'add_hosts', like: 'a', count: 1 }],
      [0, 2],
    ],
    ['a new one of a host that is down is up', world(b), [{ kind: 'add_hosts', like: 'b', count: 1 }], [0, 1]],
    ['a host is lost', world(a, b), [{ kind: 'lose_host', host: 'a' }], [2, 0]],
    ['a host is enabled; what is held there stays so', world(b), [{ kind: 'enable_host', host: 'id-b' }], [0, 0]],
    [
      'a host is enabled and the hold is lifted',
      world(b),
      [
        { kind: 'enable_host', host: 'b' },
        { kind: 'lift_hold', host: 'b', address: AT(0) },
      ],
      [0, 1],
    ],
    ['a server is gone', world(busy(a, 2)), [{ kind: 'free_server', serverId: 's1' }], [0, 2]],
    ['a device is held', world(a), [{ kind: 'hold_device', host: 'a', address: AT(0) }], [2, 1]],
    ['a device is lost', world(a), [{ kind: 'lose_device', host: 'a', address: AT(0) }], [2, 1]],
    [
      'a device in use is lost: when its server goes it is not there',
      world(busy(a, 1)),
      [
        { kind: 'lose_device', host: 'a', address: AT(0) },
        { kind: 'free_server', serverId: 's1' },
      ],
      [1, 1],
    ],
    ['a host is another', world(a), [{ kind: 'replace_host', host: { ...a, devices: a.devices.slice(1) } }], [2, 1]],
  ])('%s', (_what, snapshot, changes, expected) => {
    expect(counts(snapshot, changes, gpu())).toEqual([expected]);
  });

  it('a lost device leaves the rest of its IOMMU group, and a lost VF its PF', () => {
    const pair = aHost('a', [
      { address: AT(0), group: 7 },
      { address: AT(1), group: 7, ids: '10de:10f0' },
    ]);
    const lost: Change = { kind: 'lose_device', host: 'a', address: AT(1) };
    expect(counts(world(pair), [lost], gpu())).toEqual([[1, 1]]);
    const held: Change[] = [
      { kind: 'hold_device', host: 'nic', address: AT(1) },
      { kind: 'lose_device', host: 'nic', address: AT(1) },
    ];
    const pf = aRequest([wants('nic', 1, NIC, { deviceType: 'type-PF' })]);
    expect(counts(world(nic), held.slice(0, 1), pf)).toEqual([[1, 0]]);
    expect(counts(world(nic), held, pf)).toEqual([[1, 1]]);
  });

  it('decides requests in order: the later sees what the earlier took, and why no more fit is told', () => {
    const asked = [
      { request: gpu(2), copies: 1 },
      { request: gpu(1), copies: 2 },
    ];
    const then = changedFork(world(a), [{ kind: 'add_hosts', like: 'a', count: 1 }]);
    const [first, second] = atOnce(whatIf(world(a), then, asked));
    expect(first).toMatchObject({ before: { count: 1, capped: true }, after: { count: 1, capped: true } });
    expect(second?.before).toMatchObject({ count: 0, capped: false, limitedBy: { outcome: 'rejected' } });
    expect(second?.before.limitedBy?.message).toContain('of alias gpu');
    expect(second?.after).toMatchObject({ count: 2, capped: true, limitedBy: null });
  });

  it('changes nothing of what it was given', () => {
    const snapshot = world(busy(a, 1), b, nic);
    const before = JSON.stringify(snapshot);
    const changes: Change[] = [
      { kind: 'add_hosts', like: 'a', count: 2 },
      { kind: 'free_server', serverId: 's1' },
      { kind: 'lose_device', host: 'nic', address: AT(0) },
      { kind: 'lose_host', host: 'b' },
    ];
    atOnce(whatIf(snapshot, changedFork(snapshot, changes), [{ request: gpu(), copies: 50 }]));
    expect(JSON.stringify(snapshot)).toBe(before);
  });

  it('nothing of a new host is given out as shares', () => {
    const shared = { ...a, devices: a.devices.map((device) => ({ ...device, sharesUsed: 500 })) };
    const { hosts } = changedFork(world(shared), [{ kind: 'add_hosts', like: 'a', count: 1 }]);
    expect(hosts[0]?.devices.every(({ sharesUsed }) => sharesUsed === 500)).toBe(true);
    expect(hosts[1]?.devices.every((device) => device.sharesUsed === undefined)).toBe(true);
  });

  it('new hosts have names and ids of their own, in name order', () => {
    const changes: Change[] = [
      { kind: 'add_hosts', like: 'a', count: 2 },
      { kind: 'add_hosts', like: 'a', count: 1 },
    ];
    const { hosts } = changedFork(world(a, b), changes);
    expect(hosts.map(({ name }) => name)).toEqual(['a', 'a+1.1', 'a+1.2', 'a+2.1', 'b']);
    const ids = hosts.flatMap(({ id, devices }) => [id, ...devices.map((device) => device.id)]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each<[string, Change, string, string]>([
    ['a host that is not there', { kind: 'lose_host', host: 'z' }, 'host.unknown', 'host'],
    ['a model that is not there', { kind: 'add_hosts', like: 'z', count: 1 }, 'host.unknown', 'like'],
    ['a server that is nowhere', { kind: 'free_server', serverId: 's9' }, 'server.unknown', 'server_id'],
    [
      'a device that is not there',
      { kind: 'hold_device', host: 'a', address: '0000:01:00.0' },
      'device.unknown',
      'address',
    ],
    ['a hold that is none', { kind: 'lift_hold', host: 'a', address: AT(0) }, 'device.invalid_status', 'address'],
    ['a hold on what is held', { kind: 'hold_device', host: 'b', address: AT(0) }, 'device.invalid_status', 'address'],
  ])('%s is refused, and which change it is', (_what, change, code, key) => {
    const attempt = () => changedFork(world(a, b), [{ kind: 'enable_host', host: 'a' }, change]);
    expect(attempt).toThrow(BerthError);
    try {
      attempt();
    } catch (error) {
      expect(error).toMatchObject({ code, details: { change: 1, key } });
    }
  });
});
