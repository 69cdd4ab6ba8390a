import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { Address } from '../pci/address.js';
import { isVfioDriver } from '../pci/binding-mode.js';
import type { PciDevice } from '../pci/device.js';
import type { ReleasedDevice } from '../messages/bodies.js';
import type { WireCare } from '../messages/device-bodies.js';
import type { CleaningSettings } from '../settings/settings.js';
import { BindingError } from './binding-error.js';
import { endGroup, runCleaning, type CleaningEnd } from './cleaning-program.js';
import type { CleaningRecord, CleaningRecords } from './cleaning-records.js';
import { readDevice } from './device-reader.js';
import { resetDevice, type ResetOutcome } from './device-reset.js';
import type { ClaimRecord } from './journal-state.js';
import { KeyedQueue } from './keyed-queue.js';
import { assertUnprotected, type ProtectionSource } from './protection/claim-protection.js';
import { readText } from './sysfs-read.js';
import { isOnVfio, openersOfDevice, type DeviceCare, type WritingHost } from './vfio-binder-writes.js';

export interface AftercareOptions extends WritingHost {
  /** Nothing is cleaned; left out: it is. */
  readonly readOnly?: boolean;
  /** Left out: what the host itself needs is not looked for. */
  readonly protection?: ProtectionSource;
  readonly records: CleaningRecords;
  readonly settings: CleaningSettings;
  /** When devices are reset: after a server had them, or before the next one gets them as well. */
  readonly reset: 'never' | 'release' | 'always';
  /** Runs a task while nothing else touches the device. */
  readonly alone: (address: Address, task: () => Promise<void>) => Promise<void>;
  /** Tells the centre what became of a cleaning; may fail, it asks again. */
  readonly tell: (record: CleaningRecord) => Promise<void>;
  /** Whose programs are run; root's, but for tests. */
  readonly owner?: number;
}

/** What the wire takes. */
const REASON_MAX = 1000;
/** Programs at the same time. */
const SIDE_BY_SIDE_MAX = 4;

/**
 * What is done with devices after a server had them: they are reset, and cleaned by the program that the configuration has for their
 * kind. Until the centre hears that it went well nobody gets them. A device that the host itself needs by then is neither reset nor cleaned:
 * that counts as failed.
 *
 * A cleaning begins when the whole claim is given back, each device aside from the others; it may take hours, and goes on after a
 * restart of the agent.
 */
export class Aftercare implements DeviceCare {
  private readonly stopped = new AbortController();
  private readonly running = new Map<Address, Promise<void>>();
  private readonly lanes = new KeyedQueue();
  private lane = 0;

  constructor(private readonly options: AftercareOptions) {}

  /**
   * Resets a claim's devices, which have left vfio-pci and are not with their drivers yet, and writes down what is to be done with
   * them. Before the release ends, so that a crash forgets nothing. A repetition does it again.
   */
  async prepare(claim: ClaimRecord): Promise<void> {
    const records: CleaningRecord[] = [];
    for (const { address, vendorId, productId, originalDriver, managed } of claim.devices) {
      const { device } = readDevice(this.options.sysfsRoot, address);
      const isThere = device?.vendorId === vendorId && device.productId === productId;
      // one that another tool had bound is reset when it is closed, and may be open again
      const isTheirs = managed === false || isVfioDriver(originalDriver);
      if (!device || !isThere || isTheirs || isOnVfio(this.options.sysfsRoot, address)) continue;
      // Given back by an earlier attempt of this release, or taken by a driver: the host may use it by now.
      const isHosts = device.driver !== null;
      if (isHosts && this.of(claim.claimId, address)) continue;
      const problem = isHosts ? null : await this.reset(claim.claimId, device);
      if (problem === null && this.programFor(device) === null) continue;
      const record = { claimId: claim.claimId, address, vendorId, productId, attempts: 0, problem, process: null };
      records.push({ ...record, state: problem === null ? 'cleaning' : 'failed' });
    }
    await this.options.records.put(records);
  }

