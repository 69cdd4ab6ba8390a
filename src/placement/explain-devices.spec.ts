import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { ANY_DEVICE } from '../pci/alias/alias.js';
import { attributesOf, type DeviceAttributes } from '../pci/device-attributes.js';
import type { Reason } from './decision.js';
import { place } from './place.js';
import type { DeviceRequest } from './request.js';

const GPU = '10de:1bb0';
const owner = { serverId: 's', serverName: 'vm-1' };
const width = (currentWidth: number): DeviceAttributes =>
  attributesOf({
    ...{ classCode: '030000', subsystemVendorId: null, subsystemProductId: null, sriov: null },
    link: { currentSpeed: null, maxSpeed: null, currentWidth, maxWidth: 16 },
  });

function reasonsOf(devices: readonly DeviceSketch[], ...requests: DeviceRequest[]): readonly Reason[] {
  const decision = place({ hosts: [aHost('h', devices)], policy: POLICY }, aRequest(requests), []);
  return decision.rejections.flatMap(({ reasons }) => reasons);
}

/** With the names that only administrators see. */
function messagesOf(devices: readonly DeviceSketch[], ...requests: DeviceRequest[]): string[] {
  return reasonsOf(devices, ...requests).map(({ message, names }) => names?.[0]?.message ?? message);
}

describe('near misses', () => {
  const at = (slot: number, more: Partial<DeviceSketch>): DeviceSketch => ({ address: `0000:0${slot}:00.0`, ...more });

  it('name the clause of a selector that fails, for how many devices, and what they have', () => {
    const selector = 'device.vendor_id == "10de" && device.link_width >= 16';
    const devices = [1, 2, 3, 4].map((slot) => at(slot, { attributes: width(8) }));
    expect(reasonsOf(devices, wants('gpu', 1, GPU, { selector }))).toMatchObject([
      {
        code: 'device.near_miss',
        message: 'no device of alias gpu: selector: device.link_width >= 16 is false for 4 devices: link_width is 8',
        details: {
          near_misses: [{ condition: 'selector: device.link_width >= 16', because: 'link_width is 8', count: 4 }],
        },
        names: [
          {
            host: 'h',
            message:
              'no device of alias gpu: selector: device.link_width >= 16 is false for 4 devices ' +
              '(0000:01:00.0, 0000:02:00.0, 0000:03:00.0, …): link_width is 8',
          },
        ],
      },
    ]);
  });

  it('tell each condition, and what cannot be judged', () => {
    const request = wants('gpu', 1, GPU, { traits: ['CUSTOM_BIG'], selector: 'device.link_width >= 16' });
    const big = { traits: ['CUSTOM_BIG'] };
    const devices = [at(1, {}), at(2, { ...big, attributes: width(4) }), at(3, big)];
    expect(messagesOf([...devices, at(4, { ids: '8086:1572' })], request)).toEqual([
      'no device of alias gpu: trait CUSTOM_BIG is not met by 1 device (0000:01:00.0): it has none; ' +
        'selector: device.link_width >= 16 is false for 1 device (0000:02:00.0): link_width is 4; ' +
        'selector: device.link_width >= 16 cannot be judged for 1 device (0000:03:00.0): link_width is not known',
    ]);
  });

  it('stand beside what is in use', () => {
    const request = wants('gpu', 2, GPU, { tags: { rack: 'r1' } });
    const devices = [at(1, { tags: { rack: 'r1' }, status: 'allocated', owner }), at(2, { tags: { rack: 'r2' } })];
    expect(messagesOf(devices, request)).toEqual([
      '1 device of alias gpu: 2 wanted, 1 in use by vm-1; ' +
        'tag rack = r1 is not met by 1 device (0000:02:00.0): tag rack is r2',
    ]);
  });

  it('say which alternative they are about, and stop at five', () => {
    const specs = [
      { ...ANY_DEVICE, vendorId: '8086', traits: ['CUSTOM_A'] },
      { ...ANY_DEVICE, vendorId: '10de', tags: { rack: 'r' } },
    ];
    const devices = [1, 2, 3, 4, 5, 6, 7].map((slot) => at(slot, { tags: { rack: `r${slot}` } }));
    const [message] = messagesOf(devices, { ...wants('gpu', 1, GPU), specs });
    expect(message).toMatch(
      /^no device of alias gpu: alternative 2: tag rack = r is not met by 1 device \(0000:01:00.0\): tag rack is r1; /,
    );
    expect(message).toMatch(/tag rack is r5; 2 more conditions that are not met$/);
  });

  it('are not told of devices of another kind', () => {
    expect(reasonsOf([at(1, { ids: '8086:1572' })], wants('gpu', 1, GPU, { traits: ['CUSTOM_A'] }))).toMatchObject([
      { code: 'device.none_matching', message: 'no device of alias gpu' },
    ]);
  });
});

describe('groups that are not whole', () => {
  const full = wants('gpu-full', 1, GPU, { group: 'slot' });
  const gpu = (more: Partial<DeviceSketch> = {}): DeviceSketch => ({ address: '0000:83:00.0', ...more });
  const audio = (more: Partial<DeviceSketch> = {}): DeviceSketch => ({
    address: '0000:83:00.1',
    ids: '10de:10f0',
    ...more,
  });

  it.each<[string, DeviceSketch[], string]>([
    [
      'a function in use',
      [gpu(), audio({ status: 'allocated', owner })],
      '1 device of alias gpu-full, not whole: its slot also has 0000:83:00.1, which is in use by vm-1',
    ],
    [
      'a function that is not offered',
      [gpu(), audio({ offered: false })],
      '1 device of alias gpu-full, not whole: its slot also has 0000:83:00.1, which is not offered; offer it as well',
    ],
    [
      'a function that is gone',
      [gpu(), audio({ missing: true })],
      '1 device of alias gpu-full, not whole: its slot also has 0000:83:00.1, which is not reported any more',
    ],
    [
      'a function without IOMMU group',
      [gpu(), audio({ group: null })],
      '1 device of alias gpu-full, not whole: its slot also has 0000:83:00.1, which is not safe to hand over: ' +
        'the host has no IOMMU group for it; turn the IOMMU on (intel_iommu=on or amd_iommu=on, and in the firmware)',
    ],
    [
      'the device itself in use',
      [gpu({ status: 'allocated', owner }), audio()],
      '1 device of alias gpu-full, in use by vm-1',
    ],
  ])('%s', (_case, devices, message) => {
    expect(messagesOf(devices, full)).toEqual([message]);
  });

  it('are counted as wholes', () => {
    const devices = [
      gpu(),
      audio({ ids: GPU }),
      { address: '0000:84:00.0' },
      audio({ address: '0000:84:00.1', missing: true }),
    ];
    expect(messagesOf(devices, { ...full, count: 2 })).toEqual([
      '3 devices of alias gpu-full: 2 whole slots wanted, 1 free; ' +
        '1 not whole: its slot also has 0000:84:00.1, which is not reported any more',
    ]);
    expect(messagesOf([gpu(), audio({ ids: GPU })], { ...full, count: 2 })).toEqual([
      '2 devices of alias gpu-full, 2 whole slots wanted, 1 free',
    ]);
  });

  it('exclude each other', () => {
    expect(messagesOf([gpu(), audio()], full, wants('audio', 1, '10de:10f0'))).toEqual([
      'gpu-full:1 and audio:1 cannot be served together: a PF and its VFs, devices of one IOMMU group, or of one slot ' +
        'or card that is wanted whole, exclude each other',
    ]);
  });
});
