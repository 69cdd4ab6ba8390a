import { aliasMatches } from '../src/pci/alias/alias-match.js';
import { applyPlacement, withoutServer } from '../src/placement/apply-placement.js';
import { place } from '../src/placement/place.js';
import type { PlacementRequest } from '../src/placement/request.js';
import type { HostSnapshot, PlacementPolicy } from '../src/placement/snapshot.js';
import { loadSettings } from '../src/settings/load-settings.js';
import { placementPolicy } from '../src/batches/deciding.js';
import { gpuHost, mixedHost, serverWith, wanted } from './gpu-fleet.js';
import { sayMachine } from './machine.js';
import { figure, say, sayTable } from './print.js';
import { quantile } from './statistics.js';
import { WORST_CASES } from '../test/support/worst-cases.js';

/** Of all GPUs so many are given out in the first stream; then as many decisions with a server given back before each. */
const FILL = 0.6;
const DECISIONS_MAX = 20_000;
const GPUS = 8;
const WORST_ROUNDS = 9;
const WARM_UP_HOSTS = 300;

const POLICY: PlacementPolicy = placementPolicy(
  loadSettings({ files: [], env: { BERTH_SCHEDULER_TIE_BREAK: 'name' } }).settings.scheduler,
);

const DEVICES_ONLY = { vcpus: 0, memoryMb: 0, diskGb: 0 };
const PAIRS = { kind: 'pair', level: 'PXB', per: 1, requests: [0, 1], weight: null } as const;
const CASES: readonly Case[] = [
  { name: 'plain', hostAt: gpuHost, requests: [serverWith([wanted('gpu', 2)])] },
  { name: 'numa', hostAt: gpuHost, requests: [serverWith([wanted('gpu', 2, { numaPolicy: 'required' })])] },
  {
    ...{ name: 'pairs', hostAt: gpuHost },
    requests: [serverWith([wanted('gpu', 2), wanted('nic', 2)], { constraints: [PAIRS] })],
  },
  {
    name: 'turns',
    hostAt: mixedHost,
    requests: ['gpu', 'nic'].map((alias) => serverWith([wanted(alias, 1)], DEVICES_ONLY)),
  },
];

interface Case {
  readonly name: string;
  readonly hostAt: (index: number) => HostSnapshot;
  /** Asked for in turn. */
  readonly requests: readonly PlacementRequest[];
}

/** What nobody has: each of these is a complete "no" of every host, of a kind that was not asked for before. */
const REFUSED: readonly PlacementRequest[] = [
  serverWith([wanted('fpga', 1)]),
  serverWith([wanted('gpu', GPUS + 1)]),
  serverWith([wanted('gpu', GPUS), wanted('nic', GPUS)], { constraints: [{ ...PAIRS, level: 'PIX' }] }),
];

interface Figures {
  readonly name: string;
  readonly per_s: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** Of all threads of the process: what others do on the machine matters less to it than to the times. */
  readonly cpu_us: number;
}

/** `npm run bench:decide -- --hosts N [--json]`, or `-- --worst`: pure decisions, no database, no messages. */
function main(words: readonly string[]): void {
  if (words.includes('--worst')) return measureWorst();
  const size = Number(words[words.indexOf('--hosts') + 1] ?? 1000);
  if (!words.includes('--hosts') || !Number.isSafeInteger(size) || size < 1) throw new Error('say --hosts N');
  sayMachine();
  say(
    `Decisions of place() alone on ${size} hosts of 8 GPUs and 16 VFs each, one after another, each applied before the next:`,
  );
  say(
    `until ${100 * FILL} % of the GPUs are out, then as many with a server given back before each. A time has all of it.`,
  );
  for (const { hostAt, requests } of CASES) measure(fleetOf(WARM_UP_HOSTS, hostAt), requests);
  const cases: Figures[] = [];
  for (const { name, hostAt, requests } of CASES) cases.push({ name, ...measure(fleetOf(size, hostAt), requests) });
  const hosts = fleetOf(size, gpuHost);
  const whyNot = Math.max(...REFUSED.map((request) => timeOf(() => place({ hosts, policy: POLICY }, request, []))));
  const rss = process.memoryUsage().rss / 1024 ** 2;
  say();
  sayTable(
    ['case', 'decisions/s', 'p50 ms', 'p99 ms', 'CPU µs'],
    cases.map(({ name, per_s: rate, p50_ms: p50, p99_ms: p99, cpu_us: cpu }) => [
      ...[name, figure(rate), p50.toFixed(4), p99.toFixed(4), figure(cpu)],
    ]),
  );
  say(`why not, every host, slowest of ${REFUSED.length}: ${figure(whyNot)} ms; memory ${figure(rss)} MiB`);
  if (!words.includes('--json')) return;
  const rounded = cases.map((one) => ({ ...one, per_s: Math.round(one.per_s) }));
  say(
    JSON.stringify({
      bench: 'decide',
      hosts: size,
      cases: rounded,
      why_not_ms: round(whyNot),
      rss_mb: Math.round(rss),
    }),
  );
}

