import { join } from 'node:path';
import { isVfioDriver } from '../../pci/binding-mode.js';
import { hostContext, matchDeviceSpec } from '../../pci/device-spec/device-spec.js';
import { asUnbound, isVirtualFunction, type ReportedDevice } from '../../pci/device.js';
import { declarationOf, type SriovDeclaration } from '../../pci/sriov/sriov-declaration.js';
import { PCI_DEVICES } from '../device-reader.js';
import { readText } from '../sysfs-read.js';
import { someOf, type HostFinding } from './finding.js';
import type { HostRoots } from './host-roots.js';

/** Stand-ins that have no `sriov_configure`: a write of `sriov_numvfs` fails. */
const WITHOUT_VFS: ReadonlySet<string> = new Set(['pci-stub', 'uio_pci_generic', 'xen-pciback']);

/** Whether what `agent.sriov` declares can be made true here. */
export function sriovFindings(
  roots: HostRoots,
  declarations: readonly SriovDeclaration[],
  devices: readonly ReportedDevice[],
): HostFinding[] {
  if (declarations.length === 0) return [];
  const own = devices.map(asUnbound);
  const context = hostContext(own);
  const meant = new Map<SriovDeclaration, ReportedDevice[]>(declarations.map((declaration) => [declaration, []]));
  for (const device of own) {
    const declaration = declarationOf(declarations, device, context);
    if (declaration) meant.get(declaration)?.push(device);
  }
  return [...meant].flatMap(([declaration, pfs]) => {
    if (pfs.length > 0) return pfs.flatMap((pf) => ofPf(roots, declaration, pf, devices));
    return [
      withoutPf(
        declaration,
        own.filter((device) => matchDeviceSpec(declaration.pf, device, context)),
      ),
    ];
  });
}

/** @param matching what the entry is about all the same: no PFs, or PFs of an entry before it */
function withoutPf({ where, vfCount }: SriovDeclaration, matching: readonly ReportedDevice[]): HostFinding {
  const about = { level: 'warning', subject: where } as const;
  const read = `${where} declares ${vfCount} VFs for `;
  const [first] = matching;
  if (!first) {
    return {
      ...about,
      code: 'sriov.pf_absent',
      read: `${read}a PF that is not on this host`,
      why: 'nothing comes of the entry',
      remedy: 'compare it with lspci -nn and the names of interfaces, or take the entry out',
    };
  }
  const named = someOf(matching.map(({ address }) => address));
  if (matching.some(({ sriov }) => sriov !== null)) {
    const remedy = 'take one of the two out: the first entry that means a PF counts';
    return {
      ...about,
      code: 'sriov.shadowed',
      read: `${read}${named}`,
      why: 'an entry before it means it, too',
      remedy,
    };
  }
  const isVf = isVirtualFunction(first);
  return {
    ...about,
    level: 'error',
    code: 'sriov.no_pf',
    read: `${read}${named}, which has no sriov_totalvfs`,
    why: isVf ? 'it is a VF, and only a PF has VFs' : 'without the capability SR-IOV it has no VFs',
    remedy: isVf
      ? 'name its PF'
      : 'turn SR-IOV on in the firmware setup and in the firmware of the card, or take the entry out',
  };
}

function ofPf(
  { sysfsRoot }: HostRoots,
  declaration: SriovDeclaration,
  pf: ReportedDevice,
  devices: readonly ReportedDevice[],
): HostFinding[] {
  const { where, vfCount } = declaration;
  const { totalVfs = 0, numVfs = 0 } = pf.sriov ?? {};
  const about = {
    subject: pf.address,
    read: `${where} declares ${vfCount} VFs; sriov_totalvfs is ${totalVfs}, sriov_numvfs ${numVfs}`,
  };
  const vfs = devices.filter(({ parentAddress }) => parentAddress === pf.address);
  const findings = [
    ...(vfCount > totalVfs ? [tooMany(about, totalVfs)] : []),
    ...(vfCount > 0 && !makesVfs(pf) ? [noDriver(about, pf)] : []),
    ...autoprobeFindings(about, declaration, { vfs, reading: autoprobeOf(sysfsRoot, pf) }),
    ...(declaration.vfs.length > 0 && pf.netdevs.length === 0 ? [noInterface(about)] : []),
  ];
  if (findings.length > 0) return findings;
  return [{ ...about, level: 'ok', code: 'sriov.declared', why: 'the agent makes them at its start', remedy: null }];
}

