import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyDevice, anyEntry } from '../../../test/support/device-spec-arbitraries.js';
import { indexOf, probeOf } from './device-spec-index.js';
import { hostContext, matchDeviceSpec, offerDevice, type DeviceSpec } from './device-spec.js';
import { parseDeviceSpecs } from './device-spec-reader.js';
import type { PciDevice } from '../device.js';

function parse(value: unknown): DeviceSpec[] {
  return parseDeviceSpecs(value, 'w:1', { freeTags: [] });
}

describe('the index of a whitelist', () => {
  it('finds what asking every entry in order finds', () => {
    let met = 0;
    fc.assert(
      fc.property(
        fc.array(anyEntry, { maxLength: 12 }),
        fc.array(anyDevice, { minLength: 1, maxLength: 6 }),
        (given, scan) => {
          const specs = parse(given);
          const host = hostContext(scan);
          for (const device of scan) {
            const matches = (spec: DeviceSpec): boolean => matchDeviceSpec(spec, device, host);
            const all = specs.flatMap((spec, at) => (matches(spec) ? [at] : []));
            const probe = probeOf(device, host.devnames);
            expect(indexOf(specs).all(probe, matches)).toEqual(all);
            expect(indexOf(specs).first(probe, matches)).toBe(all[0] ?? -1);
            const first = specs[all[0] ?? -1];
            const { offer } = offerDevice(specs, device, host);
            expect(offer?.entry ?? null).toBe(first && !first.exclude ? all[0] : null);
            met += all.length;
          }
        },
      ),
      { numRuns: 1000 },
    );
    expect(met).toBeGreaterThan(1000);
  });

  it('finds the same in the nova dialect, where digits in a regex may name a PF', () => {
    const parts = {
      domain: '0000',
      bus: fc.constantFrom('01', '0', '0[12]'),
      slot: fc.constantFrom('00', '01'),
      function: fc.constantFrom('0', '[0-2]'),
    };
    const regexes = fc.record({ ...parts, domain: fc.constantFrom('0000', '.*') });
    const asked = fc.record({ vendor_id: fc.constantFrom('8086', '10de') }, { requiredKeys: [] });
    const novaEntry = fc.oneof(
      fc.tuple(asked, regexes).map(([ids, address]) => ({ ...ids, address })),
      fc.constantFrom({ devname: 'eth0' }, { address: '0000:01:00.0' }, { address: ':01:' }, { remote_managed: 'yes' }),
    );
    const scans = fc
      .array(anyDevice, { minLength: 1, maxLength: 6 })
      .map((scan) =>
        scan
          .filter(({ address, parentAddress }) => address.length === 12 && (parentAddress ?? address).length === 12)
          .map((device) => ({ ...device, sriov: { totalVfs: 4, numVfs: 0 } })),
      );
    let met = 0;
    fc.assert(
      fc.property(fc.array(novaEntry, { maxLength: 8 }), scans, (given, scan) => {
        const specs = parseDeviceSpecs(given, 'w:1', { freeTags: [], dialect: 'nova' });
        const host = hostContext(scan);
        for (const device of scan) {
          const matches = (spec: DeviceSpec): boolean => matchDeviceSpec(spec, device, host);
          const all = specs.flatMap((spec, at) => (matches(spec) ? [at] : []));
          expect(indexOf(specs).all(probeOf(device, host.devnames), matches)).toEqual(all);
          met += all.length;
        }
      }),
      { numRuns: 1000 },
    );
    expect(met).toBeGreaterThan(200);
  });

  it('asks only entries that may mean the device', () => {
    const specs = parse(Array.from({ length: 500 }, (_, at) => ({ vendor_id: '8086', product_id: at.toString(16) })));
    const [device] = fc.sample(anyDevice, { numRuns: 1, seed: 1 }) as [PciDevice];
    const asked: DeviceSpec[] = [];
    const probe = probeOf({ ...device, vendorId: '8086', productId: '00ff' }, new Map());
    expect(indexOf(specs).first(probe, (spec) => asked.push(spec) > 0)).toBe(255);
    expect(asked).toHaveLength(1);
  });

  it('is made once for a list, and anew for one that has grown', () => {
    const specs = parse([{ vendor_id: '8086' }]);
    const index = indexOf(specs);
    expect(indexOf(specs)).toBe(index);
    specs.push(...parse({}));
    expect(indexOf(specs).size).toBe(2);
  });
});
