import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A host of a trace. */
export interface TraceHost {
  readonly cpuMilli: number;
  readonly memoryMib: number;
  readonly gpus: number;
  readonly model: string;
}

/** A request of a trace. */
export interface TraceRequest {
  readonly name: string;
  readonly cpuMilli: number;
  readonly memoryMib: number;
  readonly gpus: number;
  /** Thousandths of each GPU; below 1000 only with one GPU, 0 without. */
  readonly gpuMilli: number;
  /** GPU models that will do; empty: any. */
  readonly models: readonly string[];
}

/** What becomes of requests for a part of a GPU: they stay, become whole ones, or are left out. */
export const CONVERSIONS = ['shares', 'up', 'drop'] as const;
export type Conversion = (typeof CONVERSIONS)[number];

export interface TraceFolder {
  readonly hosts: readonly TraceHost[];
  /** File names of the request lists by the name of their trace, in name order. */
  readonly lists: ReadonlyMap<string, string>;
  readonly folder: string;
}

/**
 * A folder in the form of OpenB (Weng et al., USENIX ATC 2023): one list of hosts, and lists of requests, each one trace.
 *
 * @throws Error when there is not one `*node_list*.csv`, or no `*pod_list_<trace>.csv`
 */
export function readTraceFolder(folder: string): TraceFolder {
  const files = readdirSync(folder).sort();
  const hostLists = files.filter((file) => /node_list.*\.csv$/.test(file));
  const lists = new Map(
    files.flatMap((file) => {
      const trace = /pod_list_(.+)\.csv$/.exec(file)?.[1];
      return trace === undefined ? [] : [[trace, file] as const];
    }),
  );
  if (hostLists.length !== 1) throw new Error(`${folder}: needs one *node_list*.csv, has ${hostLists.length}`);
  if (lists.size === 0) throw new Error(`${folder}: has no *pod_list_<trace>.csv`);
  const hosts = readTable(path.join(folder, hostLists[0] as string)).map((row) => ({
    cpuMilli: numberIn(row, 'cpu_milli'),
    memoryMib: numberIn(row, 'memory_mib'),
    gpus: numberIn(row, 'gpu'),
    model: row['model'] ?? '',
  }));
  return { hosts, lists, folder };
}

/** The requests of a trace in name order. */
export function readRequests({ folder, lists }: TraceFolder, trace: string, conversion: Conversion): TraceRequest[] {
  const file = lists.get(trace);
  if (file === undefined) throw new Error(`no trace "${trace}"; there are ${[...lists.keys()].join(', ')}`);
  return readTable(path.join(folder, file))
    .map(requestFrom)
    .flatMap((request) => converted(request, conversion))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function requestFrom(row: Row): TraceRequest {
  const gpus = numberIn(row, 'num_gpu');
  const models = row['gpu_spec'] ?? '';
  return {
    name: row['name'] ?? '',
    cpuMilli: numberIn(row, 'cpu_milli'),
    memoryMib: numberIn(row, 'memory_mib'),
    gpus,
    gpuMilli: gpus === 0 ? 0 : numberIn(row, 'gpu_milli'),
    models: models === '' ? [] : models.split('|'),
  };
}

function converted(request: TraceRequest, conversion: Conversion): TraceRequest[] {
  if (conversion === 'shares' || request.gpus === 0 || request.gpuMilli === 1000) return [request];
  return conversion === 'up' ? [{ ...request, gpuMilli: 1000 }] : [];
}

/** What a request takes, in thousandths of GPUs. */
export function demandOf({ gpus, gpuMilli }: TraceRequest): number {
  return gpus * gpuMilli;
}

export interface Workload {
  /** In the order in which ties are broken. */
  readonly hosts: readonly TraceHost[];
  /** In the order in which they arrive. */
  readonly requests: readonly TraceRequest[];
}

/**
 * Hosts and requests of one run: both shuffled; then clones of requests drawn by chance follow, until the next one would ask
 * for more than `load` times all GPUs. A trace that asks for more already loses requests drawn by chance.
 */
export function workloadOf(
  hosts: readonly TraceHost[],
  trace: readonly TraceRequest[],
  seed: number,
  load: number,
): Workload {
  const random = randomFrom(seed);
  const shuffledHosts = shuffled(hosts, random);
  const requests = shuffled(trace, random);
  const most = load * 1000 * gpusOf(hosts);
  let demand = requests.reduce((sum, request) => sum + demandOf(request), 0);
  if (demand === 0) return { hosts: shuffledHosts, requests };
  while (demand > most) {
    const [lost] = requests.splice(Math.floor(random() * requests.length), 1);
    demand -= demandOf(lost as TraceRequest);
  }
  for (;;) {
    const clone = trace[Math.floor(random() * trace.length)] as TraceRequest;
    demand += demandOf(clone);
    if (demand > most) return { hosts: shuffledHosts, requests };
    requests.push(clone);
  }
}

export function gpusOf(hosts: readonly TraceHost[]): number {
  return hosts.reduce((sum, { gpus }) => sum + gpus, 0);
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const list = [...items];
  for (let last = list.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [list[last], list[other]] = [list[other] as T, list[last] as T];
  }
  return list;
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32, public domain). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Row = Readonly<Record<string, string>>;

function readTable(file: string): Row[] {
  const [head = '', ...lines] = readFileSync(file, 'utf8').split(/\r?\n/);
  const names = head.split(',');
  return lines
    .filter((line) => line !== '')
    .map((line) => Object.fromEntries(line.split(',').map((cell, at) => [names[at] ?? '', cell])));
}

function numberIn(row: Row, column: string): number {
  const value = Number(row[column] ?? NaN);
  if (!Number.isFinite(value)) throw new Error(`column ${column} of ${JSON.stringify(row)} is not a number`);
  return value;
}

/** The authors' figures: per cent of GPUs allocated at 130 per cent of arrived demand, by trace and policy; empty without the file. */
export function publishedFigures(folder: string): ReadonlyMap<string, number> {
  if (!readdirSync(folder).includes('published.csv')) return new Map();
  const rows = readTable(path.join(folder, 'published.csv')).filter((row) => row['metric'] === 'gpu_alloc_pct');
  return new Map(
    rows.map((row) => {
      const trace = (row['workload'] ?? '').replace(/^.*pod_list_/, '');
      return [`${trace} ${(row['policy'] ?? '').replace(/^\d+-/, '')}`, numberIn(row, 'mean@130')];
    }),
  );
}
