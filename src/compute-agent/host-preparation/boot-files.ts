import { BerthError } from '../../errors.js';
import { compareAddresses } from '../../pci/address.js';
import type { PreparedFile, Preparation } from './preparation.js';

export const SERVICE = 'berth-passthrough.service';
const MODPROBE = 'etc/modprobe.d/berth-vfio.conf';
const BLACKLIST = 'etc/modprobe.d/berth-blacklist.conf';
/** The kernel keeps at most 1,024 characters of `vfio-pci.ids`, ten for each id (Linux `vfio_pci.c`). */
export const IDS_MAX = 100;

/** The files that go below `/etc`. */
export function bootFiles(preparation: Preparation): PreparedFile[] {
  return [
    file('etc/default/grub.d/60-berth-passthrough.cfg', grub(preparation)),
    file(MODPROBE, modprobe(preparation)),
    ...(preparation.blacklist.length > 0 ? [file(BLACKLIST, blacklist(preparation))] : []),
    file('etc/modules-load.d/berth-vfio.conf', MODULES_LOAD),
    file('etc/initramfs-tools/hooks/berth-vfio', INITRAMFS_HOOK, 0o755),
    file('etc/dracut.conf.d/berth-vfio.conf', dracut(preparation.blacklist.length > 0)),
    ...(preparation.addresses.length > 0 ? [file(`etc/systemd/system/${SERVICE}`, service(preparation))] : []),
  ];
}

/**
 * What the kernel is told at boot.
 *
 * @throws BerthError `request.invalid` for more ids than the kernel reads
 */
export function kernelArguments({ cpu, ids }: Preparation): string {
  if (ids.length > IDS_MAX) {
    throw new BerthError('request.invalid', `${ids.length} different ids; the kernel reads at most ${IDS_MAX}`);
  }
  return [`${cpu}_iommu=on`, 'iommu=pt', ...(ids.length > 0 ? [`vfio-pci.ids=${idList(ids)}`] : [])].join(' ');
}

function idList(ids: Preparation['ids']): string {
  return ids.map(({ id }) => id).join(',');
}

function file(path: string, text: string, mode = 0o644): PreparedFile {
  return { path, mode, text };
}

const ABOUT_IOMMU = {
  intel: '# intel_iommu=on    turns VT-d on; without it there are no IOMMU groups, and no device is handed over.',
  amd: '# amd_iommu=on      AMD-Vi is on unless amd_iommu=off says otherwise; kernels pass this word over. It says what is meant.',
} as const;

function grub(preparation: Preparation): string {
  return lines(
    '# Kernel arguments for PCI passthrough. update-grub reads this file after /etc/default/grub; then reboot.',
    '#',
    ABOUT_IOMMU[preparation.cpu],
    '# iommu=pt          what stays with the host is not translated: its own disks and networks stay as fast as they were.',
    ...(preparation.ids.length > 0
      ? ['# vfio-pci.ids=...  for kernels that have vfio-pci built in, where modprobe.d has no say.']
      : []),
    `GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT ${kernelArguments(preparation)}"`,
  );
}

function modprobe({ ids, drivers }: Preparation): string {
  return lines(
    '# vfio-pci takes these devices before their own drivers can.',
    ...(ids.length === 0
      ? []
      : [
          '#',
          '# ids takes EVERY device of the host with these ids, also one that the host needs for itself:',
          '# look with "lspci -nn -d VENDOR:PRODUCT" before you install this file.',
          ...ids.map(({ id, from }) => `#   ${id}  ${from}`),
          `options vfio-pci ids=${idList(ids)}`,
        ]),
    ...(drivers.length === 0
      ? []
      : [
          '#',
          '# A softdep has modprobe load vfio-pci first whenever it loads the driver, also in the initramfs.',
          '# The driver is loaded all the same, for devices that are not taken.',
          ...drivers.map((driver) => `softdep ${driver} pre: vfio-pci`),
        ]),
  );
}

function blacklist({ blacklist: modules }: Preparation): string {
  return lines(
    '# These drivers are not loaded for any device of this host. Whoever asks for them by name gets them.',
    ...modules.map((module) => `blacklist ${module}`),
  );
}

const MODULES_LOAD = lines(
  '# Loaded at every boot: the driver that devices are bound to, and what maps memory for them.',
  'vfio-pci',
  'vfio_iommu_type1',
);

const INITRAMFS_HOOK = lines(
  '#!/bin/sh',
  '# update-initramfs runs this (Debian, Ubuntu): vfio-pci is in the image and loaded before drivers of displays are.',
  '# Files of /etc/modprobe.d are in the image anyway.',
  'case "$1" in',
  '  prereqs) exit 0 ;;',
  'esac',
  '. /usr/share/initramfs-tools/hook-functions',
  'force_load vfio_pci',
  'force_load vfio_iommu_type1',
);

function dracut(blacklisted: boolean): string {
  const modprobeFiles = [MODPROBE, ...(blacklisted ? [BLACKLIST] : [])].map((path) => `/${path}`);
  return lines(
    '# dracut -f reads this (Fedora, RHEL, SUSE): the same for its images. The blanks inside the quotes are needed.',
    'force_drivers+=" vfio_pci vfio_iommu_type1 "',
    `install_items+=" ${modprobeFiles.join(' ')} "`,
  );
}

/** For devices whose ids the host needs too: driver_override binds one address, and no other tool is needed. */
function service({ addresses }: Preparation): string {
  return lines(
    '# Binds single devices to vfio-pci before the network is set up: the host keeps others with the same ids.',
    '# An address that is not there is passed over, with a line in the journal.',
    '[Unit]',
    'Description=PCI devices for passthrough go to vfio-pci',
    'DefaultDependencies=no',
    'After=systemd-modules-load.service',
    'Before=sysinit.target network-pre.target',
    '',
    '[Service]',
    'Type=oneshot',
    'RemainAfterExit=yes',
    '# Each line: say which driver may have the device, part it from the one that has it, and have the kernel look again.',
    ...addresses.toSorted(compareAddresses).map((address) => `ExecStart=-/bin/sh -ec '${BIND}' ${address}`),
    '',
    '[Install]',
    'WantedBy=sysinit.target',
  );
}

/** `$$` is how a unit writes `$`; `$0` is the address. */
const BIND = [
  'cd /sys/bus/pci/devices/$$0',
  'echo vfio-pci > driver_override',
  'case "$$(readlink driver)" in "") ;; */vfio-pci) exit 0 ;; *) echo $$0 > driver/unbind ;; esac',
  'echo $$0 > /sys/bus/pci/drivers_probe',
].join('; ');

function lines(...text: readonly string[]): string {
  return `${text.join('\n')}\n`;
}
