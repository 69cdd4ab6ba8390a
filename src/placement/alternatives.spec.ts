import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { attributesOf } from '../pci/device-attributes.js';
import { deviceClasses } from './device-classes.js';
import type { Placement } from './decision.js';
import { place } from './place.js';
import type { DeviceRequest } from './request.js';

const P5000 = '10de:1bb0';
const A100 = '10de:20b0';
const graded: DeviceRequest = {
  ...wants('gpu', 1, P5000),
  specs: [...wants('x', 1, A100, { utility: 100 }).specs, ...wants('x', 1, P5000, { utility: 10 }).specs],
};

function placed(request: DeviceRequest, hosts: Readonly<Record<string, readonly DeviceSketch[]>>): Placement {
  const all = Object.entries(hosts).map(([name, devices]) => aHost(name, devices));
  const decision = place({ hosts: all, policy: POLICY }, aRequest([request]), []);
  expect(decision.outcome).toBe('placed');
  return decision as Placement;
}

const cards = (count: number, ids: string): DeviceSketch[] =>
  Array.from({ length: count }, (_unused, slot) => ({ address: `0000:8${slot}:00.0`, ids }));

describe('AlternativeWeigher', () => {
  // the other host has the fewest GPUs left over
  const hosts = { a: cards(1, P5000), b: cards(8, A100) };

  it('draws to the host with the better alternative', () => {
    const decision = placed(graded, hosts);
    expect(decision).toMatchObject({ hostName: 'b', devices: [{ address: '0000:80:00.0', alternative: 0 }] });
    expect(decision.scores.map(({ host, parts }) => [host, parts['AlternativeWeigher']?.raw])).toEqual([
      ['b', 100],
      ['a', 10],
    ]);
  });

  it('counts as many as are wanted', () => {
    const mixed = [...cards(1, A100), { address: '0000:90:00.0' }, { address: '0000:91:00.0' }];
    const { scores } = placed({ ...graded, count: 2 }, { a: cards(2, P5000), b: mixed, c: cards(3, A100) });
    expect(scores.map(({ host, parts }) => [host, parts['AlternativeWeigher']?.raw])).toEqual([
      ['c', 200],
      ['b', 110],
      ['a', 20],
    ]);
  });

  it('counts whole groups', () => {
    const groups = { ...graded, specs: graded.specs.map((spec) => ({ ...spec, group: 'slot' as const })) };
    const twoInOne = [...cards(1, A100), { address: '0000:80:00.1', ids: A100 }, ...cards(4, P5000).slice(1)];
    const { scores } = placed({ ...groups, count: 2 }, { b: twoInOne });
    expect(scores[0]?.parts['AlternativeWeigher']?.raw).toBe(110);
  });

  it('says nothing when all alternatives are as good', () => {
    const same = { ...graded, specs: graded.specs.map((spec) => ({ ...spec, utility: 5 })) };
    const { hostName, scores } = placed(same, hosts);
    expect(hostName).toBe('a');
    expect(Object.keys(scores[0]?.parts ?? {})).toEqual([
      'RAMWeigher',
      'CPUWeigher',
      'DiskWeigher',
      'IoOpsWeigher',
      'BuildFailureWeigher',
      'PCIWeigher',
    ]);
  });

  it('goes before nearness that nobody insists on', () => {
    const device = (address: string, ids: string, numaNode: number): DeviceSketch => ({ address, ids, numaNode });
    const near = [device('0000:10:00.0', P5000, 0), device('0000:11:00.0', P5000, 0)];
    const devices = [...near, device('0000:80:00.0', A100, 1)];
    expect(placed(graded, { a: devices })).toMatchObject({ numaCells: [1], devices: [{ alternative: 0 }] });
    const two = { ...graded, count: 2 };
    expect(placed(two, { a: devices })).toMatchObject({
      numaCells: null,
      devices: [{ address: '0000:10:00.0' }, { address: '0000:80:00.0' }],
    });
    expect(placed({ ...two, numaPolicy: 'required' }, { a: devices })).toMatchObject({
      numaCells: [0],
      devices: [{ address: '0000:10:00.0' }, { address: '0000:11:00.0' }],
    });
  });
});

describe('classes of equal devices', () => {
  it('are apart where a selector could tell them apart', () => {
    const facts = { classCode: '030000', subsystemVendorId: null, subsystemProductId: null, link: null, sriov: null };
    const devices = cards(4, A100).map((card, slot) => ({
      ...card,
      pciePath: ['pci0000:00', '0000:00:01.0', '0000:01:00.0', `below ${slot}`],
      attributes: attributesOf({ ...facts, subsystemProductId: slot === 3 ? '134f' : null }),
    }));
    expect(deviceClasses(aHost('h', devices)).map(({ units }) => units.length)).toEqual([3, 1]);
    const selector = 'device.subsystem_product_id == "134f"';
    expect(placed(wants('gpu', 1, A100, { selector }), { h: devices }).devices).toMatchObject([
      { address: '0000:83:00.0' },
    ]);
  });
});
