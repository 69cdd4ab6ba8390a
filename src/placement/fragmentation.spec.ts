import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, POLICY, wants } from '../../test/support/snapshots.js';
import { aliasMatches } from '../pci/alias/alias-match.js';
import { applyPlacement } from './apply-placement.js';
import { Fragmentation } from './fragmentation.js';
import { stockOf } from './host-stock.js';
import { underPressure } from './mix-pressure.js';
import { place } from './place.js';
import type { PlacementPolicyName } from './placement-policies.js';
import { mixOf, type RequestMix } from './request-mix.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from './snapshot.js';

const P5000 = '10de:1bb0';
const A100 = '10de:20b0';

function gpus(count: number, ids = P5000, more: Partial<SnapshotDevice> = {}): { address: string; ids: string }[] {
  return Array.from({ length: count }, (_unused, at) => ({ address: `0000:${10 + at}:00.0`, ids, ...more }));
}

function host(name: string, devices: { address: string; ids: string }[], vcpus: number): HostSnapshot {
  return aHost(name, devices, { capacity: { vcpus, memoryMb: 1_000_000, diskGb: 1000 } });
}

function share(thousandths: number, ids = P5000): DeviceRequest {
  return { ...wants('gpu', 1, ids), share: thousandths };
}

function asked(vcpus: number, ...devices: DeviceRequest[]): { vcpus: number; devices: DeviceRequest[] } {
  return { vcpus, devices };
}

function policyOf(name: PlacementPolicyName, mix: RequestMix): PlacementPolicy {
  return { ...POLICY, placementPolicies: { default: name, aliases: {} }, mix };
}

describe('the mix of requests', () => {
  const requests = [
    asked(2),
    asked(4, wants('gpu', 1, P5000)),
    asked(4, { ...wants('gpu', 1, P5000), alias: 'card' }),
    asked(4, wants('gpu', 2, P5000)),
    asked(4, wants('gpu', 1, P5000)),
  ];

  it('counts equal ones together, the most popular first', () => {
    expect(mixOf(requests).shapes.map(({ popularity, devices }) => [devices[0]?.count, popularity])).toEqual([
      [1, 0.75],
      [2, 0.25],
    ]);
  });

  it('stops when so much is covered', () => {
    const all = mixOf(requests, { coverage: 1, withPlain: true });
    expect(all.shapes.map(({ popularity }) => popularity)).toEqual([0.6, 0.2, 0.2]);
    expect(mixOf(requests, { coverage: 0.6, withPlain: true }).shapes.map(({ popularity }) => popularity)).toEqual([1]);
  });

  it('knows nothing of nobody', () => {
    expect(mixOf([asked(2)])).toEqual({ shapes: [] });
  });

  it('puts more weight on what only few devices are left for', () => {
    const mix = mixOf([asked(1, wants('gpu', 1, P5000)), asked(1, wants('gpu', 1, A100))]);
    const hosts = [host('a', gpus(3), 64), host('b', gpus(1, A100), 64)];
    // three quarters and one quarter of the idle devices
    expect(underPressure(mix, hosts, POLICY).shapes.map(({ pressure }) => pressure)).toEqual([
      0.5 / 0.75 ** 1.4,
      0.5 / 0.25 ** 1.4,
    ]);
    const withoutVcpus = [hosts[0] as HostSnapshot, host('b', gpus(1, A100), 0)];
    expect(underPressure(mix, withoutVcpus, POLICY).shapes[1]?.pressure).toBe(0.5 / 0.001 ** 1.4);
  });
});

