import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/**
 * A host's `/sys` and `/proc` as far as protections read them, written by hand in the shapes that Linux 6.1 shows
 * (net: `Documentation/ABI/testing/sysfs-class-net` and `netdev_adjacent_sysfs_add`; block: `block/holder.c`; NVMe:
 * `nvme_init_subsystem`; tables: proc(5)).
 */
export class NeededHost {
  readonly sysfsRoot: string;
  readonly procRoot: string;

  constructor(readonly directory: string) {
    this.sysfsRoot = join(directory, 'sys');
    this.procRoot = join(directory, 'proc');
    mkdirSync(join(this.sysfsRoot, 'class/net'), { recursive: true });
    mkdirSync(join(this.procRoot, 'net'), { recursive: true });
  }

  get settings() {
    return { sysfsRoot: this.sysfsRoot, procRoot: this.procRoot, kernel: 'live' as const };
  }

  /** @param path e.g. `proc/net/route` */
  file(path: string, content: string): this {
    const at = join(this.directory, path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, content);
    return this;
  }

  directoryAt(path: string): this {
    mkdirSync(join(this.directory, path), { recursive: true });
    return this;
  }

  /** A relative link, as sysfs has them. */
  link(path: string, target: string): this {
    const at = join(this.directory, path);
    mkdirSync(dirname(at), { recursive: true });
    symlinkSync(relative(dirname(at), join(this.directory, target)), at);
    return this;
  }

  /** @param parent below which it hangs: a PCI function's directory, or nothing for a virtual one */
  netdev(name: string, parent = 'virtual'): this {
    this.directoryAt(`sys/devices/${parent}/net/${name}`);
    return this.link(`sys/class/net/${name}`, `sys/devices/${parent}/net/${name}`);
  }

  /** `lower` carries `upper`: what every master, VLAN and macvlan shows. */
  stack(upper: string, lower: string, as: 'slave' | 'on top' = 'on top'): this {
    this.link(`sys/class/net/${upper}/lower_${lower}`, `sys/class/net/${lower}`);
    this.link(`sys/class/net/${lower}/upper_${upper}`, `sys/class/net/${upper}`);
    return as === 'slave' ? this.link(`sys/class/net/${lower}/master`, `sys/devices/virtual/net/${upper}`) : this;
  }

  /** @param parent of the disk's directory, below `devices` */
  disk(name: string, number: string, parent: string): this {
    this.directoryAt(`sys/devices/${parent}/${name}/holders`).directoryAt(`sys/devices/${parent}/${name}/slaves`);
    return this.named(name, number, `${parent}/${name}`);
  }

  partition(name: string, number: string, disk: string, parent: string): this {
    this.file(`sys/devices/${parent}/${disk}/${name}/partition`, '1\n');
    this.directoryAt(`sys/devices/${parent}/${disk}/${name}/holders`);
    return this.named(name, number, `${parent}/${disk}/${name}`);
  }

  private named(name: string, number: string, path: string): this {
    return this.link(`sys/class/block/${name}`, `sys/devices/${path}`).link(
      `sys/dev/block/${number}`,
      `sys/devices/${path}`,
    );
  }

  /** A volume or array on top of disks, wherever these are. */
  volume(name: string, number: string, ...slaves: readonly string[]): this {
    this.disk(name, number, 'virtual/block');
    for (const slave of slaves) {
      const path = `sys/${relative(this.sysfsRoot, join(this.sysfsRoot, 'devices', slave))}`;
      this.link(`sys/devices/virtual/block/${name}/slaves/${slave.split('/').at(-1)}`, path);
      this.link(`${path}/holders/${name}`, `sys/devices/virtual/block/${name}`);
    }
    return this;
  }

  /** Lines of `/proc/net/route`: interface, destination, mask, flags. */
  routes(...lines: readonly (readonly [string, string, string, string?])[]): this {
    const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
    const rows = lines.map(([name, destination, mask, flags = '0003']) => {
      return [name, destination, '0202000A', flags, '0', '0', '0', mask, '0', '0', '0'].join('\t');
    });
    return this.file('proc/net/route', `${[head, ...rows].join('\n')}\n`);
  }

  /** Lines of `/proc/1/mountinfo`: device number, mount point, kind, source; a fifth is the part that is mounted. */
  mounts(...lines: readonly (readonly [string, string, string, string, string?])[]): this {
    const rows = lines.map(
      ([number, point, kind, source, root = '/'], at) =>
        `${at + 22} 1 ${number} ${root} ${point} rw,relatime shared:${at} - ${kind} ${source} rw`,
    );
    return this.file('proc/1/mountinfo', `${rows.join('\n')}\n`);
  }
}

export const ALL = '00000000';
