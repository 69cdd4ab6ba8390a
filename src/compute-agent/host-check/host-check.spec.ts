import { mkdir, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  charmsGuideHost,
  eightGpuHost,
  sriovNicHost,
  temporaryHost,
  type HostOnDisk,
} from '../../../test/support/hosts.js';
import { parseDeviceSpecs } from '../../pci/device-spec/device-spec-reader.js';
import { EMPTY_JOURNAL } from '../journal-state.js';
import { checkHost, type HostCheckInput, type HostCheckReport } from './host-check.js';
import { hostCheckText } from './host-check-text.js';

const P5000 = '0000:83:00.0';
const removals: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

async function onDisk(host: Parameters<typeof temporaryHost>[0] = charmsGuideHost('guide')): Promise<HostOnDisk> {
  const [written, remove] = await temporaryHost(host);
  removals.push(remove);
  return written;
}

function specs(...entries: object[]) {
  return parseDeviceSpecs(entries, 'test', { freeTags: [] });
}

function check(host: HostOnDisk, more: Partial<HostCheckInput> = {}): Promise<HostCheckReport> {
  const roots = { sysfsRoot: host.sysfs, procRoot: host.proc, modulesRoot: null, stateDir: host.directory };
  return checkHost({ ...roots, deviceSpecs: specs({ vendor_id: '10de' }), ...more });
}

/** The levels of the codes that begin so, with their subjects. */
function found({ findings }: HostCheckReport, prefix: string): [level: string, code: string, subject: string | null][] {
  return findings
    .filter(({ code }) => code.startsWith(prefix))
    .map(({ level, code, subject }) => [level, code, subject]);
}

async function put(root: string, path: string, text: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await rm(join(root, path), { force: true });
  await writeFile(join(root, path), text);
}

describe('IOMMU', () => {
  it('is on where the kernel made groups', async () => {
    const report = await check(await onDisk());
    expect(found(report, 'iommu')).toEqual([['ok', 'iommu.on', null]]);
    expect(found(report, 'interrupts')).toEqual([['ok', 'interrupts.remapped', null]]);
    expect(report.errors).toBe(0);
  });

  it.each([
    ['GenuineIntel', 'root=/dev/sda1', 'iommu.off', 'intel_iommu=on iommu=pt'],
    ['AuthenticAMD', 'root=/dev/sda1', 'iommu.off', 'amd_iommu=on iommu=pt'],
    ['AuthenticAMD', 'amd_iommu=off quiet', 'iommu.turned_off', "take amd_iommu=off out of the kernel's arguments"],
    ['GenuineIntel', 'intel_iommu=on iommu=off', 'iommu.turned_off', 'take iommu=off out'],
    ['GenuineIntel', 'intel_iommu=on', 'iommu.off', 'turn VT-d on in the firmware setup'],
  ])('of %s with %s is %s', async (vendor, cmdline, code, remedy) => {
    const host = await onDisk('noiommu');
    await put(host.proc, 'cpuinfo', `processor\t: 0\nvendor_id\t: ${vendor}\n`);
    await put(host.proc, 'cmdline', `${cmdline}\n`);
    const report = await check(host);
    expect(found(report, 'iommu')).toEqual([['error', code, null]]);
    expect(report.findings[0]?.remedy).toContain(remedy);
    expect(found(report, 'interrupts')).toEqual([]);
  });

  it('that the firmware tells of needs no visit to the setup', async () => {
    const host = await onDisk('noiommu');
    await put(host.sysfs, 'firmware/acpi/tables/DMAR', 'x');
    const [finding] = (await check(host)).findings;
    expect(finding?.read).toContain('the firmware has the table DMAR');
    expect(finding?.remedy).not.toContain('firmware setup');
  });

  it.each([
    ['full', 'warning'],
    ['noiommu', 'error'],
  ])('mode without isolation on %s: %s', async (tree, level) => {
    const host = await onDisk(tree);
    await put(host.sysfs, 'module/vfio/parameters/enable_unsafe_noiommu_mode', 'Y\n');
    expect(found(await check(host), 'iommu.unsafe_mode')).toEqual([[level, 'iommu.unsafe_mode', 'vfio']]);
  });

  it('with isolation that was only claimed', async () => {
    const host = await onDisk();
    await put(host.proc, 'cmdline', 'intel_iommu=on pcie_acs_override=downstream,multifunction\n');
    expect(found(await check(host), 'acs')).toEqual([['warning', 'acs.overridden', null]]);
  });
});

