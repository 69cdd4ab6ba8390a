import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import type { WireBinding } from '../../messages/bodies.js';
import type { ActOnGuest, GuestAct, WireServer } from '../../messages/server-bodies.js';
import type { Address } from '../../pci/address.js';
import type { AgentLog } from '../agent-log.js';
import { BindingError } from '../binding-error.js';
import type { BindingProblems } from '../binding-problems.js';
import { KeyedQueue } from '../keyed-queue.js';
import type { ComputeDriver } from './compute-driver.js';
import type { GuestRecord, GuestRecords } from './guest-records.js';

/** How often it is looked whether guests still run. */
const LOOK_MS = 5_000;
/** A guest that takes no longer to end, or to let go of a device, is nothing to tell of. */
const SHOW_AFTER_MS = 2_000;

export interface GuestsOptions {
  readonly driver: ComputeDriver;
  readonly records: GuestRecords;
  readonly problems: BindingProblems;
  readonly log: AgentLog;
  /** Says to the centre that a guest has ended by itself. @throws when it cannot be said now */
  readonly tell: (record: GuestRecord) => Promise<void>;
  /** Left out: 5 s. */
  readonly lookMs?: number;
}

/** A claim whose devices go to a server. */
export interface EnteringClaim {
  readonly claimId: string;
  readonly serverId: string;
  /** Of the claim that a server is placed with, at a centre that says it; left out: of any other. */
  readonly server?: WireServer;
}

/**
 * Has guests started, changed and ended as their servers' claims come and go. The binder calls it: `expect` before the first device is
 * touched, `enter` when all are bound, `leave` before the first is taken back. All of it may come again after a crash.
 *
 * A guest that ended by itself, or was stopped, is not started again: its server's user or operator decides. Its devices stay bound until the server goes.
 */
export class Guests {
  private readonly queue = new KeyedQueue();
  private readonly stopped = new AbortController();
  private looking: Promise<void> = Promise.resolve();
  /** Of these it was said that they cannot be looked at; once is enough. */
  private readonly unseen = new Set<string>();

  constructor(private readonly options: GuestsOptions) {}

  /** The server is known before its devices are touched, so that a crash does not make a server without a guest of it. */
  async expect({ claimId, serverId, server }: EnteringClaim): Promise<void> {
    if (!server) return;
    await this.queue.run([serverId], async () => {
      const known = this.options.records.of(serverId);
      if (known?.claimId === claimId) return;
      // The one before was of another claim, whose release is on its way or was lost.
      if (known) await this.end(known);
      const empty = { devices: [], notes: {}, state: 'expected', since: Date.now() } as const;
      await this.options.records.put({ serverId, claimId, server, driver: this.options.driver.name, ...empty });
    });
  }

  /**
   * The claim's devices are bound: the guest starts with them, or has them plugged in. Nothing is done for a server that no guest was
   * expected of.
   *
   * @throws BindingError of the driver; `leave` is to be called then
   */
  async enter({ claimId, serverId }: EnteringClaim, bound: readonly WireBinding[]): Promise<void> {
    await this.queue.run([serverId], async () => {
      const record = this.options.records.of(serverId);
      if (!record || record.state === 'stopping') return;
      const news = bound.filter(({ address }) => !hasDevice(record, address));
      const all: GuestRecord = { ...record, devices: [...record.devices, ...news] };
      if (record.state === 'expected' || record.state === 'starting') {
        if (record.claimId === claimId) await this.start(all);
        return;
      }
      await this.plugIn(all, [...news, ...bound.filter(({ address }) => record.plugging?.includes(address))]);
    });
  }

  /**
   * The claim's devices are to be taken back: its guest ends, or lets go of them.
   *
   * @param addresses of the claim's devices, as far as they are known
   * @throws BindingError of the driver; the devices stay bound then
   */
  async leave(claimId: string, serverId: string | null, addresses: readonly Address[]): Promise<void> {
    const found = this.options.records.find(serverId, claimId);
    if (!found) return;
    await this.queue.run([found.serverId], async () => {
      const record = this.options.records.of(found.serverId);
      if (!record) return;
      const gone = record.devices.filter(({ address }) => addresses.includes(address));
      const isAll = record.claimId === claimId;
      if (!isAll && gone.length === 0) return;
      const blocked = isAll ? addresses : gone.map(({ address }) => address);
      await this.showing(claimId, blocked, isAll ? 'guest_stop' : 'guest_detach', record, async () => {
        if (isAll) return this.end(record);
        if (record.state === 'running') await this.options.driver.detach(record, gone);
        const left = record.devices.filter(({ address }) => !addresses.includes(address));
        await this.options.records.put({ ...record, devices: left });
      });
    });
  }

  /**
   * Does with a guest what somebody asked for. An order that was carried out before is not carried out again.
   *
   * @returns what was wrong; null: it is done, or this host runs no guest of the server
   */
  act({ server_id: serverId, order, act, image }: ActOnGuest): Promise<string | null> {
    return this.queue.run([serverId], async () => {
      const record = this.options.records.of(serverId);
      if (!record) return null;
      const { number, problem: before } = record.ordered ?? { number: 0, problem: null };
      if (number >= order) return number === order ? before : 'a later order was carried out before it';
      const problem = await this.carryOut(record, act, image).then(() => null, problemOf);
      await this.options.records.put({
        ...(this.options.records.of(serverId) ?? record),
        ordered: { number: order, problem },
      });
      return problem;
    });
  }

  /** Looks every few seconds whether guests still run. */
  watch(): void {
    this.looking = this.lookUntilStopped();
  }

