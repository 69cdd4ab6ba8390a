import { describe, expect, it } from 'vitest';
import { attributesOf } from './device-attributes.js';
import type { PcieLink } from './device.js';

const LINK: PcieLink = { currentSpeed: '2.5 GT/s PCIe', maxSpeed: '16.0 GT/s PCIe', currentWidth: 8, maxWidth: 16 };
const CARD = {
  classCode: '030200',
  subsystemVendorId: '10de',
  subsystemProductId: '1463',
  link: LINK,
  sriov: { totalVfs: 16, numVfs: 4 },
};

describe('what selectors see of a device', () => {
  it('is of the card, not of the moment', () => {
    expect(attributesOf(CARD)).toMatchObject({
      ...{ classCode: '030200', subsystemVendorId: '10de', subsystemProductId: '1463' },
      ...{ linkWidth: 8, maxLinkWidth: 16, maxLinkSpeedGts: 16, totalVfs: 16 },
    });
    const busy = { ...CARD, link: { ...LINK, currentSpeed: '16.0 GT/s PCIe' }, sriov: { totalVfs: 16, numVfs: 16 } };
    expect(attributesOf(busy)).toBe(attributesOf(CARD));
  });

  it('is null where the device does not say, and no VFs', () => {
    expect(attributesOf({ ...CARD, subsystemVendorId: null, link: null, sriov: null })).toMatchObject({
      ...{ subsystemVendorId: null, linkWidth: null, maxLinkWidth: null, maxLinkSpeedGts: null, totalVfs: 0 },
    });
  });

  it.each<[string | null, number | null]>([
    ['16.0 GT/s PCIe', 16],
    ['2.5 GT/s PCIe', 2.5],
    ['8 GT/s', 8],
    ['64.125 GT/s PCIe', 64.125],
    ['Unknown', null],
    ['up to 16.0 GT/s', null],
    [null, null],
  ])('reads the speed %j as %j', (maxSpeed, expected) => {
    expect(attributesOf({ ...CARD, link: { ...LINK, maxSpeed } }).maxLinkSpeedGts).toBe(expected);
  });

  it.each([
    { classCode: '020000' },
    { subsystemVendorId: '8086' },
    { subsystemProductId: '1464' },
    { link: { ...LINK, currentWidth: 16 } },
    { link: { ...LINK, maxWidth: 32 } },
    { link: { ...LINK, maxSpeed: '32.0 GT/s PCIe' } },
    { sriov: { totalVfs: 32, numVfs: 4 } },
  ])('is another for %j', (more) => {
    expect(attributesOf({ ...CARD, ...more }).key).not.toBe(attributesOf(CARD).key);
  });
});
