import { Injectable } from '@nestjs/common';
import type { Bus } from '../bus/bus.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { readExpiredClaims, takeSlowClaims } from '../store/claim-outcomes.store.js';
import { askForCleanings } from '../store/cleaning.store.js';
import { giveUpDeviceClaims, remindDeviceClaims } from '../store/device-claims.store.js';
import { giveUpOrder, readUnanswered, remindOrders } from '../store/guest-orders.store.js';
import { purgeJournal } from '../store/journal.store.js';
import { Ledger } from '../store/ledger.js';
import { giveUpWish, readOverdueWishes, remindWishes } from '../store/sriov-wishes.store.js';
import { redateTimesAhead } from '../store/times-ahead.store.js';
import { dropOldIdempotencyKeys, nudgeUnfinished, remindPrepares } from '../store/unfinished.store.js';
import { ClaimsService } from './claims.service.js';
import type { SchedulingService } from './scheduling.service.js';
import { TimedSweep } from './timed-sweep.js';

const PER_SWEEP_MAX = 500;
const HOUR_MS = 3_600_000;
/** How many times the time of a claim an agent has for making VFs, which may take a minute for one PF. */
const WISH_TIMEOUTS = 10;
/** The same for guests, which may take their time to shut down. */
const ORDER_TIMEOUTS = 5;

/**
 * Repairs what lost messages left undone. Each sweep does what the message would have done, is idempotent, and is safe
 * to run in several schedulers at once.
 */
@Injectable()
export class SweepsService extends TimedSweep {
  /** Since when answers can reach us; null while they cannot. */
  private hearingSince: number | null = null;

  constructor(
    private readonly ledger: Ledger,
    private readonly claims: ClaimsService,
    private readonly settings: SchedulerSettings,
    private readonly bus: Pick<Bus, 'isReady' | 'unheardQueues'>,
    private readonly scheduling: Pick<SchedulingService, 'lookAtQueue' | 'evacuateHosts'>,
  ) {
    super(settings.sweepIntervalMs);
  }

  override async sweep(): Promise<void> {
    const canHear = this.bus.isReady() && this.bus.unheardQueues().length === 0;
    this.hearingSince = canHear ? (this.hearingSince ?? Date.now()) : null;
    await this.attempt('times ahead', () => this.redateTimesAhead());
    await this.attempt('expired claims', () => this.expireClaims());
    await this.attempt('slow prepares', () => this.remindPrepares());
    await this.attempt('slow releases', () => this.remindReleases());
    await this.attempt('cleanings', () => this.askForCleanings());
    await this.attempt('wishes about VFs', () => this.remindWishes());
    await this.attempt('device claims', () => this.remindDeviceClaims());
    await this.attempt('orders to guests', () => this.remindOrders());
    await this.attempt('unfinished servers', () => this.nudgeServers());
    await this.attempt('waiting servers', () => this.scheduling.lookAtQueue());
    await this.attempt('evacuations', () => this.scheduling.evacuateHosts(PER_SWEEP_MAX));
    await this.attempt('decision journal', () => this.purgeJournal());
    await this.attempt('idempotency keys', () => dropOldIdempotencyKeys(this.ledger.pool));
  }

  /**
   * Who could not hear does not know who was silent: after an outage of the broker agents get their time again, and no
   * server pays with an attempt for it.
   */
  private hasHeardFor(ms: number): boolean {
    return this.hearingSince !== null && Date.now() - this.hearingSince >= ms;
  }

  private async redateTimesAhead(): Promise<void> {
    const count = await this.ledger.transaction((tx) => redateTimesAhead(tx, this.settings.claimTimeoutMs));
    if (count > 0) this.log.warn({ message: 'times lie ahead: the clock of the database was set back', count });
  }

  private async expireClaims(): Promise<void> {
    if (!this.hasHeardFor(this.settings.claimTimeoutMs)) return;
    for (const id of await readExpiredClaims(this.ledger.pool, PER_SWEEP_MAX)) await this.claims.expire(id);
  }

