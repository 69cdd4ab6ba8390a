import { libvirtHostdev } from '../../pci/attachment.js';
import type { GuestSettings } from '../../settings/settings.js';
import type { Guest } from './compute-driver.js';
import type { DiskImage } from './guest-image.js';
import { hasPorts } from './qemu-command.js';

export interface DomainPlan {
  readonly guest: Guest;
  readonly settings: GuestSettings;
  readonly accel: 'kvm' | 'tcg';
  readonly image: DiskImage | null;
}

/** libvirt's name of a guest: servers may have the same names, and any characters in them. */
export function domainName(serverId: string): string {
  return `berth-${serverId}`;
}

/** A guest as libvirt's domain; its uuid is the server's id. */
export function domainXml({ guest, settings, accel, image }: DomainPlan): string {
  const { serverId, server, devices } = guest;
  const { machine, kernel, initrd, append } = settings;
  return [
    `<domain type="${accel === 'kvm' ? 'kvm' : 'qemu'}">`,
    element('name', domainName(serverId)),
    element('uuid', serverId),
    // Not empty, and in one line.
    element('title', server.name.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim() || serverId),
    `<memory unit="MiB">${server.memory_mb}</memory>`,
    `<vcpu>${Math.max(1, server.vcpus)}</vcpu>`,
    server.numa_cells ? `<numatune><memory mode="strict" nodeset="${server.numa_cells.join(',')}"/></numatune>` : '',
    `<os><type machine="${escaped(machine)}">hvm</type>`,
    kernel === null ? '' : element('kernel', kernel),
    kernel === null || initrd === null ? '' : element('initrd', initrd),
    kernel === null || append === null ? '' : element('cmdline', append),
    '</os>',
    '<features><acpi/></features>',
    cpuXml(settings, accel),
    '<devices>',
    '<controller type="usb" model="none"/>',
    portsXml(settings, devices.length + (image ? 1 : 0)),
    image ? diskXml(image) : '',
    ...devices.map(({ address }) => libvirtHostdev(address)),
    '<serial type="pty"/><memballoon model="none"/>',
    '</devices></domain>',
  ].join('');
}

function cpuXml({ cpu }: GuestSettings, accel: 'kvm' | 'tcg'): string {
  if (cpu !== null && cpu !== 'host') return `<cpu mode="custom"><model>${escaped(cpu)}</model></cpu>`;
  return accel === 'kvm' ? '<cpu mode="host-passthrough"/>' : '';
}

/** libvirt gives the first of them to what is there from the start. */
function portsXml({ machine, hotplugPorts }: GuestSettings, taken: number): string {
  if (!hasPorts(machine)) return '';
  const root = '<controller type="pci" index="0" model="pcie-root"/>';
  return root + '<controller type="pci" model="pcie-root-port"/>'.repeat(taken + hotplugPorts);
}

/** An image is a pattern: what the guest writes is gone with it. */
function diskXml({ path, format }: DiskImage): string {
  const source = `<source file="${escaped(path)}"/><target dev="vda" bus="virtio"/><transient/>`;
  return `<disk type="file" device="disk"><driver name="qemu" type="${format}"/>${source}</disk>`;
}

function element(name: string, text: string): string {
  return `<${name}>${escaped(text)}</${name}>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** XML has no way to write most control characters, nor halves of one. */
function escaped(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu, ' ')
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
