import { describe, expect, it } from 'vitest';
import { BerthError } from '../../errors.js';
import { hostContext } from '../device-spec/device-spec.js';
import type { PciDevice } from '../device.js';
import { declarationOf, parseSriovDeclarations } from './sriov-declaration.js';
import { NO_SETTINGS, readSriovTarget, settingsOfVf } from './sriov-target.js';

const PF = {
  ...{ address: '0000:81:00.0', vendorId: '8086', productId: '1572', classCode: '020000', parentAddress: null },
  ...{ sriov: { totalVfs: 64, numVfs: 0 }, netdevs: ['ens1f0'], deviceType: 'type-PF', driver: 'i40e' },
} as unknown as PciDevice;

function problemsOf(value: unknown): string[] {
  try {
    parseSriovDeclarations(value, (path) => `agent.yaml:${path.join('/')}`);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(BerthError);
    return (error as BerthError).details['problems'] as string[];
  }
}

describe('a declaration', () => {
  it('says of which PFs, how many VFs, and how each shall be', () => {
    const [declaration] = parseSriovDeclarations(
      {
        devname: 'ens1f0',
        vf_count: 8,
        autoprobe: 'no',
        vfs: { '*': { trust: false }, 3: { mac: '02:00:00:00:00:0A' } },
      },
      'agent.yaml:3',
    );
    expect(declaration).toMatchObject({
      where: 'agent.yaml:3',
      vfCount: 8,
      autoprobe: false,
      pf: { devname: 'ens1f0' },
    });
    const target = declaration as NonNullable<typeof declaration>;
    expect(settingsOfVf(target, 0)).toEqual({ ...NO_SETTINGS, trust: false });
    expect(settingsOfVf(target, 3)).toEqual({ ...NO_SETTINGS, trust: false, mac: '02:00:00:00:00:0a' });
  });

  it.each([
    ['address', { address: '0000:81:00.0' }, true],
    ['another address', { address: '0000:82:00.0' }, false],
    ['a pattern', { address: '*:81:*.*' }, true],
    ['ids', { vendor_id: '8086', product_id: '1572' }, true],
    ['other ids', { vendor_id: '8086', product_id: '1573' }, false],
    ['devname', { devname: 'ens1f0' }, true],
    ['class', { class: '02' }, true],
  ])('means PFs by %s', (_name, which, is) => {
    const declarations = parseSriovDeclarations([{ ...which, vf_count: 2 }], 'a');
    expect(declarationOf(declarations, PF, hostContext([PF])) !== null).toBe(is);
    expect(declarationOf(declarations, { ...PF, sriov: null }, hostContext([PF]))).toBeNull();
    expect(declarationOf(declarations, { ...PF, parentAddress: '0000:81:00.1' }, hostContext([PF]))).toBeNull();
  });

  it('decides when it is the first that means the PF', () => {
    const declarations = parseSriovDeclarations(
      [
        { devname: 'ens1f0', vf_count: 1 },
        { class: '02', vf_count: 2 },
      ],
      'a',
    );
    expect(declarationOf(declarations, PF, hostContext([PF]))?.vfCount).toBe(1);
  });

  it.each<[unknown, RegExp]>([
    ['x', /agent\.yaml:: sriov: an entry has to be an object/],
    [{ vf_count: 1 }, /sriov: means no PF/],
    [{ devname: 'a' }, /agent\.yaml:vf_count: vf_count: is missing/],
    [{ devname: 'a', vf_count: -1 }, /vf_count: has to be a whole number from 0 on/],
    [{ devname: 'a', vf_count: 70_000 }, /70000 is above 65535/],
    [{ devname: 'a', vf_cout: 1, vf_count: 1 }, /vf_cout: unknown key; did you mean "vf_count"/],
    [{ devname: 'a', physical_network: 'x', vf_count: 1 }, /physical_network: unknown key/],
    [{ devname: 'a', address: '1:00.0', vf_count: 1 }, /either an address or a devname/],
    [{ vendor_id: 8086, vf_count: 1 }, /agent\.yaml:vendor_id: vendor_id: a number; write "8086" in quotes/],
    [{ devname: 'a', vf_count: 1, autoprobe: 'perhaps' }, /autoprobe: "perhaps" is neither yes nor no/],
    [{ devname: 'a', vf_count: 1, vfs: [] }, /vfs: has to be an object/],
    [{ devname: 'a', vf_count: 1, vfs: { 1: {} } }, /vfs\.1: there is no VF 1 of 1: they are counted from 0/],
    [{ devname: 'a', vf_count: 9, vfs: { '3-1': {} } }, /"3-1" ends before it begins/],
    [{ devname: 'a', vf_count: 9, vfs: { x: {} } }, /"x" is not "\*", a number of a VF/],
    [
      { devname: 'a', vf_count: 9, vfs: { 0: { vlan: 4095 } } },
      /agent\.yaml:vfs\/0\/vlan: vfs\.0\.vlan: 4095 is above 4094/,
    ],
    [{ devname: 'a', vf_count: 9, vfs: { 0: { qos: 3 } } }, /vfs\.0\.qos: is the priority of a VLAN/],
    [{ devname: 'a', vf_count: 9, vfs: { 0: { mac: '03:00:00:00:00:01' } } }, /is a multicast address/],
    [{ devname: 'a', vf_count: 9, vfs: { 0: { mac: '00:00:00:00:00:00' } } }, /all zeros/],
    [{ devname: 'a', vf_count: 9, vfs: { 0: { mac: '; reboot' } } }, /not "; reboot"/],
    [{ devname: 'a', vf_count: 9, vfs: { '*': { mac: '02:00:00:00:00:01' } } }, /several VFs cannot have one address/],
    [{ devname: 'a', vf_count: 9, vfs: { 0: { link_state: 'up' } } }, /has to be auto or enable or disable, not "up"/],
    [{ devname: 'a', vf_count: 9, vfs: { 0: { min_tx_rate: 9, max_tx_rate: 8 } } }, /9 is above max_tx_rate 8/],
    [{ devname: 'a', vf_count: 9, vfs: { 0: { spoofchk: true } } }, /spoofchk: unknown key/],
    [
      { devname: 'a', vf_count: 9, vfs: { 0: { mac: '02:00:00:00:00:01' }, 1: { mac: '02:00:00:00:00:01' } } },
      /two VFs have the address/,
    ],
  ])('%j is refused', (value, problem) => {
    expect(problemsOf(value).join('\n')).toMatch(problem);
  });

  it('has all its problems told together, each with its place', () => {
    const problems = problemsOf([
      { devname: 'a', vf_count: 'x' },
      { vf_count: 1, vfs: { 0: { vlan: -1 } } },
    ]);
    expect(problems.map((problem) => problem.slice(0, problem.indexOf(': ')))).toEqual([
      ...['agent.yaml:0/vf_count', 'agent.yaml:1/vfs/0/vlan', 'agent.yaml:1'],
    ]);
  });
});

it('what is said of fewer VFs counts, whatever the order', () => {
  const target = readSriovTarget(
    { vf_count: 8, vfs: { 2: { vlan: 3 }, '1-3': { vlan: 2, trust: true }, '*': { vlan: 1, spoof_check: false } } },
    (_path, text) => expect.unreachable(text),
  );
  const vlans = [0, 1, 2, 3, 4].map((vf) => settingsOfVf(target as NonNullable<typeof target>, vf));
  expect(vlans.map(({ vlan }) => vlan)).toEqual([1, 2, 3, 2, 1]);
  expect(vlans.map(({ trust }) => trust)).toEqual([null, true, true, true, null]);
  expect(vlans.every(({ spoofCheck }) => spoofCheck === false)).toBe(true);
});
