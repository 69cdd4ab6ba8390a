import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { withExclusiveTags } from '../pci/alias/alias.js';
import { portSpec, type VnicType } from '../pci/alias/port.js';
import type { Decision } from './decision.js';
import { place } from './place.js';
import { requestLabel, requestPhrase, type DeviceRequest } from './request.js';
import type { HostSnapshot } from './snapshot.js';

const VF = { ids: '8086:154c', deviceType: 'type-VF', parentAddress: '0000:81:00.0' } as const;
const PHYSNET = { physical_network: 'physnet1' };
const EXCLUSIVE = ['physical_network'];

const vf = (address: string, more: Partial<DeviceSketch> = {}): DeviceSketch => ({
  ...VF,
  address,
  tags: PHYSNET,
  ...more,
});

const port = (name: string, more: { vnicType?: VnicType; network?: string | null; trusted?: boolean } = {}) => {
  const demand = {
    vnicType: more.vnicType ?? 'direct',
    physicalNetwork: more.network === undefined ? 'physnet1' : more.network,
    trusted: more.trusted ?? null,
  } as const;
  const request: DeviceRequest = {
    ...{ alias: null, port: { name, ...demand } },
    ...{ count: 1, specs: [portSpec(demand)], numaPolicy: 'legacy' },
  };
  return request;
};

const alias = (name: string, count: number): DeviceRequest => {
  const request = wants(name, count, '8086:154c', { deviceType: 'type-VF' });
  return { ...request, specs: withExclusiveTags(request.specs, EXCLUSIVE) };
};

const decide = (host: HostSnapshot, ...requests: DeviceRequest[]): Decision =>
  place({ hosts: [host], policy: POLICY }, aRequest(requests), []);

const reasons = (decision: Decision): { code: string; message: string; details: unknown }[] =>
  decision.rejections.flatMap((rejection) => [...rejection.reasons]);

