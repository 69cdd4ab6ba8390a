import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aServer } from '../../test/support/filter-cases.js';
import { aHost, aRequest, POLICY } from '../../test/support/snapshots.js';
import { applyPlacement } from './apply-placement.js';
import { freeCells } from './host-cells.js';
import { place } from './place.js';
import type { GuestCell, PlacementRequest } from './request.js';
import type { HostedServer, HostSnapshot, PlacementPolicy } from './snapshot.js';

const CELLS = [0, 1].map((id) => ({ id, cpus: 8, memoryMb: 1000, socket: id }));
const TWICE: PlacementPolicy = { ...POLICY, cpuAllocationRatio: 2, ramAllocationRatio: 1.5 };
const cell = (vcpus: number, memoryMb = 100): GuestCell => ({ vcpus, memoryMb });

/** A server whose guest cells are on the first host cells. */
const celled = (cpuPolicy: 'shared' | 'dedicated', ...guestCells: GuestCell[]): HostedServer =>
  aServer('s', { cpuPolicy, guestCells, numaCells: guestCells.map((_cell, index) => index) });

/** `cpus/memory` of each cell. */
function left(
  servers: readonly HostedServer[],
  cpuPolicy: 'shared' | 'dedicated',
  policy = TWICE,
  more: Partial<HostSnapshot> = {},
): string[] {
  const host = aHost('h', [], { numaCells: CELLS, servers, ...more });
  return freeCells(host, { cpuPolicy }, policy).map(({ id, cpus, memoryMb }) => `${id}: ${cpus}/${memoryMb}`);
}

describe('what is left of host cells', () => {
  it.each<[string, HostedServer[], string[], string[]]>([
    ['nobody there', [], ['0: 8/1000', '1: 8/1000'], ['0: 8/1000', '1: 8/1000']],
    [
      'a server that roams',
      [aServer('s', { vcpus: 8, memoryMb: 900 })],
      ['0: 8/1000', '1: 8/1000'],
      ['0: 8/1000', '1: 8/1000'],
    ],
    // 16 vCPUs and 1500 MiB may be given out; none has more than the cell
    ['some shared', [celled('shared', cell(4, 300))], ['0: 8/1000', '1: 8/1000'], ['0: 6/700', '1: 8/1000']],
    ['many shared', [celled('shared', cell(13, 800))], ['0: 3/700', '1: 8/1000'], ['0: 1/200', '1: 8/1000']],
    ['some pinned', [celled('dedicated', cell(3), cell(1))], ['0: 5/1000', '1: 7/1000'], ['0: 5/900', '1: 7/900']],
    [
      'both',
      [celled('dedicated', cell(3)), celled('shared', cell(7))],
      ['0: 3/1000', '1: 8/1000'],
      ['0: 1/800', '1: 8/1000'],
    ],
    ['all pinned', [celled('dedicated', cell(8))], ['0: 0/1000', '1: 8/1000'], ['0: 0/900', '1: 8/1000']],
    [
      'pinned without guest cells',
      [aServer('s', { vcpus: 2, memoryMb: 100, cpuPolicy: 'dedicated', numaCells: [1] })],
      ['0: 8/1000', '1: 6/1000'],
      ['0: 8/1000', '1: 6/900'],
    ],
    [
      'pinned, nobody knows where',
      [aServer('s', { vcpus: 2, memoryMb: 100, cpuPolicy: 'dedicated' })],
      ['0: 6/1000', '1: 6/1000'],
      ['0: 6/900', '1: 6/900'],
    ],
    [
      'on a cell that is gone',
      [aServer('s', { cpuPolicy: 'dedicated', numaCells: [7] })],
      ['0: 8/1000', '1: 8/1000'],
      ['0: 8/1000', '1: 8/1000'],
    ],
  ])('%s', (_what, servers, shared, dedicated) => {
    expect(left(servers, 'shared')).toEqual(shared);
    expect(left(servers, 'dedicated')).toEqual(dedicated);
  });

  it('goes by the ratios of the host itself, where it says them', () => {
    const more = { allocationRatios: { cpu: 1, ram: 1, disk: 1 } };
    expect(left([celled('shared', cell(7, 400))], 'shared', TWICE, more)).toEqual(['0: 1/600', '1: 8/1000']);
  });
});

