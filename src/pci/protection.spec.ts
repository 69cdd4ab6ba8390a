import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Protection } from './device.js';
import {
  findingsIn,
  PROTECTION_REASONS_MAX,
  PROTECTION_TEXT_MAX,
  protectDevices,
  protectionText,
  withoutProtected,
  type ProtectionFinding,
} from './protection.js';

type Device = Parameters<typeof protectDevices>[0][number];

const NIC = '0000:01:00.0';
const TWIN = '0000:01:00.1';
const VF = '0000:01:10.0';
const OTHER = '0000:02:00.0';

function device(address: string, iommuGroup: number | null, more: Partial<Device> = {}): Device {
  return { address, iommuGroup, parentAddress: null, classCode: '020000', ...more };
}

function route(address: string): ProtectionFinding {
  return { address, code: 'default_route', text: `carries the default route (eth0 → ${address})` };
}

function codes(protections: ReadonlyMap<string, Protection>): Record<string, string[]> {
  return Object.fromEntries(
    [...protections].map(([address, { reasons }]) => [address, reasons.map(({ code }) => code)]),
  );
}

const NOBODY = new Set<string>();

describe('what a host needs itself', () => {
  it('says why and what to do', () => {
    const protections = protectDevices([device(NIC, 1), device(OTHER, 2)], [route(NIC)], NOBODY);
    expect([...protections.keys()]).toEqual([NIC]);
    expect(protectionText(protections.get(NIC) as Protection)).toBe(
      `protected (default_route): it carries the default route (eth0 → ${NIC}); move the default route to another interface, ` +
        `or take the risk with override_protection in a device_spec entry for exactly ${NIC}`,
    );
  });

  it('spreads over its IOMMU group, but not to bridges, and not without a group', () => {
    const bridge = device('0000:00:01.0', 1, { classCode: '060400' });
    const devices = [bridge, device(NIC, 1), device(TWIN, 1), device(OTHER, 2)];
    const protections = protectDevices(devices, [route(NIC)], NOBODY);
    expect(codes(protections)).toEqual({ [NIC]: ['default_route'], [TWIN]: ['iommu_group'] });
    expect(protections.get(TWIN)?.reasons[0]?.text).toBe(
      `shares IOMMU group 1 with ${NIC}, which carries the default route (eth0 → ${NIC})`,
    );
    const groupless = devices.map((one) => ({ ...one, iommuGroup: null }));
    expect(codes(protectDevices(groupless, [route(NIC)], NOBODY))).toEqual({ [NIC]: ['default_route'] });
  });

  it('spreads from a VF to its PF, and to the group of that; never from a PF to its VFs', () => {
    const devices = [device(NIC, 1), device(TWIN, 1), device(VF, 9, { parentAddress: NIC })];
    expect(codes(protectDevices(devices, [route(VF)], NOBODY))).toEqual({
      [VF]: ['default_route'],
      [NIC]: ['virtual_function'],
      [TWIN]: ['iommu_group'],
    });
    expect(codes(protectDevices(devices, [route(NIC)], NOBODY))).not.toHaveProperty(VF);
  });

  it('names the weightiest reason first, each once, and no more than a report may have', () => {
    const findings: ProtectionFinding[] = [
      { address: NIC, code: 'console', text: 'has the console (ttyS4)' },
      ...Array.from({ length: 20 }, (_, n) => ({ ...route(NIC), text: `carries route ${n}` })),
      { address: NIC, code: 'console', text: 'has the console (ttyS4)' },
    ];
    const reasons = protectDevices([device(NIC, 1)], findings, NOBODY).get(NIC)?.reasons ?? [];
    expect(reasons).toHaveLength(PROTECTION_REASONS_MAX);
    expect(reasons[0]?.code).toBe('default_route');
    const both = protectDevices([device(NIC, 1)], [findings[0] as ProtectionFinding, route(NIC)], NOBODY);
    expect(both.get(NIC)?.reasons.map(({ code }) => code)).toEqual(['default_route', 'console']);
    expect(protectionText(both.get(NIC) as Protection)).toContain('(and 1 more)');
  });
});