describe('fragmentation', () => {
  const mix = mixOf([
    asked(8, wants('gpu', 1, P5000)),
    asked(8, wants('gpu', 1, P5000)),
    asked(8, wants('gpu', 2, P5000)),
    asked(2, share(600)),
  ]);
  const measure = new Fragmentation(mix, 'popularity');

  // by hand: half of the requests want one, a quarter wants two, a quarter wants 600 thousandths
  it.each([
    ['two whole devices are of use to all', host('h', gpus(2), 16), 0],
    ['one whole device is of none to who wants two', host('h', gpus(1), 16), 250],
    ['too few vCPUs for any but the share', host('h', gpus(2), 4), 0.75 * 2000],
    ['no vCPUs', host('h', gpus(2), 0), 2000],
    ['400 left are of no use', host('h', gpus(1, P5000, { sharesUsed: 600 }), 16), 400],
    ['600 left are of use to a quarter', host('h', gpus(1, P5000, { sharesUsed: 400 }), 16), 0.75 * 600],
    ['what is taken is not idle', host('h', gpus(2, P5000, { status: 'allocated' }), 16), 0],
    ['what nobody asks for does not count', host('h', gpus(2, A100), 16), 0],
  ])('%s', (_name, snapshot, loss) => {
    expect(measure.lossOf(stockOf(snapshot, POLICY))).toBeCloseTo(loss, 9);
  });

  it('takes idle devices for stranded that the vCPUs do not reach for', () => {
    expect(measure.vcpusPerDevice).toBeCloseTo((0.75 * 8 + 0.25 * 2) / (0.5 + 0.5 + 0.15), 9);
    const stranded = measure.strandedOf(stockOf(host('h', gpus(4), 10), POLICY));
    expect(stranded).toBeCloseTo(4000 - 10_000 / measure.vcpusPerDevice, 6);
    expect(measure.strandedOf(stockOf(host('h', gpus(1), 64), POLICY))).toBe(0);
  });

  it('is the measure of the paper', () => {
    const aShape = fc.record({
      vcpus: fc.integer({ min: 0, max: 8 }),
      count: fc.constantFrom(0, 1, 1, 2, 4),
      share: fc.option(fc.integer({ min: 1, max: 999 }), { nil: undefined }),
      ids: fc.constantFrom(P5000, A100),
    });
    const aGpu = fc.record({ ids: fc.constant(P5000), used: fc.constantFrom(0, 0, 1, 250, 500, 999, null) });
    fc.assert(
      fc.property(
        fc.array(aShape, { minLength: 1, maxLength: 8 }),
        fc.array(aGpu, { maxLength: 8 }),
        fc.nat(12),
        (shapes, cards, vcpus) => {
          const requests = shapes.map((shape) => {
            if (shape.count === 0) return asked(shape.vcpus);
            const wanted =
              shape.share === undefined ? wants('gpu', shape.count, shape.ids) : share(shape.share, shape.ids);
            return asked(shape.vcpus, wanted);
          });
          const devices = cards.map(({ ids, used }, at) => {
            const given = used === null ? { status: 'allocated' as const } : { sharesUsed: used };
            return { address: `0000:${10 + at}:00.0`, ids, ...given };
          });
          const snapshot = host('h', devices, vcpus);
          const measured = new Fragmentation(mixOf(requests, { coverage: 1, withPlain: true }), 'popularity');
          const wanted = requests.some(({ devices: some }) =>
            some.some(({ specs }) => aliasMatches(specs, P5000_DEVICE)),
          );
          // what nobody at all asks for is no loss to anybody: the paper has GPUs only
          const expected = wanted ? bruteForce(snapshot, requests) : 0;
          expect(measured.lossOf(stockOf(snapshot, POLICY))).toBeCloseTo(expected, 6);
        },
      ),
    );
  });
});

const P5000_DEVICE = host('any', gpus(1), 1).devices[0] as SnapshotDevice;

