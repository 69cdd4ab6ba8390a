import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { reconcileInventory } from '../pci/reconcile-inventory.js';
import { fromWireDevice } from '../messages/wire-device.js';
import { aReport } from '../../test/support/reports.js';
import { applyPlacement, withoutServer } from './apply-placement.js';
import type { Placement } from './decision.js';
import { deviceClasses } from './device-classes.js';
import { place } from './place.js';
import type { PlacementRequest, TopologyConstraint } from './request.js';
import type { HostSnapshot } from './snapshot.js';

/**
 * Rules that follow from faults of other allocators, one test each. Those that are about more than one decision have theirs
 * elsewhere: what was decided live and again is equal (`test/integration/replay.spec.ts`), a plan respects what must not move
 * (`defragment.spec.ts`), half a report is no report (`test/e2e/faults-answers.spec.ts`).
 */
const GPU = '10de:1bb0';
const gpus = (count: number, from = 1): DeviceSketch[] =>
  Array.from({ length: count }, (_unused, index) => ({ address: `0000:0${from + index}:00.0`, ids: GPU }));

function decided(host: HostSnapshot, request: PlacementRequest) {
  return place({ hosts: [host], policy: POLICY }, request, []);
}

function placed(host: HostSnapshot, request: PlacementRequest): Placement {
  const decision = decided(host, request);
  if (decision.outcome === 'rejected') return expect.unreachable(decision.message);
  return decision;
}

const OWNER = { serverId: 'server', serverName: 'server' };

describe('rules from faults of other allocators', () => {
  it('the maximum on a host with one fewer is a plain no, with the numbers (Kubernetes 130593)', () => {
    expect(decided(aHost('h', gpus(7)), aRequest([wants('gpu', 8, GPU)]))).toMatchObject({
      rejections: [{ reasons: [{ code: 'device.not_enough_free', details: { wanted: 8, free: 7 } }] }],
    });
  });

  it('a try that fails leaves nothing behind (Kubernetes 140300, 140326, 140436)', () => {
    const host = aHost('h', gpus(4));
    const apart: TopologyConstraint = { kind: 'same', attribute: 'slot', requests: [0], weight: null };
    const hopeless = aRequest([wants('gpu', 2, GPU)], { constraints: [apart] });
    const before = structuredClone(host);
    const hosts = [host];
    const snapshot = { hosts, policy: POLICY };
    const fresh = decided(aHost('h', gpus(4)), aRequest([wants('gpu', 4, GPU)]));
    expect(place(snapshot, hopeless, []).outcome).toBe('rejected');
    expect(host).toEqual(before);
    expect(place(snapshot, aRequest([wants('gpu', 4, GPU)]), [])).toEqual(fresh);
  });

  it('what has to be distinct is never one device twice (Kubernetes 140438)', () => {
    const distinct: TopologyConstraint = { kind: 'distinct', attribute: 'numa_node', requests: [0, 1], weight: null };
    const request = aRequest([wants('a', 1, GPU), wants('b', 1, GPU)], { constraints: [distinct] });
    expect(decided(aHost('h', gpus(2)), request).outcome).toBe('rejected');
    const two = [...gpus(1), { ...(gpus(1, 2)[0] as DeviceSketch), numaNode: 1 }];
    const addresses = placed(aHost('h', two), request).devices.map(({ address }) => address);
    expect(new Set(addresses).size).toBe(2);
  });

  it('giving back twice is giving back once, and discovery frees nothing (CloudStack 12910)', () => {
    const host = aHost('h', gpus(1));
    const request = aRequest([wants('gpu', 1, GPU)]);
    const taken = applyPlacement(host, placed(host, request), request, OWNER);
    const back = withoutServer(taken, OWNER.serverId);
    expect(withoutServer(back, OWNER.serverId)).toBe(back);
    expect(back.devices).toEqual(host.devices);
    expect(back.used).toEqual(host.used);
    const reported = aReport({ host: 'h', devices: [{ address: '0000:01:00.0', ids: GPU }] }).devices.map(
      fromWireDevice,
    );
    const known = reported.map((device) => ({ device, status: 'allocated' as const, inUse: true }));
    expect(reconcileInventory(known, reported)).toMatchObject({ added: [], changed: [], returned: [], vanished: [] });
  });

  it.each(['0001:01:00.0', '10000:e1:00.0'])(
    'domains other than 0000 are like any other: %s (CloudStack 12960)',
    (address) => {
      const host = aHost('h', [{ address, ids: GPU }]);
      expect(placed(host, aRequest([wants('gpu', 1, GPU)])).devices).toMatchObject([{ address }]);
    },
  );

  it('a group that cannot be handed over whole is refused before anything starts, and says what is in the way (NVIDIA 1191)', () => {
    const companion = { address: '0000:01:00.1', ids: '10de:10f0', group: 0, offered: false, driver: 'snd_hda_intel' };
    const decision = decided(aHost('h', [...gpus(1), companion]), aRequest([wants('gpu', 1, GPU)]));
    expect(decision).toMatchObject({
      outcome: 'rejected',
      rejections: [{ reasons: [{ code: 'device.iommu_group' }] }],
    });
    expect(JSON.stringify(decision)).toContain('0000:01:00.1');
    const bound = { ...companion, offered: true, driver: null };
    expect(placed(aHost('h', [...gpus(1), bound]), aRequest([wants('gpu', 1, GPU)])).devices).toHaveLength(2);
  });

  it('what is claimed belongs to a project (Cyborg, CVE-2026-40214)', () => {
    const host = aHost('h', gpus(1));
    const request = aRequest([wants('gpu', 1, GPU)], { projectId: 'blue' });
    expect(applyPlacement(host, placed(host, request), request, OWNER).servers).toMatchObject([{ projectId: 'blue' }]);
  });

  it('a count spans models where the alias does (Nomad 26584), and requests do not share devices (Nomad 27102)', () => {
    const mixed = [...gpus(1), { address: '0000:02:00.0', ids: '10de:20b0' }];
    const either = { ...wants('gpu', 2, GPU), specs: [GPU, '10de:20b0'].flatMap((ids) => wants('gpu', 1, ids).specs) };
    expect(placed(aHost('h', mixed), aRequest([either])).devices).toHaveLength(2);
    const apart = placed(aHost('h', gpus(4)), aRequest([wants('a', 2, GPU), wants('b', 2, GPU)]));
    expect(new Set(apart.devices.map(({ address }) => address)).size).toBe(4);
    expect(apart.devices.map(({ alias }) => alias).sort()).toEqual(['a', 'a', 'b', 'b']);
  });

  it('equal devices are one class, however many (Placement 2070257)', () => {
    const below = (index: number) => ['pci0000:00', '0000:00:01.0', '0000:20:00.0', `port ${index}`];
    const devices = gpus(8).map((device, index) => ({ ...device, pciePath: below(index) }));
    expect(deviceClasses(aHost('h', devices)).map(({ units }) => units.length)).toEqual([8]);
  });
});
