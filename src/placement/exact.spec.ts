import { describe, expect, it } from 'vitest';
import {
  compareValues,
  everyChoice,
  isAllowed,
  takenWith,
  valueOfChoice,
  type Choice,
} from '../../test/support/brute-force.js';
import { randomNumbers, type Random } from '../../test/support/random.js';
import { aHost, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { LEVELS } from '../pci/topology.js';
import type { Wanted } from './candidates.js';
import { TOPOLOGY_ATTRIBUTES, type DeviceRequest, type TopologyConstraint } from './request.js';
import { selectDevices } from './select-devices.js';
import type { HostSnapshot } from './snapshot.js';

const CASES = 100_000;
const PARTS = 20;

/** A host of up to seven devices below switches, some with PFs and VFs, some in one IOMMU group, some in use. */
function someHost(pick: Random): HostSnapshot {
  const devices: DeviceSketch[] = [];
  const cards = 2 + pick(4);
  for (let card = 0; card < cards && devices.length < 7; card++) {
    const numaNode = [0, 0, 1, null][pick(4)] as number | null;
    const bridge = `pci0000:${numaNode ?? 7}${pick(2)}`;
    const port = `port ${pick(2)} of ${bridge}`;
    const pciePath = [
      [bridge, port],
      [bridge, port, `up of ${port}`, `down ${pick(3)} of ${port}`],
    ][pick(2)] as string[];
    const common = { numaNode, pciePath, status: pick(6) === 0 ? ('allocated' as const) : ('available' as const) };
    const bus = `0000:${(16 + card).toString(16)}`;
    const kind = pick(4);
    const group = pick(3) === 0 ? 90 : card * 8;
    if (kind < 2)
      devices.push({ address: `${bus}:00.0`, ids: ['10de:1bb0', '10de:20b0'][kind] as string, group, ...common });
    if (kind === 2) {
      devices.push({ address: `${bus}:00.0`, group, ...common });
      devices.push({
        address: `${bus}:00.1`,
        ids: '10de:10f0',
        group: pick(2) === 0 ? group : card * 8 + 1,
        ...common,
      });
    }
    if (kind === 3) {
      const pf = { ...common, address: `${bus}:00.0`, ids: '8086:1572', deviceType: 'type-PF' as const };
      devices.push({ ...pf, group: card * 8 });
      for (let vf = 0; vf <= pick(3); vf++) {
        const own = {
          address: `${bus}:02.${vf}`,
          ids: '8086:154c',
          deviceType: 'type-VF' as const,
          group: card * 8 + vf + 1,
        };
        devices.push({ ...common, ...own, parentAddress: `${bus}:00.0` });
      }
    }
  }
  return aHost('h', devices.slice(0, 8));
}

function someWanted(pick: Random): Wanted {
  const requests = Array.from({ length: 1 + pick(3) }, () => someRequest(pick));
  const constraints = Array.from({ length: [0, 0, 1, 1, 2][pick(5)] as number }, () =>
    someConstraint(pick, requests.length),
  );
  return { requests, constraints, cells: [null, null, [0], [1], [0, 1]][pick(5)] as number[] | null };
}

function someRequest(pick: Random): DeviceRequest {
  const ids = ['10de:1bb0', '10de:20b0', '10de:10f0', '8086:1572', '8086:154c'] as const;
  const typeOf = (id: string) => (id === '8086:1572' ? 'type-PF' : id === '8086:154c' ? 'type-VF' : 'type-PCI');
  const numaPolicy = (['legacy', 'preferred', 'required', 'socket'] as const)[pick(4)] as 'legacy';
  const spec = (utility: number): DeviceRequest => {
    const id = ids[pick(ids.length)] as string;
    return wants(id, 1 + pick(3), id, { deviceType: typeOf(id), utility, numaPolicy });
  };
  const first = spec(0);
  if (pick(3) > 0) return first;
  return { ...first, specs: [...first.specs, ...spec(pick(2) * 10).specs] };
}

function someConstraint(pick: Random, requests: number): TopologyConstraint {
  const level = LEVELS[pick(LEVELS.length)] as (typeof LEVELS)[number];
  const attribute = TOPOLOGY_ATTRIBUTES[pick(TOPOLOGY_ATTRIBUTES.length)] as (typeof TOPOLOGY_ATTRIBUTES)[number];
  const all = Array.from({ length: requests }, (_unused, index) => index);
  const some = { requests: pick(2) === 0 ? all : [pick(requests)], weight: null };
  const kind = pick(requests > 1 ? 4 : 3);
  if (kind === 0) return { kind: 'within', level, ...some };
  if (kind === 3)
    return { kind: 'pair', level, per: 1 + pick(2), requests: pick(2) === 0 ? [0, 1] : [1, 0], weight: null };
  return { kind: kind === 1 ? 'same' : 'distinct', attribute, ...some };
}

/** The choice that a selection stands for. */
function choiceOf(
  host: HostSnapshot,
  wanted: Wanted,
  devices: readonly { address: string; requestIndex: number | null }[],
): Choice {
  return wanted.requests.map((_request, index) => {
    const own = new Set(devices.filter(({ requestIndex }) => requestIndex === index).map(({ address }) => address));
    return host.devices.filter(({ address }) => own.has(address));
  });
}

function turnedRound({ requests, constraints, cells }: Wanted): Wanted {
  const last = requests.length - 1;
  return {
    requests: [...requests].reverse(),
    cells,
    constraints: [...constraints]
      .reverse()
      .map((rule) => ({ ...rule, requests: rule.requests.map((index) => last - index) })),
  };
}

describe(`selection against brute force, ${CASES} cases`, () => {
  it.each(Array.from({ length: PARTS }, (_unused, part) => part))('part %i', (part) => {
    const pick = randomNumbers(part + 1);
    for (let number = 0; number < CASES / PARTS; number++) {
      const [host, wanted] = [someHost(pick), someWanted(pick)];
      const problem = problemOf(host, wanted);
      if (problem !== null) expect.unreachable(`part ${part}, case ${number}: ${problem}`);
    }
  });
});

function problemOf(host: HostSnapshot, wanted: Wanted): string | null {
  const before = JSON.stringify(host.devices);
  const selection = selectDevices(host, wanted);
  const all = everyChoice(host, wanted);
  const told = toldOf(host, wanted);
  if (JSON.stringify(host.devices) !== before) return `the host was changed: ${told}`;
  if (selection.outcome !== (all.length > 0 ? 'feasible' : 'infeasible')) {
    return `${selection.outcome}, and there are ${all.length} choices: ${told}`;
  }
  const turned = selectDevices(host, turnedRound(wanted));
  if (turned.outcome !== selection.outcome) return `turned round it is ${turned.outcome}: ${told}`;
  if (selection.outcome !== 'feasible' || turned.outcome !== 'feasible') return null;
  const sets = [selection, turned].map(({ devices }) =>
    devices
      .map(({ address }) => address)
      .sort()
      .join(),
  );
  if (sets[0] !== sets[1]) return `the order of requests decides: ${sets.join(' or ')}: ${told}`;
  const choice = choiceOf(host, wanted, selection.devices);
  if (choice.some((devices, at) => devices.length !== wanted.requests[at]?.count)) return `not all is served: ${told}`;
  if (!isAllowed(host, wanted, choice)) return `not allowed: ${sets[0]}: ${told}`;
  const taken = takenWith(host, choice)
    .map(({ address }) => address)
    .sort()
    .join();
  if (taken !== sets[0]) return `takes ${sets[0]} instead of ${taken}: ${told}`;
  const value = valueOfChoice(host, wanted, choice);
  const better = all
    .map((other) => valueOfChoice(host, wanted, other))
    .find((other) => compareValues(other, value) > 0);
  return better && selection.isBest ? `${value.join()} is worse than ${better.join()}: ${told}` : null;
}

/** The case in few words. */
function toldOf({ devices, topology, units }: HostSnapshot, { requests, constraints, cells }: Wanted): string {
  const hosts = devices.map(
    ({ address, vendorId, productId, numaNode, status }) =>
      `${address.slice(5)} ${vendorId}:${productId} node ${numaNode} ${topology.get(address)?.PIX} with ${units.get(address)?.members.length} ${status}`,
  );
  const asked = requests.map(
    ({ count, specs, numaPolicy }) =>
      `${count} of ${specs.map((spec) => `${spec.productId}/${spec.utility}`).join('|')} ${numaPolicy}`,
  );
  return `\n${hosts.join('\n')}\n${asked.join('\n')}\n${JSON.stringify(constraints)} cells ${JSON.stringify(cells)}`;
}
