import { qemuDeviceId } from '../../pci/attachment.js';
import type { Address } from '../../pci/address.js';
import type { GuestSettings, QemuSettings } from '../../settings/settings.js';
import type { Guest } from './compute-driver.js';
import type { DiskImage } from './guest-image.js';

/** Ports sit in slots 16 to 30 of the root complex, eight in each. */
const FIRST_PORT_SLOT = 0x10;
const PORTS_PER_SLOT = 8;
const PORTS_MAX = 120;

export interface QemuPlan {
  readonly guest: Guest;
  readonly settings: GuestSettings;
  readonly qemu: QemuSettings;
  readonly accel: 'kvm' | 'tcg';
  readonly image: DiskImage | null;
  readonly files: QemuFiles;
}

/** All in the guest's directory. */
export interface QemuFiles {
  readonly directory: string;
  /** Its control socket. */
  readonly qmp: string;
  /** Also the mark by which its process is known. */
  readonly pid: string;
  /** What it said. */
  readonly log: string;
}

/** The words of QEMU's command line, its program first. No shell ever reads them. */
export function qemuCommand({ guest, settings, qemu, accel, image, files }: QemuPlan): string[] {
  const { serverId, server } = guest;
  const cpu = settings.cpu ?? (accel === 'kvm' ? 'host' : 'max');
  return [
    qemu.program,
    ...['-name', `guest=berth-${serverId}`, '-uuid', serverId, '-pidfile', files.pid],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-machine', settings.machine, '-accel', accel, '-cpu', cpu],
    ...['-smp', String(Math.max(1, server.vcpus)), '-m', `${server.memory_mb}M`],
    ...['-chardev', `socket,id=berth-qmp,path=${value(files.qmp)},server=on,wait=off`],
    ...['-mon', 'chardev=berth-qmp,mode=control'],
    ...startArguments(settings),
    ...deviceArguments(guest, settings),
    ...(image ? diskArguments(image) : []),
    ...qemu.arguments.map((word) => word.replaceAll('{server_id}', serverId)),
  ];
}

/** What QEMU is told to plug in a device that comes later, but for its port. */
export function devicePlug(address: Address): Readonly<Record<string, string>> {
  return { driver: 'vfio-pci', host: address, id: qemuDeviceId(address) };
}

/** The name of a port, of which each takes one device. */
export function isPort(id: unknown): id is string {
  return typeof id === 'string' && /^berth-port\d+$/.test(id);
}

/** Whether devices of this machine sit in ports of their own: on the root complex itself, PCIe knows no hot-plug. */
export function hasPorts(machine: string): boolean {
  return /^(?:pc-)?q35\b/.test(machine);
}

function startArguments({ kernel, initrd, append }: GuestSettings): string[] {
  if (kernel === null) return [];
  return [
    ...['-kernel', kernel],
    ...(initrd === null ? [] : ['-initrd', initrd]),
    ...(append === null ? [] : ['-append', append]),
  ];
}

function deviceArguments({ devices }: Guest, { machine, hotplugPorts }: GuestSettings): string[] {
  const isPorted = hasPorts(machine) && devices.length <= PORTS_MAX;
  const ports = isPorted ? Math.min(PORTS_MAX, devices.length + hotplugPorts) : 0;
  return [
    ...Array.from({ length: ports }, (_, index) => ['-device', port(index)]).flat(),
    ...devices.flatMap(({ address }, index) => {
      const bus = isPorted ? `,bus=berth-port${index}` : '';
      return ['-device', `vfio-pci,host=${address},id=${qemuDeviceId(address)}${bus}`];
    }),
  ];
}

function port(index: number): string {
  const slot = FIRST_PORT_SLOT + Math.floor(index / PORTS_PER_SLOT);
  const fn = index % PORTS_PER_SLOT;
  const place = `bus=pcie.0,addr=0x${slot.toString(16)}.${fn},chassis=${index + 1}`;
  return `pcie-root-port,id=berth-port${index},${place}${fn === 0 ? ',multifunction=on' : ''}`;
}

/** An image is a pattern: what the guest writes goes to a file that ends with it. */
function diskArguments({ path, format }: DiskImage): string[] {
  return [
    ...['-drive', `if=none,id=berth-disk,file=${value(path)},format=${format},snapshot=on`],
    ...['-device', 'virtio-blk-pci,drive=berth-disk'],
  ];
}

/** A comma would begin the next option. */
function value(text: string): string {
  return text.replaceAll(',', ',,');
}
