import { describe, expect, it } from 'vitest';
import { hostTopologyText, type HostTopology, type TopologyDevice } from './host-topology-text.js';

const GPU: TopologyDevice = {
  ...{ address: '0000:23:00.0', vendor_id: '10de', product_id: '20b0', class_code: '030200', device_type: 'type-PF' },
  ...{ parent_address: null, numa_node: 0, acs_redirect: true },
};
const NIC = { ...GPU, address: '0000:25:00.0', vendor_id: '15b3', product_id: '1017', class_code: '020000' };
const FAR = { ...GPU, address: '10000:a3:00.0', numa_node: null, acs_redirect: null };

const topology = (devices: readonly TopologyDevice[], ...distances: string[]): HostTopology => {
  return { host: 'node-3', devices, distances: distances.map((row) => row.split(' ')), left_out: 0 };
};

describe('a topology at a terminal', () => {
  it('is a matrix with what its words mean', () => {
    const text = hostTopologyText(topology([GPU, NIC, FAR], 'SELF PIX PXB', 'PIX SELF SYS', 'PXB SYS SELF'));
    expect(text.split('\n')).toEqual([
      'node-3: 3 devices',
      '',
      '   address        device     class  type     NUMA  0     1     2',
      '0  0000:23:00.0   10de:20b0  0302   type-PF  0     X     PIX*  PXB*',
      '1  0000:25:00.0   15b3:1017  0200   type-PF  0     PIX*  X     SYS',
      '2  10000:a3:00.0  10de:20b0  0302   type-PF  -     PXB*  SYS   X',
      '',
      'X     the device itself',
      'PIX   below one PCIe switch, or one root port without a switch',
      'PXB   below one root port, over several switches',
      'SYS   across NUMA nodes',
      '*     ACS redirects: the way between them leads up to the root complex all the same',
      '',
    ]);
  });

  it('marks no way that is not redirected, or not known to be, or leads through the root complex anyway', () => {
    const [direct, unknown] = [
      { ...NIC, acs_redirect: false },
      { ...GPU, acs_redirect: null },
    ];
    const rows = (devices: readonly TopologyDevice[], distance: string) =>
      hostTopologyText(topology(devices, `SELF ${distance}`, `${distance} SELF`));
    expect(rows([direct, direct], 'PIX')).not.toContain('*');
    expect(rows([direct, unknown], 'PIX')).not.toContain('*');
    expect(rows([GPU, NIC], 'PHB')).not.toContain('*');
    expect(rows([direct, GPU], 'PIX')).toContain('PIX*');
  });

  it('marks nothing within one card', () => {
    const vf = { ...NIC, address: '0000:25:00.2', device_type: 'type-VF', parent_address: NIC.address };
    const text = hostTopologyText(topology([GPU, NIC, vf], 'SELF PIX PIX', 'PIX SELF PIX', 'PIX PIX SELF'));
    expect(text.split('\n').slice(3, 6).map((row) => row.split(/ +/).slice(6))).toEqual([
      ['X', 'PIX*', 'PIX*'],
      ['PIX*', 'X', 'PIX'],
      ['PIX*', 'PIX', 'X'],
    ]); // prettier-ignore
  });

  it('says that there are none, and how many are left out', () => {
    expect(hostTopologyText(topology([]))).toBe('node-3: 0 devices\n');
    expect(hostTopologyText({ ...topology([GPU], 'SELF'), left_out: 3 })).toMatch(
      /^node-3: 1 device\n[^]*\n3 more are left out; say which to show with --address or --device\.\n$/,
    );
  });
});
