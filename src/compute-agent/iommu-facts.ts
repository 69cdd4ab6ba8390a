import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { WireIommu } from '../messages/bodies.js';
import { namesIn } from './protection/sysfs-links.js';
import { readText } from './sysfs-read.js';

/** Tables by which firmware tells of an IOMMU: Intel's, AMD's, Arm's, a virtual machine's. */
const TABLES = ['DMAR', 'IVRS', 'IORT', 'VIOT'];
/** What vfio calls the groups that it makes up where there is no IOMMU: they protect nobody from the device. */
const NO_IOMMU = 'vfio-noiommu';
const GROUPS = 'kernel/iommu_groups';
const UNITS_MAX = 1024;

/** Whether the host has an IOMMU that isolates devices. */
export function readIommu(sysfsRoot: string): WireIommu {
  const units = Math.min(namesIn(sysfsRoot, 'class/iommu').length, UNITS_MAX);
  const isOn = namesIn(sysfsRoot, GROUPS).some((group) => !isMadeUp(join(sysfsRoot, GROUPS, group)));
  if (isOn) return { state: 'on', units };
  const isThere = units > 0 || TABLES.some((table) => existsSync(join(sysfsRoot, 'firmware/acpi/tables', table)));
  return { state: isThere ? 'off' : 'none', units };
}

/** @param group the group's directory, or a device's link to it */
export function isMadeUp(group: string): boolean {
  const name = readText(join(group, 'name'));
  return name.kind === 'text' && name.text === NO_IOMMU;
}