describe('ports and aliases on one host', () => {
  it('gives each port a device of its network, and names it', () => {
    const host = aHost('a', [vf('0000:81:02.0'), vf('0000:81:02.1', { tags: { physical_network: null } })]);
    expect(decide(host, port('overlay', { network: null }), port('eth0'))).toMatchObject({
      outcome: 'placed',
      devices: [
        { address: '0000:81:02.1', alias: null, port: 'overlay', requestIndex: 0 },
        { address: '0000:81:02.0', alias: null, port: 'eth0', requestIndex: 1 },
      ],
    });
  });

  it('tells the device of a port from one that comes along with it', () => {
    const host = aHost('a', [vf('0000:81:02.0', { group: 7 }), { ...VF, address: '0000:81:02.1', group: 7 }]);
    expect(decide(host, port('eth0'))).toMatchObject({
      devices: [
        { address: '0000:81:02.0', alias: null, port: 'eth0', requestIndex: 0 },
        { address: '0000:81:02.1', alias: null, requestIndex: null },
      ],
    });
  });

  it('leaves the devices of ports to ports, and says what would help', () => {
    const host = aHost('a', [vf('0000:81:02.0'), vf('0000:81:02.1')]);
    expect(reasons(decide(host, alias('vf', 1)))).toEqual([
      {
        code: 'device.exclusive_tag',
        message:
          'no device of alias vf: 2 kept for requests that name physical_network: ask by a port, ' +
          'write the tag into the alias (REST or YAML), or change pci.exclusive_tags',
        details: expect.objectContaining({ alias: 'vf', matching: 0, exclusive_tags: ['physical_network'] }),
      },
    ]);
    expect(decide(host, port('eth0'), port('eth1')).outcome).toBe('placed');
  });

  it('says so too when some devices are open to all', () => {
    const open = { ...VF, address: '0000:82:02.0' };
    const host = aHost('a', [open, vf('0000:81:02.0')]);
    expect(decide(host, alias('vf', 1))).toMatchObject({ outcome: 'placed', devices: [{ address: open.address }] });
    expect(reasons(decide(host, alias('vf', 2)))).toMatchObject([
      { message: expect.stringContaining('1 device of alias vf: 2 wanted, 1 kept for requests that name') },
    ]);
  });

  it.each<[DeviceRequest, string]>([
    [
      port('eth0', { network: 'physnet2' }),
      'no device for port eth0 (direct, physnet2): tag physical_network = physnet2 is not met by 1 device: ' +
        'tag physical_network is physnet1',
    ],
    [
      port('p', { network: null }),
      'no device for port p (direct, an overlay network): tag physical_network = null is not met by 1 device: ' +
        'tag physical_network is physnet1',
    ],
    [
      port('p', { trusted: false }),
      'no device for port p (direct, physnet1, not trusted): tag trusted = false is not met by 1 device: ' +
        'tag trusted is not there',
    ],
    [
      port('p', { vnicType: 'vdpa', network: null, trusted: true }),
      'no device for port p (vdpa, an overlay network, trusted)',
    ],
  ])('names the port in a refusal, and what its devices lack: %#', (request, message) => {
    const answer = reasons(decide(aHost('a', [vf('0000:81:02.0')]), request));
    expect(answer).toMatchObject([{ message, details: { port: request.port?.name } }]);
  });

  it('says what ports compete for', () => {
    const host = aHost('a', [vf('0000:81:02.0')]);
    expect(reasons(decide(host, port('eth0'), port('eth1')))).toMatchObject([
      {
        code: 'device.compete',
        message: 'port eth0 and port eth1 compete for the same devices: 2 wanted, 1 free',
        details: { requests: ['port eth0', 'port eth1'] },
      },
    ]);
  });

  it('calls requests by what asks', () => {
    expect([requestLabel(alias('vf', 2)), requestPhrase(alias('vf', 2))]).toEqual(['vf:2', 'of alias vf']);
    expect(requestLabel(port('eth0'))).toBe('port eth0');
  });

  describe('as Nova chooses', () => {
    const novas = (device: Partial<DeviceSketch>, request: DeviceRequest): string => {
      const host = aHost('a', [{ ...VF, address: '0000:81:02.0', ...device }]);
      return place({ hosts: [host], policy: { ...POLICY, compat: 'nova' } }, aRequest([request]), []).outcome;
    };
    const overlay = port('p', { network: null });

    it.each<[string, Partial<DeviceSketch>, DeviceRequest, 'placed' | 'rejected']>([
      ['an overlay takes a VF without the tag, a GPU or not', { ids: '10de:25b6' }, overlay, 'placed'],
      ['and one with null', { tags: { physical_network: null } }, overlay, 'placed'],
      ['and no VF of a network', { tags: PHYSNET }, overlay, 'rejected'],
      ['and no plain device', { deviceType: 'type-PCI', parentAddress: null }, overlay, 'rejected'],
      ['a network is written in any case', { tags: { physical_network: 'PhysNet1' } }, port('p'), 'placed'],
      ['trust, too', { tags: { ...PHYSNET, trusted: 'True' } }, port('p', { trusted: true }), 'placed'],
      ['no trust where none is said', { tags: PHYSNET }, port('p', { trusted: true }), 'rejected'],
      ['trust goes to who does not ask', { tags: { ...PHYSNET, trusted: 'True' } }, port('p'), 'placed'],
      ['a PF', { deviceType: 'type-PF', tags: PHYSNET }, port('p', { vnicType: 'direct-physical' }), 'placed'],
      ['vDPA', { deviceType: 'vdpa', tags: PHYSNET }, port('p', { vnicType: 'vdpa' }), 'placed'],
      ['a DPU', { tags: { ...PHYSNET, remote_managed: 'true' } }, port('p', { vnicType: 'remote-managed' }), 'placed'],
      ['a DPU is for its ports only', { tags: { ...PHYSNET, remote_managed: 'true' } }, port('p'), 'rejected'],
    ])('%s', (_what, device, request, outcome) => {
      expect(novas(device, request)).toBe(outcome);
    });
  });
});
