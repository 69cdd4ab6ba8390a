import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BerthError } from '../errors.js';
import { DEVICES_PER_HOST_MAX, type WireHostFacts } from '../messages/bodies.js';
import { compareAddresses, type Address } from '../pci/address.js';
import {
  checkOnHost,
  hostContext,
  offerDevice,
  overriddenAddresses,
  type DeviceSpec,
  type HostContext,
} from '../pci/device-spec/device-spec.js';
import {
  asUnbound,
  isBridge,
  type OriginalState,
  type PciDevice,
  type Protection,
  type ReportedDevice,
} from '../pci/device.js';
import { protectDevices, withoutProtected } from '../pci/protection.js';
import { fillInRedirects } from './acs-redirects.js';
import type { ConstantAttributes } from './constant-attributes.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import { displaysIn, readHostNeeds } from './protection/host-needs.js';
import { readHostFacts, type FactsSettings } from './host-facts.js';
import { SerialNumbers } from './serial-numbers.js';
import { errnoOf } from './sysfs-read.js';

/** Devices read in one go; between them other work of the process has its turn. */
const DEVICES_PER_TURN = 32;
const READ_ONLY_REASON = 'this agent only looks: read_only is set';
const NOT_OFFERED_LENGTH_MAX = 500;

export interface ScanSettings extends FactsSettings {
  readonly deviceSpecs: readonly DeviceSpec[];
}

export interface ScanProblem {
  /** null: the host itself. */
  readonly address: Address | null;
  readonly problem: string;
}

export interface HostScan {
  readonly facts: WireHostFacts;
  /** In address order. */
  readonly devices: readonly ReportedDevice[];
  /** What was left out or is not known, and why. */
  readonly problems: readonly ScanProblem[];
}

/**
 * Reads a host: its facts, its PCI functions, and which of them the whitelist offers. The tree is data of others: whatever
 * is wrong with one device is a problem of that device. Links are read, never walked, because sysfs has cycles.
 *
 * @param originals devices that the agent holds bound: a whitelist entry by `driver` or `devname` goes on to match them
 * @param serials   what earlier scans learnt of serial numbers, and of what else does not change
 * @throws BerthError `sysfs.unreadable` when there is no `bus/pci/devices` to read
 */
export async function scanHost(
  settings: ScanSettings,
  originals: ReadonlyMap<Address, OriginalState> = new Map(),
  serials = new SerialNumbers(),
): Promise<HostScan> {
  const problems: ScanProblem[] = [];
  // in a recorded tree files are changed in place
  const memory = settings.kernel === 'live' ? serials.constants : null;
  memory?.beginScan();
  const read = await readDevices(settings.sysfsRoot, deviceNames(settings.sysfsRoot, problems), problems, memory);
  const withRedirects = await fillInRedirects(settings.sysfsRoot, read);
  const { devices: found, problems: ofSerials } = await serials.fillIn(settings.sysfsRoot, withRedirects);
  const { facts, problems: ofHost } = await readHostFacts(settings);
  problems.push(...ofSerials, ...ofHost.map((problem) => ({ address: null, problem })));
  const known = found.map((device) => withOriginal(device, originals.get(device.address)));
  const needs = readHostNeeds(settings, displaysIn(found), settings.brokerAddress ?? null);
  problems.push(...needs.problems.map((problem) => ({ address: null, problem })));
  const protections = protectDevices(found, needs.findings, overriddenAddresses(settings.deviceSpecs));
  const context = hostContext(known.map(asUnbound));
  checkOnHost(settings.deviceSpecs, context);
  const devices = known.map((device) => {
    const protection = protections.get(device.address);
    const offer = offered(settings, asUnbound(device), context, protection);
    return { ...device, ...offer, ...(protection && { protection }) };
  });
  return { facts, devices, problems };
}

function deviceNames(sysfsRoot: string, problems: ScanProblem[]): string[] {
  const path = join(sysfsRoot, PCI_DEVICES);
  let names: string[];
  try {
    names = readdirSync(path).sort(compareAddresses);
  } catch (cause) {
    throw new BerthError('sysfs.unreadable', `${path} cannot be read: ${errnoOf(cause)}; check agent.sysfs_root`, {
      cause,
    });
  }
  if (names.length > DEVICES_PER_HOST_MAX) {
    const left = names.length - DEVICES_PER_HOST_MAX;
    problems.push({
      address: null,
      problem: `${left} devices above the limit of ${DEVICES_PER_HOST_MAX} are left out`,
    });
  }
  return names.slice(0, DEVICES_PER_HOST_MAX);
}

async function readDevices(
  sysfsRoot: string,
  names: readonly string[],
  problems: ScanProblem[],
  memory: ConstantAttributes | null,
): Promise<PciDevice[]> {
  const devices: PciDevice[] = [];
  for (const [index, name] of names.entries()) {
    if (index > 0 && index % DEVICES_PER_TURN === 0) await nextTurn();
    const reading = readDevice(sysfsRoot, name, memory);
    if (reading.device) devices.push(reading.device);
    problems.push(...reading.problems.map((problem) => ({ address: name.slice(0, 64), problem })));
  }
  return devices;
}

function withOriginal(
  device: PciDevice,
  original: OriginalState | undefined,
): PciDevice & { original?: OriginalState } {
  return original ? { ...device, original } : device;
}

function offered(
  settings: ScanSettings,
  device: PciDevice,
  context: HostContext,
  protection: Protection | undefined,
): Pick<ReportedDevice, 'offer' | 'notOffered'> {
  if (settings.readOnly && !isBridge(device)) return { offer: null, notOffered: READ_ONLY_REASON };
  const answer = withoutProtected(offerDevice(settings.deviceSpecs, device, context), protection);
  return { offer: answer.offer, notOffered: answer.notOffered?.slice(0, NOT_OFFERED_LENGTH_MAX) ?? null };
}
