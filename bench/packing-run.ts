import { createHash } from 'node:crypto';
import { applyPlacement } from '../src/placement/apply-placement.js';
import type { Placement } from '../src/placement/decision.js';
import { underPressure } from '../src/placement/mix-pressure.js';
import { place } from '../src/placement/place.js';
import { mixOf } from '../src/placement/request-mix.js';
import type { PlacementPolicyName } from '../src/placement/placement-policies.js';
import type { PlacementRequest } from '../src/placement/request.js';
import type { HostSnapshot, PlacementPolicy } from '../src/placement/snapshot.js';
import { hostFrom, productIds, requestFrom } from './openb-hosts.js';
import { demandOf, gpusOf, randomFrom, workloadOf, type TraceHost, type TraceRequest } from './openb.js';

/** Names of the literature, and Berth's own. */
export const PACKING_POLICIES = ['random', 'dot-product', 'best-fit', 'fgd', 'scarcity', 'spread'] as const;
export type PackingPolicy = (typeof PACKING_POLICIES)[number];

/** Requests arrive until they ask for so much of all GPUs. */
const LOAD = 1.3;
/** When so much of what was idle is left, it is looked anew at what has become scarce. */
const LEARN_AT = 0.9;
/** Source: the experiment of the FGD paper; its mix covers 95 % of the requests, those without GPUs among them. */
const PUBLISHED_MIX = { coverage: 0.95, withPlain: true } as const;
const PODS_MAX = 1001;

export interface PackingRun {
  /** Per cent of GPUs allocated, by per cent of arrived demand. */
  readonly allocated: ReadonlyMap<number, number>;
  /** Per cent of GPUs of which nothing is given out, at the end. */
  readonly freeWhole: number;
  readonly decisions: number;
  /** CPU time of all decisions, in milliseconds. */
  readonly timeMs: number;
  /** Of who went where. */
  readonly hash: string;
}

/** Decides one arrival after the other, each tried once, nothing ever leaves. */
export function runPacking(
  cluster: readonly TraceHost[],
  trace: readonly TraceRequest[],
  policy: PackingPolicy,
  seed: number,
): PackingRun {
  const workload = workloadOf(cluster, trace, seed, LOAD);
  const products = productIds(cluster);
  const hosts = workload.hosts.map((host, index) => hostFrom(host, index, products));
  const chooser = new Chooser(
    hosts,
    policy,
    trace.map((request) => requestFrom(request, products)),
    seed,
  );
  const total = 1000 * gpusOf(cluster);
  const curve = new Map<number, { sum: number; count: number }>();
  const hash = createHash('sha256');
  let [arrived, used, timeMs] = [0, 0, 0];
  for (const [index, asked] of workload.requests.entries()) {
    const request = requestFrom(asked, products);
    const start = process.cpuUsage();
    const placement = chooser.choose(request);
    timeMs += cpuMsSince(start);
    arrived += demandOf(asked);
    if (placement) {
      used += demandOf(asked);
      chooser.apply(placement, request, `server-${String(index).padStart(6, '0')}`);
    }
    hash.update(
      placement ? `${placement.hostName} ${placement.devices.map(({ address }) => address).join()}\n` : '-\n',
    );
    const at = Math.round((100 * arrived) / total);
    const point = curve.get(at) ?? { sum: 0, count: 0 };
    curve.set(at, { sum: point.sum + used, count: point.count + 1 });
  }
  const allocated = [...curve].map(([at, { sum, count }]) => [at, (100 * sum) / count / total] as const);
  return {
    allocated: new Map(allocated),
    freeWhole: (100_000 * freeGpus(hosts)) / total,
    ...{ decisions: workload.requests.length, timeMs, hash: hash.digest('hex') },
  };
}

function cpuMsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

function freeGpus(hosts: readonly HostSnapshot[]): number {
  let count = 0;
  for (const { devices } of hosts)
    for (const { status, sharesUsed } of devices) if (status === 'available' && !sharesUsed) count++;
  return count;
}