/** Each worst case by itself: the first answer of a process that knows the code, but neither host nor request. */
function measureWorst(): void {
  sayMachine();
  const rows = WORST_CASES.map(({ name, host, request }) => {
    const times = Array.from({ length: WORST_ROUNDS }, () => {
      const [unknown, asked] = structuredClone([host, request] as const);
      return timeOf(() => place({ hosts: [unknown], policy: POLICY }, asked, []));
    });
    return [name, figure(quantile(times, 0.5)), figure(Math.max(...times.slice(1)))];
  });
  sayTable(['worst case', 'median ms', 'slowest ms'], rows);
}

function fleetOf(size: number, hostAt: Case['hostAt']): HostSnapshot[] {
  return Array.from({ length: size }, (_unused, index) => hostAt(index));
}

function measure(hosts: HostSnapshot[], requests: readonly PlacementRequest[]): Omit<Figures, 'name'> {
  const places = new Map(hosts.map((host, at) => [host.id, at]));
  const count = Math.min(DECISIONS_MAX, Math.floor(FILL * timesThatFit(hosts, requests)));
  const home = new Map<number, number>();
  const times: number[] = [];
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  for (let number = 0; number < 2 * count; number++) {
    const request = requests[number % requests.length] as PlacementRequest;
    const before = performance.now();
    if (number >= count) giveBack(hosts, home, oldestLike(number, count));
    const decision = place({ hosts, policy: POLICY }, request, []);
    if (decision.outcome === 'rejected') throw new Error(decision.message);
    const at = places.get(decision.hostId) as number;
    const owner = { serverId: `server-${number}`, serverName: `server-${number}` };
    hosts[at] = applyPlacement(hosts[at] as HostSnapshot, decision, request, owner);
    home.set(number, at);
    times.push(performance.now() - before);
  }
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
  const cpu = (user + system) / (2 * count);
  return { per_s: (2 * count) / seconds, p50_ms: round(p50), p99_ms: round(p99), cpu_us: round(cpu) };
}

/** How many of the requests, in turn, empty hosts would have the devices for. */
function timesThatFit(hosts: readonly HostSnapshot[], requests: readonly PlacementRequest[]): number {
  const devices = hosts.flatMap((host) => host.devices);
  const times = requests.flatMap((request) =>
    request.devices.map(({ specs, count }) => devices.filter((device) => aliasMatches(specs, device)).length / count),
  );
  return requests.length * Math.min(...times);
}

/** One of the servers of the first stream, each once, all over the fleet. */
function oldestLike(number: number, count: number): number {
  const stride = 7919;
  return count % stride === 0 ? number - count : ((number - count) * stride) % count;
}

function giveBack(hosts: HostSnapshot[], home: Map<number, number>, number: number): void {
  const at = home.get(number);
  if (at === undefined) return;
  home.delete(number);
  hosts[at] = withoutServer(hosts[at] as HostSnapshot, `server-${number}`);
}

function timeOf(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}

main(process.argv.slice(2));