type About = Pick<HostFinding, 'subject' | 'read'>;

function tooMany(about: About, total: number): HostFinding {
  return {
    ...{ ...about, level: 'error', code: 'sriov.too_many' },
    why: 'the card cannot have so many: the agent refuses the entry, and the PF stays as it is',
    remedy: `declare ${total} at most, or raise the limit in the firmware of the card (mlxconfig, bnxtnvm, the setup of the NIC)`,
  };
}

function makesVfs({ driver }: ReportedDevice): boolean {
  return driver !== null && !isVfioDriver(driver) && !WITHOUT_VFS.has(driver);
}

function noDriver(about: About, { address, driver }: ReportedDevice): HostFinding {
  const read = `${about.read}; ${driver === null ? 'no driver' : `the driver ${driver}`} has it`;
  return {
    ...{ ...about, read, level: 'error', code: 'sriov.driver' },
    why: "only the PF's own driver makes VFs (it has sriov_configure)",
    remedy: `have its own driver take it: echo > /sys/bus/pci/devices/${address}/driver_override; ${driver === null ? '' : `echo ${address} > /sys/bus/pci/drivers/${driver}/unbind; `}echo ${address} > /sys/bus/pci/drivers_probe; and keep its ids out of vfio-pci.ids`,
  };
}

function autoprobeOf(sysfsRoot: string, { address }: ReportedDevice): string | null {
  const reading = readText(join(sysfsRoot, PCI_DEVICES, address, 'sriov_drivers_autoprobe'));
  return reading.kind === 'text' ? reading.text : null;
}

interface VfsNow {
  readonly vfs: readonly ReportedDevice[];
  /** Of `sriov_drivers_autoprobe`; null: the kernel has no such file. */
  readonly reading: string | null;
}

/** What the kernel does with VFs at the moment they come, and what was meant. */
function autoprobeFindings(
  { subject, read }: About,
  { autoprobe, vfCount }: SriovDeclaration,
  { vfs, reading }: VfsNow,
): HostFinding[] {
  const about = { subject, read: `${read}; sriov_drivers_autoprobe is ${reading ?? 'not there'}` };
  if (autoprobe !== null && reading === null) {
    const why = 'the kernel is older than 4.12 and cannot be told whether its drivers take VFs';
    const remedy = 'take autoprobe out of the entry, or boot a newer kernel';
    return [{ ...about, level: 'error', code: 'sriov.autoprobe_missing', why, remedy }];
  }
  const taken = vfs.filter(({ driver }) => driver !== null && !isVfioDriver(driver)).map(({ address }) => address);
  if (autoprobe === false && taken.length > 0 && vfs.length === vfCount) {
    const why = `drivers of the host have ${someOf(taken)}: VFs that are there already stay with them`;
    const remedy = `let them go once: echo 0 > /sys/bus/pci/devices/${subject}/sriov_numvfs, then start the agent`;
    return [{ ...about, level: 'warning', code: 'sriov.autoprobe_late', why, remedy }];
  }
  const offered = vfs.filter(({ offer }) => offer !== null).length;
  const willTake = autoprobe ?? reading === '1';
  if (!willTake || offered === 0) return [];
  const why = `drivers of the host take each new VF, though ${offered} are offered to servers: interfaces come and go`;
  const remedy = 'say autoprobe: false in the entry, unless VFs are also for the host';
  return [{ ...about, level: 'warning', code: 'sriov.autoprobe', why, remedy }];
}

function noInterface(about: About): HostFinding {
  return {
    ...{ ...about, level: 'warning', code: 'sriov.no_interface' },
    why: 'MAC, VLAN, trust and rates of VFs are set through an interface of the PF, and it has none',
    remedy: 'load its network driver, or take vfs out of the entry',
  };
}