describe('an override', () => {
  const devices = [device(NIC, 1), device(TWIN, 1), device(VF, 9, { parentAddress: NIC })];

  it('lifts its own address, and with it what the group had from that', () => {
    const protections = protectDevices(devices, [route(NIC)], new Set([NIC]));
    expect([...protections].map(([address, { overridden }]) => [address, overridden])).toEqual([[NIC, true]]);
  });

  it('does not lift what another member of the group causes', () => {
    const protections = protectDevices(devices, [route(NIC)], new Set([TWIN]));
    expect(protections.get(TWIN)).toMatchObject({ overridden: false, reasons: [{ code: 'iommu_group' }] });
    const both = protectDevices(devices, [route(NIC), route(TWIN)], new Set([TWIN]));
    expect(both.get(TWIN)).toMatchObject({
      overridden: false,
      reasons: [{ code: 'default_route' }, { code: 'iommu_group' }],
    });
  });

  it('of a VF does not lift its PF; of the PF does, and leaves the VF protected', () => {
    expect(protectDevices(devices, [route(VF)], new Set([VF])).get(NIC)?.overridden).toBe(false);
    const protections = protectDevices(devices, [route(VF)], new Set([NIC]));
    expect(protections.get(NIC)?.overridden).toBe(true);
    expect(protections.get(VF)?.overridden).toBe(false);
  });

  it('decides what becomes of an offer', () => {
    const offered = { offer: { entry: 0, tags: {}, resourceClass: null, traits: [] }, notOffered: null };
    const protection = protectDevices(devices, [route(NIC)], NOBODY).get(NIC) as Protection;
    expect(withoutProtected(offered, undefined)).toBe(offered);
    expect(withoutProtected(offered, { ...protection, overridden: true })).toBe(offered);
    expect(withoutProtected(offered, protection)).toEqual({ offer: null, notOffered: protectionText(protection) });
    const unmatched = { offer: null, notOffered: 'no device_spec entry matches' };
    expect(withoutProtected(unmatched, protection)).toBe(unmatched);
  });
});

describe('whatever is found', () => {
  const address = fc.integer({ min: 0, max: 7 }).map((n) => `0000:01:00.${n}`);
  const host = fc.uniqueArray(address, { minLength: 1, maxLength: 8 }).chain((addresses) =>
    fc.tuple(
      ...addresses.map((own) =>
        fc.record({
          address: fc.constant(own),
          iommuGroup: fc.option(fc.integer({ min: 0, max: 2 })),
          parentAddress: fc.option(fc.constantFrom(...addresses)),
          classCode: fc.constantFrom('020000', '060400'),
        }),
      ),
    ),
  );
  const findings = fc.array(
    fc.record({
      address,
      code: fc.constantFrom<ProtectionFinding['code']>('default_route', 'system_disk', 'swap', 'console'),
      text: fc.string({ maxLength: 2 * PROTECTION_TEXT_MAX }),
    }),
    { maxLength: 12 },
  );
  const overrides = fc.array(address).map((list) => new Set(list));

  it('the order of devices and findings is of no matter, and a report tells enough to begin again', () => {
    fc.assert(
      fc.property(host, findings, overrides, overrides, (devices, found, overridden, later) => {
        const protections = protectDevices(devices, found, overridden);
        expect(protectDevices([...devices].reverse(), [...found].reverse(), overridden)).toEqual(
          new Map([...protections].reverse()),
        );
        const reported = devices.map((one) => {
          const protection = protections.get(one.address);
          return { ...one, ...(protection && { protection }) };
        });
        const few = [...protections.values()].every(({ reasons }) => reasons.length < PROTECTION_REASONS_MAX);
        if (few) {
          const present = found.filter((one) => devices.some((other) => other.address === one.address));
          expect(protectDevices(reported, findingsIn(reported), later)).toEqual(
            protectDevices(devices, present, later),
          );
        }
      }),
    );
  });

  it('texts have a limit, and no endpoint of a group with a protected member is free', () => {
    fc.assert(
      fc.property(host, findings, (devices, found) => {
        const protections = protectDevices(devices, found, NOBODY);
        for (const { reasons } of protections.values()) {
          expect(reasons.length).toBeLessThanOrEqual(PROTECTION_REASONS_MAX);
          for (const { text, remedy } of reasons) {
            expect(Math.max(text.length, remedy.length)).toBeLessThanOrEqual(PROTECTION_TEXT_MAX);
          }
        }
        for (const one of devices.filter(({ classCode }) => classCode === '020000')) {
          const along = devices.some((other) => other.iommuGroup === one.iommuGroup && protections.has(other.address));
          if (one.iommuGroup !== null && along) expect(protections.has(one.address)).toBe(true);
        }
      }),
    );
  });
});