describe('interrupt remapping', () => {
  const DMAR = 'firmware/acpi/tables/DMAR';
  const ECAP = 'class/iommu/dmar0/intel-iommu/ecap';
  const table = (flags: number): Uint8Array => Uint8Array.from({ length: 48 }, (_, at) => (at === 37 ? flags : 0));

  it.each<readonly [string, (host: HostOnDisk) => Promise<void>, string, string]>([
    ['not possible', (host) => put(host.sysfs, ECAP, 'f00f42\n'), 'error', 'interrupts.not_remapped'],
    ['not in the firmware', (host) => put(host.sysfs, DMAR, table(0)), 'error', 'interrupts.not_remapped'],
    ['in the firmware', (host) => put(host.sysfs, DMAR, table(1)), 'ok', 'interrupts.remapped'],
    ['turned off', (host) => put(host.proc, 'cmdline', 'intremap=off\n'), 'error', 'interrupts.not_remapped'],
    ['not told', (host) => put(host.sysfs, ECAP, 'what\n'), 'warning', 'interrupts.not_known'],
    [
      'in force, whatever else is said',
      async (host) => {
        await put(host.sysfs, DMAR, table(0));
        await put(host.proc, 'interrupts', '  24:  0  IR-PCI-MSI 16384-edge  PCIe PME\n');
      },
      'ok',
      'interrupts.remapped',
    ],
    [
      'not asked for',
      (host) => put(host.sysfs, 'module/vfio_iommu_type1/parameters/allow_unsafe_interrupts', 'Y\n'),
      'warning',
      'interrupts.unsafe',
    ],
  ])('is %s', async (_name, change, level, code) => {
    const host = await onDisk();
    await change(host);
    expect(found(await check(host), 'interrupts')).toEqual([[level, code, null]]);
  });
});

describe('modules', () => {
  const RELEASE = '6.1.0-generated-amd64';

  async function withoutVfio(): Promise<HostOnDisk> {
    const host = await onDisk();
    for (const module of ['vfio', 'vfio_pci', 'vfio_iommu_type1']) {
      await rm(join(host.sysfs, 'module', module), { recursive: true });
    }
    await rm(join(host.sysfs, 'bus/pci/drivers/vfio-pci'), { recursive: true });
    await put(host.proc, 'modules', 'nouveau 65536 0 - Live 0x0\n');
    return host;
  }

  it('are looked up in the lists of the running kernel', async () => {
    const host = await withoutVfio();
    const modulesRoot = join(host.directory, 'modules');
    await put(modulesRoot, `${RELEASE}/modules.builtin`, 'kernel/drivers/vfio/vfio.ko\n');
    await put(
      modulesRoot,
      `${RELEASE}/modules.dep`,
      'kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio_iommu_type1.ko.xz\nkernel/drivers/gpu/a.ko:\n',
    );
    const report = await check(host, { modulesRoot });
    expect(found(report, 'module')).toEqual([
      ['error', 'module.missing', 'vfio_iommu_type1'],
      ['warning', 'module.not_loaded', 'vfio-pci'],
      ['ok', 'module.ready', 'vfio'],
    ]);
    expect(report.findings[0]?.remedy).toContain('linux-modules-extra');
  });

  it('are not looked up on another machine', async () => {
    const host = await withoutVfio();
    const unknown = ['vfio', 'vfio-pci', 'vfio_iommu_type1'].map((name) => ['warning', 'module.not_known', name]);
    expect(found(await check(host), 'module')).toEqual(unknown);
    await put(host.proc, 'version', 'Linux version ../../etc (x)\n');
    expect(found(await check(host, { modulesRoot: host.directory }), 'module')).toEqual(unknown);
  });
});

