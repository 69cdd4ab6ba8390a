import { XMLParser } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import type { GuestSettings } from '../../settings/settings.js';
import type { Guest } from './compute-driver.js';
import { domainXml } from './libvirt-domain.js';
import { hostdevsIn } from './libvirt.driver.js';
import { qemuCommand } from './qemu-command.js';

const SERVER = '11111111-1111-4111-8111-111111111111';
const bound = (address: string) => ({ address, driver: 'vfio-pci', original_driver: null, iommu_group: 1 });
const guest: Guest = {
  serverId: SERVER,
  claimId: '22222222-2222-4222-8222-222222222222',
  server: { name: 'one', project_id: 'p', vcpus: 2, memory_mb: 512, numa_cells: [0, 1] },
  devices: [bound('0000:01:00.0'), bound('10000:0a:1f.7')],
  notes: {},
};
const settings: GuestSettings = {
  ...{
    machine: 'q35',
    accel: 'auto',
    cpu: null,
    imageDir: null,
    image: null,
    kernel: null,
    initrd: null,
    append: null,
  },
  ...{ hotplugPorts: 1, vcpusMax: 8, memoryMbMax: 1024, startTimeoutMs: 1, stopTimeoutMs: 1 },
};

describe("QEMU's command line", () => {
  const of = (given: Partial<GuestSettings> = {}, words: string[] = [], of_: Guest = guest): string =>
    qemuCommand({
      ...{ guest: of_, settings: { ...settings, ...given }, qemu: { program: 'qemu', arguments: words }, accel: 'tcg' },
      image: { path: '/images/a,b.qcow2', format: 'qcow2' },
      files: { directory: '/d', qmp: '/d/qmp', pid: '/d/pid', log: '/d/log' },
    }).join(' ');

  it('has each device in a port of its own, and free ports', () => {
    const text = of();
    for (const part of [
      '-device pcie-root-port,id=berth-port0,bus=pcie.0,addr=0x10.0,chassis=1,multifunction=on',
      '-device pcie-root-port,id=berth-port2,bus=pcie.0,addr=0x10.2,chassis=3 ',
      '-device vfio-pci,host=0000:01:00.0,id=berth-0000-01-00.0,bus=berth-port0',
      '-device vfio-pci,host=10000:0a:1f.7,id=berth-10000-0a-1f.7,bus=berth-port1',
      '-smp 2 -m 512M',
      'file=/images/a,,b.qcow2,format=qcow2,snapshot=on',
    ]) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain('berth-port3');
  });

  it('has no ports on a machine without PCIe', () => {
    expect(of({ machine: 'pc' })).toContain('-device vfio-pci,host=0000:01:00.0,id=berth-0000-01-00.0 -device');
    expect(of({ machine: 'pc' })).not.toContain('port');
  });

  it('goes on in the next slot after eight ports', () => {
    const text = of({ hotplugPorts: 7 });
    expect(text).toContain('id=berth-port7,bus=pcie.0,addr=0x10.7,chassis=8 ');
    expect(text).toContain('id=berth-port8,bus=pcie.0,addr=0x11.0,chassis=9,multifunction=on');
  });

  it('takes more words from the settings, with the id of the server in them', () => {
    expect(of({}, ['-serial', 'file:/log/{server_id}'])).toMatch(new RegExp(`-serial file:/log/${SERVER}$`));
  });

  it('starts a kernel only where there is one', () => {
    expect(of({ initrd: '/i', append: 'a' })).not.toContain('-initrd');
    expect(of({ kernel: '/k', initrd: '/i', append: 'a b' })).toContain('-kernel /k -initrd /i -append a b');
  });
});

describe("libvirt's domain", () => {
  const parsed = (given: Partial<GuestSettings> = {}, accel: 'kvm' | 'tcg' = 'kvm') =>
    new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@' }).parse(
      domainXml({ guest, settings: { ...settings, ...given }, accel, image: null }),
    ).domain;

  it('has the server’s id, size, NUMA nodes and devices, which libvirt must not manage', () => {
    const domain = parsed();
    expect(domain).toMatchObject({
      ...{ '@type': 'kvm', uuid: SERVER, name: `berth-${SERVER}`, title: 'one', vcpu: 2 },
      memory: { '#text': 512, '@unit': 'MiB' },
      numatune: { memory: { '@mode': 'strict', '@nodeset': '0,1' } },
      os: { type: { '#text': 'hvm', '@machine': 'q35' } },
      cpu: { '@mode': 'host-passthrough' },
    });
    expect(domain.devices.hostdev.map((hostdev: Record<string, string>) => hostdev['@managed'])).toEqual(['no', 'no']);
    expect(domain.devices.disk).toBeUndefined();
  });

  it('is emulated where the processor cannot be used', () => {
    const domain = parsed({ cpu: 'Nehalem' }, 'tcg');
    expect(domain).toMatchObject({ '@type': 'qemu', cpu: { '@mode': 'custom', model: 'Nehalem' } });
    expect(parsed({}, 'tcg').cpu).toBeUndefined();
  });

  it('tells its devices from what libvirt makes of it', () => {
    expect(hostdevsIn(domainXml({ guest, settings, accel: 'kvm', image: null }))).toEqual(
      new Set(['0000:01:00.0', '10000:0a:1f.7']),
    );
    const libvirts = `<hostdev mode='subsystem' type='pci'><driver name='vfio'/><source>
      <address domain='0x0000' bus='0x83' slot='0x00' function='0x1'/></source>
      <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/></hostdev>
      <hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>`;
    expect(hostdevsIn(libvirts)).toEqual(new Set(['0000:83:00.1']));
  });
});