  /** Once before the claim expires; without a broker they would only pile up. */
  private async remindPrepares(): Promise<void> {
    if (this.hearingSince === null) return;
    const afterMs = Math.round(this.settings.claimTimeoutMs / 2);
    const count = await this.ledger.transaction((tx) => remindPrepares(tx, afterMs, PER_SWEEP_MAX));
    if (count > 0) this.log.warn({ message: 'prepare commands without an answer are sent again', count });
  }

  private async remindReleases(): Promise<void> {
    const afterMs = Math.round(this.settings.claimTimeoutMs / 2);
    const ids = await takeSlowClaims(this.ledger.pool, 'releasing', afterMs, PER_SWEEP_MAX);
    for (const id of ids) await this.claims.remindRelease(id);
  }

  /** Without a broker they would only pile up. */
  private async askForCleanings(): Promise<void> {
    if (this.hearingSince === null) return;
    await this.ledger.transaction((tx) => askForCleanings(tx, this.settings.claimTimeoutMs, PER_SWEEP_MAX));
  }

  /** A wish that nobody answers ends as refused: its PF must not be kept from everybody for ever. */
  private async remindWishes(): Promise<void> {
    const { claimTimeoutMs } = this.settings;
    const afterMs = Math.round(claimTimeoutMs / 2);
    const count = await this.ledger.transaction((tx) => remindWishes(tx, afterMs, PER_SWEEP_MAX));
    if (count > 0) this.log.warn({ message: 'wishes about VFs without an answer are sent again', hosts: count });
    const overdue = await readOverdueWishes(this.ledger.pool, WISH_TIMEOUTS * claimTimeoutMs, PER_SWEEP_MAX);
    for (const wish of overdue) {
      const isLate = await this.ledger.transaction((tx) => giveUpWish(tx, wish));
      if (isLate) this.log.warn({ message: 'a wish about VFs was not answered', ...wish });
    }
  }

  /** A device claim that nobody answers says so. It is asked for on and on: what the agent has bound stays bound until it hears. */
  private async remindDeviceClaims(): Promise<void> {
    const { claimTimeoutMs } = this.settings;
    const afterMs = Math.round(claimTimeoutMs / 2);
    const count = await this.ledger.transaction((tx) => remindDeviceClaims(tx, afterMs, PER_SWEEP_MAX));
    if (count > 0) this.log.warn({ message: 'device claims without an answer are sent again', hosts: count });
    const late = await this.ledger.transaction((tx) =>
      giveUpDeviceClaims(tx, WISH_TIMEOUTS * claimTimeoutMs, PER_SWEEP_MAX),
    );
    for (const claim of late) this.log.warn({ message: 'a device claim was not answered', ...claim });
  }

  /** What nobody answers ends as failed: the server must not be kept from everything else for ever. */
  private async remindOrders(): Promise<void> {
    if (this.hearingSince === null) return;
    const { claimTimeoutMs } = this.settings;
    const afterMs = Math.round(claimTimeoutMs / 2);
    const count = await this.ledger.transaction((tx) => remindOrders(tx, afterMs, PER_SWEEP_MAX));
    if (count > 0) this.log.warn({ message: 'orders to guests without an answer are sent again', count });
    for (const order of await readUnanswered(this.ledger.pool, ORDER_TIMEOUTS * claimTimeoutMs, PER_SWEEP_MAX)) {
      await this.ledger.transaction((tx) => giveUpOrder(tx, order));
      this.log.warn({ message: 'an order to a guest was not answered', ...order });
    }
  }

  private async nudgeServers(): Promise<void> {
    const afterMs = Math.max(this.settings.claimTimeoutMs / 2, 2 * this.settings.sweepIntervalMs);
    const count = await this.ledger.transaction((tx) => nudgeUnfinished(tx, Math.round(afterMs), PER_SWEEP_MAX));
    if (count > 0) this.log.warn({ message: 'servers waited for a scheduler', count });
  }

  private purgeJournal(): Promise<void> {
    const { keepHours, baseIntervalMs } = this.settings.journal;
    return purgeJournal(this.ledger.pool, keepHours * HOUR_MS, baseIntervalMs);
  }
}
