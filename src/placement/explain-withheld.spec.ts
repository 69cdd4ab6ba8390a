import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { ANY_DEVICE } from '../pci/alias/alias.js';
import type { WithheldDevices } from '../pci/withheld.js';
import type { Rejection } from './decision.js';
import { shapeOf, withSharedFacts } from './host-shape.js';
import { place } from './place.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot } from './snapshot.js';

const NIC = '8086:1572';
const owner = { serverId: 's', serverName: 'vm-1' };

function needed(address: string, more: Partial<WithheldDevices> = {}): WithheldDevices {
  const why = `protected (default_route): it carries the default route (eth0 → ${address}); move it`;
  const kind = { vendorId: '8086', productId: '1572', deviceType: 'type-PCI', protection: 'default_route' } as const;
  return { ...kind, count: 1, examples: [{ address, why }], ...more };
}

const hostWith = (name: string, withheld: WithheldDevices[], devices: DeviceSketch[] = []): HostSnapshot =>
  aHost(name, devices, { withheld });

function refusalOf(hosts: readonly HostSnapshot[], ...requests: DeviceRequest[]): Rejection {
  const decision = place({ hosts, policy: POLICY }, aRequest(requests), []);
  if (decision.outcome !== 'rejected') throw new Error('it was placed');
  return decision;
}

const reasonsOf = (host: HostSnapshot, request: DeviceRequest) =>
  refusalOf([host], request).rejections.flatMap(({ reasons }) => reasons);

describe('what a host keeps back', () => {
  it('is told of where nothing else is of the alias: to all by cause, to administrators by address with the remedy', () => {
    const decision = refusalOf([hostWith('h', [needed('0000:01:00.0')])], wants('nic', 1, NIC));
    expect(decision.message).toBe(
      'No valid host: no device of alias nic: 1 of the kind is needed by the host itself (default_route) ' +
        '(PciPassthroughFilter, host h).',
    );
    expect(decision.rejections.flatMap(({ reasons }) => reasons)).toEqual([
      {
        code: 'device.protected',
        message: 'no device of alias nic: 1 of the kind is needed by the host itself (default_route)',
        details: expect.objectContaining({
          matching: 0,
          withheld: [
            {
              vendor_id: '8086',
              product_id: '1572',
              device_type: 'type-PCI',
              protection: 'default_route',
              count: 1,
            },
          ],
        }),
        names: [
          {
            host: 'h',
            message:
              'no device of alias nic: 1 of the kind is needed by the host itself (default_route): 0000:01:00.0 is ' +
              'protected (default_route): it carries the default route (eth0 → 0000:01:00.0); move it',
            details: { devices: [] },
          },
        ],
      },
    ]);
  });

  it('is told of beside what is in use, whose code stays', () => {
    const busy = { address: '0000:02:00.0', ids: NIC, status: 'allocated', owner } as const;
    const [reason] = reasonsOf(hostWith('h', [needed('0000:01:00.0')], [busy]), wants('nic', 1, NIC));
    expect(reason?.code).toBe('device.all_in_use');
    expect(reason?.message).toBe(
      '1 device of alias nic, in use; 1 of the kind is needed by the host itself (default_route)',
    );
    expect(reason?.names?.[0]?.message).toMatch(
      /^1 device of alias nic, in use by vm-1; 1 of the kind .*: 0000:01:00.0/,
    );
  });

  it('says what the device_spec has against them', () => {
    const why = 'excluded by entry 1 (berth.yaml)';
    const examples = [1, 2, 3].map((bus) => ({ address: `0000:0${bus}:00.0`, why }));
    const [reason] = reasonsOf(
      hostWith('h', [needed('', { protection: null, count: 5, examples })]),
      wants('nic', 1, NIC),
    );
    expect(reason).toMatchObject({
      code: 'device.not_offered',
      message: 'no device of alias nic: 5 of the kind are kept back by device_spec',
      names: [{ message: expect.stringMatching(/0000:03:00.0 is excluded by entry 1 \(berth.yaml\); and 2 more$/) }],
    });
  });

  it.each<[string, DeviceRequest]>([
    ['of another kind', wants('gpu', 1, '10de:1bb0')],
    ['of another type', wants('vf', 1, NIC, { deviceType: 'type-VF' })],
    ['of no kind at all', { ...wants('any', 1, NIC), specs: [{ ...ANY_DEVICE, selector: 'device.link_width >= 16' }] }],
  ])('is no matter to requests %s', (_case, request) => {
    const plain = reasonsOf(aHost('h', []), request);
    expect(reasonsOf(hostWith('h', [needed('0000:01:00.0')]), request)).toEqual(plain);
  });

  it('of hosts that are equal otherwise is told of each kind of them, and shared where it is the same', () => {
    const gpu = { address: '0000:02:00.0' };
    const hosts = [
      hostWith('a', [needed('0000:01:00.0')], [gpu]),
      hostWith('b', [needed('0000:05:00.0')], [gpu]),
      aHost('c', [gpu]),
    ].map(withSharedFacts);
    const { rejections } = refusalOf(hosts, wants('nic', 1, NIC));
    expect(rejections).toMatchObject([
      {
        hosts: ['a', 'b'],
        reasons: [{ code: 'device.protected' }],
      },
      { hosts: ['c'], reasons: [{ code: 'device.none_matching' }] },
    ]);
    const named = rejections[0]?.reasons[0]?.names?.map(({ host, message }) => [host, /0000:0\d/.exec(message)?.[0]]);
    expect(named).toEqual([
      ['a', '0000:01'],
      ['b', '0000:05'],
    ]);
    const numbers = hosts.map((host) => shapeOf(host).number);
    expect(numbers[0]).toBe(numbers[1]);
    expect(numbers[0]).not.toBe(numbers[2]);
    const twin = withSharedFacts(hostWith('d', [needed('0000:01:00.0')], [gpu]));
    expect(twin.withheld).toBe(hosts[0]?.withheld);
  });
});
