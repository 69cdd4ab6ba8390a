import { execFile } from 'node:child_process';
import { access, mkdir, readdir, readFile, readlink, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { charmsGuideHost, eightGpuHost, sriovNicHost, temporaryHost } from '../../test/support/hosts.js';
import * as cards from '../recorded-hosts/cards.js';
import { bridge, device, type HostDescription } from '../recorded-hosts/description.js';
import type { HostTree } from '../recorded-hosts/tree.js';
import { liveKernel, type SysfsWrite } from './kernel.js';
import { simulatedKernel } from './simulated-kernel.js';

// In `full`: a NIC alone, an NVMe controller with SR-IOV, one behind a port without ACS, a bridge, a card without driver.
const NIC = '0000:21:00.0';
const NVME = '0000:22:00.0';
const BRIDGE = '0000:60:00.0';
const EDU = '0000:68:00.0';

const QUICKASSIST_SRIOV = cards.QUICKASSIST.sriov as NonNullable<typeof cards.QUICKASSIST.sriov>;

interface Simulation {
  readonly sysfs: string;
  write: SysfsWrite;
  /** Basename of a link, null when there is none. */
  link(path: string): Promise<string | null>;
  text(path: string): Promise<string>;
  has(path: string): Promise<boolean>;
}

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

async function simulation(host: HostDescription | HostTree | string): Promise<Simulation> {
  const [{ sysfs }, cleanUp] = await temporaryHost(host);
  cleanUps.push(cleanUp);
  return {
    sysfs,
    write: simulatedKernel(sysfs),
    link: (path) =>
      readlink(join(sysfs, path)).then(
        (target) => target.split('/').at(-1) as string,
        () => null,
      ),
    text: (path) => readFile(join(sysfs, path), 'utf8'),
    has: (path) =>
      access(join(sysfs, path)).then(
        () => true,
        () => false,
      ),
  };
}

const dev = (address: string, name: string): string => `bus/pci/devices/${address}/${name}`;

async function passThrough({ write }: Simulation, address: string): Promise<void> {
  await write(dev(address, 'driver_override'), 'vfio-pci');
  await write(dev(address, 'driver/unbind'), address);
  await write('bus/pci/drivers_probe', address);
}

async function giveBack({ write }: Simulation, address: string): Promise<void> {
  await write('bus/pci/drivers/vfio-pci/unbind', address);
  await write(dev(address, 'driver_override'), '\n');
  await write('bus/pci/drivers_probe', address);
}

describe('binding on a simulated kernel', () => {
  it('changes nothing by an override alone', async () => {
    const sim = await simulation('full');
    await sim.write(dev(NIC, 'driver_override'), 'vfio-pci');
    expect(await sim.text(dev(NIC, 'driver_override'))).toBe('vfio-pci\n');
    expect(await sim.link(dev(NIC, 'driver'))).toBe('e1000e');
  });

  it('clears an override by a newline, and by nothing else', async () => {
    const sim = await simulation('full');
    await sim.write(dev(NIC, 'driver_override'), 'vfio-pci\n');
    await sim.write(dev(NIC, 'driver_override'), '');
    expect(await sim.text(dev(NIC, 'driver_override'))).toBe('vfio-pci\n');
    await sim.write(dev(NIC, 'driver_override'), '\n');
    expect(await sim.text(dev(NIC, 'driver_override'))).toBe('(null)\n');
  });

  it('hands a NIC to vfio-pci and back, with all that goes and comes with it', async () => {
    const sim = await simulation('full');
    const before = await linksOf(sim.sysfs);
    await passThrough(sim, NIC);
    expect(await sim.link(dev(NIC, 'driver'))).toBe('vfio-pci');
    expect(await sim.link(`bus/pci/drivers/vfio-pci/${NIC}`)).toBe(NIC);
    expect(await sim.has(`bus/pci/drivers/e1000e/${NIC}`)).toBe(false);
    expect(await sim.text(dev(NIC, 'uevent'))).toMatch(/^DRIVER=vfio-pci\nPCI_CLASS=20000\n/);
    expect(await sim.has(dev(NIC, 'net'))).toBe(false);
    const left = (await readdir(join(sim.sysfs, 'class/net'))).length;
    const group = await sim.link(dev(NIC, 'iommu_group'));
    expect(await sim.link(`class/vfio/${group}`)).toBe(group);
    expect(await sim.has(`devices/virtual/vfio/${group}/dev`)).toBe(true);
    expect(await sim.has(dev(NIC, 'vfio-dev/vfio0'))).toBe(true);

    await giveBack(sim, NIC);
    expect(await sim.link(dev(NIC, 'driver'))).toBe('e1000e');
    expect((await readdir(join(sim.sysfs, 'class/net'))).length).toBe(left + 1);
    expect(await linksOf(sim.sysfs)).toEqual(before);
    expect(await sim.text(dev(NIC, 'uevent'))).toMatch(/^DRIVER=e1000e\nPCI_CLASS=20000\n/);
  });

  it('ends where the real kernel ended: the captured tree in use', async () => {
    const sim = await simulation('full');
    await passThrough(sim, NIC);
    await passThrough(sim, '0000:23:00.0');
    await sim.write(dev(NVME, 'sriov_numvfs'), '2');
    await sim.write(dev('0000:22:00.1', 'driver_override'), 'vfio-pci');
    await sim.write('bus/pci/drivers_probe', '0000:22:00.1');
    await passThrough(sim, '0000:23:00.1');
    const active = await simulation('full-active');
    const ours = bindingsOf(await linksOf(sim.sysfs));
    expect(ours).toEqual(bindingsOf(await linksOf(active.sysfs)));
    expect(ours.length).toBeGreaterThan(60);
    const vf = dev('0000:22:00.1', '');
    const names = async (from: Simulation): Promise<string[]> =>
      (await readdir(join(from.sysfs, vf))).filter((name) => !/^resource\d/.test(name)).sort();
    expect(await names(sim)).toEqual(await names(active));
    for (const name of ['vendor', 'device', 'class', 'numa_node', 'uevent', 'modalias', 'local_cpus']) {
      expect(await sim.text(`${vf}${name}`)).toBe(await active.text(`${vf}${name}`));
    }
  });

  it('says nothing when a probe fails or no driver matches: the driver link is what counts', async () => {
    const sim = await simulation('noiommu');
    await passThrough(sim, '0000:01:00.0');
    expect(await sim.link(dev('0000:01:00.0', 'driver'))).toBeNull();
    await sim.write('bus/pci/drivers_probe', '0000:00:03.0');
    expect(await sim.link(dev('0000:00:03.0', 'driver'))).toBeNull();
    await sim.write(dev('0000:00:03.0', 'driver_override'), 'no-such-driver');
    await sim.write('bus/pci/drivers_probe', '0000:00:03.0');
    expect(await sim.link(dev('0000:00:03.0', 'driver'))).toBeNull();
  });

  it('leaves a bound device alone when it is probed', async () => {
    const sim = await simulation('full');
    await sim.write(dev(NIC, 'driver_override'), 'vfio-pci');
    await sim.write('bus/pci/drivers_probe', NIC);
    expect(await sim.link(dev(NIC, 'driver'))).toBe('e1000e');
  });

  it('keeps the override when the device is unbound', async () => {
    const sim = await simulation('full');
    await passThrough(sim, NIC);
    await sim.write('bus/pci/drivers/vfio-pci/unbind', NIC);
    expect(await sim.text(dev(NIC, 'driver_override'))).toBe('vfio-pci\n');
  });
});

describe('the errors of a simulated kernel', () => {
  const cases: readonly (readonly [string, readonly (readonly [string, string])[], string, string])[] = [
    ['bind of a bound device', [], 'bus/pci/drivers/e1000e/bind', 'EBUSY'],
    ['bind by a driver that does not match', [], 'bus/pci/drivers/nvme/bind', 'ENODEV'],
    [
      'bind by vfio-pci without an override',
      [['bus/pci/drivers/e1000e/unbind', NIC]],
      'bus/pci/drivers/vfio-pci/bind',
      'ENODEV',
    ],
    [
      'bind by another than the override',
      [
        [dev(NIC, 'driver_override'), 'vfio-pci'],
        ['bus/pci/drivers/e1000e/unbind', NIC],
      ],
      'bus/pci/drivers/e1000e/bind',
      'ENODEV',
    ],
    ['unbind of another driver’s device', [], 'bus/pci/drivers/nvme/unbind', 'ENODEV'],
    [
      'unbind of an unbound device',
      [['bus/pci/drivers/e1000e/unbind', NIC]],
      'bus/pci/drivers/e1000e/unbind',
      'ENODEV',
    ],
    [
      'unbind through a link that is gone',
      [['bus/pci/drivers/e1000e/unbind', NIC]],
      dev(NIC, 'driver/unbind'),
      'ENOENT',
    ],
    ['an attribute that does not exist', [], dev(NIC, 'sriov_numvfs'), 'EACCES'],
    ['an attribute that is read-only', [], dev(NIC, 'vendor'), 'EACCES'],
    ['a device that does not exist', [], dev('0000:ff:00.0', 'driver_override'), 'ENOENT'],
    ['a driver that does not exist', [], 'bus/pci/drivers/nouveau/bind', 'ENOENT'],
    ['new_id, which is not simulated', [], 'bus/pci/drivers/e1000e/new_id', 'ENOTSUP'],
    ['a way out', [], '../../etc/passwd', 'EINVAL'],
    ['an absolute path', [], '/etc/passwd', 'EINVAL'],
    ['a directory', [], 'bus/pci/devices', 'EISDIR'],
    ['a link', [], dev(NIC, 'driver'), 'ELOOP'],
  ];
  it.each(cases)('%s', async (_what, before, path, code) => {
    const sim = await simulation('full');
    for (const [first, value] of before) await sim.write(first, value);
    const links = await linksOf(sim.sysfs);
    await expect(sim.write(path, NIC)).rejects.toMatchObject({ code });
    expect(await linksOf(sim.sysfs)).toEqual(links);
  });

  it('says in its texts that it is simulated', async () => {
    const sim = await simulation('full');
    await expect(sim.write('bus/pci/drivers/nvme/bind', NIC)).rejects.toThrow(/^ENODEV: simulated kernel: /);
  });

  it.each(['0000:ff:00.0', 'nonsense', '../devices', '.', '0000:21:00.0/..'])('no such device: %s', async (text) => {
    const sim = await simulation('full');
    await expect(sim.write('bus/pci/drivers_probe', text)).rejects.toMatchObject({ code: 'ENODEV' });
    await expect(sim.write('bus/pci/drivers/e1000e/bind', text)).rejects.toMatchObject({ code: 'ENODEV' });
    await expect(sim.write('bus/pci/drivers/e1000e/unbind', text)).rejects.toMatchObject({ code: 'ENODEV' });
  });

  it('vfio-pci refuses bridges, PFs with VFs, and hosts without an IOMMU', async () => {
    const bindAfterUnbind = async (sim: Simulation, address: string): Promise<void> => {
      await sim.write(dev(address, 'driver_override'), 'vfio-pci');
      await sim.write(dev(address, 'driver/unbind'), address);
      await sim.write('bus/pci/drivers/vfio-pci/bind', address);
    };
    const full = await simulation('full');
    await expect(bindAfterUnbind(full, BRIDGE)).rejects.toMatchObject({ code: 'EINVAL' });
    await full.write(dev(NVME, 'sriov_numvfs'), '1');
    await expect(bindAfterUnbind(full, NVME)).rejects.toMatchObject({ code: 'EBUSY' });
    const without = await simulation('noiommu');
    await expect(bindAfterUnbind(without, '0000:01:00.0')).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it('takes a card without a driver only through the override', async () => {
    const sim = await simulation('full');
    await expect(sim.write('bus/pci/drivers/vfio-pci/bind', EDU)).rejects.toMatchObject({ code: 'ENODEV' });
    await sim.write(dev(EDU, 'driver_override'), 'vfio-pci');
    await sim.write('bus/pci/drivers/vfio-pci/bind', EDU);
    expect(await sim.link(dev(EDU, 'driver'))).toBe('vfio-pci');
  });

  it('does not write through a link that leads out of the tree, nor hang on a loop', async () => {
    const sim = await simulation('small');
    await symlink('/tmp', join(sim.sysfs, 'out'));
    await symlink('loop', join(sim.sysfs, 'loop'));
    await expect(sim.write('out/x', '1')).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(sim.write('loop/x', '1')).rejects.toMatchObject({ code: 'ELOOP' });
  });
});

describe('SR-IOV on a simulated kernel', () => {
  const numvfs = dev(NVME, 'sriov_numvfs');

  it.each([
    ['5', 'ERANGE'],
    ['65536', 'EINVAL'],
    ['-1', 'EINVAL'],
    ['two', 'EINVAL'],
    ['1.5', 'EINVAL'],
    ['', null],
    ['0', null],
    ['0x2\n', null],
  ])('answers %j with %s', async (value, code) => {
    const sim = await simulation('full');
    if (code === null) await sim.write(numvfs, value);
    else await expect(sim.write(numvfs, value)).rejects.toMatchObject({ code });
  });

  it('goes from n to m only through 0, and from n to n without a word', async () => {
    const sim = await simulation('full');
    await sim.write(numvfs, '2');
    await sim.write(numvfs, '2');
    await expect(sim.write(numvfs, '3')).rejects.toMatchObject({ code: 'EBUSY' });
    await sim.write(numvfs, '0');
    await sim.write(numvfs, '3');
    expect(await sim.text(numvfs)).toBe('3\n');
  });

  it('makes no VFs without a driver that can', async () => {
    const sim = await simulation('full');
    await sim.write('bus/pci/drivers/nvme/unbind', NVME);
    await expect(sim.write(numvfs, '2')).rejects.toMatchObject({ code: 'ENOENT' });
    await sim.write(dev(NVME, 'driver_override'), 'vfio-pci');
    await sim.write('bus/pci/drivers_probe', NVME);
    await expect(sim.write(numvfs, '2')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('gives VFs their links, ids, node and group, and takes all of it back', async () => {
    const sim = await simulation('full');
    const before = await linksOf(sim.sysfs);
    await sim.write(numvfs, '2');
    expect(await sim.link(dev(NVME, 'virtfn1'))).toBe('0000:22:00.2');
    expect(await sim.link(dev('0000:22:00.2', 'physfn'))).toBe(NVME);
    expect(await sim.text(dev('0000:22:00.2', 'device'))).toBe('0x0010\n');
    expect(await sim.text(dev('0000:22:00.2', 'numa_node'))).toBe('0\n');
    expect(await sim.has(dev('0000:22:00.2', 'sriov_numvfs'))).toBe(false);
    expect(await sim.link(dev('0000:22:00.2', 'driver'))).toBeNull();
    const groups = await Promise.all([1, 2].map((fn) => sim.link(dev(`0000:22:00.${fn}`, 'iommu_group'))));
    expect(groups).toEqual(['26', '27']);
    await sim.write(numvfs, '0');
    expect(await linksOf(sim.sysfs)).toEqual(before);
    expect(await sim.has('kernel/iommu_groups/26')).toBe(false);
  });

  it('takes back only its own VFs: at the address after the last one there may be another card', async () => {
    const base = sriovNicHost('neighbours', 0);
    const card = { ...cards.QUICKASSIST, sriov: { ...QUICKASSIST_SRIOV, totalVfs: 4 } };
    const slot = [device('00.0', card), device('00.3', cards.P5000)];
    const children = [bridge('00.0', cards.ROOT_PORT, 0x91, slot)];
    const sim = await simulation({ ...base, roots: [...base.roots, { bus: 0x90, numaNode: 1, children }] });
    await sim.write(dev('0000:91:00.0', 'sriov_numvfs'), '2');
    await sim.write(dev('0000:91:00.0', 'sriov_numvfs'), '0');
    expect(await sim.text(dev('0000:91:00.3', 'device'))).toBe('0x1bb0\n');
    expect(await sim.has(dev('0000:91:00.2', 'device'))).toBe(false);
  });

  it('takes back VFs that are on vfio-pci, and forgets their override', async () => {
    const sim = await simulation('full');
    await sim.write(numvfs, '1');
    await sim.write(dev('0000:22:00.1', 'driver_override'), 'vfio-pci');
    await sim.write('bus/pci/drivers_probe', '0000:22:00.1');
    expect(await sim.link(dev('0000:22:00.1', 'driver'))).toBe('vfio-pci');
    await sim.write(numvfs, '0');
    expect(await sim.has('class/vfio/26')).toBe(false);
    await sim.write(numvfs, '1');
    expect(await sim.text(dev('0000:22:00.1', 'driver_override'))).toBe('(null)\n');
  });

  it('leaves VFs behind when the PF loses its driver, and can end them only with it', async () => {
    const sim = await simulation('full');
    await sim.write(numvfs, '2');
    await sim.write('bus/pci/drivers/nvme/unbind', NVME);
    expect(await sim.has(dev('0000:22:00.1', 'vendor'))).toBe(true);
    await expect(sim.write(numvfs, '0')).rejects.toMatchObject({ code: 'ENOENT' });
    await sim.write('bus/pci/drivers_probe', NVME);
    await sim.write(numvfs, '0');
    expect(await sim.has(dev('0000:22:00.1', 'vendor'))).toBe(false);
  });

  it('lets the native driver try new VFs unless that is switched off', async () => {
    const sim = await simulation(sriovNicHost('nic', 0));
    const pf = '0000:81:00.0';
    await sim.write(dev(pf, 'sriov_numvfs'), '2');
    expect(await sim.link(dev('0000:81:02.1', 'driver'))).toBe('iavf');
    expect(await readdir(join(sim.sysfs, dev('0000:81:02.1', 'net')))).toEqual(['enp129s0v1']);
    expect(await sim.text(dev('0000:81:02.1', 'device'))).toBe('0x154c\n');
    await sim.write(dev(pf, 'sriov_numvfs'), '0');
    expect(await sim.has('class/net/enp129s0v1')).toBe(false);
    await sim.write(dev(pf, 'sriov_drivers_autoprobe'), '0');
    await sim.write(dev(pf, 'sriov_numvfs'), '2');
    expect(await sim.link(dev('0000:81:02.1', 'driver'))).toBeNull();
    expect(await sim.has('class/net/enp129s0v1')).toBe(false);
    await sim.write('bus/pci/drivers_probe', '0000:81:02.1');
    expect(await sim.has('class/net/enp129s0v1/address')).toBe(true);
  });

  it('puts a VF into the group of a port that cannot keep it apart', async () => {
    const base = sriovNicHost('legacy', 0);
    const children = [bridge('00.0', cards.ROOT_PORT_WITHOUT_ACS, 0x91, [device('00.0', cards.X710)])];
    const sim = await simulation({ ...base, roots: [...base.roots, { bus: 0x90, numaNode: 1, children }] });
    await sim.write(dev('0000:91:00.0', 'sriov_numvfs'), '1');
    const group = await sim.link(dev('0000:90:00.0', 'iommu_group'));
    expect(await sim.link(dev('0000:91:02.0', 'iommu_group'))).toBe(group);
  });
});

describe('a simulated kernel after a restart', () => {
  it('remembers which driver a device had', async () => {
    const sim = await simulation(charmsGuideHost('gpus'));
    await passThrough(sim, '0000:83:00.0');
    await passThrough(sim, '0000:84:00.0');
    sim.write = simulatedKernel(sim.sysfs);
    await giveBack(sim, '0000:83:00.0');
    expect(await sim.link(dev('0000:83:00.0', 'driver'))).toBe('nouveau');
  });

  it('remembers the same of a captured tree, and its interface', async () => {
    const sim = await simulation('small');
    await passThrough(sim, '0000:01:00.0');
    sim.write = simulatedKernel(sim.sysfs);
    await giveBack(sim, '0000:01:00.0');
    expect(await sim.has('class/net/eth1/address')).toBe(true);
  });

  it('finishes a bind that was cut short after its first step', async () => {
    const sim = await simulation('full');
    await passThrough(sim, NIC);
    const whole = await linksOf(sim.sysfs);
    // As after a kill: only the device's own link is there.
    await unlink(join(sim.sysfs, `bus/pci/drivers/vfio-pci/${NIC}`));
    await unlink(join(sim.sysfs, 'class/vfio-dev/vfio0'));
    sim.write = simulatedKernel(sim.sysfs);
    await sim.write('bus/pci/drivers_probe', NIC);
    expect(await linksOf(sim.sysfs)).toEqual(whole);
  });

  it('finishes an unbind that was cut short after its first step', async () => {
    const sim = await simulation('full');
    await sim.write('bus/pci/drivers_probe', EDU);
    await unlink(join(sim.sysfs, dev(NIC, 'driver')));
    sim.write = simulatedKernel(sim.sysfs);
    await sim.write(dev(NIC, 'driver_override'), 'vfio-pci');
    expect(await sim.has(dev(NIC, 'net'))).toBe(false);
    expect(await sim.has(`bus/pci/drivers/e1000e/${NIC}`)).toBe(false);
    await sim.write(dev(NIC, 'driver_override'), '\n');
    await sim.write('bus/pci/drivers_probe', NIC);
    expect(await sim.has(dev(NIC, 'net'))).toBe(true);
  });

  it.each([
    ['0', '3'],
    ['3', '0'],
  ])('finishes VFs from %s to %s', async (from, to) => {
    const sim = await simulation('full');
    await sim.write(dev(NVME, 'sriov_numvfs'), from);
    await writeFile(join(sim.sysfs, dev(NVME, 'sriov_numvfs')), `${to}\n`);
    sim.write = simulatedKernel(sim.sysfs);
    await sim.write('bus/pci/drivers_probe', EDU);
    const vfs = (await readdir(join(sim.sysfs, 'bus/pci/devices'))).filter((name) => /^0000:22:00\.[1-7]$/.test(name));
    expect(vfs.length).toBe(Number(to));
    expect(await sim.has(dev(NVME, 'virtfn2'))).toBe(to === '3');
  });

  it('finishes a VF of which only half was made', async () => {
    const sim = await simulation('full');
    await sim.write(dev(NVME, 'sriov_numvfs'), '2');
    const whole = await linksOf(sim.sysfs);
    await unlink(join(sim.sysfs, dev(NVME, 'virtfn1')));
    await rm(join(sim.sysfs, dev('0000:22:00.2', 'vendor')));
    sim.write = simulatedKernel(sim.sysfs);
    await sim.write('bus/pci/drivers_probe', EDU);
    expect(await linksOf(sim.sysfs)).toEqual(whole);
    expect(await sim.text(dev('0000:22:00.2', 'vendor'))).toBe('0x1b36\n');
  });

  it('answers one write after the other', async () => {
    const sim = await simulation(eightGpuHost('board'));
    const gpus = ['23', '24', '2a', '2b', 'a3', 'a4', 'aa', 'ab'].map((bus) => `0000:${bus}:00.0`);
    await Promise.all(gpus.map((address) => passThrough(sim, address)));
    expect(await Promise.all(gpus.map((address) => sim.link(dev(address, 'driver'))))).toEqual(
      gpus.map(() => 'vfio-pci'),
    );
    expect((await readdir(join(sim.sysfs, 'class/vfio-dev'))).length).toBe(8);
  });

  it('works on a tree that was written after it was made', async () => {
    const [{ directory }, cleanUp] = await temporaryHost({ name: 'empty', entries: [] });
    cleanUps.push(cleanUp);
    const write = simulatedKernel(join(directory, 'sys'));
    await expect(write('bus/pci/drivers_probe', NIC)).rejects.toMatchObject({ code: 'ENOENT' });
    await mkdir(join(directory, 'sys/bus/pci'), { recursive: true });
    await writeFile(join(directory, 'sys/bus/pci/drivers_probe'), '');
    await expect(write('bus/pci/drivers_probe', NIC)).rejects.toMatchObject({ code: 'ENODEV' });
  });
});

describe('liveKernel', () => {
  it('writes to files that are there, and makes none', async () => {
    const sim = await simulation('small');
    const { write } = liveKernel(sim.sysfs);
    await write(dev('0000:01:00.0', 'driver_override'), '\n');
    expect((await sim.text(dev('0000:01:00.0', 'driver_override'))).startsWith('\n')).toBe(true);
    await expect(write(dev('0000:01:00.0', 'nothing'), '1')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await sim.has(dev('0000:01:00.0', 'nothing'))).toBe(false);
    await expect(write(dev('0000:ff:00.0', 'driver_override'), '1')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    ['../x', '1', 'EINVAL'],
    ['bus/pci/../../../x', '1', 'EINVAL'],
    ['/etc/hostname', '1', 'EINVAL'],
    ['', '1', 'EINVAL'],
    ['bus/pci/drivers_probe', '', 'EINVAL'],
    ['bus/pci/drivers_probe', 'x'.repeat(5000), 'EINVAL'],
  ])('refuses %j ← %j with %s', async (path, value, code) => {
    const sim = await simulation('small');
    await expect(liveKernel(sim.sysfs).write(path, value)).rejects.toMatchObject({ code });
  });

  it('does not follow links out of the root', async () => {
    const sim = await simulation('small');
    await symlink('/proc/self', join(sim.sysfs, 'out'));
    await symlink('/proc/self/comm', join(sim.sysfs, 'bus/comm'));
    const { write } = liveKernel(sim.sysfs);
    await expect(write('out/comm', 'x')).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(write('bus/comm', 'x')).rejects.toMatchObject({ code: 'ELOOP' });
  });

  it('reads what the kernel shows under a lock, and nothing outside', async () => {
    const sim = await simulation('small');
    const { read } = liveKernel(sim.sysfs);
    expect(await read(dev('0000:01:00.0', 'driver_override'))).toBe('(null)');
    expect(await read(dev('0000:01:00.0', 'nothing'))).toBeNull();
    expect(await read('../proc/version')).toBeNull();
  });

  it('tells what a kernel answered', async () => {
    const { write } = liveKernel(`/proc/${process.pid}`);
    await expect(write('oom_score_adj', '5000')).rejects.toMatchObject({ code: 'EINVAL', syscall: 'write' });
  });

  it('writes to no pipe, which would keep the writer', async () => {
    const sim = await simulation('small');
    await promisify(execFile)('mkfifo', [join(sim.sysfs, 'bus/fifo')]);
    await expect(liveKernel(sim.sysfs).write('bus/fifo', '1')).rejects.toMatchObject({ code: 'EISDIR' });
  });

  it.each(['', '-r', 'vfio pci', '../vfio', 'x;y', 'x'.repeat(64)])('loads no module %j', async (name) => {
    const sim = await simulation('small');
    await expect(liveKernel(sim.sysfs).loadModule(name)).rejects.toMatchObject({ code: 'EINVAL' });
  });
});

/** All links of the tree with their texts, sorted; what the simulation keeps for itself is left out. */
async function linksOf(sysfs: string): Promise<string[]> {
  const found = await readdir(sysfs, { recursive: true, withFileTypes: true });
  const links = found.filter((item) => item.isSymbolicLink()).map((item) => join(item.parentPath, item.name));
  const texts = await Promise.all(
    links.map(async (path) => `${path.slice(sysfs.length + 1)} -> ${await readlink(path)}`),
  );
  return texts.filter((text) => !text.startsWith('.simulated-kernel')).sort();
}

/** Who has what: PCI devices, their drivers, groups, VFs and vfio's devices; mediated devices and their driver left out. */
function bindingsOf(links: readonly string[]): string[] {
  return links.filter(
    (link) =>
      /^(bus\/pci\/d|kernel\/iommu_groups|class\/(net|vfio\/)|devices\/pci.*\/(driver|iommu_group|physfn|virtfn\d+) )/.test(
        link,
      ) && !/mdev|[0-9a-f]{8}-|class\/vfio\/2[89] /.test(link),
  );
}
