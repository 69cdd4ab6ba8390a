import { describe, expect, it } from 'vitest';
import { readExtraSpecs } from './extra-specs.js';

const SIZE = { vcpus: 8, ramMb: 4096 };
const NUMA = (cells: Record<string, string>): Record<string, string> => ({ 'hw:numa_nodes': '2', ...cells });

describe('readExtraSpecs', () => {
  it('finds nothing in keys that are not ours', () => {
    const extraSpecs = {
      'trait:HW_CPU_X86_VMX': 'required',
      'hw:cpu_policy': 'dedicated',
      'hw:numa_mempolicy': 'strict',
    };
    expect(readExtraSpecs(extraSpecs, SIZE, 'strict')).toEqual({ devices: [], numaPolicy: null, guestCells: null });
  });

  it('reads devices, one request for each item', () => {
    expect(readExtraSpecs({ 'pci_passthrough:alias': ' gpu : 2 , nic:1,gpu:1' }, SIZE, 'strict').devices).toEqual([
      { alias: 'gpu', count: 2 },
      { alias: 'nic', count: 1 },
      { alias: 'gpu', count: 1 },
    ]);
  });

  it('reads the NUMA policy', () => {
    expect(readExtraSpecs({ 'hw:pci_numa_affinity_policy': 'socket' }, SIZE, 'strict').numaPolicy).toBe('socket');
  });

  it('shares vCPUs and memory equally', () => {
    expect(readExtraSpecs({ 'hw:numa_nodes': '1' }, SIZE, 'strict').guestCells).toEqual([{ vcpus: 8, memoryMb: 4096 }]);
    expect(readExtraSpecs({ 'hw:numa_nodes': '4' }, SIZE, 'strict').guestCells).toEqual(
      Array.from({ length: 4 }, () => ({ vcpus: 2, memoryMb: 1024 })),
    );
  });

  it('shares them as said', () => {
    const cells = {
      'hw:numa_cpus.0': '0-5,^2',
      'hw:numa_mem.0': '3072',
      'hw:numa_cpus.1': '2, 6-7',
      'hw:numa_mem.1': '1024',
    };
    expect(readExtraSpecs(NUMA(cells), SIZE, 'strict').guestCells).toEqual([
      { vcpus: 5, memoryMb: 3072 },
      { vcpus: 3, memoryMb: 1024 },
    ]);
  });

  it.each([
    [
      NUMA({ 'hw:numa_cpus.0': '0-3', 'hw:numa_mem.0': '2048', 'hw:numa_cpus.1': '3-7', 'hw:numa_mem.1': '2048' }),
      'vCPU 3 is in two',
    ],
    [
      NUMA({ 'hw:numa_cpus.0': '0-3', 'hw:numa_mem.0': '2048', 'hw:numa_cpus.1': '4', 'hw:numa_mem.1': '2048' }),
      '5 vCPUs together',
    ],
    [
      NUMA({ 'hw:numa_cpus.0': '0-3', 'hw:numa_mem.0': '2048', 'hw:numa_cpus.2': '4', 'hw:numa_mem.1': '2048' }),
      '2 nodes, counted from 0',
    ],
    [NUMA({ 'hw:numa_cpus.0': '0-3', 'hw:numa_mem.0': '2048', 'hw:numa_cpus.1': '4-7' }), 'hw:numa_mem.1: is missing'],
    [NUMA({ 'hw:numa_cpus.0': '^1' }), 'leaves no vCPU'],
    [NUMA({ 'hw:numa_cpus.0': '3-0' }), 'the vCPUs 0 to 7'],
    [NUMA({ 'hw:numa_cpus.0': 'all' }), 'not a list of vCPUs'],
    [{ 'hw:numa_nodes': '16' }, 'cannot be shared equally'],
    [{ 'hw:numa_nodes': '65' }, 'from 1 to 64'],
    [{ 'hw:numa_node': '1' }, 'did you mean "hw:numa_nodes"?'],
    [{ 'hw:pci_numa_affinity_policy': '' }, 'is empty'],
    [{ ['__proto__']: 'x' }, 'a key has'],
  ])('refuses %o', (extraSpecs, says) => {
    expect(() => readExtraSpecs(extraSpecs, SIZE, 'strict')).toThrow(says);
  });
});
