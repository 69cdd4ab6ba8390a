import type { HostFinding } from './finding.js';
import { readIommuFacts, type CpuMake, type IommuFacts } from './iommu-facts.js';
import type { HostRoots } from './host-roots.js';

const DROP_IN = '/etc/default/grub.d/60-berth-passthrough.cfg';
/** What turns an IOMMU off. `iommu=off` and `iommu=0` mean any; the others their own. */
const TURNED_OFF = /^(?:intel_iommu=off|amd_iommu=off|iommu=(?:off|0))$/;
const OVERRIDE = /^pcie_acs_override=/;

/** Whether the host keeps the devices that it hands over apart from its own memory. */
export function iommuFindings(roots: HostRoots): HostFinding[] {
  const facts = readIommuFacts(roots);
  return [
    facts.groups > 0 ? isOn(roots, facts) : isOff(roots, facts),
    ...noIommuMode(roots, facts),
    ...(facts.groups > 0 ? [interruptRemapping(roots, facts)] : []),
    ...acsOverride(roots, facts),
  ];
}

function isOn({ sysfsRoot }: HostRoots, { groups, units, cpu, arguments: words }: IommuFacts): HostFinding {
  const named = words.filter((word) => /^(?:intel_iommu|amd_iommu|iommu)[=.]/.test(word));
  const told = named.length > 0 ? named.join(' ') : 'none; it is the default of this kernel';
  return {
    level: 'ok',
    code: 'iommu.on',
    subject: null,
    read: `${sysfsRoot}/kernel/iommu_groups has ${groups} groups; units: ${units.join(', ') || 'not told'} (${cpu}); arguments: ${told}`,
    why: 'a device that is handed over reaches only the memory of its user',
    remedy: null,
  };
}

function isOff({ sysfsRoot, procRoot }: HostRoots, facts: IommuFacts): HostFinding {
  const off = facts.arguments.find((word) => TURNED_OFF.test(word));
  const firmware = facts.firmwareTable;
  return {
    level: 'error',
    code: off === undefined ? 'iommu.off' : 'iommu.turned_off',
    subject: null,
    read: [
      `${sysfsRoot}/kernel/iommu_groups is empty`,
      off === undefined ? `${procRoot}/cmdline: nothing turns it off` : `${procRoot}/cmdline has ${off}`,
      firmware === null ? 'the firmware shows no table DMAR, IVRS or IORT' : `the firmware has the table ${firmware}`,
    ].join('; '),
    why: 'without IOMMU groups no device of this host is ever placed: it could read and write all memory',
    remedy: [
      ...(off === undefined ? [] : [`take ${off} out of the kernel's arguments`]),
      ...(firmware === null ? [firmwareRemedy(facts.cpu)] : []),
      ...argumentsRemedy(facts.cpu),
    ].join('; '),
  };
}

function firmwareRemedy(cpu: CpuMake): string {
  if (cpu === 'intel') return 'turn VT-d on in the firmware setup';
  if (cpu === 'amd') return 'turn the IOMMU (AMD-Vi) on in the firmware setup';
  return 'turn the IOMMU on in the firmware setup; a virtual machine needs a virtual one from its host';
}

/** AMD's is on unless it is turned off; the guides of OpenStack's charms name the argument all the same. */
function argumentsRemedy(cpu: CpuMake): readonly string[] {
  if (cpu === 'other') return ['on x86 boot with intel_iommu=on or amd_iommu=on, and iommu=pt; Arm needs no argument'];
  const line = `GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT ${cpu}_iommu=on iommu=pt"`;
  return [`write to ${DROP_IN}: ${line}, then update-grub and reboot (\`berth host prepare\` writes it)`];
}

function noIommuMode({ sysfsRoot }: HostRoots, { noIommuMode: on, groups }: IommuFacts): HostFinding[] {
  if (!on) return [];
  return [
    {
      level: groups > 0 ? 'warning' : 'error',
      code: 'iommu.unsafe_mode',
      subject: 'vfio',
      read: `${sysfsRoot}/module/vfio/parameters/enable_unsafe_noiommu_mode is Y`,
      why: "vfio hands out devices that no IOMMU isolates; whoever has one can read and write the host's memory",
      remedy:
        'echo N > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode, and remove the option from /etc/modprobe.d',
    },
  ];
}

/** vfio refuses a device without it, because a guest could raise any interrupt of the host by writing to memory. */
function interruptRemapping({ sysfsRoot }: HostRoots, facts: IommuFacts): HostFinding {
  const { interruptRemapping: remapping, unsafeInterrupts, cpu, arguments: words } = facts;
  const about = { subject: null, code: 'interrupts.remapped' };
  const why = 'without interrupt remapping a guest with a device can raise any interrupt of the host';
  if (unsafeInterrupts) {
    const read = `${sysfsRoot}/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts is Y`;
    const remedy = 'remove allow_unsafe_interrupts from /etc/modprobe.d, unless all guests are trusted';
    return { ...about, level: 'warning', code: 'interrupts.unsafe', read, why, remedy };
  }
  if (remapping?.on === true || (remapping === null && cpu === 'other')) {
    const read = remapping?.read ?? 'not x86: the interrupt controller isolates by itself';
    return { ...about, level: 'ok', read, why, remedy: null };
  }
  if (remapping === null) {
    const read = 'neither /proc/interrupts nor the IOMMU units say whether interrupts are remapped';
    return { ...about, level: 'warning', code: 'interrupts.not_known', read, why, remedy: 'dmesg | grep -i remapping' };
  }
  const off = words.find((word) => word === 'nointremap' || word === 'intremap=off');
  return {
    ...about,
    level: 'error',
    code: 'interrupts.not_remapped',
    read: remapping.read,
    why: `vfio refuses devices on this host: ${why}`,
    remedy:
      off === undefined
        ? 'update the firmware, and look for interrupt remapping in its setup'
        : `take ${off} out of the kernel's arguments`,
  };
}

function acsOverride({ procRoot }: HostRoots, { arguments: words }: IommuFacts): HostFinding[] {
  const override = words.find((word) => OVERRIDE.test(word));
  if (override === undefined) return [];
  return [
    {
      level: 'warning',
      code: 'acs.overridden',
      subject: null,
      read: `${procRoot}/cmdline has ${override}`,
      why: 'the kernel was told to believe in isolation that the hardware does not promise: devices of different users may reach each other',
      remedy: `take ${override} out of the kernel's arguments, and hand such devices over together`,
    },
  ];
}
