import { join } from 'node:path';
import type { Address } from '../../pci/address.js';
import { isBridge, isVirtualFunction, type ReportedDevice } from '../../pci/device.js';
import { isHandedOverAsNetdev } from '../../pci/binding-mode.js';
import { isolationUnits, type IsolationUnit } from '../../pci/iommu.js';
import { protectionText } from '../../pci/protection.js';
import { PCI_DEVICES } from '../device-reader.js';
import { groupedBy, someOf, type HostFinding } from './finding.js';
import { textAt, type HostRoots } from './host-roots.js';

/** Whether what is offered can be handed over: its groups, and the screen. */
export function deviceFindings(roots: HostRoots, devices: readonly ReportedDevice[]): HostFinding[] {
  return [
    ...protectionFindings(devices),
    ...groupFindings(roots, devices),
    ...virtualFunctionFindings(devices),
    ...bootDisplayFindings(roots, devices),
  ];
}

/** What the whitelist would offer and the host cannot spare. */
function protectionFindings(devices: readonly ReportedDevice[]): HostFinding[] {
  return devices.flatMap(({ address, notOffered, protection }): HostFinding[] => {
    const [reason] = protection?.reasons ?? [];
    if (!protection || !reason || notOffered !== protectionText(protection)) return [];
    const why = 'the host needs it, so it is not offered although the whitelist has it';
    const read = `it ${reason.text}`;
    return [{ level: 'error', code: `protected.${reason.code}`, subject: address, read, why, remedy: reason.remedy }];
  });
}

function isNetdev({ offer }: ReportedDevice): boolean {
  return isHandedOverAsNetdev(offer?.tags ?? {});
}

function groupFindings(roots: HostRoots, devices: readonly ReportedDevice[]): HostFinding[] {
  const units = isolationUnits(
    devices.map((device) => ({
      ...device,
      offered: device.offer !== null,
      asNetdev: isNetdev(device),
    })),
  );
  const endpoints = groupedBy(
    devices.filter((device) => device.iommuGroup !== null && !isBridge(device)),
    ({ iommuGroup }) => iommuGroup as number,
  );
  const netdevs = new Set(devices.filter(isNetdev).map(({ address }) => address));
  // what stays with its driver needs no group
  const ofVfio = [...units].filter(([address]) => !netdevs.has(address)).map(([, unit]) => unit);
  return [...new Set(ofVfio)].flatMap((unit) => {
    // one without a group is the fault of the host, which is told once
    if (unit.iommuGroup === null) return [];
    return groupFinding(roots, unit, unit.iommuGroup, endpoints.get(unit.iommuGroup) ?? []);
  });
}

function groupFinding(
  { sysfsRoot }: HostRoots,
  unit: IsolationUnit,
  group: number,
  endpoints: readonly ReportedDevice[],
): HostFinding[] {
  const about = {
    subject: `group ${group}`,
    read: `${sysfsRoot}/kernel/iommu_groups/${group}: ${someOf(endpoints.map(({ address, driver }) => `${address} (${driver ?? 'no driver'})`))}`,
  };
  if (unit.blockedBy !== null) {
    const [why = '', remedy = 'offer either the PF or its VFs: change device_spec'] = unit.blockedBy.split('; ');
    return [{ ...about, level: 'error', code: 'group.blocked', why: `${someOf(unit.members)}: ${why}`, remedy }];
  }
  if (endpoints.length < 2) return [];
  if (new Set(endpoints.map(slotOf)).size === 1) {
    const why =
      'functions of one slot are isolated only together: whoever takes one of them takes all that are offered';
    return [{ ...about, level: 'ok', code: 'group.one_slot', why, remedy: null }];
  }
  const why =
    'a port above them has no ACS, or is a bridge to conventional PCI, so the devices of several slots are handed over only together';
  const remedy =
    'plug them below different root ports, or turn ACS on in the firmware setup; else offer them as they are, all for one user';
  return [{ ...about, level: 'warning', code: 'group.no_acs', why, remedy }];
}

function slotOf({ address, parentAddress }: ReportedDevice): string {
  return (parentAddress ?? address).slice(0, -2);
}

/** VFs are what is offered of a card only while they exist. */
function virtualFunctionFindings(devices: readonly ReportedDevice[]): HostFinding[] {
  const offeredOf = new Map<Address, number>();
  for (const { parentAddress, offer, deviceType } of devices) {
    if (parentAddress === null || offer === null || !isVirtualFunction({ deviceType })) continue;
    offeredOf.set(parentAddress, (offeredOf.get(parentAddress) ?? 0) + 1);
  }
  return devices.flatMap(({ address, sriov }) => {
    const offered = offeredOf.get(address);
    if (sriov === null || offered === undefined) return [];
    const read = `${address}/sriov_numvfs is ${sriov.numVfs}, sriov_totalvfs ${sriov.totalVfs}; ${offered} of its VFs are offered`;
    const why =
      'VFs that the card could have but has not are not offered; after a boot there are none until somebody makes them';
    return [{ level: 'ok' as const, code: 'sriov.counted', subject: address, read, why, remedy: null }];
  });
}

/** The card with the screen of the boot: the firmware's framebuffer lies in its memory. */
function bootDisplayFindings(roots: HostRoots, devices: readonly ReportedDevice[]): HostFinding[] {
  const shown = devices.filter(
    ({ address, offer }) => offer !== null && textAt(roots.sysfsRoot, join(PCI_DEVICES, address, 'boot_vga')) === '1',
  );
  const framebuffers = (textAt(roots.procRoot, 'fb') ?? '').split('\n').filter((line) => line.trim() !== '');
  return shown.map(({ address }) => {
    const users = framebuffers.length > 0 ? `; ${roots.procRoot}/fb: ${someOf(framebuffers)}` : '';
    return {
      level: 'warning',
      code: 'display.boot_vga',
      subject: address,
      read: `${address}/boot_vga is 1${users}`,
      why: "it is the host's screen: the firmware's framebuffer (efifb, vesafb, simpledrm) holds its memory, and the console goes dark when it is handed over",
      remedy:
        'make another card, or the one of the management controller, the first in the firmware setup; else boot with initcall_blacklist=sysfb_init (kernels before 5.15: video=efifb:off video=vesafb:off) and a serial console',
    };
  });
}