describe('devices', () => {
  it('whose group the host uses are blocked', async () => {
    const ofGroup1 = { address: '0000:01:00.0', override_protection: true };
    const report = await check(await onDisk('legacy'), { deviceSpecs: specs(ofGroup1, { class: '0200' }) });
    expect(found(report, 'group')).toEqual([
      ['error', 'group.blocked', 'group 1'],
      ['warning', 'group.no_acs', 'group 4'],
      ['ok', 'group.one_slot', 'group 2'],
    ]);
    expect(report.findings.find(({ code }) => code === 'group.blocked')?.remedy).toContain('unbind it from nvme');
  });

  it('that the host needs are told, with what would spare them', async () => {
    const report = await check(await onDisk('legacy'), { deviceSpecs: specs({ class: '0200' }) });
    expect(found(report, 'protected')).toEqual([
      ['error', 'protected.default_route', '0000:01:00.0'],
      ['error', 'protected.iommu_group', '0000:02:00.0'],
    ]);
    expect(report.findings[0]?.remedy).toContain('route');
  });

  it('with a driver of displays are told, with ids and module', async () => {
    const host = await onDisk();
    await put(host.proc, 'net/route', '');
    const report = await check(host, { deviceSpecs: specs({ vendor_id: '10de' }, { class: '02' }) });
    expect(found(report, 'driver')).toEqual([
      ['warning', 'driver.takes_at_boot', 'nouveau'],
      ['ok', 'driver.gives_way', 'igb'],
    ]);
    const remedy = report.findings.find(({ subject }) => subject === 'nouveau')?.remedy;
    expect(remedy).toContain('softdep nouveau pre: vfio-pci');
    expect(remedy).toContain('ids=10de:1bb0');
  });

  it('with a driver in the kernel itself need an argument', async () => {
    const host = await onDisk();
    const modulesRoot = join(host.directory, 'modules');
    await put(modulesRoot, '6.1.0-generated-amd64/modules.builtin', 'kernel/drivers/gpu/nouveau.ko\n');
    const { findings } = await check(host, { modulesRoot });
    expect(findings.find(({ subject }) => subject === 'nouveau')?.remedy).toContain('vfio-pci.ids=10de:1bb0');
  });

  it('that are the screen of the boot', async () => {
    const host = await onDisk();
    await put(host.sysfs, `bus/pci/devices/${P5000}/boot_vga`, '1\n');
    await put(host.proc, 'fb', '0 EFI VGA\n');
    const deviceSpecs = specs({ address: P5000, override_protection: true });
    const report = await check(host, { deviceSpecs });
    expect(found(report, 'display')).toEqual([['warning', 'display.boot_vga', P5000]]);
    expect(report.findings.find(({ subject }) => subject === P5000)?.read).toContain('0 EFI VGA');
    const others = await check(host, { deviceSpecs: specs({ class: '02' }) });
    expect(found(others, 'display')).toEqual([]);
  });

  it('that are VFs are counted at their PF', async () => {
    const report = await check(await onDisk(sriovNicHost('n')), { deviceSpecs: specs({ product_id: '154c' }) });
    const counted = report.findings.filter(({ code }) => code === 'sriov.counted');
    expect(counted.length).toBeGreaterThan(0);
    expect(counted[0]?.read).toMatch(/sriov_numvfs is (\d+), sriov_totalvfs 64; \1 of its VFs are offered/);
  });

  it('that the agent holds are judged as they were', async () => {
    const host = await onDisk();
    await unlink(join(host.sysfs, 'bus/pci/devices', P5000, 'driver'));
    await symlink('../../../../bus/pci/drivers/vfio-pci', join(host.sysfs, 'bus/pci/devices', P5000, 'driver'));
    const deviceSpecs = specs({ driver: 'nouveau', address: P5000 });
    expect((await check(host, { deviceSpecs })).offered).toBe(0);
    const device = { address: P5000, vendorId: '10de', productId: '1bb0', originalDriver: 'nouveau' };
    const devices = [{ ...device, originalNetdevs: [], originalOverride: null }];
    const claims = [{ claimId: 'c', serverId: 's', state: 'prepared', devices }];
    await put(host.directory, 'journal.json', JSON.stringify({ ...EMPTY_JOURNAL, claims }));
    expect((await check(host, { deviceSpecs })).offered).toBe(1);
  });

  it('that cannot be read are told', async () => {
    const host = await onDisk();
    await unlink(join(host.sysfs, 'bus/pci/devices', P5000, 'vendor'));
    expect(found(await check(host), 'scan')).toEqual([['warning', 'scan.problem', P5000]]);
  });
});

describe('the whitelist', () => {
  it('that is empty, dead, shadowed or never decides is told', async () => {
    const host = await onDisk();
    expect(found(await check(host, { deviceSpecs: [] }), 'whitelist')).toEqual([['warning', 'whitelist.empty', null]]);
    const nothing = await check(host, { deviceSpecs: specs({ vendor_id: '1234' }) });
    expect(found(nothing, 'whitelist')).toEqual([
      ['warning', 'whitelist.offers_nothing', null],
      ['warning', 'whitelist.dead', 'entry 1'],
    ]);
    const odd = await check(host, {
      deviceSpecs: specs({ vendor_id: '10de' }, { class: '0300' }, { vendor_id: '10de', product_id: '1bb0' }),
    });
    expect(found(odd, 'whitelist')).toEqual([
      ['warning', 'whitelist.shadowed', 'entry 2'],
      ['warning', 'whitelist.unreachable', 'entry 3'],
      ['ok', 'whitelist.offers', null],
    ]);
  });
});

describe('memory', () => {
  it('has warnings at most', async () => {
    const host = await onDisk(eightGpuHost('g'));
    await put(host.proc, 'self/limits', 'Max locked memory         8388608              8388608              bytes\n');
    expect(found(await check(host), 'memory')).toEqual([
      ['warning', 'memory.no_hugepages', null],
      ['warning', 'memory.lock_limit', null],
    ]);
    await put(host.proc, 'self/limits', 'Max locked memory         unlimited            unlimited            bytes\n');
    await put(host.proc, 'meminfo', 'MemTotal: 1 kB\nHugePages_Total:       0\nHugetlb:         2097152 kB\n');
    const report = await check(host);
    expect(found(report, 'memory')).toEqual([
      ['ok', 'memory.hugepages', null],
      ['ok', 'memory.lockable', null],
    ]);
    expect(report.findings.find(({ code }) => code === 'memory.hugepages')?.read).toContain('Hugetlb: 2097152');
  });
});

describe('the report as text', () => {
  it('has the worst first and nothing that moves the cursor', async () => {
    const report = await check(await onDisk('legacy'), { deviceSpecs: specs({ class: '0200' }) });
    const text = hostCheckText({
      ...report,
      findings: [
        ...report.findings,
        { level: 'warning', code: 'x.y', subject: null, read: 'a\u001b[2J\nb', why: 'c', remedy: null },
      ],
    });
    expect(text.split('\n')[0]).toBe('error    protected.default_route  0000:01:00.0');
    expect(text).toContain('read: a?[2J?b');
    expect(text).toContain('Errors: 2, ');
  });
});
