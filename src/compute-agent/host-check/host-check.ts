import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Address } from '../../pci/address.js';
import type { OriginalState } from '../../pci/device.js';
import type { DeviceSpec } from '../../pci/device-spec/device-spec.js';
import type { SriovDeclaration } from '../../pci/sriov/sriov-declaration.js';
import { readJournal } from '../journal-state.js';
import { scanHost, type ScanProblem } from '../sysfs-scanner.js';
import { deviceFindings } from './device-findings.js';
import { driverFindings } from './driver-findings.js';
import { worstFirst, type HostFinding } from './finding.js';
import type { HostRoots } from './host-roots.js';
import { iommuFindings } from './iommu-findings.js';
import { memoryFindings } from './memory-findings.js';
import { moduleFindings } from './module-findings.js';
import { ModuleIndex } from './module-index.js';
import { sriovFindings } from './sriov-findings.js';
import { whitelistFindings } from './whitelist-findings.js';

export interface HostCheckInput extends HostRoots {
  readonly deviceSpecs: readonly DeviceSpec[];
  /** How many VFs PFs shall have (`agent.sriov`); none when left out. */
  readonly sriov?: readonly SriovDeclaration[];
  /** The agent's: devices that it holds bound are judged as they were before. */
  readonly stateDir: string;
}

export interface HostCheckReport {
  readonly devices: number;
  readonly offered: number;
  readonly errors: number;
  readonly warnings: number;
  /** The worst first. */
  readonly findings: readonly HostFinding[];
}

const PROBLEMS_MAX = 50;

/**
 * Looks at a host before its devices are offered: what is missing for passthrough, and what would get in the way. It only reads.
 *
 * @throws BerthError `sysfs.unreadable` when there is no PCI bus to look at, `device_spec.invalid` when an entry cannot be asked here
 */
export async function checkHost(input: HostCheckInput): Promise<HostCheckReport> {
  const { devices, problems } = await scan(input);
  const modules = new ModuleIndex(input);
  // One line for each part of the host.
  const findings = worstFirst([
    ...iommuFindings(input),
    ...moduleFindings(input, modules),
    ...whitelistFindings(input.deviceSpecs, devices),
    ...deviceFindings(input, devices),
    ...driverFindings(input, devices, modules),
    ...sriovFindings(input, input.sriov ?? [], devices),
    ...memoryFindings(input),
    ...scanFindings(problems),
  ]);
  return {
    devices: devices.length,
    offered: devices.filter(({ offer }) => offer !== null).length,
    errors: findings.filter(({ level }) => level === 'error').length,
    warnings: findings.filter(({ level }) => level === 'warning').length,
    findings,
  };
}

function scan({ sysfsRoot, procRoot, stateDir, deviceSpecs }: HostCheckInput): ReturnType<typeof scanHost> {
  const resources = { vcpus: null, memoryMb: null, diskGb: 0 };
  const about = { kernel: 'simulated', readOnly: false, resources } as const; // its disk is no matter here
  return scanHost({ sysfsRoot, procRoot, stateDir, deviceSpecs, ...about }, originalsOf(stateDir));
}

/** What the agent holds bound; nothing where there is no journal that may be read. */
function originalsOf(stateDir: string): ReadonlyMap<Address, OriginalState> {
  const originals = new Map<Address, OriginalState>();
  for (const { devices } of readJournal(journalText(stateDir)).state?.claims ?? []) {
    for (const { address, originalDriver, originalNetdevs } of devices)
      originals.set(address, { driver: originalDriver, netdevs: originalNetdevs });
  }
  return originals;
}

function journalText(stateDir: string): string {
  try {
    return readFileSync(join(stateDir, 'journal.json'), 'utf8');
  } catch {
    return '';
  }
}

function scanFindings(problems: readonly ScanProblem[]): HostFinding[] {
  const told = problems.slice(0, PROBLEMS_MAX).map(({ address, problem }): HostFinding => {
    const why = 'what cannot be read is left out, or is not known';
    return { level: 'warning', code: 'scan.problem', subject: address, read: problem, why, remedy: null };
  });
  const left = problems.length - told.length;
  if (left > 0) {
    const read = `${left} more problems like these`;
    told.push({
      level: 'warning',
      code: 'scan.problem',
      subject: null,
      read,
      why: 'see the log of the agent',
      remedy: null,
    });
  }
  return told;
}
