import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isVfioDriver, type BindingMode } from '../pci/binding-mode.js';
import type { Address } from '../pci/address.js';
import type { AgentLog } from './agent-log.js';
import { refusedWrite, type BindingStep } from './binding-error.js';
import { blockedRemedy, type BindingProblems } from './binding-problems.js';
import type { Guests } from './compute-driver/guests.js';
import { PCI_DEVICES } from './device-reader.js';
import type { ClaimRecord } from './journal-state.js';
import type { Journal } from './journal.js';
import type { Kernel } from './kernel.js';
import type { NetdevProgram } from './netdev/netdev-program.js';
import type { ProtectionSource } from './protection/claim-protection.js';
import { listNames, readLinkName } from './sysfs-read.js';
import { openersOf, openersText, type Opener } from './vfio-openers.js';

/** What a write that may take long needs. */
export interface WritingHost extends Pick<Kernel, 'write'> {
  readonly sysfsRoot: string;
  readonly procRoot: string;
  readonly journal: Journal;
  /** Who keeps devices bound ahead of use; left out: nobody does. */
  readonly deviceClaims?: Pick<Journal, 'holderOf'>;
  readonly log: AgentLog;
  /** What is blocked or has failed now. */
  readonly problems: BindingProblems;
  /** Left out: {@link PATIENCE}. */
  readonly patience?: Patience;
}

export interface BinderHost extends Kernel, WritingHost {
  /** How the whitelist says that a device is bound. */
  readonly modeOf: (address: Address) => Promise<BindingMode>;
  /** Left out: what the host itself needs is not looked for before binding. */
  readonly protection?: ProtectionSource;
  /** Who starts and ends the guests that have the devices; left out: somebody else. */
  readonly guests?: Pick<Guests, 'expect' | 'enter' | 'leave'>;
  /** Resets and cleanings; left out: there are none. */
  readonly care?: DeviceCare;
  /** Interfaces of this machine; left out: of a recorded host, where none are moved. */
  readonly netdevs?: NetdevProgram;
  /** Ends waiting for programs to let go, with the agent; the journal knows where to go on. */
  readonly stopping?: AbortSignal;
}

/** What is done with devices before and after a server has them. */
export interface DeviceCare {
  /** Of a device that is bound for a server. Throws a BindingError when the server must not get it. */
  readonly beforeUse: (claimId: string, address: Address) => Promise<void>;
  /** Of the devices of a claim, which have left vfio-pci and are not with their drivers yet. */
  readonly prepare: (claim: ClaimRecord) => Promise<void>;
}

export interface Patience {
  /** So long a write is only slow; after that its device is shown as blocked. */
  readonly writeMs: number;
  /** How often it is looked whether a program has let go, at least. */
  readonly lookMs: number;
}

/** Drivers take seconds to stop and to start a card; vfio itself waits ten before it says so in the kernel log. */
const PATIENCE: Patience = { writeMs: 15_000, lookMs: 2_000 };
const FIRST_LOOK_MS = 50;

/** What is done to which device, and for whom. */
export interface BindingPlace {
  readonly claimId: string;
  readonly address: Address;
  readonly step: BindingStep;
}

/**
 * Writes, however long the kernel takes; after a while the device is shown as blocked, with who holds it, until the kernel has answered.
 *
 * @throws BindingError when the kernel refuses
 */
export async function write(host: WritingHost, at: BindingPlace, path: string, value: string): Promise<void> {
  try {
    await writePatiently(host, at, path, value);
  } catch (error) {
    throw refusedWrite(at.address, at.step, error);
  }
}

/**
 * Takes the device from the driver that it has. A driver that let go meanwhile is no failure.
 *
 * @throws BindingError when the kernel refuses
 */
export async function unbind(host: BinderHost, claimId: string, address: Address): Promise<void> {
  const at: BindingPlace = { claimId, address, step: 'unbind' };
  try {
    await writePatiently(host, at, `${PCI_DEVICES}/${address}/driver/unbind`, address);
  } catch (error) {
    if (driverOf(host.sysfsRoot, address) !== null) throw refusedWrite(address, 'unbind', error);
  }
}

/**
 * Waits until no program has the device's group open: before that the kernel would keep whoever unbinds it, for ever if need be. The device
 * is shown as blocked meanwhile.
 */
