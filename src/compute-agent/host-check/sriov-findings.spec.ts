import { rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { onDisk as hostOnDisk } from '../../../test/support/hosts-of-tests.js';
import { sriovNicHost, type HostOnDisk } from '../../../test/support/hosts.js';
import { parseDeviceSpecs } from '../../pci/device-spec/device-spec-reader.js';
import { parseSriovDeclarations } from '../../pci/sriov/sriov-declaration.js';
import { checkHost } from './host-check.js';
import type { HostFinding } from './finding.js';

const PF = '0000:81:00.0';
const VFS = 4;
const onDisk = (): Promise<HostOnDisk> => hostOnDisk(sriovNicHost('n', VFS));

/** What is said of the declarations on a host whose VFs are offered. */
async function findings(host: HostOnDisk, ...entries: object[]): Promise<HostFinding[]> {
  const report = await checkHost({
    ...{ sysfsRoot: host.sysfs, procRoot: host.proc, modulesRoot: null, stateDir: host.directory },
    deviceSpecs: parseDeviceSpecs([{ product_id: '154c' }], 'test', { freeTags: [] }),
    sriov: parseSriovDeclarations(entries, ([index]) => `sriov:${Number(index) + 1}`),
  });
  return report.findings.filter(({ code }) => code.startsWith('sriov.') && code !== 'sriov.counted');
}

const told = (all: readonly HostFinding[]): unknown[] => all.map(({ level, code, subject }) => [level, code, subject]);

/** Has another driver, or none, have the function. */
async function drive(host: HostOnDisk, address: string, driver: string | null): Promise<void> {
  const link = join(host.sysfs, 'bus/pci/devices', address, 'driver');
  await rm(link, { force: true });
  if (driver !== null) await symlink(`../../../../bus/pci/drivers/${driver}`, link);
}

const autoprobe = (host: HostOnDisk): string => join(host.sysfs, 'bus/pci/devices', PF, 'sriov_drivers_autoprobe');

describe('VF counts that are declared', () => {
  it('can be made true', async () => {
    const host = await onDisk();
    const [only, ...others] = await findings(host, { address: PF, vf_count: 8, autoprobe: false });
    expect(others).toEqual([]);
    expect(only).toMatchObject({ level: 'ok', code: 'sriov.declared', subject: PF, remedy: null });
    expect(only?.read).toBe('sriov:1 declares 8 VFs; sriov_totalvfs is 64, sriov_numvfs 4');
  });

  it('are more than the card can have', async () => {
    const [only] = await findings(await onDisk(), { address: PF, vf_count: 65, autoprobe: false });
    expect(only).toMatchObject({ level: 'error', code: 'sriov.too_many', subject: PF });
    expect(only?.remedy).toContain('declare 64 at most');
  });

  it.each([
    [null, 'no driver has it'],
    ['vfio-pci', 'the driver vfio-pci has it'],
    ['pci-stub', 'the driver pci-stub has it'],
  ])('need a driver that makes VFs, not %s', async (driver, read) => {
    const host = await onDisk();
    await drive(host, PF, driver);
    const all = await findings(host, { address: PF, vf_count: 8, autoprobe: false });
    expect(told(all)).toEqual([['error', 'sriov.driver', PF]]);
    expect(all[0]?.read).toContain(read);
    expect(all[0]?.remedy?.includes('/unbind')).toBe(driver !== null);
    expect(told(await findings(host, { address: PF, vf_count: 0 }))).not.toContainEqual(['error', 'sriov.driver', PF]);
  });

  it('mean no PF: there is none, it is a VF, it has no VFs, or an entry before means it', async () => {
    const host = await onDisk();
    expect(told(await findings(host, { address: '0000:ee:00.0', vf_count: 2 }))).toEqual([
      ['warning', 'sriov.pf_absent', 'sriov:1'],
    ]);
    const ofVf = await findings(host, { vendor_id: '8086', product_id: '154c', vf_count: 2 });
    expect(told(ofVf)).toEqual([['error', 'sriov.no_pf', 'sriov:1']]);
    expect(ofVf[0]?.remedy).toBe('name its PF');
    await unlink(join(host.sysfs, 'bus/pci/devices', PF, 'sriov_totalvfs'));
    const plain = await findings(host, { address: PF, vf_count: 2 });
    expect(told(plain)).toEqual([['error', 'sriov.no_pf', 'sriov:1']]);
    expect(plain[0]?.remedy).toContain('turn SR-IOV on in the firmware setup');
    const other = await onDisk();
    const twice = [
      { vendor_id: '8086', product_id: '1572', vf_count: 4, autoprobe: false },
      { address: PF, vf_count: 8 },
    ];
    expect(told(await findings(other, ...twice))).toContainEqual(['warning', 'sriov.shadowed', 'sriov:2']);
  });

  it('do not go with what the kernel does with new VFs', async () => {
    const host = await onDisk();
    await writeFile(autoprobe(host), '1\n');
    expect(told(await findings(host, { address: PF, vf_count: 8 }))).toEqual([['warning', 'sriov.autoprobe', PF]]);
    await writeFile(autoprobe(host), '0\n');
    expect(told(await findings(host, { address: PF, vf_count: 8 }))).toEqual([['ok', 'sriov.declared', PF]]);
    expect(told(await findings(host, { address: PF, vf_count: 8, autoprobe: true }))).toEqual([
      ['warning', 'sriov.autoprobe', PF],
    ]);
    await drive(host, '0000:81:02.0', 'iavf');
    const late = await findings(host, { address: PF, vf_count: VFS, autoprobe: false });
    expect(told(late)).toEqual([['warning', 'sriov.autoprobe_late', PF]]);
    expect(late[0]?.why).toContain('drivers of the host have 0000:81:0');
    expect(told(await findings(host, { address: PF, vf_count: 8, autoprobe: false }))).toEqual([
      ['ok', 'sriov.declared', PF],
    ]);
    await rm(autoprobe(host));
    expect(told(await findings(host, { address: PF, vf_count: 8, autoprobe: false }))).toEqual([
      ['error', 'sriov.autoprobe_missing', PF],
    ]);
  });

  it('with settings need an interface', async () => {
    const host = await onDisk();
    await rm(join(host.sysfs, 'bus/pci/devices', PF, 'net'), { recursive: true, force: true });
    const entry = { address: PF, vf_count: 8, autoprobe: false, vfs: { '0': { trust: true } } };
    expect(told(await findings(host, entry))).toEqual([['warning', 'sriov.no_interface', PF]]);
  });
});
