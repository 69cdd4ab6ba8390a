import { rm } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { performance } from 'node:perf_hooks';
import { afterEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/hosts.js';
import { ALL, NeededHost } from '../../../test/support/needed-host.js';
import { readHostNeeds } from './host-needs.js';

const NIC_A = 'pci0000:00/0000:00:01.0/0000:01:00.0';
const NIC_B = 'pci0000:00/0000:00:01.0/0000:01:00.1';
const NVME = 'pci0000:40/0000:41:00.0/nvme/nvme0';
const NVME_2 = 'pci0000:40/0000:42:00.0/nvme/nvme1';
const SAS = 'pci0000:80/0000:81:00.0/host0/target0:0:0/0:0:0:0/block';

const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

async function aHost(): Promise<NeededHost> {
  const directory = await temporaryDirectory();
  directories.push(directory);
  return new NeededHost(directory).mounts();
}

function texts(host: NeededHost, displays: readonly string[] = [], broker: string | null = null): string[] {
  const { findings } = readHostNeeds(host.settings, displays, broker);
  for (const { address, text } of findings)
    expect(text.endsWith(`${address})`) || text.includes('boot_vga')).toBe(true);
  return findings.map(({ code, text }) => `${code}: ${text}`);
}

function problems(host: NeededHost): readonly string[] {
  return readHostNeeds(host.settings, [], null).problems;
}

const ROUTE = 'default_route: carries the default route';

describe('the NICs of the default routes', () => {
  it.each<[string, (host: NeededHost) => NeededHost, string[]]>([
    ['an interface itself', (host) => host.routes(['eth0', ALL, ALL]), [`${ROUTE} (eth0 → 0000:01:00.0)`]],
    [
      'a bond, both its slaves',
      (host) =>
        host
          .netdev('bond0')
          .stack('bond0', 'eth0', 'slave')
          .stack('bond0', 'eth1', 'slave')
          .routes(['bond0', ALL, ALL]),
      [`${ROUTE} (bond0 → eth0 → 0000:01:00.0)`, `${ROUTE} (bond0 → eth1 → 0000:01:00.1)`],
    ],
    [
      'a bond of a kernel without links to what is below',
      (host) => host.netdev('bond0').file('sys/class/net/bond0/bonding/slaves', 'eth1\n').routes(['bond0', ALL, ALL]),
      [`${ROUTE} (bond0 → eth1 → 0000:01:00.1)`],
    ],
    [
      'a VLAN on a bond under a bridge',
      (host) =>
        host
          .netdev('br0')
          .netdev('bond0.100')
          .netdev('bond0')
          .stack('br0', 'bond0.100', 'slave')
          .stack('bond0.100', 'bond0')
          .stack('bond0', 'eth0', 'slave')
          .routes(['br0', ALL, ALL]),
      [`${ROUTE} (br0 → bond0.100 → bond0 → eth0 → 0000:01:00.0)`],
    ],
    [
      'a bridge that only lists its ports',
      (host) => host.netdev('br0').directoryAt('sys/class/net/br0/brif/eth0').routes(['br0', ALL, ALL]),
      [`${ROUTE} (br0 → eth0 → 0000:01:00.0)`],
    ],
    [
      'a VLAN that only /proc knows',
      (host) =>
        host
          .netdev('mgmt')
          .file('proc/net/vlan/mgmt', 'mgmt  VID: 7\t REORDER_HDR: 1\nDevice: eth1\nINGRESS priority mappings: 0:0\n')
          .routes(['mgmt', ALL, ALL]),
      [`${ROUTE} (mgmt → eth1 → 0000:01:00.1)`],
    ],
    [
      'a macvlan by the index of the interface below',
      (host) =>
        host
          .netdev('mv0')
          .file('sys/class/net/mv0/uevent', 'DEVTYPE=macvlan\nINTERFACE=mv0\nIFINDEX=9\n')
          .file('sys/class/net/mv0/iflink', '2\n')
          .file('sys/class/net/mv0/ifindex', '9\n')
          .file('sys/class/net/eth0/ifindex', '2\n')
          .routes(['mv0', ALL, ALL]),
      [`${ROUTE} (mv0 → eth0 → 0000:01:00.0)`],
    ],
    [
      'an internal port of Open vSwitch: whichever port it is',
      (host) =>
        host
          .netdev('ovs-system')
          .netdev('br-ex')
          .netdev('tap7')
          .file('sys/class/net/br-ex/ifindex', '12\n')
          .file('sys/class/net/tap7/tun_flags', '0x1002\n')
          .stack('ovs-system', 'eth0', 'slave')
          .stack('ovs-system', 'eth1', 'slave')
          .stack('ovs-system', 'tap7', 'slave')
          .routes(['br-ex', ALL, ALL]),
      [`${ROUTE} (br-ex → eth0 → 0000:01:00.0)`, `${ROUTE} (br-ex → eth1 → 0000:01:00.1)`],
    ],
    [
      'Open vSwitch ports that only name their master',
      (host) =>
        host
          .netdev('ovs-system')
          .netdev('br-ex')
          .file('sys/class/net/br-ex/ifindex', '12\n')
          .link('sys/class/net/eth1/master', 'sys/devices/virtual/net/ovs-system')
          .routes(['br-ex', ALL, ALL]),
      [`${ROUTE} (br-ex → eth1 → 0000:01:00.1)`],
    ],
    [
      'the two halves of a VPN, and IPv6 in any table',
      (host) =>
        host
          .routes(['eth0', '00000080', '00000080'], ['eth0', '0000000A', '000000FF'])
          .file(
            'proc/net/ipv6_route',
            `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 fe80000000000000000000000000000a 00000400 00000001 00000000 00000003     eth1\n` +
              `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 ${'0'.repeat(32)} ffffffff 00000001 00000000 00200200       lo\n`,
          ),
      [`${ROUTE} (eth0 → 0000:01:00.0)`, `${ROUTE} (eth1 → 0000:01:00.1)`],
    ],
    [
      "process 1's network before the agent's own",
      (host) => host.file('proc/1/net/route', `Iface\tDestination\neth1\t${ALL}\t0\t0003\t0\t0\t0\t${ALL}\t0\t0\t0\n`),
      [`${ROUTE} (eth1 → 0000:01:00.1)`],
    ],
    [
      'none that is down, rejects, or is only a network',
      (host) => host.routes(['eth0', ALL, ALL, '0002'], ['eth1', ALL, ALL, '0201'], ['eth1', '0000A8C0', '0000FFFF']),
      [],
    ],
  ])('%s', async (_what, build, expected) => {
    const host = build((await aHost()).netdev('eth0', NIC_A).netdev('eth1', NIC_B));
    expect(texts(host)).toEqual(expected);
    expect(problems(host)).toEqual([]);
  });

  it('are not told by a tunnel, which is a problem that is told', async () => {
    const host = (await aHost()).netdev('wg0').routes(['wg0', ALL, ALL]);
    expect(texts(host)).toEqual([]);
    expect(problems(host)).toEqual([
      expect.stringMatching(/^wg0 carries the default route, and leads to no PCI device/),
    ]);
  });

  it('are a virtio card and a USB controller as well', async () => {
    const host = (await aHost())
      .netdev('ens3', 'pci0000:00/0000:00:03.0/virtio0')
      .netdev('enx1', 'pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0')
      .routes(['ens3', ALL, ALL], ['enx1', ALL, ALL]);
    expect(texts(host)).toEqual([`${ROUTE} (ens3 → 0000:00:03.0)`, `${ROUTE} (enx1 → 0000:00:14.0)`]);
  });
});

describe("the NIC of the agent's connection to the broker", () => {
  const [name, own] =
    Object.entries(networkInterfaces()).find(([, all]) => all?.some(({ internal }) => !internal)) ?? [];
  const address = own?.find(({ internal }) => !internal)?.address;

  it.runIf(address)('is the one with the address, however it is written', async () => {
    const host = (await aHost()).netdev(name as string, NIC_A);
    const expected = [
      `broker_connection: carries the agent's connection to the message broker (${name} → 0000:01:00.0)`,
    ];
    expect(texts(host, [], address)).toEqual(expected);
    if (address?.includes('.')) expect(texts(host, [], `::ffff:${address}`)).toEqual(expected);
    const recorded = { ...host.settings, kernel: 'simulated' as const };
    expect(readHostNeeds(recorded, [], address ?? null).findings).toEqual([]);
  });

  it('is none for loopback, and for an address that nobody has', async () => {
    const host = (await aHost()).netdev('eth0', NIC_A).netdev('lo');
    expect([texts(host, [], '127.0.0.1'), texts(host, [], '::1'), texts(host, [], '192.0.2.1')]).toEqual([[], [], []]);
  });
});

describe('the disks that the host uses', () => {
  const root = ['259:2', '/', 'ext4', '/dev/nvme0n1p2'] as const;
  const disks = (host: NeededHost): NeededHost =>
    host
      .disk('nvme0n1', '259:0', NVME)
      .partition('nvme0n1p2', '259:2', 'nvme0n1', NVME)
      .disk('nvme1n1', '259:4', NVME_2)
      .partition('nvme1n1p1', '259:5', 'nvme1n1', NVME_2)
      .disk('sda', '8:0', SAS);

  it.each<[string, (host: NeededHost) => NeededHost, string[]]>([
    ['a partition', (host) => host.mounts(root), ['system_disk: holds / (nvme0n1p2 → 0000:41:00.0)']],
    [
      'each of the system, the weightiest named',
      (host) =>
        host.mounts(
          ['259:2', '/mnt/a', 'ext4', '/dev/nvme0n1p2'],
          ['259:5', '/boot/efi', 'vfat', '/dev/nvme1n1p1'],
          ['8:0', '/data', 'xfs', '/dev/sda'],
          root,
        ),
      [
        'system_disk: holds / (nvme0n1p2 → 0000:41:00.0)',
        'system_disk: holds /boot/efi (nvme1n1p1 → 0000:42:00.0)',
        'mounted: holds /data (sda → 0000:81:00.0)',
      ],
    ],
    [
      'LVM on LUKS on a mirror of two cards',
      (host) =>
        host
          .volume('md0', '9:0', `${NVME}/nvme0n1/nvme0n1p2`, `${NVME_2}/nvme1n1/nvme1n1p1`)
          .volume('dm-0', '253:0', 'virtual/block/md0')
          .volume('dm-1', '253:1', 'virtual/block/dm-0')
          .mounts(['253:1', '/', 'ext4', '/dev/mapper/vg-root']),
      [
        'system_disk: holds / (dm-1 → dm-0 → md0 → nvme0n1p2 → 0000:41:00.0)',
        'system_disk: holds / (dm-1 → dm-0 → md0 → nvme1n1p1 → 0000:42:00.0)',
      ],
    ],
    [
      'a partition of an array',
      (host) =>
        host
          .volume('md0', '9:0', `${SAS}/sda`)
          .partition('md0p1', '259:9', 'md0', 'virtual/block')
          .mounts(['259:9', '/var', 'ext4', '/dev/md0p1']),
      ['system_disk: holds /var (md0p1 → md0 → sda → 0000:81:00.0)'],
    ],
    [
      'an NVMe disk with two paths',
      (host) =>
        host
          .disk('nvme5n1', '259:20', 'virtual/nvme-subsystem/nvme-subsys5')
          .link('sys/devices/virtual/nvme-subsystem/nvme-subsys5/nvme0', `sys/devices/${NVME}`)
          .link('sys/devices/virtual/nvme-subsystem/nvme-subsys5/nvme1', `sys/devices/${NVME_2}`)
          .mounts(['259:20', '/usr', 'ext4', '/dev/nvme5n1']),
      [
        'system_disk: holds /usr (nvme5n1 → nvme0 → 0000:41:00.0)',
        'system_disk: holds /usr (nvme5n1 → nvme1 → 0000:42:00.0)',
      ],
    ],
    [
      'a btrfs over two disks, which has no number of its own',
      (host) =>
        host
          .link('sys/fs/btrfs/6b1c/devices/nvme0n1p2', `sys/devices/${NVME}/nvme0n1/nvme0n1p2`)
          .link('sys/fs/btrfs/6b1c/devices/sda', `sys/devices/${SAS}/sda`)
          .mounts(['0:30', '/', 'btrfs', '/dev/nvme0n1p2', '/@']),
      ['system_disk: holds / (nvme0n1p2 → 0000:41:00.0)', 'system_disk: holds / (sda → 0000:81:00.0)'],
    ],
    [
      'ZFS: it may be any',
      (host) => host.mounts(['0:31', '/', 'zfs', 'rpool/ROOT/debian']),
      [
        'system_disk: may hold /, which is on ZFS (nvme0n1 → 0000:41:00.0)',
        'system_disk: may hold /, which is on ZFS (nvme1n1 → 0000:42:00.0)',
        'system_disk: may hold /, which is on ZFS (sda → 0000:81:00.0)',
      ],
    ],
    [
      'swap on a volume, and in a file',
      (host) =>
        host
          .volume('dm-2', '253:2', `${NVME_2}/nvme1n1/nvme1n1p1`)
          .mounts(['8:0', '/srv', 'xfs', '/dev/sda'])
          .file(
            'proc/swaps',
            'Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n/dev/dm-2                               partition\t999420\t0\t-2\n/srv/my\\040swap                           file\t\t999420\t0\t-3\n',
          ),
      ['swap: holds swap (dm-2 → nvme1n1p1 → 0000:42:00.0)', 'swap: holds swap (sda → 0000:81:00.0)'],
    ],
    [
      'a mapped name without a number',
      (host) =>
        host
          .volume('dm-3', '253:3', `${SAS}/sda`)
          .file('sys/devices/virtual/block/dm-3/dm/name', 'vg-boot\n')
          .mounts(['0:44', '/boot', 'fuseblk', '/dev/mapper/vg-boot']),
      ['system_disk: holds /boot (dm-3 → sda → 0000:81:00.0)'],
    ],
    [
      'an array that nothing mounts',
      (host) => host.volume('md7', '9:7', `${NVME_2}/nvme1n1/nvme1n1p1`).mounts(root),
      [
        'system_disk: holds / (nvme0n1p2 → 0000:41:00.0)',
        'disk_in_use: has a disk in use (md7 → nvme1n1 → 0000:42:00.0)',
      ],
    ],
    [
      'no memory file system, overlay or network share',
      (host) =>
        host.mounts(
          ['0:5', '/dev', 'devtmpfs', 'udev'],
          ['0:23', '/', 'overlay', 'overlay'],
          ['0:50', '/home', 'nfs4', '10.0.0.1:/home'],
          ['0:51', '/run/user', 'fuse', '/dev/fuse'],
        ),
      [],
    ],
  ])('%s', async (_what, build, expected) => {
    const host = build(disks(await aHost()));
    expect(texts(host)).toEqual(expected);
    expect(problems(host)).toEqual([]);
  });

  it('stay the same while containers come and go', async () => {
    const whole = ['8:0', '/var/lib/containers', 'xfs', '/dev/sda'] as const;
    const bound = ['8:0', '/a', 'xfs', '/dev/sda', '/volumes/7'] as const;
    const host = disks(await aHost()).mounts(whole);
    const before = texts(host);
    expect(before).toEqual(['mounted: holds /var/lib/containers (sda → 0000:81:00.0)']);
    expect(texts(host.mounts(bound, whole))).toEqual(before);
  });

  it("are those of the agent's own mounts when process 1 is not to be seen, and unknown without any", async () => {
    const host = disks(await aHost());
    await rm(`${host.procRoot}/1`, { recursive: true });
    expect(problems(host)).toEqual(['the mounts of the host cannot be read: its disks cannot be protected']);
    host.file('proc/self/mountinfo', '22 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n');
    expect(texts(host)).toEqual(['system_disk: holds / (nvme0n1p2 → 0000:41:00.0)']);
    expect(problems(host)).toEqual([]);
  });
});

describe('display and console', () => {
  const GPU = '0000:81:00.0';

  it("are the firmware's display, the first frame buffer's card, and a card with a serial console", async () => {
    const host = (await aHost())
      .link(`sys/bus/pci/devices/${GPU}`, `sys/devices/pci0000:80/${GPU}`)
      .file(`sys/devices/pci0000:80/${GPU}/boot_vga`, '1\n')
      .link('sys/bus/pci/devices/0000:82:00.0', 'sys/devices/pci0000:80/0000:82:00.0')
      .file('sys/devices/pci0000:80/0000:82:00.0/boot_vga', '0\n')
      .link('sys/class/graphics/fb0', `sys/devices/pci0000:80/${GPU}/graphics/fb0`)
      .file('sys/class/vtconsole/vtcon1/name', '(M) frame buffer device\n')
      .file('sys/class/vtconsole/vtcon1/bind', '1\n')
      .file('sys/class/tty/console/active', 'tty0 ttyS4\n')
      .link('sys/class/tty/ttyS4', 'sys/devices/pci0000:00/0000:00:16.3/0000:00:16.3:0/tty/ttyS4')
      .link('sys/class/tty/tty0', 'sys/devices/virtual/tty/tty0');
    const expected = [
      `boot_vga: is the firmware's display (boot_vga)`,
      'console: has the console (ttyS4 → 0000:00:16.3)',
      `console: has the console (fb0 → ${GPU})`,
    ];
    expect(texts(host, [GPU, '0000:82:00.0'])).toEqual(expected);
    host.file('sys/class/vtconsole/vtcon1/bind', '0\n');
    expect(texts(host, [GPU])).toEqual(expected.slice(0, 2));
  });
});

describe('a host that is broken, or means ill', () => {
  it('ends where interfaces and disks go round in circles', async () => {
    const host = (await aHost()).netdev('a').netdev('b').stack('a', 'b').stack('b', 'a').routes(['a', ALL, ALL]);
    host.volume('dm-0', '253:0', 'virtual/block/dm-1').volume('dm-1', '253:1', 'virtual/block/dm-0');
    host.link('sys/devices/virtual/block/dm-0/slaves/dm-0', 'sys/devices/virtual/block/dm-0');
    host.mounts(['253:0', '/', 'ext4', '/dev/dm-0']);
    expect(texts(host)).toEqual([]);
  });

  it('follows no link out of sysfs, and none that is missing', async () => {
    const host = (await aHost())
      .link('sys/class/net/eth0', 'elsewhere/0000:01:00.0/net/eth0')
      .link('sys/dev/block/8:0', 'elsewhere/0000:02:00.0/block/sda')
      .routes(['eth0', ALL, ALL], ['../../bus', ALL, ALL], ['gone', ALL, ALL])
      .mounts(['8:0', '/', 'ext4', '/dev/../../etc'], ['8:9', '/var', 'ext4', '/dev/sdz']);
    expect(texts(host)).toEqual([]);
    expect(problems(host).join()).toContain('whose name cannot be followed');
  });

  it('takes tables of any bytes', async () => {
    const host = (await aHost()).netdev('eth0', NIC_A).disk('sda', '8:0', SAS);
    host.file('proc/net/route', `\0\xff\neth0\t${ALL}\t0\t0003\t0\t0\t0\t${ALL}\neth0\nx y z\n`);
    host.file('proc/net/ipv6_route', 'zzz\n\n');
    host.file('proc/swaps', '\n\n/\n');
    host.file('proc/1/mountinfo', '22 1 8:0 / /m\xfcsik rw - ext4 /dev/sda rw\n - \n1 2 3\n22 1 8:0 / / rw\n');
    expect(texts(host)).toEqual([`${ROUTE} (eth0 → 0000:01:00.0)`, 'mounted: holds /m??sik (sda → 0000:81:00.0)']);
  });

  it('is read in bounded time and memory, with a hundred thousand mounts and a thousand disks', async () => {
    const host = (await aHost()).disk('sda', '8:0', SAS).netdev('br0').routes(['br0', ALL, ALL]);
    const lines = Array.from({ length: 100_000 }, (_, at) => ['0:7', `/c/${at}`, 'overlay', `o${at}`] as const);
    host.mounts(['8:0', '/', 'ext4', '/dev/sda'], ...lines);
    for (let at = 0; at < 1000; at++)
      host.disk(`sd_${at}`, `65:${at}`, `virtual/block`).netdev(`v${at}`).stack('br0', `v${at}`);
    const began = performance.now();
    const found = readHostNeeds(host.settings, [], null);
    expect(found.findings.map(({ text }) => text)).toEqual(['holds / (sda → 0000:81:00.0)']);
    expect(found.problems.join()).toContain('the rest is not looked at');
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
