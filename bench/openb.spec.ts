import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  demandOf,
  gpusOf,
  publishedFigures,
  readRequests,
  readTraceFolder,
  workloadOf,
  type TraceRequest,
} from './openb.js';
import { runPacking, type PackingPolicy } from './packing-run.js';

const EXCERPT = fileURLToPath(new URL('../test/fixtures/openb', import.meta.url));

describe('a folder of traces', () => {
  const folder = readTraceFolder(EXCERPT);

  it('is read as it is', () => {
    expect(folder.hosts).toHaveLength(102);
    expect(folder.hosts[0]).toEqual({ cpuMilli: 64_000, memoryMib: 262_144, gpus: 2, model: 'P100' });
    expect([...folder.lists.keys()]).toEqual(['default']);
    const requests = readRequests(folder, 'default', 'shares');
    expect(requests).toHaveLength(680);
    expect(requests[0]).toMatchObject({
      name: 'openb-pod-0000',
      cpuMilli: 12_000,
      gpus: 1,
      gpuMilli: 1000,
      models: [],
    });
    expect(requests.some(({ models }) => models.length > 1)).toBe(false);
  });

  it('turns parts of GPUs into whole ones, or leaves them out', () => {
    const parts = (requests: readonly TraceRequest[]): number =>
      requests.filter(({ gpus, gpuMilli }) => gpus > 0 && gpuMilli < 1000).length;
    const [shares, up, drop] = (['shares', 'up', 'drop'] as const).map((one) => readRequests(folder, 'default', one));
    expect(parts(shares ?? [])).toBe(245);
    expect([parts(up ?? []), up?.length]).toEqual([0, 680]);
    expect([parts(drop ?? []), drop?.length]).toEqual([0, 680 - 245]);
  });

  it('says what it misses', () => {
    expect(() => readRequests(folder, 'other', 'shares')).toThrow('no trace "other"; there are default');
    expect(() => readTraceFolder(fileURLToPath(new URL('.', import.meta.url)))).toThrow(
      'needs one *node_list*.csv, has 0',
    );
    expect(publishedFigures(EXCERPT).size).toBe(0);
  });

  it('makes the same workload of the same seed, up to the load and no further', () => {
    const requests = readRequests(folder, 'default', 'shares');
    const [one, again, other] = [42, 42, 43].map((seed) => workloadOf(folder.hosts, requests, seed, 1.3));
    expect(one).toEqual(again);
    expect(one?.requests).not.toEqual(other?.requests);
    const demand = (one?.requests ?? []).reduce((sum, request) => sum + demandOf(request), 0);
    expect(demand).toBeLessThanOrEqual(1300 * gpusOf(folder.hosts));
    expect(demand).toBeGreaterThan(1290 * gpusOf(folder.hosts));
  });
});

describe('packing', () => {
  const folder = readTraceFolder(EXCERPT);
  const hosts = folder.hosts.filter((_host, at) => at % 3 === 0);
  const requests = readRequests(folder, 'default', 'shares');
  const at130 = (policy: PackingPolicy): number => runPacking(hosts, requests, policy, 42).allocated.get(130) ?? NaN;

  it('is better the more a policy knows, and decides the same twice', { timeout: 120_000 }, () => {
    const [random, bestFit, fgd, scarcity] = (['random', 'best-fit', 'fgd', 'scarcity'] as const).map(at130) as [
      ...[number, number, number, number],
    ];
    expect(bestFit).toBeGreaterThan(random);
    expect(fgd).toBeGreaterThanOrEqual(bestFit);
    expect(scarcity).toBeGreaterThanOrEqual(fgd);
    expect(runPacking(hosts, requests, 'fgd', 42).hash).toBe(runPacking(hosts, requests, 'fgd', 42).hash);
  });
});
