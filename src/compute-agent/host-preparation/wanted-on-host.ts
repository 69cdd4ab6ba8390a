import { join } from 'node:path';
import { normalizeAddress, type Address } from '../../pci/address.js';
import { isBridge, isVirtualFunction, type ReportedDevice } from '../../pci/device.js';
import { PCI_DEVICES } from '../device-reader.js';
import { groupedBy, someOf } from '../host-check/finding.js';
import { textAt } from '../host-check/host-roots.js';
import { readLinkName } from '../sysfs-read.js';
import { moduleName, pciId } from './checked-words.js';
import type { WantedDevices } from './wanted-devices.js';

/** What was asked for on one host, with the modules that would take it at boot. */
export interface WantedOnHost extends WantedDevices {
  readonly drivers: readonly string[];
}

const PASSTHROUGH = ['vfio-pci', 'pci-stub'];

/**
 * Turns the devices that are to go into ids where all devices with the ids go, and into addresses where the host keeps some.
 *
 * @param devices a scan of the host
 */
export function wantedOnHost(
  sysfsRoot: string,
  devices: readonly ReportedDevice[],
  isWanted: (device: ReportedDevice) => boolean,
): WantedOnHost {
  const endpoints = devices.filter((device) => !isBridge(device));
  const wanted = new Set(endpoints.filter(isWanted).map(({ address }) => address));
  const parts = [...groupedBy(endpoints, ({ vendorId, productId }) => pciId(vendorId, productId))].flatMap(
    ([id, same]) => (same.some(({ address }) => wanted.has(address)) ? [partOf(id, same, wanted)] : []),
  );
  const going = endpoints.filter(({ address }) => wanted.has(address));
  return {
    ids: parts.flatMap((part) => part.ids),
    addresses: parts.flatMap((part) => part.addresses),
    notes: [...parts.flatMap((part) => part.notes), ...companions(endpoints, wanted), ...screens(sysfsRoot, going)],
    drivers: driversOf(sysfsRoot, going),
  };
}

function partOf(id: string, same: readonly ReportedDevice[], wanted: ReadonlySet<Address>): WantedDevices {
  const going = same.filter(({ address }) => wanted.has(address));
  const kept = same.filter(({ address }) => !wanted.has(address));
  const from = `${going.length} of this host's devices`;
  if (kept.length === 0) return { ids: [{ id, from }], addresses: [], notes: [] };
  const physical = going.filter((device) => !isVirtualFunction(device));
  const notes = [`The host keeps ${list(kept)}, which also have the ids ${id}: the others are bound by address.`];
  // a VF is not there yet when the unit runs; the agent binds it when a server gets it
  if (physical.length < going.length) notes.push(`VFs with the ids ${id} are left to the agent.`);
  return { ids: [], addresses: physical.map(({ address }) => normalizeAddress(address)), notes };
}

/** The kernel hands over groups: what stays with a host driver blocks the rest. */
function companions(endpoints: readonly ReportedDevice[], wanted: ReadonlySet<Address>): string[] {
  const groups = new Set(endpoints.filter(({ address }) => wanted.has(address)).map(({ iommuGroup }) => iommuGroup));
  const left = endpoints.filter(
    ({ address, iommuGroup, driver }) =>
      iommuGroup !== null &&
      groups.has(iommuGroup) &&
      !wanted.has(address) &&
      !PASSTHROUGH.includes(driver ?? 'vfio-pci'),
  );
  if (left.length === 0) return [];
  return [
    `${list(left)} share IOMMU groups with devices that go, but were not asked for: they block them. Offer them as well.`,
  ];
}

function screens(sysfsRoot: string, going: readonly ReportedDevice[]): string[] {
  const shown = going.filter(({ address }) => textAt(sysfsRoot, join(PCI_DEVICES, address, 'boot_vga')) === '1');
  if (shown.length === 0) return [];
  return [
    `${list(shown)} is the screen of the boot: the console goes dark. Have another way in, like a serial console.`,
  ];
}

function driversOf(sysfsRoot: string, going: readonly ReportedDevice[]): string[] {
  const drivers = going.flatMap(({ driver }) => (driver === null || PASSTHROUGH.includes(driver) ? [] : [driver]));
  const modules = [...new Set(drivers)].map((driver) => {
    const module = readLinkName(join(sysfsRoot, 'bus/pci/drivers', driver, 'module'));
    return moduleName(module.kind === 'text' ? module.text : driver);
  });
  return [...new Set(modules)].sort();
}

function list(devices: readonly ReportedDevice[]): string {
  return someOf(devices.map(({ address }) => address));
}
