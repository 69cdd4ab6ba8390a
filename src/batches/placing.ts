import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { BerthError } from '../errors.js';
import type { Placement, Rejection } from '../placement/decision.js';
import type { PlacementRequest } from '../placement/request.js';
import type { NewPlacement, WaitingServer } from '../store/decided-server.js';
import type { Fault } from '../store/entities/workload.entities.js';
import { findPlacementsByKey, type KnownPlacement } from '../store/placements.store.js';
import { BatchIntake } from './batch-intake.js';
import type { Deciding } from './deciding.js';

/** How often one is decided anew because hosts changed under it, and for how long it is tried: who asks again later must not meet the first one. */
const ROUNDS_MAX = 30;
const PATIENCE_MS = 5_000;
/** Who has lost again lets others go first, for a time by chance: up to this at most. */
const LOSER_PAUSE_MS_MAX = 64;
/** So many wait for their batch at most; who comes then is asked to come again. */
const WAITING_MAX = 20_000;
/** A call with so many placements does not wait for others'. */
const PROMPT_MIN = 50;
/** One batch is decided while one is ready and one is written. */
const BATCHES_AT_ONCE = 3;
/** A view of the hosts is good for so long to place by: an older one costs a retry, not a mistake. */
const VIEW_MS = 50;
/** For so long after one was known, keys are looked up before they are decided on: somebody is sending again. */
const RESENDING_MS = 5_000;

/** A placement that an orchestrator asks for. */
export interface PlacementOrder {
  /** The id that it is to have. */
  readonly id: string;
  readonly name: string;
  /** One object for all that are equal. */
  readonly request: PlacementRequest;
  /** Equal texts, equal requests but for names. */
  readonly kind: string;
  readonly placement: NewPlacement;
}

export type PlacementAnswer =
  | { readonly outcome: 'placed'; readonly decision: Placement }
  /** `fault`: what else than the hosts is against it. */
  | { readonly outcome: 'rejected'; readonly decision: Rejection; readonly fault: Fault | null }
  /** There is one under its key already. */
  | { readonly outcome: 'known'; readonly known: KnownPlacement };

interface Asked {
  readonly order: PlacementOrder;
  readonly atMs: number;
}

/**
 * Places for orchestrators that wait for the answer: orders of all callers are gathered into batches, and each is answered when its
 * batch is in the ledger. What is turned down is not written.
 */
export class Placing {
  private readonly intake: BatchIntake<Asked, PlacementAnswer | Error>;
  private viewedAtMs = -Infinity;
  private knownAtMs = -Infinity;

  constructor(private readonly deciding: Deciding) {
    const { batchSizeMax, batchDelayMs } = deciding.settings;
    this.intake = new BatchIntake((asked) => this.placeBatch(asked), {
      sizeMax: batchSizeMax,
      delayMs: batchDelayMs,
      promptMin: PROMPT_MIN,
      atOnce: BATCHES_AT_ONCE,
      waitingMax: { count: WAITING_MAX, refusal: tooMany },
    });
  }

  /**
   * Resolves when the placement is durable, or turned down.
   *
   * @throws BerthError `claim.conflict` when it lost its races or waited for too long, `placement.too_many_waiting`; what the database says
   */
  async place(order: PlacementOrder): Promise<PlacementAnswer> {
    const answer = await this.intake.add({ order, atMs: Date.now() });
    if (answer instanceof Error) throw answer;
    return answer;
  }

  private async placeBatch(asked: readonly Asked[]): Promise<readonly (PlacementAnswer | Error)[]> {
    const answers = new Map<string, PlacementAnswer>();
    const orders = asked.map(({ order }) => order);
    const startedAtMs = Date.now();
    const isResending = startedAtMs - this.knownAtMs < RESENDING_MS;
    await Promise.all([isResending && this.answerKnown(orders, answers), this.viewHosts()]);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (round > 1) await pause(randomInt(Math.min(LOSER_PAUSE_MS_MAX, 2 ** round)));
      const left = unanswered(asked, answers);
      if (left.length === 0) break;
      if (round > 0) await this.viewHosts(0);
      const isOld = this.viewedAtMs < startedAtMs;
      await this.placeOnce(left, answers);
      const unplaced = left.filter(({ id }) => answers.get(id)?.outcome !== 'placed');
      const areSomeKnown = await this.answerKnown(unplaced, answers);
      // a "no" holds only by a view read after the question, and beside nobody who was given what he had already
      if (isOld || areSomeKnown) forgetRejections(answers);
    }
    return orders.map(({ id }) => answers.get(id) ?? lost());
  }

  private async placeOnce(orders: readonly PlacementOrder[], answers: Map<string, PlacementAnswer>): Promise<void> {
    const { decided, committed } = await this.deciding.decideAndCommit(orders.map(waitingServer));
    const written = new Set(committed);
    for (const { server, decision, fault } of decided) {
      if (!written.has(server.id)) continue;
      if (decision.outcome === 'placed') answers.set(server.id, { outcome: 'placed', decision });
      else answers.set(server.id, { outcome: 'rejected', decision, fault: fault ?? null });
    }
  }

  /** @returns whether there are some */
  private async answerKnown(
    orders: readonly PlacementOrder[],
    answers: Map<string, PlacementAnswer>,
  ): Promise<boolean> {
    let areSome = false;
    for (const [projectId, own] of byProject(orders.filter(({ placement }) => placement.key !== null))) {
      const keys = own.map(({ placement }) => placement.key as string);
      const known = await findPlacementsByKey(this.deciding.ledger.pool, projectId, keys);
      for (const { id, placement } of own) {
        const earlier = known.get(placement.key as string);
        if (!earlier) continue;
        answers.set(id, { outcome: 'known', known: earlier });
        this.knownAtMs = Date.now();
        areSome = true;
      }
    }
    return areSome;
  }

  private async viewHosts(ageMaxMs = VIEW_MS): Promise<void> {
    if (Date.now() - this.viewedAtMs < ageMaxMs) return;
    const nowMs = Date.now();
    await this.deciding.cache.refresh();
    this.viewedAtMs = nowMs;
  }
}

function byProject(orders: readonly PlacementOrder[]): Map<string, PlacementOrder[]> {
  const projects = new Map<string, PlacementOrder[]>();
  for (const order of orders) {
    const own = projects.get(order.request.projectId);
    if (own) own.push(order);
    else projects.set(order.request.projectId, [order]);
  }
  return projects;
}

function unanswered(asked: readonly Asked[], answers: ReadonlyMap<string, PlacementAnswer>): PlacementOrder[] {
  const nowMs = Date.now();
  return asked
    .filter(({ order, atMs }) => !answers.has(order.id) && nowMs - atMs < PATIENCE_MS)
    .map(({ order }) => order);
}

function forgetRejections(answers: Map<string, PlacementAnswer>): void {
  for (const [id, { outcome }] of answers) if (outcome === 'rejected') answers.delete(id);
}

function waitingServer({ id, name, request, kind, placement }: PlacementOrder): WaitingServer {
  return {
    ...{ id, name, attempts: 0, request, excludedHosts: [], taskState: 'scheduling' as const },
    ...{ gang: null, waits: false, rank: 0, waitedMs: 0, placement, kind },
  };
}

function lost(): BerthError {
  return new BerthError(
    'claim.conflict',
    'The placement lost its races for hosts, or waited for too long; nothing is placed, ask again',
  );
}

function tooMany(): BerthError {
  return new BerthError('placement.too_many_waiting', `${WAITING_MAX} placements wait already; ask again in a second`);
}
