import { describe, expect, it } from 'vitest';
import type { AliasSpec } from './alias.js';
import { deviceSatisfies, type AliasCandidate } from './alias-match.js';
import { attributesOf } from '../device-attributes.js';
import type { DeviceType, Tags } from '../device.js';
import { portSpec, VNIC_TYPES, type VnicType } from './port.js';

const NO_ATTRIBUTES = attributesOf({
  ...{ classCode: '020000', subsystemVendorId: null, subsystemProductId: null, link: null, sriov: null },
});
const PHYSNET = { physical_network: 'physnet1' };

const device = (deviceType: DeviceType, tags: Tags): AliasCandidate => ({
  ...{ vendorId: '8086', productId: '154c', deviceType, tags },
  ...{ resourceClass: null, traits: [], numaNode: null, attributes: NO_ATTRIBUTES },
});

const spec = (vnicType: VnicType, more: { network?: string | null; trusted?: boolean } = {}): AliasSpec =>
  portSpec({
    vnicType,
    physicalNetwork: more.network === undefined ? 'physnet1' : more.network,
    trusted: more.trusted ?? null,
  });

describe('the device of a port', () => {
  it.each<[VnicType, string[]]>([
    ['direct', ['VF']],
    ['macvtap', ['VF']],
    ['virtio-forwarder', ['VF']],
    ['direct-physical', ['PF']],
    ['vdpa', ['vDPA']],
    ['remote-managed', ['VF of a DPU']],
  ])('%s takes %j', (vnicType, takes) => {
    const offered: Readonly<Record<string, AliasCandidate>> = {
      PCI: device('type-PCI', PHYSNET),
      PF: device('type-PF', PHYSNET),
      VF: device('type-VF', PHYSNET),
      'VF that says it is not remote-managed': device('type-VF', { ...PHYSNET, remote_managed: 'false' }),
      'VF of a DPU': device('type-VF', { ...PHYSNET, remote_managed: 'true' }),
      vDPA: device('vdpa', PHYSNET),
    };
    const expected = takes[0] === 'VF' ? [...takes, 'VF that says it is not remote-managed'] : takes;
    const taken = Object.entries(offered).flatMap(([name, one]) =>
      deviceSatisfies(spec(vnicType), one) ? [name] : [],
    );
    expect(taken).toEqual(expected);
  });

  it('knows all six kinds', () => {
    expect(VNIC_TYPES).toHaveLength(6);
    for (const vnicType of VNIC_TYPES) expect(spec(vnicType).deviceType).toMatch(/^type-[PV]F$|^vdpa$/);
  });

  it.each<[string, string | null, Tags, boolean]>([
    ['its network', 'physnet1', PHYSNET, true],
    ['another network', 'physnet2', PHYSNET, false],
    ['a network, device without', 'physnet1', {}, false],
    ['a network, device for overlays', 'physnet1', { physical_network: null }, false],
    ['an overlay', null, { physical_network: null }, true],
    ['an overlay, device with a network', null, PHYSNET, false],
    ["an overlay, device without the tag (a GPU's VF)", null, {}, false],
  ])('%s', (_what, network, tags, takes) => {
    expect(deviceSatisfies(spec('direct', { network }), device('type-VF', tags))).toBe(takes);
  });

  it.each<[boolean | undefined, string | undefined, boolean]>([
    [undefined, undefined, true],
    [undefined, 'true', true],
    [true, 'true', true],
    [true, undefined, false],
    [true, 'false', false],
    [false, 'false', true],
    [false, 'true', false],
    [false, undefined, false],
  ])('trusted %s, device %s: %s', (trusted, tag, takes) => {
    const asked = trusted === undefined ? spec('direct') : spec('direct', { trusted });
    const tags = tag === undefined ? PHYSNET : { ...PHYSNET, trusted: tag };
    expect(deviceSatisfies(asked, device('type-VF', tags))).toBe(takes);
  });
});

describe('the device of a port, as Nova asks for it', () => {
  const TYPE_OF = { 'direct-physical': 'type-PF', vdpa: 'vdpa' } as const;

  it.each(VNIC_TYPES)('%s: no type for a VF, and booleans in Python', (vnicType) => {
    const asked = portSpec({ vnicType, physicalNetwork: 'physnet1', trusted: null }, 'nova');
    expect(asked.deviceType).toBe(vnicType in TYPE_OF ? TYPE_OF[vnicType as keyof typeof TYPE_OF] : null);
    expect(asked.tags).toEqual({
      physical_network: 'physnet1',
      remote_managed: vnicType === 'remote-managed' ? 'True' : 'False',
    });
  });

  it.each([
    [true, 'True'],
    [false, 'False'],
  ])('trusted: %j', (trusted, tag) => {
    const asked = portSpec({ vnicType: 'direct', physicalNetwork: null, trusted }, 'nova');
    expect(asked.tags).toEqual({ physical_network: null, remote_managed: 'False', trusted: tag });
  });
});
