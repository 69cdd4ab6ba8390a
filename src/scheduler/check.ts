import { setTimeout as delay } from 'node:timers/promises';
import { BerthError, messageOf } from '../errors.js';
import type { SchedulerSettings } from '../settings/settings.js';
import {
  askJournals,
  readAnswered,
  readClaimsBeside,
  readJournals,
  type AskedHost,
} from '../store/agent-journals.store.js';
import { readHostIds } from '../store/check-devices.store.js';
import { consistently, EVERYWHERE, type CheckCode, type Found } from '../store/check-found.js';
import type { CheckRatios } from '../store/check-hosts.store.js';
import { lockFound } from '../store/check-repairs.store.js';
import type { Tx } from '../store/database.js';
import type { Ledger } from '../store/ledger.js';
import { outageOf } from '../store/outage.js';
import { addServerEvents } from '../store/server-events.store.js';
import { compareJournal } from './check-journals.js';
import { checkLedger, findAgain, isSame, type CheckRules } from './check-ledger.js';
import { isJournalStillOff, otherHostOf, REPAIRS, type RepairStep } from './check-repairs.js';
import { findingOf, isAutomatic, type Finding } from './check-words.js';
import { ClaimsService } from './claims.service.js';

/** What is asked of a check. */
export interface CheckQuery {
  /** A host's name; null: all hosts, and what is about none. */
  readonly host: string | null;
  readonly repair: boolean;
  /** Whether the agents are asked for their journals; then a scheduler has to run. */
  readonly journals: boolean;
  readonly waitMs: number;
  /** Findings of one kind. */
  readonly max: number;
}

/** `gone`: it was no longer so when it was to be repaired. `by_hand`: nothing but people can decide. null: nothing was to be done. */
export type Outcome = RepairStep['done'] | 'gone' | 'by_hand' | null;

export interface CheckedFinding extends Finding {
  readonly outcome: Outcome;
  /** Why a repair was refused. */
  readonly why: string | null;
}

export interface CheckReport {
  readonly hosts: number;
  readonly findings: readonly CheckedFinding[];
  /** How many of the findings are still so. */
  readonly left: number;
  /** Kinds of which there is more than is listed. */
  readonly more: readonly CheckCode[];
  /** Hosts that are up, and whose agents did not tell their journal in time. */
  readonly unanswered: readonly string[];
  /** Hosts that are down: their agents were not asked. */
  readonly silent: readonly string[];
}

/** Something that takes so long is not under way any more, or there was no sweep. */
const SLOW_MS_MIN = 300_000;
const CLAIM_TIMEOUTS = 3;
const HOSTS_PER_COMPARISON = 500;
const POLL_MS = 200;
/** What a repair brings to light is repaired, too. */
const ROUNDS_MAX = 3;

/**
 * Looks for disagreements in the ledger, and between the ledger and the journals of the agents; and repairs them.
 *
 * The ledger is read in one consistent view. Each repair has a small transaction of its own, which locks what it is about and
 * looks again first: nothing is changed that is no longer wrong.
 *
 * @throws BerthError `host.unknown`; what the driver throws when the database cannot be reached
 */
export async function check(ledger: Ledger, settings: SchedulerSettings, query: CheckQuery): Promise<CheckReport> {
  const hostIds = await readHostIds(ledger.pool, query.host);
  if (query.host !== null && hostIds.length === 0) {
    throw new BerthError('host.unknown', `There is no host ${query.host}`);
  }
  return new Check(ledger, settings, query, hostIds).run();
}

interface Done {
  readonly found: Found;
  readonly outcome: Outcome;
  readonly why: string | null;
}

class Check {
  private readonly rules: CheckRules;

  constructor(
    private readonly ledger: Ledger,
    private readonly settings: SchedulerSettings,
    private readonly query: CheckQuery,
    private readonly hostIds: readonly string[],
  ) {
    const slowMs = Math.max(SLOW_MS_MIN, CLAIM_TIMEOUTS * settings.claimTimeoutMs);
    this.rules = { max: query.max, slowMs, ratios: ratiosOf(settings) };
  }

