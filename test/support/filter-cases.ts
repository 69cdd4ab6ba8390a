import { describe, expect, it } from 'vitest';
import { FILTERS } from '../../src/placement/filters/filters.js';
import type { HostWishes, PlacementRequest } from '../../src/placement/request.js';
import type { HostAggregate, HostedServer, HostSnapshot, PlacementPolicy } from '../../src/placement/snapshot.js';
import { contextOf } from './host-arbitraries.js';
import { aHost, aRequest, POLICY } from './snapshots.js';

/** What a filter says of a host: null for yes, else codes and messages. */
export function answerOf(
  name: string,
  host: Partial<HostSnapshot>,
  request: Partial<PlacementRequest>,
  policy: Partial<PlacementPolicy> = {},
  others: readonly HostSnapshot[] = [],
): string[] | null {
  const filter = FILTERS.find((one) => one.name === name);
  const judged = aHost('h', [], host);
  const context = contextOf([judged, ...others], aRequest([], request), { ...POLICY, ...policy });
  if (!filter) throw new Error(`no filter ${name}`);
  return filter.passes(judged, context)
    ? null
    : filter.explain(judged, context).map(({ code, message }) => `${code}: ${message}`);
}

/** A server on a host, of another project. */
export function aServer(id: string, more: Partial<HostedServer> = {}): HostedServer {
  return {
    ...{
      id,
      name: `vm-${id}`,
      projectId: 'secret',
      vcpus: 1,
      memoryMb: 512,
      diskGb: 0,
      numaCells: null,
      guestCells: null,
    },
    ...{ cpuPolicy: 'shared', groupId: null, priority: 0, preemptible: false, settled: true },
    ...more,
  };
}

export function anAggregate(metadata: Record<string, string>, name = 'agg'): HostAggregate {
  return { name, metadata };
}

type Case = readonly [what: string, host: Partial<HostSnapshot>, wish: HostWishes, no: string | null];

/**
 * Cases of one filter: the host, what the server wishes of it, and the only reason, or null for a yes.
 */
export function table(filter: string, cases: readonly Case[]): void {
  describe(`${filter}`, () => {
    it.each(cases)('%s', (_what, host, wish, no) => {
      expect(answerOf(filter, host, { host: wish })).toEqual(no === null ? null : [no]);
    });
  });
}
