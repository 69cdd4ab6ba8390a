import { parseAliases } from '../src/pci/alias/alias.js';
import type { NumaPolicy } from '../src/pci/alias/numa-policy.js';
import { applyPlacement } from '../src/placement/apply-placement.js';
import type { Decision } from '../src/placement/decision.js';
import { place } from '../src/placement/place.js';
import type { DeviceRequest, PlacementRequest } from '../src/placement/request.js';
import type { HostSnapshot, PlacementPolicy } from '../src/placement/snapshot.js';
import { loadSettings } from '../src/settings/load-settings.js';
import { ALIASES, snapshotOf } from './fleet.js';
import { figure, say, sayTable } from './print.js';
import { median, medianRound, quantile } from './statistics.js';

const ROUNDS = 5;
const DECISIONS_PER_ROUND = 400;
const REJECTIONS_PER_ROUND = 10;
const FIRST_SAMPLES = 3;

const POLICY: PlacementPolicy = loadSettings({ files: [], env: {} }).settings.scheduler;
const SPECS = parseAliases(ALIASES.map((value, index) => ({ value, where: `alias ${index + 1}` })));

/** What is asked for, in turn. */
const MIX: readonly (readonly DeviceRequest[])[] = [
  [],
  [wanted('gpu', 1)],
  [wanted('gpu', 4, 'required')],
  [wanted('gpu', 1), wanted('nic', 1)],
];

/** Pure decisions, each applied before the next: no database, no messages. */
export function measureDecisions(sizes: readonly number[]): void {
  say(`Decisions: place() alone, each decision applied before the next; half of the GPU hosts in use at the start.`);
  say(
    `Asked for in turn: nothing, gpu:1, gpu:4 on one NUMA node, gpu:1 with nic:1. Medians of ${ROUNDS} rounds, each on`,
  );
  say(
    `a list of hosts that was not asked about before. first: of a process that knows no host yet. none: refused, no host`,
  );
  say(`has such a device. taken: refused, every GPU is in use, each host's by another server.`);
  say();
  sayTable(
    ['hosts', 'decisions/s', 'p50 µs', 'p99 µs', 'first ms', 'none p50 ms', 'none p99 ms', 'taken p50 ms'],
    sizes.map((size) => [String(size), ...Object.values(measureAt(size)).map(figure)]),
  );
  say();
}

function measureAt(size: number): Record<string, number> {
  const firsts = Array.from({ length: FIRST_SAMPLES }, () => measureFirst(fleet(size)));
  const start = inUse(fleet(size));
  measureMix(start);
  const placed = medianRound(Array.from({ length: ROUNDS }, () => measureMix(start)));
  const none = medianRound(Array.from({ length: ROUNDS }, () => measureRefusals(start, 'fpga')));
  const taken = measureRefusals(allTaken(start), 'gpu');
  return { ...placed, first: median(firsts), noneP50: none.p50, noneP99: none.p99, takenP50: taken.p50 };
}

/** The first decision after a start: nothing is known of any host yet. */
function measureFirst(hosts: readonly HostSnapshot[]): number {
  return timed(() => decide(hosts, MIX[1] ?? []));
}

function fleet(size: number): HostSnapshot[] {
  return Array.from({ length: size }, (_unused, index) => snapshotOf(index));
}

/** A fleet in the middle of its day: every second host with GPUs has given one away. */
function inUse(hosts: readonly HostSnapshot[]): HostSnapshot[] {
  return hosts.map((host, index) => {
    const decision = index % 2 === 0 ? decide([host], MIX[1] ?? []) : null;
    return decision?.outcome === 'placed' ? applied(host, decision, index) : host;
  });
}

function measureMix(start: readonly HostSnapshot[]): { rate: number; p50: number; p99: number } {
  const hosts = [...start];
  const places = new Map(hosts.map((host, place) => [host.id, place]));
  const times: number[] = [];
  for (let index = 0; index < DECISIONS_PER_ROUND; index++) {
    const devices = MIX[index % MIX.length] ?? [];
    let decision: Decision | null = null;
    times.push(timed(() => (decision = decide(hosts, devices))));
    apply(hosts, places, decision as unknown as Decision, index);
  }
  const sum = times.reduce((a, b) => a + b, 0);
  return { rate: (1000 * times.length) / sum, p50: 1000 * quantile(times, 0.5), p99: 1000 * quantile(times, 0.99) };
}

/** Asks for what cannot be had: every host is explained. */
function measureRefusals(hosts: readonly HostSnapshot[], alias: string): { p50: number; p99: number } {
  const times = Array.from({ length: REJECTIONS_PER_ROUND }, () => timed(() => decide(hosts, [wanted(alias, 1)])));
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** Each host's GPUs, as many as are left, given to one server. */
function allTaken(hosts: readonly HostSnapshot[]): HostSnapshot[] {
  return hosts.map((host, index) => {
    for (let count = 8; count > 0; count--) {
      const decision = decide([host], [wanted('gpu', count)]);
      if (decision.outcome === 'placed') return applied(host, decision, index);
    }
    return host;
  });
}

/** The request is made anew each time, as a scheduler reads it anew for each server. */
function decide(hosts: readonly HostSnapshot[], devices: readonly DeviceRequest[]): Decision {
  const request: PlacementRequest = {
    serverName: 'server',
    projectId: 'default',
    vcpus: 2,
    memoryMb: 2048,
    diskGb: 10,
    devices: structuredClone(devices),
    guestCells: null,
  };
  return place({ hosts, policy: POLICY }, request, []);
}

function apply(hosts: HostSnapshot[], places: ReadonlyMap<string, number>, decision: Decision, index: number): void {
  if (decision.outcome === 'rejected') return;
  const place = places.get(decision.hostId) as number;
  hosts[place] = applied(hosts[place] as HostSnapshot, decision, index);
}

function applied(host: HostSnapshot, decision: Decision & { outcome: 'placed' }, index: number): HostSnapshot {
  const size = { vcpus: 2, memoryMb: 2048, diskGb: 10 };
  const request = { serverName: 'server', projectId: 'default', ...size, devices: [], guestCells: null };
  return applyPlacement(host, decision, request, { serverId: `server-${index}`, serverName: `server-${index}` });
}

function wanted(alias: string, count: number, numaPolicy: NumaPolicy = 'legacy'): DeviceRequest {
  const specs = SPECS.find(({ name }) => name === alias)?.specs ?? [];
  return { alias, count, specs, numaPolicy };
}

/** Milliseconds. */
function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