describe('servers with NUMA cells, one after another', () => {
  const asked: fc.Arbitrary<PlacementRequest> = fc
    .record({
      cells: fc.option(
        fc.array(fc.record({ vcpus: fc.integer({ min: 1, max: 9 }), memoryMb: fc.integer({ min: 1, max: 700 }) }), {
          minLength: 1,
          maxLength: 2,
        }),
      ),
      cpuPolicy: fc.constantFrom('shared' as const, 'dedicated' as const),
    })
    .map(({ cells, cpuPolicy }) => {
      const sum = (what: keyof GuestCell): number => (cells ?? [cell(2)]).reduce((total, one) => total + one[what], 0);
      return aRequest([], { cpuPolicy, guestCells: cells, vcpus: sum('vcpus'), memoryMb: sum('memoryMb') });
    });

  it.each(['strict', 'nova'] as const)('never have more of a cell than there is (%s)', (compat) => {
    fc.assert(
      fc.property(fc.array(asked, { maxLength: 8 }), fc.constantFrom(1, 2, 1.5), (requests, ratio) => {
        const policy = { ...POLICY, compat, cpuAllocationRatio: ratio, ramAllocationRatio: ratio };
        const capacity = { vcpus: 16, memoryMb: 2000, diskGb: 10 };
        let host = aHost('h', [], { numaCells: CELLS, capacity });
        for (const [at, request] of requests.entries()) {
          const decision = place({ hosts: [host], policy }, request, []);
          if (decision.outcome === 'placed')
            host = applyPlacement(host, decision, request, { serverId: `s${at}`, serverName: `s${at}` });
        }
        for (const { id, cpus, memoryMb } of CELLS) {
          const there = host.servers.flatMap((server) => {
            const cells = server.guestCells ?? (server.cpuPolicy === 'dedicated' ? [server] : []);
            return cells
              .filter((_cell, index) => server.numaCells?.[index] === id)
              .map((one) => ({ ...one, cpuPolicy: server.cpuPolicy }));
          });
          const vcpus = (wanted: string): number =>
            there.reduce((sum, one) => (one.cpuPolicy === wanted ? sum + one.vcpus : sum), 0);
          expect(vcpus('dedicated') + vcpus('shared') / ratio).toBeLessThanOrEqual(cpus);
          expect(there.reduce((sum, one) => sum + one.memoryMb, 0)).toBeLessThanOrEqual(memoryMb * ratio);
        }
        // every server that has to have cells has them
        expect(host.servers.filter((one) => one.cpuPolicy === 'dedicated' && one.numaCells === null)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('a dedicated server without cells takes one node, and the next another', () => {
    const policy = POLICY;
    const request = aRequest([], { cpuPolicy: 'dedicated', vcpus: 5, memoryMb: 100 });
    let host = aHost('h', [], { numaCells: CELLS, capacity: { vcpus: 16, memoryMb: 2000, diskGb: 10 } });
    const nodes = ['a', 'b'].map((serverId) => {
      const decision = place({ hosts: [host], policy }, request, []);
      if (decision.outcome === 'placed')
        host = applyPlacement(host, decision, request, { serverId, serverName: serverId });
      return decision.outcome === 'placed' ? decision.numaCells : null;
    });
    expect(nodes).toEqual([[0], [1]]);
    // 6 CPUs are free, 3 on each node
    expect(place({ hosts: [host], policy }, request, [])).toMatchObject({
      message:
        "No valid host: the guest has 1 NUMA node(s) of 5 CPUs and 100 MiB; no choice of the host's 2 is large enough: node 0 has 3 CPUs and 900 MiB left, node 1 has 3 CPUs and 900 MiB left (NUMATopologyFilter, host h).",
    });
  });
});