  /** Begins to clean what a release has given back. */
  begin(claimId: string): void {
    for (const record of this.options.records.ofClaim(claimId)) this.start(record);
  }

  /** Goes on with what a former life has left, of claims that are given back. */
  resume(): void {
    const { records, journal, procRoot } = this.options;
    for (const record of records.all()) {
      if (record.process) endGroup(record.process.pid, record.process.startedAt, (pid) => startOf(procRoot, pid));
      if (journal.claim(record.claimId) === null) this.start(record);
    }
  }

  /** The outcome of a release with what is done to its devices; of one that was answered before, as it was then. */
  told(claimId: string, released: readonly ReleasedDevice[]): ReleasedDevice[] {
    const records = this.options.records.ofClaim(claimId);
    const known = released.length > 0 ? released : records.map((record) => this.asItIs(record));
    return known.map((device) => {
      const record = records.find(({ address }) => address === device.address);
      return record ? { ...device, care: careOf(record) } : device;
    });
  }

  /**
   * Resets a device that is bound for a server, where the configuration says so. One that a program has open is that server's already:
   * its claim was prepared before, and it was not written down.
   *
   * @throws BindingError when it does not come back
   */
  async beforeUse(claimId: string, address: Address): Promise<void> {
    if (this.options.reset !== 'always') return;
    if ((await openersOfDevice(this.options, address)).length > 0) return;
    const outcome = await resetDevice(this.options, { claimId, address });
    if (outcome.kind !== 'failed') return;
    const at = { address, step: 'reset', cause: { code: outcome.errno ?? 'EIO' } } as const;
    throw new BindingError('binding.failed', `${address}: ${outcome.reason}; look at the card and the kernel log`, at);
  }

  /** What became of a device after this claim, as somebody asks: what should be under way is. null: nothing is known. */
  asked(claimId: string, address: Address): CleaningRecord | null {
    const record = this.of(claimId, address);
    if (record && this.options.journal.claim(claimId) === null) this.start(record);
    return record;
  }

  private of(claimId: string, address: Address): CleaningRecord | null {
    const record = this.options.records.of(address);
    return record?.claimId === claimId ? record : null;
  }

  /** Ends the programs; the next life runs them again. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await Promise.all(this.running.values());
  }

  private asItIs({ address }: CleaningRecord): ReleasedDevice {
    const { device } = readDevice(this.options.sysfsRoot, address);
    const driver = device?.driver ?? null;
    return { address, outcome: device === null ? 'missing' : driver === null ? 'driverless' : 'restored', driver };
  }

  /** @returns why it could not be done; null when it was, or there is no way, or it is not wanted */
  private async reset(claimId: string, device: PciDevice): Promise<string | null> {
    if (this.options.reset === 'never') return null;
    const { address } = device;
    const problem = this.protectionOf(device) ?? problemOf(await resetDevice(this.options, { claimId, address }));
    if (problem !== null) this.options.log('error', 'A device could not be reset', { address, problem });
    return problem;
  }