  async run(): Promise<CheckReport> {
    const { host, journals, waitMs } = this.query;
    const asked = journals
      ? await this.ledger.transaction((tx) => askJournals(tx, host === null ? null : (this.hostIds[0] ?? null)))
      : { askedAt: '', hosts: [] };
    const deadline = Date.now() + waitMs;
    const first = await this.lookAtLedger();
    const answered = await this.answers(asked, deadline);
    const found = listed([...first, ...(await this.compare(answered, asked.askedAt))], this.query.max);
    const { done, more } = await this.carryOut(found);
    return {
      ...reportOf(done),
      hosts: this.hostIds.length,
      more,
      unanswered: asked.hosts
        .filter((one) => one.status === 'up' && !answered.includes(one.id))
        .map(({ name }) => name),
      silent: asked.hosts.filter(({ status }) => status === 'down').map(({ name }) => name),
    };
  }

  private lookAtLedger(): Promise<Found[]> {
    const scope = { ...EVERYWHERE, hostId: this.query.host === null ? null : (this.hostIds[0] ?? null) };
    return consistently(this.ledger.pool, (view) => checkLedger(view, scope, this.hostIds, this.rules));
  }

  /** @returns ids of the hosts whose agents have answered when all have, or when the time is up */
  private async answers(
    { askedAt, hosts }: { readonly askedAt: string; readonly hosts: readonly AskedHost[] },
    deadline: number,
  ): Promise<readonly string[]> {
    const awake = hosts.filter(({ status }) => status === 'up').map(({ id }) => id);
    if (awake.length === 0) return [];
    for (;;) {
      const answered = await readAnswered(this.ledger.pool, awake, askedAt);
      if (answered.length === awake.length || Date.now() >= deadline) return answered;
      await delay(Math.min(POLL_MS, Math.max(1, deadline - Date.now())));
    }
  }

  private async compare(hostIds: readonly string[], askedAt: string): Promise<Found[]> {
    const found: Found[] = [];
    for (let from = 0; from < hostIds.length; from += HOSTS_PER_COMPARISON) {
      const some = hostIds.slice(from, from + HOSTS_PER_COMPARISON);
      found.push(...(await consistently(this.ledger.pool, (view) => compareSome(view, some, askedAt))));
    }
    return found;
  }

  /** What is repaired, and what that brings to light. */
  private async carryOut(found: Listed): Promise<{ readonly done: Done[]; readonly more: readonly CheckCode[] }> {
    if (!this.query.repair) {
      return { done: found.kept.map((one) => ({ found: one, outcome: null, why: null })), more: found.more };
    }
    const done: Done[] = [];
    let next = found.kept;
    let { more } = found;
    for (let round = 0; round < ROUNDS_MAX && next.length > 0; round++) {
      for (const one of next) done.push(await this.repair(one));
      const { kept: now, more: moreNow } = listed(await this.lookAtLedger(), this.query.max);
      // the journals were asked once
      more = [...moreNow, ...found.more.filter(isOfJournal)];
      for (const [index, { found: before, outcome }] of done.entries()) {
        const isLeft = outcome === 'repaired' && now.some((one) => isSame(one, before));
        if (isLeft) done[index] = { found: before, outcome: 'refused', why: 'it is still so after the repair' };
      }
      next = now.filter((one) => !done.some(({ found: before }) => isSame(one, before)));
    }
    const broughtAbout = next.map((one): Done => ({
      found: one,
      outcome: 'refused',
      why: 'a repair brought it about',
    }));
    return { done: [...done, ...broughtAbout], more };
  }

