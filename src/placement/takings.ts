import type { JudgedRequest } from './filters/filter.js';
import { Fragmentation, type MixWeight } from './fragmentation.js';
import { needOf, stockOf, takesKind, WHOLE, type DeviceKind, type HostStock } from './host-stock.js';
import { policyNameOf, type PlacementPolicyName } from './placement-policies.js';
import type { RequestMix } from './request-mix.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy } from './snapshot.js';

/** How much idle devices without vCPUs count, against such that are of no use to typical requests. */
const STRANDED_WEIGHT = 0.6;

/** What a host would have left after serving a request, and which device would give the share, if one is wanted. */
export interface Taking {
  readonly after: HostStock;
  /** Place of the device; null: no share is wanted. */
  readonly sharePlace: number | null;
  /** 0 to 100, more is better; of policies that look at the mix. Least left: −thousandths left on the device. */
  readonly score: number;
}

/** What sums of fractions may be off by. */
const ROUNDING = 1e-9;

/** What of a host is lost to typical requests. `isNow`: of the host as it is, not as it would be. */
type Worth = (stock: HostStock, isNow: boolean) => number;

type Asked = Pick<JudgedRequest, 'vcpus' | 'devices'>;

/**
 * Ways in which a host can serve a request under the request's policy, best first, equal ones by the place of the device.
 * More than one only where a share is wanted. Whole devices are the first that fit: which of equal ones it is makes no difference here.
 */
export function takingsOf(host: HostSnapshot, request: Asked, policy: PlacementPolicy): readonly Taking[] {
  const known = last.get(host);
  if (known && known.devices === request.devices && known.vcpus === request.vcpus && known.policy === policy) {
    return known.takings;
  }
  const takings = findTakings(host, request, policy);
  last.set(host, { devices: request.devices, vcpus: request.vcpus, policy, takings });
  return takings;
}

/** Weighers and the choice of the device ask the same, one soon after the other. */
const last = new WeakMap<
  HostSnapshot,
  Asked & { readonly policy: PlacementPolicy; readonly takings: readonly Taking[] }
>();

function findTakings(host: HostSnapshot, request: Asked, policy: PlacementPolicy): Taking[] {
  const stock = stockOf(host, policy);
  const name = policyNameOf(request.devices, policy.placementPolicies);
  const worth = worthOf(name, policy.mix);
  const before = worth?.(stock, true) ?? 0;
  const whole = withoutWhole(stock, request);
  const share = request.devices.find((asked) => asked.share !== undefined);
  const afters = share
    ? sharePlaces(whole, share).map((place) => ({ place, after: less(whole, place, needOf(share)) }))
    : [{ place: null, after: whole }];
  return afters
    .map(({ place, after }): Taking => ({ after, sharePlace: place, score: scoreOf(before, after, place, worth) }))
    .sort((a, b) => b.score - a.score);
}

/** What of a host is lost to typical requests, as the policy sees it; null: it does not look at them. */
function worthOf(name: PlacementPolicyName, mix: RequestMix | undefined): Worth | null {
  if (!mix || mix.shapes.length === 0) return null;
  if (name === 'fragmentation') {
    const measure = measureOf(mix, 'popularity');
    return (stock, isNow) => lossOf(measure, stock, isNow);
  }
  if (name !== 'scarcity') return null;
  const measure = measureOf(mix, 'pressure');
  return (stock, isNow) => lossOf(measure, stock, isNow) + STRANDED_WEIGHT * measure.strandedOf(stock);
}

function lossOf(measure: Fragmentation, stock: HostStock, isNow: boolean): number {
  return isNow ? measure.lossNow(stock) : measure.lossOf(stock);
}

const measures: Readonly<Record<MixWeight, WeakMap<RequestMix, Fragmentation>>> = {
  popularity: new WeakMap(),
  pressure: new WeakMap(),
};

function measureOf(mix: RequestMix, weight: MixWeight): Fragmentation {
  let measure = measures[weight].get(mix);
  if (!measure) measures[weight].set(mix, (measure = new Fragmentation(mix, weight)));
  return measure;
}

/**
 * 100 · sigmoid of the loss that is avoided, in whole devices, cut to an integer. The coarse steps are part of it: hosts that
 * are nearly as good count as equal and are filled in their order. Source: FGD, see `fragmentation.ts`.
 */
function scoreOf(before: number, after: HostStock, place: number | null, worth: Worth | null): number {
  if (!worth) return place === null ? 0 : -(after.rests[place] as number);
  return Math.floor(ROUNDING + 100 / (1 + Math.exp((worth(after, false) - before) / WHOLE)));
}

function withoutWhole(stock: HostStock, { vcpus, devices }: Asked): HostStock {
  const rests = [...stock.rests];
  for (const demand of devices) {
    if (demand.share !== undefined) continue;
    let missing = demand.count;
    for (let place = 0; place < rests.length && missing > 0; place++) {
      if (rests[place] !== WHOLE || !takesKind(demand, stock.kinds[place] as DeviceKind)) continue;
      rests[place] = 0;
      missing--;
    }
  }
  return { ...stock, vcpus: stock.vcpus - vcpus, rests };
}

/** The first device of each kind and rest that has enough left. */
function sharePlaces({ rests, kinds }: HostStock, share: DeviceRequest): number[] {
  const seen = new Set<string>();
  const places: number[] = [];
  for (const [place, rest] of rests.entries()) {
    const kind = kinds[place] as DeviceKind;
    if (rest < needOf(share) || !takesKind(share, kind) || seen.has(`${rest} ${kind.key}`)) continue;
    seen.add(`${rest} ${kind.key}`);
    places.push(place);
  }
  return places;
}

function less(stock: HostStock, place: number, thousandths: number): HostStock {
  const rests = [...stock.rests];
  rests[place] = (rests[place] as number) - thousandths;
  return { ...stock, rests };
}