  /** The host may have begun to use it since its driver has it again: a disk that is mounted is never wiped. */
  private protectionOf(device: PciDevice): string | null {
    const { sysfsRoot, protection } = this.options;
    try {
      if (protection) assertUnprotected(sysfsRoot, protection, [device]);
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  private start(record: CleaningRecord): void {
    const { address } = record;
    if (this.options.readOnly || this.stopped.signal.aborted) return;
    if (record.state !== 'cleaning' || this.running.has(address)) return;
    const work = this.clean(record)
      .catch((error: unknown) =>
        this.options.log('error', 'A cleaning could not be carried on', { address, problem: messageOf(error) }),
      )
      .finally(() => this.running.delete(address));
    this.running.set(address, work);
  }

  private async clean(begun: CleaningRecord): Promise<void> {
    const { signal } = this.stopped;
    const { records, settings } = this.options;
    while (!signal.aborted) {
      const lane = String((this.lane += 1) % SIDE_BY_SIDE_MAX);
      await this.lanes.run([lane], () => this.options.alone(begun.address, () => this.attempt(begun)));
      const now = this.of(begun.claimId, begun.address);
      if (!now || signal.aborted) return;
      // a message that is lost is asked for
      await this.options.tell(now).catch(() => undefined);
      if (records.of(begun.address)?.state !== 'cleaning') return;
      await delay(settings.pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  private async attempt(begun: CleaningRecord): Promise<void> {
    const { records, settings, log } = this.options;
    const record = this.of(begun.claimId, begun.address);
    if (record?.state !== 'cleaning' || this.stopped.signal.aborted) return;
    const end = await this.run(record);
    if (this.stopped.signal.aborted && !end.passed) return records.change(record, { process: null });
    const attempts = record.attempts + (end.passed ? 0 : 1);
    const isOver = end.passed || attempts >= settings.attemptsMax;
    const state = end.passed ? 'passed' : isOver ? 'failed' : 'cleaning';
    const problem = end.passed ? null : end.problem;
    await records.change(record, { state, attempts, problem, process: null });
    const fields = { address: record.address, claimId: record.claimId, attempts };
    if (end.passed) log('info', 'A device is clean', fields);
    else
      log('warn', isOver ? 'A device could not be cleaned' : 'A cleaning failed; tried again', { ...fields, problem });
  }

  private async run(record: CleaningRecord): Promise<CleaningEnd> {
    const { address, vendorId, productId } = record;
    const { sysfsRoot, procRoot, journal, records, settings, owner } = this.options;
    if (journal.holderOf(address)) return { passed: false, problem: 'a server has it again' };
    const { device } = readDevice(sysfsRoot, address);
    if (device?.vendorId !== vendorId || device.productId !== productId) {
      return { passed: false, problem: 'it is not there, or another card is in its place' };
    }
    const protectedBy = this.protectionOf(device);
    if (protectedBy !== null) return { passed: false, problem: protectedBy };
    const program = this.programFor(device);
    if (program === null) return { passed: false, problem: 'the configuration has no program for it any more' };
    return runCleaning({
      ...{ program, subject: device, timeoutMs: settings.timeoutMs, signal: this.stopped.signal },
      ...(owner !== undefined && { owner }),
      begun: async (pid) => {
        const startedAt = startOf(procRoot, pid);
        if (startedAt !== null) await records.change(record, { process: { pid, startedAt } });
      },
    });
  }

  private programFor(device: PciDevice): string | null {
    return programFor(this.options.settings.programs, device);
  }
}

/** The program of the exact model, else of the longest class prefix; null: it is not cleaned. */
export function programFor(
  programs: Readonly<Record<string, string>>,
  { vendorId, productId, classCode }: Pick<PciDevice, 'vendorId' | 'productId' | 'classCode'>,
): string | null {
  const keys = [`device:${vendorId}:${productId}`, ...[6, 4, 2].map((digits) => `class:${classCode.slice(0, digits)}`)];
  const key = keys.find((one) => Object.hasOwn(programs, one));
  return key === undefined ? null : (programs[key] as string);
}

function problemOf(outcome: ResetOutcome): string | null {
  return outcome.kind === 'failed' ? outcome.reason : null;
}

function careOf({ state, problem }: CleaningRecord): WireCare {
  return state === 'failed'
    ? { state: 'failed', reason: (problem ?? 'it could not be cleaned').slice(0, REASON_MAX) }
    : { state: 'cleaning' };
}

/** When a process was started, in the kernel's ticks (proc(5), stat, field 22); null: there is none. */
function startOf(procRoot: string, pid: number): string | null {
  const reading = readText(join(procRoot, String(pid), 'stat'));
  if (reading.kind !== 'text') return null;
  // the name of the program, in brackets, may have anything in it
  const fields = reading.text.slice(reading.text.lastIndexOf(')') + 2).split(' ');
  return fields[19] ?? null;
}