  private async repair(found: Found): Promise<Done> {
    if (!isAutomatic(found)) return { found, outcome: 'by_hand', why: null };
    try {
      const step = found.code === 'check.claim_expired' ? await this.expire(found) : await this.repairLocked(found);
      return { found, outcome: step.done, why: step.done === 'refused' ? step.why : null };
    } catch (error) {
      if (outageOf(error) !== null) throw error;
      return { found, outcome: 'refused', why: messageOf(error) };
    }
  }

  /** The sweep's own way; it looks again by itself. */
  private async expire({ claim_id: claimId }: Found): Promise<RepairStep> {
    await new ClaimsService(this.ledger, this.settings).expire(claimId ?? '');
    return { done: 'begun' };
  }

  private repairLocked(found: Found): Promise<RepairStep | { readonly done: 'gone' }> {
    return this.ledger.transaction(async (tx) => {
      const again = await this.lockAndLook(tx, found);
      if (!again) return { done: 'gone' };
      const repair = REPAIRS[found.code];
      if (!repair) throw new BerthError('internal.error', `${found.code} has no repair`);
      const { slowMs } = this.rules;
      const step = await repair(tx, again, { slowMs, ageingPerMinute: this.settings.queue.ageingPerMinute });
      if (step.done !== 'refused') await noteRepair(tx, again);
      return step;
    });
  }

  private async lockAndLook(tx: Tx, found: Found): Promise<Found | null> {
    if (isOfJournal(found.code)) return (await isJournalStillOff(tx, found)) ? found : null;
    await lockFound(tx, found, otherHostOf(found));
    return findAgain(tx, found, this.rules);
  }
}

/** The one place where a repair is written down, in the transaction that makes it. A server's events name no other server. */
async function noteRepair(tx: Tx, found: Found): Promise<void> {
  if (found.server_id === null) return;
  const message = `A check found ${found.code}. ${findingOf(found).repair}`;
  await addServerEvents(tx, [{ serverId: found.server_id, event: 'repaired', message }]);
}

async function compareSome(view: Tx, hostIds: readonly string[], askedAt: string): Promise<Found[]> {
  const journals = await readJournals(view, hostIds);
  const named = journals.flatMap(({ claims }) => claims.map((claim) => claim.claim_id));
  const claims = await readClaimsBeside(view, hostIds, named, askedAt);
  return journals.flatMap((journal) => {
    const written = new Set(journal.claims.map((claim) => claim.claim_id));
    return compareJournal(
      journal,
      claims.filter((claim) => claim.host_id === journal.host_id || written.has(claim.id)),
    );
  });
}

function ratiosOf(settings: SchedulerSettings): CheckRatios {
  const asked = (word: string): boolean =>
    [`${word}Filter`, `Aggregate${word}Filter`].some((name) => settings.filters.includes(name));
  return {
    cpu: asked('Core') ? settings.cpuAllocationRatio : null,
    ram: asked('Ram') ? settings.ramAllocationRatio : null,
    disk: asked('Disk') ? settings.diskAllocationRatio : null,
  };
}

function isOfJournal(code: CheckCode): boolean {
  return code.startsWith('check.journal_');
}

interface Listed {
  readonly kept: readonly Found[];
  /** Kinds of which there are more. */
  readonly more: readonly CheckCode[];
}

/** At most `max` of a kind. */
function listed(found: readonly Found[], max: number): Listed {
  const counts = new Map<CheckCode, number>();
  const kept = found.filter(({ code }) => {
    counts.set(code, (counts.get(code) ?? 0) + 1);
    return (counts.get(code) ?? 0) <= max;
  });
  return { kept, more: [...counts].filter(([, count]) => count > max).map(([code]) => code) };
}

const SETTLED: readonly Outcome[] = ['repaired', 'begun', 'gone'];

function reportOf(done: readonly Done[]): Pick<CheckReport, 'findings' | 'left'> {
  return {
    findings: done.map(({ found, outcome, why }) => ({ ...findingOf(found), outcome, why })),
    left: done.filter(({ outcome }) => !SETTLED.includes(outcome)).length,
  };
}
