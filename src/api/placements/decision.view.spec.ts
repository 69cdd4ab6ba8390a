import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../../test/support/snapshots.js';
import { FILTER_NAMES } from '../../placement/filters/filters.js';
import { place } from '../../placement/place.js';
import type { PlacementRequest } from '../../placement/request.js';
import type { HostedServer, HostSnapshot } from '../../placement/snapshot.js';
import { decisionView } from './decision.view.js';

const GPU = '10de:1bb0';

const aDevice = fc.record({
  status: fc.constantFrom('available', 'allocated', 'reserved', 'failed', 'unclaimable', 'removed'),
  node: fc.constantFrom(0, 1, null),
  group: fc.constantFrom('own', 'shared', 'none'),
  vf: fc.boolean(),
  tag: fc.constantFrom(null, 'a', 'b'),
  missing: fc.boolean(),
});
const aHostSketch = fc.record({
  devices: fc.array(aDevice, { maxLength: 5 }),
  enabled: fc.boolean(),
  vcpus: fc.integer({ min: 1, max: 8 }),
  member: fc.boolean(),
  aggregate: fc.constantFrom({ ssd: 'secret-value' }, { filter_tenant_id: 'secret-project' }, {}),
});
const aWish = fc.record({
  count: fc.integer({ min: 1, max: 4 }),
  tagged: fc.boolean(),
  within: fc.boolean(),
  group: fc.constantFrom(null, 'affinity' as const, 'anti-affinity' as const),
  hint: fc.constantFrom(null, 'sameHost' as const, 'differentHost' as const),
  ssd: fc.boolean(),
  vcpus: fc.integer({ min: 1, max: 9 }),
  vf: fc.boolean(),
});

type HostSketch = typeof aHostSketch extends fc.Arbitrary<infer T> ? T : never;
type Wish = typeof aWish extends fc.Arbitrary<infer T> ? T : never;

function hostFrom({ devices, enabled, vcpus, member, aggregate }: HostSketch, index: number): HostSnapshot {
  const name = `secret-host-${index}`;
  const server = { id: `secret-id-${index}`, name: `secret-server-${index}`, projectId: 'secret-project' };
  const pf = '0000:99:00.0';
  const sketches = devices.map(({ status, node, group, vf, tag, missing }, at): DeviceSketch => ({
    address: `0000:0${at}:00.0`,
    numaNode: node,
    missing,
    tags: tag === null ? {} : { rack: tag },
    ...(group === 'shared' && { group: 77 }),
    ...(group === 'none' && { group: null }),
    ...(vf && { deviceType: 'type-VF' as const, parentAddress: pf }),
    status: status as 'available',
    owner: status === 'allocated' ? { serverId: server.id, serverName: server.name } : null,
  }));
  const hosted: HostedServer = {
    ...{ ...server, vcpus: 1, memoryMb: 512, diskGb: 0, numaCells: null, guestCells: null, cpuPolicy: 'shared' },
    ...{ groupId: member ? 'g' : null, priority: 0, preemptible: false, settled: true },
  };
  return aHost(name, sketches, {
    ...{ enabled, disabledReason: 'secret reason', servers: [hosted] },
    capacity: { vcpus, memoryMb: 8192, diskGb: 10 },
    aggregates: [{ name: 'secret-aggregate', metadata: aggregate }],
  });
}

function requestFrom({ count, tagged, within, group, hint, ssd, vcpus, vf }: Wish): PlacementRequest {
  const deviceType = vf ? ('type-VF' as const) : ('type-PCI' as const);
  return aRequest([wants('gpu', count, GPU, { deviceType, ...(tagged && { tags: { rack: 'a' } }) })], {
    vcpus,
    ...(within && { constraints: [{ kind: 'within', level: 'PIX', requests: [0], weight: null }] }),
    host: {
      ...(group && { group: { id: 'g', name: 'own group', policy: group, maxServerPerHost: 1 } }),
      ...(hint && { [hint]: ['secret-id-0'] }),
      ...(ssd && { extraSpecs: { 'aggregate_instance_extra_specs:ssd': 'yes' } }),
    },
  });
}

describe('what a project sees of a decision', () => {
  const decisions = fc
    .tuple(fc.array(aHostSketch, { maxLength: 4 }), aWish, fc.boolean())
    .map(([sketches, wish, wasTried]) => {
      const hosts = sketches.map(hostFrom);
      const excluded = wasTried && hosts[0] ? [{ hostId: hosts[0].id, reason: 'EBUSY at 0000:00:00.0, secret' }] : [];
      return place({ hosts, policy: { ...POLICY, filters: FILTER_NAMES } }, requestFrom(wish), excluded);
    });

  it('has no names, ids or addresses of hosts, servers and devices that are not its own', () => {
    fc.assert(
      fc.property(decisions, (decision) => {
        const view = decisionView(decision, { view: 'project', own: new Set() });
        expect(JSON.stringify(view)).not.toMatch(/secret|0000:/);
        expect(view.rejections.map(({ host_count }) => host_count)).toEqual(
          decision.rejections.map(({ hostCount }) => hostCount),
        );
        for (const reason of view.rejections.flatMap(({ reasons }) => reasons)) expect(reason.message).not.toBe('');
      }),
      { numRuns: 500 },
    );
  });

  it('is less than what an administrator sees, who is told with names', () => {
    const device: HostSketch['devices'][number] = {
      ...{ status: 'allocated', node: 0, group: 'own', vf: false, tag: null, missing: false },
    };
    const sketch: HostSketch = { devices: [device], enabled: true, vcpus: 8, member: false, aggregate: {} };
    const wish: Wish = {
      count: 1,
      tagged: false,
      within: false,
      group: null,
      hint: null,
      ssd: false,
      vcpus: 1,
      vf: false,
    };
    const decide = (count: number): ReturnType<typeof decisionView> =>
      decisionView(
        place(
          { hosts: Array.from({ length: count }, (_one, at) => hostFrom(sketch, at)), policy: POLICY },
          requestFrom(wish),
          [],
        ),
      );
    expect(decide(1).rejections[0]?.reasons).toMatchObject([
      { message: '1 device of alias gpu, in use by secret-server-0', named: [{ host: 'secret-host-0' }] },
    ]);
    expect(decide(2).rejections).toMatchObject([
      {
        hosts: ['secret-host-0', 'secret-host-1'],
        reasons: [
          {
            message: '1 device of alias gpu, in use',
            named: [0, 1].map((host) => ({
              host: `secret-host-${host}`,
              message: `1 device of alias gpu, in use by secret-server-${host}`,
            })),
          },
        ],
      },
    ]);
  });
});
