import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { place } from './place.js';

const PF = '0000:05:00.0';
const VFS = ['0000:05:02.0', '0000:05:02.1'];
const pf = (more: Partial<DeviceSketch>): DeviceSketch => {
  return { address: PF, ids: '8086:1572', deviceType: 'type-PF', ...more };
};
const vf = (index: 0 | 1, more: Partial<DeviceSketch>): DeviceSketch => {
  return { address: VFS[index] ?? '', ids: '8086:154c', deviceType: 'type-VF', parentAddress: PF, ...more };
};
const GPUS = ['0000:83:00.0', '0000:84:00.0'];

describe('a decision that meets held devices', () => {
  it.each<[string, DeviceSketch[], string]>([
    [
      'says that they are',
      GPUS.map((address) => ({ address, status: 'quarantined' })),
      '2 devices of alias gpu, both quarantined',
    ],
    [
      'says how many are what',
      GPUS.map((address, index) => ({ address, status: index === 0 ? 'reserved' : 'failed' })),
      '2 devices of alias gpu: 2 wanted, 0 free; 1 reserved; 1 failed',
    ],
    [
      'says so also of one that was pulled',
      [{ address: GPUS[0] ?? '', status: 'quarantined', missing: true }],
      '1 device of alias gpu, quarantined',
    ],
    [
      'names the PF that is',
      [pf({ status: 'cleaning' }), vf(0, { status: 'unclaimable' }), vf(1, { status: 'unclaimable' })],
      '2 devices of alias vf, both blocked: its PF is cleaning',
    ],
    [
      'counts the VFs that are',
      [pf({ status: 'unclaimable' }), vf(0, { status: 'reserved' }), vf(1, { status: 'failed' })],
      '1 device of alias pf, blocked: 2 of its VFs are reserved and failed',
    ],
    [
      'or the one VF that is',
      [pf({ status: 'unclaimable' }), vf(0, { status: 'reserved' }), vf(1, {})],
      '1 device of alias pf, blocked: 1 of its VFs is reserved',
    ],
    [
      'says first that a relative is in use',
      [
        pf({ status: 'unavailable' }),
        vf(0, { status: 'allocated', owner: { serverId: 'a', serverName: 'vm' } }),
        vf(1, { status: 'failed' }),
      ],
      '1 device of alias pf, blocked: 1 of its VFs is in use',
    ],
  ])('%s', (_name, devices, message) => {
    const alias = /alias (\w+)/.exec(message)?.[1] ?? '';
    const wishes = {
      gpu: wants('gpu', 2, '10de:1bb0'),
      pf: wants('pf', 1, '8086:1572', { deviceType: 'type-PF' }),
      vf: wants('vf', 1, '8086:154c', { deviceType: 'type-VF' }),
    };
    const request = aRequest([wishes[alias as keyof typeof wishes]]);
    const decision = place({ hosts: [aHost('node-1', devices)], policy: POLICY }, request, []);
    expect(decision).toMatchObject({
      outcome: 'rejected',
      rejections: [{ filter: 'PciPassthroughFilter', reasons: [{ message }] }],
    });
  });
});