/** F(n) = Σ p · f(n), request by request, as the paper writes it. */
function bruteForce(snapshot: HostSnapshot, requests: readonly { vcpus: number; devices: DeviceRequest[] }[]): number {
  const rests = snapshot.devices.map(({ status, sharesUsed = 0 }) => (status === 'available' ? 1000 - sharesUsed : 0));
  const idle = rests.reduce((sum, rest) => sum + rest, 0);
  const losses = requests.map(({ vcpus, devices: [wanted] }) => {
    if (!wanted || vcpus > snapshot.capacity.vcpus || !aliasMatches(wanted.specs, P5000_DEVICE)) return idle;
    const need = wanted.share ?? 1000;
    const enough = rests.filter((rest) => rest >= need);
    if (enough.length < wanted.count) return idle;
    return rests.reduce((sum, rest) => (rest < need ? sum + rest : sum), 0);
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / requests.length;
}

describe('the choice of the host', () => {
  const small = host('a', gpus(2), 64);
  const large = host('b', gpus(4), 64);
  const mix = mixOf([asked(4, wants('gpu', 4, P5000)), asked(4, wants('gpu', 1, P5000))]);
  const request = {
    ...asked(4, wants('gpu', 1, P5000)),
    serverName: 's',
    projectId: 'p',
    memoryMb: 1,
    diskGb: 0,
    guestCells: null,
  };

  const hostFor = (policy: PlacementPolicy, ...hosts: HostSnapshot[]): string => {
    const decision = place({ hosts, policy }, request, []);
    return decision.outcome === 'placed' ? decision.hostName : decision.message;
  };

  it.each(['best-fit', 'fragmentation', 'scarcity'] as const)('%s keeps the large set whole', (name) => {
    expect(hostFor(policyOf(name, mix), small, large)).toBe('a');
    expect(hostFor(policyOf(name, mix), { ...large, name: 'a' }, { ...small, name: 'b' })).toBe('b');
  });

  it('scores as FGD does', () => {
    const decision = place({ hosts: [small, large], policy: policyOf('fragmentation', mix) }, request, []);
    const raws =
      decision.outcome === 'placed' ? decision.scores.map(({ parts }) => parts['FragmentationWeigher']?.raw) : [];
    // a: 2 idle of no use to half before, 1 after: −0.5 GPUs. b: nothing before, 3 of no use to half after: +1.5
    expect(raws).toEqual([Math.floor(100 / (1 + Math.exp(-0.5))), Math.floor(100 / (1 + Math.exp(1.5)))]);
  });

  it('scarcity leaves devices to who can still use them: a server with many vCPUs goes where they are plenty', () => {
    const busy = { ...request, vcpus: 24 };
    const balanced = mixOf([asked(12, wants('gpu', 1, P5000))]);
    const hosts = [host('tight', gpus(4), 48), host('wide', gpus(1), 48)];
    const decision = place({ hosts, policy: policyOf('scarcity', balanced) }, busy, []);
    expect(decision).toMatchObject({ outcome: 'placed', hostName: 'wide' });
  });

  it('takes all hosts for equal while nothing is known of what is asked for', () => {
    expect(hostFor(policyOf('fragmentation', { shapes: [] }), large, small)).toBe('b');
    expect(
      hostFor({ ...policyOf('fragmentation', mix), mix: undefined } as unknown as PlacementPolicy, large, small),
    ).toBe('b');
  });

  it('goes by the policy of the alias', () => {
    const policies = { default: 'spread', aliases: { gpu: 'fragmentation' } } as const;
    const decision = place(
      { hosts: [small, large], policy: { ...POLICY, mix, placementPolicies: policies } },
      request,
      [],
    );
    const parts = decision.outcome === 'placed' ? Object.keys(decision.scores[0]?.parts ?? {}) : [];
    expect(parts).toContain('FragmentationWeigher');
    expect(parts).not.toContain('RAMWeigher');
    const plain = place(
      { hosts: [small, large], policy: { ...POLICY, mix, placementPolicies: policies } },
      { ...request, devices: [] },
      [],
    );
    expect(plain.outcome === 'placed' && Object.keys(plain.scores[0]?.parts ?? {})).toContain('RAMWeigher');
  });

  it('sees what was placed before', () => {
    const policy = policyOf('fragmentation', mixOf([asked(4, wants('gpu', 2, P5000))]));
    const first = place({ hosts: [small, large], policy }, request, []);
    if (first.outcome !== 'placed') throw new Error(first.message);
    const hosts = [small, large].map((one) =>
      one.id === first.hostId ? applyPlacement(one, first, request, { serverId: 's1', serverName: 's1' }) : one,
    );
    // the pair that is broken already gives the next one as well
    expect(place({ hosts, policy }, request, [])).toMatchObject({ hostName: first.hostName });
  });
});
