import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { kernelArguments, namesAt, textAt, type HostRoots } from './host-roots.js';

export type CpuMake = 'intel' | 'amd' | 'other';

/** What the host says of its IOMMU. null: it does not say. */
export interface IommuFacts {
  readonly cpu: CpuMake;
  readonly groups: number;
  /** Of `/sys/class/iommu`: `dmar0`, `ivhd0`, `smmu3.0x…`. */
  readonly units: readonly string[];
  /** The firmware's table of IOMMUs: `DMAR` (Intel), `IVRS` (AMD), `IORT` (Arm). */
  readonly firmwareTable: string | null;
  readonly arguments: readonly string[];
  /** vfio's mode without isolation. */
  readonly noIommuMode: boolean;
  readonly unsafeInterrupts: boolean;
  readonly interruptRemapping: { readonly on: boolean; readonly read: string } | null;
}

const TABLES = ['DMAR', 'IVRS', 'IORT'];
const INTERRUPTS_BYTES_MAX = 16 * 1024 * 1024;
const CPUINFO_BYTES_MAX = 4 * 1024 * 1024;
/** Of the DMAR table: its length up to the flags, whose lowest bit says that the platform can remap interrupts. */
const DMAR_FLAGS_AT = 37;

export function readIommuFacts(roots: HostRoots): IommuFacts {
  const { sysfsRoot } = roots;
  const tables = namesAt(sysfsRoot, 'firmware/acpi/tables');
  const units = namesAt(sysfsRoot, 'class/iommu');
  return {
    cpu: cpuMake(roots, units),
    groups: namesAt(sysfsRoot, 'kernel/iommu_groups').length,
    units,
    firmwareTable: TABLES.find((table) => tables.includes(table)) ?? null,
    arguments: kernelArguments(roots),
    noIommuMode: isYes(textAt(sysfsRoot, 'module/vfio/parameters/enable_unsafe_noiommu_mode')),
    unsafeInterrupts: isYes(textAt(sysfsRoot, 'module/vfio_iommu_type1/parameters/allow_unsafe_interrupts')),
    interruptRemapping: interruptRemapping(roots, units),
  };
}

function cpuMake({ procRoot }: HostRoots, units: readonly string[]): CpuMake {
  if (units.some((unit) => unit.startsWith('dmar'))) return 'intel';
  if (units.some((unit) => unit.startsWith('ivhd'))) return 'amd';
  const cpuinfo = textAt(procRoot, 'cpuinfo', CPUINFO_BYTES_MAX) ?? '';
  const vendor = /^vendor_id\s*:\s*(\S+)/m.exec(cpuinfo)?.[1];
  if (vendor === 'GenuineIntel') return 'intel';
  return vendor === 'AuthenticAMD' || vendor === 'HygonGenuine' ? 'amd' : 'other';
}

/** What is in force stands in `/proc/interrupts`; else what the hardware could do, unless an argument forbids it. */
function interruptRemapping(roots: HostRoots, units: readonly string[]): IommuFacts['interruptRemapping'] {
  const interrupts = textAt(roots.procRoot, 'interrupts', INTERRUPTS_BYTES_MAX);
  if (interrupts !== null && /\bIR-/.test(interrupts)) {
    return { on: true, read: `${roots.procRoot}/interrupts names interrupt chips "IR-…"` };
  }
  const refused = kernelArguments(roots).find((word) => word === 'nointremap' || word === 'intremap=off');
  if (refused !== undefined) return { on: false, read: `${roots.procRoot}/cmdline has ${refused}` };
  return ofDmarTable(roots) ?? ofUnits(roots, units);
}

function ofDmarTable({ sysfsRoot }: HostRoots): IommuFacts['interruptRemapping'] {
  const path = join(sysfsRoot, 'firmware/acpi/tables/DMAR');
  const flags = byteAt(path, DMAR_FLAGS_AT);
  return flags === null || (flags & 1) === 1 ? null : { on: false, read: `${path} does not have the flag INTR_REMAP` };
}

/** Bit 3 of the extended capabilities (Intel VT-d specification, ECAP_REG.IR). */
function ofUnits({ sysfsRoot }: HostRoots, units: readonly string[]): IommuFacts['interruptRemapping'] {
  const told = units.flatMap((unit) => {
    const ecap = textAt(sysfsRoot, `class/iommu/${unit}/intel-iommu/ecap`);
    return ecap !== null && /^[0-9a-f]{1,16}$/i.test(ecap) ? [{ unit, can: (BigInt(`0x${ecap}`) & 8n) !== 0n }] : [];
  });
  if (told.length === 0) return null;
  const cannot = told.find(({ can }) => !can);
  const { unit } = cannot ?? (told[0] as { unit: string });
  return { on: !cannot, read: `${sysfsRoot}/class/iommu/${unit}/intel-iommu/ecap` };
}

function byteAt(path: string, position: number): number | null {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null; // only root may read firmware tables
  }
  try {
    const byte = new Uint8Array(1);
    return readSync(file, byte, 0, 1, position) === 1 ? (byte[0] ?? null) : null;
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}

function isYes(text: string | null): boolean {
  return text === 'Y' || text === '1';
}