export async function awaitClosed(host: BinderHost, claimId: string, address: Address): Promise<void> {
  const at: BindingPlace = { claimId, address, step: 'unbind' };
  const files = vfioFiles(host.sysfsRoot, address);
  let openers = await openersOf(host.procRoot, files);
  if (openers.length === 0) return;
  for (let waitMs = FIRST_LOOK_MS; openers.length > 0; waitMs = Math.min(waitMs * 2, patience(host).lookMs)) {
    await showBlocked(host, at, openers);
    await delay(waitMs, undefined, { ref: false, ...(host.stopping && { signal: host.stopping }) });
    // Those that held it are asked often; only when they have let go, all others are.
    const pids = openers.map(({ pid }) => pid);
    openers = await openersOf(host.procRoot, files, pids);
    if (openers.length === 0) openers = await openersOf(host.procRoot, files);
  }
  await showFree(host, at);
}

/** Programs that have the device, or its IOMMU group, open. */
export function openersOfDevice(
  { sysfsRoot, procRoot }: Pick<BinderHost, 'sysfsRoot' | 'procRoot'>,
  address: Address,
): Promise<readonly Opener[]> {
  return openersOf(procRoot, vfioFiles(sysfsRoot, address));
}

/** Whether a driver has it that guests can use: by its name, or because it shows a VFIO device (Linux 6.1 and later). */
export function isOnVfio(sysfsRoot: string, address: Address): boolean {
  if (isVfioDriver(driverOf(sysfsRoot, address))) return true;
  return listNames(join(sysfsRoot, PCI_DEVICES, address, 'vfio-dev')).length > 0;
}

export function driverOf(sysfsRoot: string, address: Address): string | null {
  const reading = readLinkName(join(sysfsRoot, PCI_DEVICES, address, 'driver'));
  return reading.kind === 'text' ? reading.text : null;
}

/** The kernel prints an override that is not set as `(null)`. */
export async function overrideOf(host: BinderHost, address: Address): Promise<string | null> {
  const text = await host.read(`${PCI_DEVICES}/${address}/driver_override`);
  return text === null || text === '' || text === '(null)' ? null : text;
}

/** The files by which programs use it: its group's, and its own of iommufd. */
function vfioFiles(sysfsRoot: string, address: Address): string[] {
  const group = readLinkName(join(sysfsRoot, PCI_DEVICES, address, 'iommu_group'));
  const own = listNames(join(sysfsRoot, PCI_DEVICES, address, 'vfio-dev'));
  return [
    ...(group.kind === 'text' ? [`/dev/vfio/${group.text}`] : []),
    ...own.map((name) => `/dev/vfio/devices/${name}`),
  ];
}

async function writePatiently(host: WritingHost, at: BindingPlace, path: string, value: string): Promise<void> {
  const writing = host.write(path, value);
  if (await endsWithin(writing, patience(host).writeMs)) return writing;
  try {
    do await showBlocked(host, at, await openersOfDevice(host, at.address));
    while (!(await endsWithin(writing, patience(host).lookMs)));
  } finally {
    await showFree(host, at);
  }
  await writing;
}

/** Whether it ends, well or badly, in this time. */
async function endsWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const over = new AbortController();
  const late = delay(ms, false, { ref: false, signal: over.signal }).catch(() => false);
  const ended = work.then(
    () => true,
    () => true,
  );
  const isEnded = await Promise.race([ended, late]);
  over.abort();
  return isEnded;
}

async function showBlocked(host: WritingHost, at: BindingPlace, openers: readonly Opener[]): Promise<void> {
  const { claimId, address, step } = at;
  const known = host.journal.claim(claimId)?.blocked;
  // Also after a restart it is blocked since it was first.
  const since = known?.address === address && known.step === step ? known.since : Date.now();
  const heldBy = openers.length === 0 ? null : openersText(openers);
  const before = host.problems.of(address);
  host.problems.set({ ...at, state: 'blocked', errno: null, heldBy, remedy: blockedRemedy(heldBy), since });
  if (before?.state === 'blocked' && before.step === step) return;
  host.log('warn', 'A device is blocked; it is waited for', { ...at, heldBy, remedy: blockedRemedy(heldBy) });
  await host.journal.noteBlocked(claimId, { address, step, since });
}

async function showFree(host: WritingHost, { claimId, address, step }: BindingPlace): Promise<void> {
  host.problems.clear(address);
  host.log('info', 'A device is not blocked any more', { claimId, address, step });
  await host.journal.noteBlocked(claimId, null);
}

function patience(host: WritingHost): Patience {
  return host.patience ?? PATIENCE;
}