  /** Guests run on. Resolves when nothing of this is under way. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await this.looking;
  }

  private async start(record: GuestRecord): Promise<void> {
    const { driver, records, log } = this.options;
    await records.put({ ...record, state: 'starting', since: Date.now() });
    await driver.start(record, async (notes) => {
      await records.put({ ...(records.of(record.serverId) ?? record), notes });
    });
    await records.put({ ...(records.of(record.serverId) ?? record), state: 'running', since: Date.now() });
    log('info', 'A guest was started', { serverId: record.serverId, driver: driver.name });
  }

  /** It is noted before and after, so that a crash in between has it done again. */
  private async plugIn(record: GuestRecord, news: readonly WireBinding[]): Promise<void> {
    const { driver, records } = this.options;
    if (news.length === 0) return;
    if (record.state !== 'running') return records.put(record);
    const { plugging = [], ...others } = record;
    const added = news.map(({ address }) => address);
    await records.put({ ...others, plugging: [...new Set([...plugging, ...added])] });
    await driver.attach(record, news);
    await records.put({ ...others, plugging: plugging.filter((address) => !added.includes(address)) });
  }

  private async end(record: GuestRecord): Promise<void> {
    const { driver, records, log } = this.options;
    if (record.state !== 'stopping') await records.put({ ...record, state: 'stopping', since: Date.now() });
    if (record.state !== 'expected') await driver.stop(record, record.state === 'starting' ? 'at once' : 'gently');
    await records.remove(record.serverId);
    log('info', 'A guest was ended', { serverId: record.serverId, driver: driver.name });
  }

  private async carryOut(known: GuestRecord, act: GuestAct, image: string | undefined): Promise<void> {
    const { driver } = this.options;
    const record = image === undefined ? known : { ...known, server: { ...known.server, image } };
    if (record.state === 'expected' || record.state === 'starting' || record.state === 'stopping') {
      throw new BindingError('guest.failed', `The guest is ${record.state}`, { address: null, step: 'guest_act' });
    }
    const isRunning = record.state === 'running';
    switch (act) {
      case 'stop':
        await this.halt(record);
        return;
      case 'start':
        return isRunning ? driver.control(record, 'resume') : this.start({ ...record, notes: {} });
      case 'reboot':
      case 'rebuild':
        return this.start(await this.halt(record));
      case 'reboot_hard':
        if (!isRunning) return this.start({ ...record, notes: {} });
        await driver.control(record, 'reset');
        return driver.control(record, 'resume');
      case 'pause':
      case 'suspend':
        return driver.control(record, 'pause');
      case 'unpause':
      case 'resume':
        return driver.control(record, 'resume');
    }
  }

  /** The devices stay with the server. */
  private async halt(record: GuestRecord): Promise<GuestRecord> {
    await this.options.driver.stop(record, record.state === 'running' ? 'gently' : 'at once');
    const stopped: GuestRecord = { ...record, state: 'stopped', notes: {}, since: Date.now() };
    await this.options.records.put(stopped);
    this.options.log('info', 'A guest was stopped', { serverId: record.serverId });
    return stopped;
  }

  /** While a guest is asked to end or to let go, its devices are shown as blocked by it: commands for others go on. */
  private async showing(
    claimId: string,
    addresses: readonly Address[],
    step: 'guest_stop' | 'guest_detach',
    { serverId }: GuestRecord,
    work: () => Promise<void>,
  ): Promise<void> {
    const { problems } = this.options;
    const remedy = 'its guest was asked to let go of it; after a while the guest is ended. It goes on by itself';
    const problem = {
      claimId,
      state: 'blocked',
      step,
      errno: null,
      heldBy: `the guest of server ${serverId}`,
    } as const;
    const since = Date.now();
    const show = (): void => addresses.forEach((address) => problems.set({ address, ...problem, remedy, since }));
    const timer = setTimeout(show, SHOW_AFTER_MS).unref();
    try {
      await work();
      for (const address of addresses) problems.clear(address);
    } catch (error) {
      const refused = { ...problem, state: 'refused', remedy: messageOf(error), since } as const;
      for (const address of addresses) problems.set({ address, ...refused });
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private async lookUntilStopped(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      for (const { serverId } of this.options.records.all()) await this.look(serverId);
      await delay(this.options.lookMs ?? LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  private async look(serverId: string): Promise<void> {
    // It is being started, changed or ended: whoever does it sees what there is.
    if (this.queue.isBusy([serverId])) return;
    try {
      await this.queue.run([serverId], async () => {
        await this.noteEnd(serverId);
        await this.tellEnd(serverId);
      });
      this.unseen.delete(serverId);
    } catch (error) {
      const isKnown = this.unseen.has(serverId);
      this.unseen.add(serverId);
      if (isKnown) return;
      this.options.log('warn', 'A guest could not be looked at', { serverId, problem: messageOf(error) });
    }
  }

  private async noteEnd(serverId: string): Promise<void> {
    const { driver, records, log } = this.options;
    const record = records.of(serverId);
    if (record?.state !== 'running') return;
    const seen = await driver.state(record);
    if (seen.state === 'running') return;
    const { message } = seen;
    await records.put({ ...record, state: 'ended', since: Date.now(), message, told: false });
    log('warn', 'A guest has ended by itself; its devices stay with its server', { serverId, message });
  }

  private async tellEnd(serverId: string): Promise<void> {
    const { records, tell } = this.options;
    const record = records.of(serverId);
    if (record?.state !== 'ended' || record.told) return;
    await tell(record);
    await records.put({ ...record, told: true });
  }
}

/** Anything but a refusal of the driver is a fault of the agent (its disk, a bug): the order comes again. */
function problemOf(error: unknown): string {
  if (error instanceof BindingError) return error.message;
  throw error;
}

function hasDevice({ devices }: GuestRecord, address: Address): boolean {
  return devices.some((device) => device.address === address);
}
