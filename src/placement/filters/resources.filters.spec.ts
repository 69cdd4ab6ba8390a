import { describe, expect, it } from 'vitest';
import { anAggregate, answerOf, aServer } from '../../../test/support/filter-cases.js';
import type { PlacementRequest } from '../request.js';
import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';

describe('vCPUs, memory and disk', () => {
  const small = { capacity: { vcpus: 8, memoryMb: 1000, diskGb: 100 } };
  const kept = { ...small, reserved: { vcpus: 2, memoryMb: 100, diskGb: 10 } };
  const half = { ...kept, used: { vcpus: 4, memoryMb: 500, diskGb: 50 } };
  const ratios = { cpuAllocationRatio: 2, ramAllocationRatio: 1.5, diskAllocationRatio: 1 };
  const own = { allocationRatios: { cpu: 1, ram: 1, disk: 1 } };
  const pinned = { servers: [aServer('p', { vcpus: 4, cpuPolicy: 'dedicated' })] };
  const ask = (vcpus: number, memoryMb = 0, diskGb = 0) => ({ vcpus, memoryMb, diskGb });

  it.each<[string, Partial<HostSnapshot>, Partial<PlacementRequest>, Partial<PlacementPolicy>, string[] | null]>([
    ['CoreFilter', kept, ask(6), {}, null],
    ['CoreFilter', kept, ask(7), {}, ['vcpus.not_enough: 7 vCPUs wanted, 6 of 6 free']],
    ['CoreFilter', half, ask(8), ratios, null],
    [
      'CoreFilter',
      { ...kept, used: { vcpus: 6, memoryMb: 0, diskGb: 0 } },
      ask(7),
      ratios,
      ['vcpus.not_enough: 7 vCPUs wanted, 6 of 12 free'],
    ],
    [
      'CoreFilter',
      small,
      ask(9),
      ratios,
      ['vcpus.larger_than_host: 9 vCPUs wanted, the host has 8, whatever the allocation ratio'],
    ],
    ['CoreFilter', { ...half, ...own }, ask(3), ratios, ['vcpus.not_enough: 3 vCPUs wanted, 2 of 6 free']],
    // of 6 CPUs 4 are a server's own: 2 are shared, twice
    ['CoreFilter', { ...half, ...pinned }, ask(4), ratios, null],
    ['CoreFilter', { ...half, ...pinned }, ask(5), ratios, ['vcpus.not_enough: 5 vCPUs wanted, 4 of 4 free']],
    // 4 shared vCPUs need 2 of 6 CPUs
    ['CoreFilter', half, { ...ask(4), cpuPolicy: 'dedicated' }, ratios, null],
    // and 5 need 3
    [
      'CoreFilter',
      { ...half, used: { vcpus: 5, memoryMb: 0, diskGb: 0 } },
      { ...ask(4), cpuPolicy: 'dedicated' },
      ratios,
      ['vcpus.not_enough: 4 vCPUs wanted, 3 of 6 free'],
    ],
    [
      'CoreFilter',
      half,
      { ...ask(5), cpuPolicy: 'dedicated' },
      ratios,
      ['vcpus.not_enough: 5 vCPUs wanted, 4 of 6 free'],
    ],
    [
      'CoreFilter',
      { ...half, ...pinned },
      { ...ask(3), cpuPolicy: 'dedicated' },
      ratios,
      ['vcpus.not_enough: 3 vCPUs wanted, 2 of 6 free'],
    ],
    ['RamFilter', half, ask(0, 850), ratios, null],
    ['RamFilter', half, ask(0, 851), ratios, ['memory.not_enough: 851 MiB of memory wanted, 850 of 1350 free']],
    [
      'RamFilter',
      { ...half, ...own },
      ask(0, 401),
      ratios,
      ['memory.not_enough: 401 MiB of memory wanted, 400 of 900 free'],
    ],
    [
      'RamFilter',
      small,
      ask(0, 1001),
      ratios,
      ['memory.larger_than_host: 1001 MiB of memory wanted, the host has 1000, whatever the allocation ratio'],
    ],
    ['DiskFilter', half, ask(0, 0, 40), {}, null],
    ['DiskFilter', half, ask(0, 0, 41), {}, ['disk.not_enough: 41 GiB of disk wanted, 40 of 90 free']],
    ['DiskFilter', { ...small, used: { vcpus: 0, memoryMb: 0, diskGb: 200 } }, ask(0), {}, null],
    [
      'DiskFilter',
      { ...small, used: { vcpus: 0, memoryMb: 0, diskGb: 200 } },
      ask(0, 0, 1),
      {},
      ['disk.not_enough: 1 GiB of disk wanted, 0 of 100 free'],
    ],
  ])('%s (case %#)', (name, host, request, policy, answer) => {
    expect(answerOf(name, host, request, policy)).toEqual(answer);
  });

  it.each([
    ['the least of several', ['3', '1.5'], null, ['vcpus.not_enough: 5 vCPUs wanted, 4 of 12 free']],
    ['more than the settings say', ['2'], null, null],
    ['no number: as the settings say', ['2', 'much'], null, ['vcpus.not_enough: 5 vCPUs wanted, 0 of 8 free']],
    ['nothing is no ratio', ['0'], null, ['vcpus.not_enough: 5 vCPUs wanted, 0 of 8 free']],
    ['more than the host itself says', ['2'], { cpu: 1, ram: 1, disk: 1 }, null],
  ])('the ratio of an aggregate: %s', (_what, values, allocationRatios, answer) => {
    const aggregates = values.map((value, at) =>
      anAggregate({ cpu_allocation_ratio: value, ram_allocation_ratio: value }, `a${at}`),
    );
    const host = { ...small, used: { vcpus: 8, memoryMb: 0, diskGb: 0 }, aggregates, allocationRatios };
    expect(answerOf('AggregateCoreFilter', host, ask(5))).toEqual(answer);
    expect(answerOf('CoreFilter', host, ask(5))).not.toBeNull();
  });

  it('the same for memory and disk', () => {
    const aggregates = [anAggregate({ ram_allocation_ratio: '0.5', disk_allocation_ratio: '0.5' })];
    expect(answerOf('AggregateRamFilter', { ...small, aggregates }, ask(0, 501))).toEqual([
      'memory.not_enough: 501 MiB of memory wanted, 500 of 500 free',
    ]);
    expect(answerOf('AggregateDiskFilter', { ...small, aggregates }, ask(0, 0, 51))).toEqual([
      'disk.not_enough: 51 GiB of disk wanted, 50 of 50 free',
    ]);
  });
});
