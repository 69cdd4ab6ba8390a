import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from './address.js';
import { identityOf, isOtherCard, uniqueCards, type Identified } from './identity.js';

const fn = fc.integer({ min: 0, max: 7 });
const slot = fc.integer({ min: 0, max: 31 });
const bus = fc.integer({ min: 1, max: 200 });
const serial = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(...'ABC123') });
const hops = fc.array(fc.record({ slot, fn }), { minLength: 1, maxLength: 4 });

/** A PF and one of its VFs in a slot behind some bridges; `buses` are the numbers of the buses on the way, and of its own. */
function plugged(options: {
  readonly root: string;
  readonly way: readonly { readonly slot: number; readonly fn: number }[];
  readonly buses: readonly number[];
  readonly own: { readonly slot: number; readonly fn: number };
  readonly vf: number;
  readonly serial: string | null;
}): [Identified, Identified] {
  const at = (index: number, slotNumber: number, fnNumber: number): string =>
    formatAddress({ domain: 0, bus: options.buses[index] as number, slot: slotNumber, function: fnNumber });
  const path = [options.root, ...options.way.map((hop, index) => at(index, hop.slot, hop.fn))];
  const address = at(options.way.length, options.own.slot, options.own.fn);
  const { bus: b, slot: s, function: f } = parseAddress(address);
  const id = ((b << 8) | (s << 3) | f) + options.vf;
  const vf = formatAddress({ domain: 0, bus: id >> 8, slot: (id >> 3) & 31, function: id & 7 });
  const shared = { vendorId: '15b3', serialNumber: options.serial, pciePath: path };
  return [
    { ...shared, address, parentAddress: null },
    { ...shared, address: vf, parentAddress: address },
  ];
}

const anyBuses = fc.uniqueArray(bus, { minLength: 5, maxLength: 5 });
const plug = fc.record({
  way: hops,
  buses: anyBuses,
  own: fc.record({ slot, fn }),
  vf: fc.integer({ min: 1, max: 600 }),
});

describe('the identity of a device', () => {
  it('by place survives other bus numbers, for PFs and their VFs', () => {
    fc.assert(
      fc.property(plug, anyBuses, (told, buses) => {
        const before = plugged({ ...told, root: 'pci0000:00', serial: null });
        const after = plugged({ ...told, root: 'pci0000:00', serial: null, buses });
        expect(after.map((device) => identityOf(device).place)).toEqual(
          before.map((device) => identityOf(device).place),
        );
      }),
    );
  });

  it('by serial number survives any other slot', () => {
    fc.assert(
      fc.property(plug, plug, serial, (one, two, number) => {
        const before = plugged({ ...one, root: 'pci0000:00', serial: number });
        const own = { slot: two.own.slot, fn: one.own.fn };
        const after = plugged({ ...two, own, vf: one.vf, root: 'pci0000:80', serial: number });
        expect(after.map((device) => identityOf(device).card)).toEqual(before.map((device) => identityOf(device).card));
      }),
    );
  });

  it('tells the slots of a host apart, a PF from its VFs and these from each other', () => {
    const other = fc.integer({ min: 1, max: 600 });
    fc.assert(
      fc.property(plug, fc.record({ slot, fn }), other, (told, own, vf) => {
        const [pf, first] = plugged({ ...told, root: 'pci0000:00', serial: 'S' });
        const [, second] = plugged({ ...told, vf, root: 'pci0000:00', serial: 'S' });
        const [neighbour] = plugged({ ...told, own, root: 'pci0000:00', serial: 'S' });
        const isSame = told.own.slot === own.slot && told.own.fn === own.fn;
        expect(identityOf(neighbour).place === identityOf(pf).place).toBe(isSame);
        expect(identityOf(first)).not.toEqual(identityOf(pf));
        expect(identityOf(second).card === identityOf(first).card).toBe(vf === told.vf);
        expect(identityOf(second).place === identityOf(first).place).toBe(vf === told.vf);
      }),
    );
  });

  it('is none by a serial number that several have, or that is blank', () => {
    const card = (address: string, serialNumber: string | null): Identified => {
      return { address, vendorId: '10de', serialNumber, parentAddress: null, pciePath: ['pci0000:00'] };
    };
    const devices = [
      card('0000:01:00.0', '0'),
      card('0000:02:00.0', '0'),
      card('0000:03:00.0', '7'),
      card('0000:04:00.0', ' '),
    ];
    expect([...uniqueCards(devices).values()]).toEqual([devices[2]]);
  });

  it('is another one with other ids or another serial number, not with one that cannot be read', () => {
    const card = { vendorId: '10de', productId: '1bb0', deviceType: 'type-PCI', serialNumber: 'A' } as const;
    expect(isOtherCard(card, card)).toBe(false);
    expect(isOtherCard(card, { ...card, serialNumber: null })).toBe(false);
    expect(isOtherCard({ ...card, serialNumber: null }, card)).toBe(false);
    expect(isOtherCard(card, { ...card, serialNumber: 'B' })).toBe(true);
    expect(isOtherCard(card, { ...card, productId: '1bb1' })).toBe(true);
    expect(isOtherCard(card, { ...card, deviceType: 'type-PF' })).toBe(true);
  });
});
