import { describe, expect, it } from 'vitest';
import { readExtraSpecs } from './extra-specs.js';

const SIZE = { vcpus: 8, ramMb: 4096 };
const NUMA = (cells: Record<string, string>): Record<string, string> => ({ 'hw:numa_nodes': '2', ...cells });

describe('readExtraSpecs', () => {
  it('finds nothing in keys that are not ours', () => {
    const extraSpecs = { 'hw:numa_mempolicy': 'strict', 'hw:mem_page_size': 'large', 'quota:cpu_shares': '8' };
    const nothing = { devices: [], numaPolicy: null, guestCells: null, topology: [] };
    const ofHost = { cpuPolicy: null, priority: null, preemptible: null, host: {} };
    expect(readExtraSpecs(extraSpecs, SIZE, 'strict')).toEqual({ ...nothing, ...ofHost });
  });

  it('reads what is asked of the host, and what a server is worth', () => {
    const extraSpecs = {
      ssd: 'true',
      'capabilities:hypervisor_type': 's== QEMU',
      'aggregate_instance_extra_specs:rack': '<or> a <or> b',
      'trait:HW_CPU_X86_VMX': 'required',
      'trait:CUSTOM_B': 'forbidden',
      'trait:CUSTOM_A': 'required',
      'hw:cpu_policy': 'dedicated',
      'berth:priority': '-7',
      'berth:preemptible': 'true',
    };
    expect(readExtraSpecs(extraSpecs, SIZE, 'strict')).toMatchObject({
      cpuPolicy: 'dedicated',
      priority: -7,
      preemptible: true,
      host: {
        requiredTraits: ['CUSTOM_A', 'HW_CPU_X86_VMX'],
        forbiddenTraits: ['CUSTOM_B'],
        extraSpecs: {
          'aggregate_instance_extra_specs:rack': '<or> a <or> b',
          'capabilities:hypervisor_type': 's== QEMU',
          ssd: 'true',
        },
      },
    });
    expect(readExtraSpecs({ 'hw:cpu_policy': 'shared' }, SIZE, 'strict').cpuPolicy).toBeNull();
  });

  it('reads how devices have to lie', () => {
    const text = 'gpu,nic within PXB; gpu same numa_node prefer';
    expect(readExtraSpecs({ 'pci_passthrough:topology': text }, SIZE, 'strict').topology).toMatchObject([
      { kind: 'within', level: 'PXB', weight: null },
      { kind: 'same', attribute: 'numa_node', weight: 50 },
    ]);
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
    [{ 'trait:HW_CPU_X86_VMX': 'require' }, 'did you mean "required"?'],
    [{ 'trait:custom_a': 'required' }, 'capital letters'],
    [{ 'hw:cpu_policy': 'mixed' }, 'has to be shared or dedicated'],
    [{ 'berth:priority': '1001' }, 'from -1000 to 1000'],
    [{ 'berth:priority': 'high' }, 'from -1000 to 1000'],
    [{ 'berth:preemptible': 'yes' }, 'true or false'],
    [{ 'berth:preemtible': 'true' }, 'did you mean "berth:preemptible"?'],
    [{ 'pci_passthrough:topology': 'gpu within PXX' }, 'extra_specs.pci_passthrough:topology: '],
    [{ 'pci_passthrough:toplogy': 'gpu within PXB' }, 'did you mean "pci_passthrough:topology"?'],
    [{ 'hw:numa_node': '1' }, 'did you mean "hw:numa_nodes"?'],
    [{ 'hw:pci_numa_affinity_policy': '' }, 'is empty'],
    [{ ['__proto__']: 'x' }, 'a key has'],
  ])('refuses %o', (extraSpecs, says) => {
    expect(() => readExtraSpecs(extraSpecs, SIZE, 'strict')).toThrow(says);
  });
});