/** The hosts of a run, and how one is chosen. */
class Chooser {
  private policy: PlacementPolicy;
  private readonly places: ReadonlyMap<string, number>;
  private readonly random: () => number;
  /** Thousandths of GPUs. */
  private idle: number;
  private idleWhenLearnt = Infinity;

  constructor(
    private readonly hosts: HostSnapshot[],
    private readonly name: PackingPolicy,
    requests: readonly PlacementRequest[],
    seed: number,
  ) {
    this.places = new Map(hosts.map(({ id }, place) => [id, place]));
    this.random = randomFrom(seed + 1000);
    this.idle = hosts.reduce((sum, { devices }) => sum + 1000 * devices.length, 0);
    const ours: PlacementPolicyName =
      name === 'fgd' ? 'fragmentation' : name === 'scarcity' || name === 'spread' ? name : 'best-fit';
    this.policy = {
      ...{
        compat: 'strict',
        weigherMultipliers: {},
        cpuAllocationRatio: 1,
        ramAllocationRatio: 1,
        diskAllocationRatio: 1,
      },
      filters: ['CoreFilter', 'RamFilter', 'NumInstancesFilter', 'PciPassthroughFilter'],
      maxInstancesPerHost: PODS_MAX,
      placementPolicies: { default: ours, aliases: {} },
      mix: name === 'fgd' ? mixOf(requests, PUBLISHED_MIX) : mixOf(requests),
    };
  }

  choose(request: PlacementRequest): Placement | null {
    if (this.name === 'scarcity' && this.idle <= LEARN_AT * this.idleWhenLearnt) {
      const { policy, hosts } = this;
      this.idleWhenLearnt = this.idle;
      this.policy = { ...policy, mix: underPressure(policy.mix ?? { shapes: [] }, hosts, policy) };
    }
    const decision = place({ hosts: this.hosts, policy: this.policy }, request, []);
    if (decision.outcome === 'rejected') return null;
    if (this.name === 'random') return this.firstThatFits(this.inRandomOrder(), request);
    if (this.name === 'dot-product') return this.firstThatFits(this.byDotProduct(request), request);
    return decision;
  }

  apply(placement: Placement, request: PlacementRequest, serverId: string): void {
    const place = this.places.get(placement.hostId) as number;
    const owner = { serverId, serverName: serverId };
    for (const { count, share = 1000 } of request.devices) this.idle -= count * share;
    this.hosts[place] = applyPlacement(this.hosts[place] as HostSnapshot, placement, request, owner);
  }

  /** For orders that Berth has no weigher for: each host is asked alone. */
  private firstThatFits(order: Iterable<number>, request: PlacementRequest): Placement | null {
    for (const index of order) {
      const decision = place({ hosts: [this.hosts[index] as HostSnapshot], policy: this.policy }, request, []);
      if (decision.outcome === 'placed') return decision;
    }
    return null;
  }

  private *inRandomOrder(): Generator<number> {
    const left = [...this.hosts.keys()];
    while (left.length > 0) {
      const at = Math.floor(this.random() * left.length);
      yield left[at] as number;
      left[at] = left.at(-1) as number;
      left.pop();
    }
  }

  /** The least product of what is asked for and what is left first. Source: the baseline of the FGD paper. */
  private byDotProduct({ vcpus, devices }: PlacementRequest): number[] {
    const gpus = devices.reduce((sum, { count, share = 1000 }) => sum + (count * share) / 1000, 0);
    const products = this.hosts.map(({ capacity, used, devices: all }) => {
      const left = all.reduce(
        (sum, { status, sharesUsed = 0 }) => (status === 'available' ? sum + 1000 - sharesUsed : sum),
        0,
      );
      return (vcpus / 128) * ((capacity.vcpus - used.vcpus) / 128) + (gpus / 8) * (left / 8000);
    });
    return [...products.keys()].sort((a, b) => (products[a] as number) - (products[b] as number) || a - b);
  }
}
