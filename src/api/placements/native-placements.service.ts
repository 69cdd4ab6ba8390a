import { Injectable } from '@nestjs/common';
import { type PlacementAnswer, type PlacementOrder, Placing } from '../../batches/placing.js';
import { BerthError } from '../../errors.js';
import { Ledger } from '../../store/ledger.js';
import { newId } from '../../store/new-id.js';
import {
  findPlacementDecision,
  findPlacements,
  findPlacementsByKey,
  listPlacements,
  type PlacementRow,
} from '../../store/placements.store.js';
import { type Caller, isAdmin, listedProject, mayKnow } from '../identity/caller.js';
import { HttpLimits } from '../http-limits.js';
import { assertMarker, pageOf } from '../page.js';
import { type Audience, decisionView } from './decision.view.js';
import type {
  NativePlacementsQuery,
  PlacementAnswersView,
  PlacementAnswerView,
  PlacementDecisionView,
  PlacementPageView,
  PlacementView,
  ReleaseAnswerView,
} from './native-placements.dto.js';
import { Releasing } from './native-releases.js';
import { placedView, placementView } from './native-placements.views.js';
import { PlacementWishes, type ReadPlacement } from './placement-wishes.js';

const PATH = '/v1/placements';

/** Placements of orchestrators: asked for, answered and given back in batches, and each for itself. */
@Injectable()
export class NativePlacementsService {
  private readonly releasing: Releasing;

  constructor(
    private readonly ledger: Ledger,
    private readonly placing: Placing,
    private readonly wishes: PlacementWishes,
    private readonly limits: HttpLimits,
  ) {
    this.releasing = new Releasing(ledger);
  }

  /** @throws BerthError `request.invalid` when one of them is not well formed: then nothing is placed */
  async create(caller: Caller, body: unknown): Promise<PlacementAnswersView> {
    const { projectId } = caller;
    const items = await this.wishes.read(caller, body);
    const asked = items.map((item) => ({ item, order: orderOf(item) }));
    const earlier = await this.earlierOf(
      projectId,
      items.filter(({ problem }) => problem !== null),
    );
    const answers = await Promise.all(
      asked.map(({ item, order }) => (order ? this.placed(order) : (earlier.get(item.key) ?? null))),
    );
    const known = await this.knownOnes(
      asked.map(({ item }) => item),
      answers,
    );
    const told = new Set<string>();
    return {
      placements: asked.map(({ item, order }, index) => {
        const answer = answers[index];
        if (answer instanceof BerthError) return refused(item.key, answer);
        if (answer?.outcome === 'known') return known[index] as PlacementAnswerView;
        if (!order || !answer) return refused(item.key, (item as { problem: BerthError }).problem);
        if (answer.outcome === 'placed') return placedView(item.key, order.id, answer.decision);
        const { fault } = answer;
        if (fault) return refusedFor(item.key, fault.code, fault.message);
        const isFirst = !told.has(order.kind);
        told.add(order.kind);
        const decision = decisionView(answer.decision, audienceOf(caller));
        const rejected = refusedFor(item.key, 'placement.no_valid_host', decision.message ?? 'No valid host');
        return isFirst ? { ...rejected, decision } : rejected;
      }),
    };
  }

  /** One that lost its races is turned down alone: the others of the call may have their places. */
  private async placed(order: PlacementOrder): Promise<PlacementAnswer | BerthError> {
    try {
      return await this.placing.place(order);
    } catch (error) {
      if (error instanceof BerthError && error.code === 'claim.conflict') return error;
      throw error;
    }
  }

  async list(caller: Caller, query: NativePlacementsQuery): Promise<PlacementPageView> {
    const limit = this.limits.pageSize(query.limit);
    const after = await assertMarker(query.marker, async (id) => (await this.find(caller, id)) !== null);
    const filter = { host: query.host ?? null, projectId: listedProject(caller, query.project_id) };
    const rows = await listPlacements(this.ledger.pool, filter, { after, limit: limit + 1 });
    const page = pageOf(rows, { path: PATH, query, limit }, (row) => row.id);
    return { placements: page.items.map(placementView), next: page.next };
  }

  async show(caller: Caller, id: string): Promise<PlacementView> {
    const row = await this.find(caller, id);
    if (!row) throw unknownPlacement(id);
    return placementView(row);
  }

  async decision(caller: Caller, id: string): Promise<PlacementDecisionView> {
    if (!(await this.find(caller, id))) throw unknownPlacement(id);
    const found = await findPlacementDecision(this.ledger.pool, id);
    const member = found?.record.members[id];
    if (!found || !member) throw unknownPlacement(id);
    const [host, generation, score] = member;
    const classSize = Object.keys(found.record.members).length;
    const first = decisionView(found.record.first, audienceOf(caller));
    return { decided_at: found.at, host, generation, score, class_size: classSize, first };
  }

  /** Resolves when it is durable that they are given back. */
  async release(caller: Caller, ids: readonly string[]): Promise<readonly ReleaseAnswerView[]> {
    if (isAdmin(caller)) return this.releasing.release(ids);
    const rows = await findPlacements(this.ledger.pool, ids);
    const own = ids.filter((id) => rows.get(id)?.project_id === caller.projectId);
    const released = new Map((await this.releasing.release(own)).map((answer) => [answer.id, answer]));
    return ids.map((id) => released.get(id) ?? { id, outcome: 'unknown' });
  }

  async releaseOne(caller: Caller, id: string): Promise<ReleaseAnswerView> {
    const [answer] = await this.release(caller, [id]);
    if (!answer || answer.outcome === 'unknown') throw unknownPlacement(id);
    return answer;
  }

  private async find(caller: Caller, id: string): Promise<PlacementRow | null> {
    const row = (await findPlacements(this.ledger.pool, [id])).get(id);
    return row && mayKnow(caller, row.project_id) ? row : null;
  }

  /** What was placed under a key stays its answer, also when its alias or flavor is not there any more. */
  private async earlierOf(
    projectId: string,
    items: readonly ReadPlacement[],
  ): Promise<ReadonlyMap<string | null, PlacementAnswer>> {
    const keys = items.flatMap(({ key }) => (key === null ? [] : [key]));
    const found = await findPlacementsByKey(this.ledger.pool, projectId, keys);
    return new Map([...found].map(([key, known]) => [key, { outcome: 'known', known }] as const));
  }

  private async knownOnes(
    items: readonly ReadPlacement[],
    answers: readonly (PlacementAnswer | BerthError | null)[],
  ): Promise<readonly (PlacementAnswerView | null)[]> {
    const ids = answers.flatMap((answer) => (isKnown(answer) ? [answer.known.id] : []));
    const rows = await findPlacements(this.ledger.pool, ids);
    return answers.map((answer, index) => {
      if (!isKnown(answer)) return null;
      const { key, hash } = items[index] as ReadPlacement;
      const row = rows.get(answer.known.id);
      if (answer.known.hash !== hash || !row) return refused(key, keyReused());
      const { id, host, devices } = placementView(row);
      return { key, outcome: 'placed', replayed: true, id, host, devices };
    });
  }
}

function audienceOf(caller: Caller): Audience {
  return { view: isAdmin(caller) ? 'admin' : 'project', own: new Set() };
}

function isKnown(answer: PlacementAnswer | BerthError | null): answer is PlacementAnswer & { outcome: 'known' } {
  return answer !== null && !(answer instanceof BerthError) && answer.outcome === 'known';
}

function orderOf(item: ReadPlacement): PlacementOrder | null {
  if (item.problem) return null;
  const { key, name, hash, kind, flavor, request } = item;
  return { id: newId(), name, request, kind, placement: { key, hash: key === null ? null : hash, flavor } };
}

function refused(key: string | null, { code, message }: BerthError): PlacementAnswerView {
  return refusedFor(key, code, message);
}

function refusedFor(key: string | null, code: string, message: string): PlacementAnswerView {
  return { key, outcome: 'rejected', code, message };
}

function keyReused(): BerthError {
  return new BerthError(
    'idempotency.key_reused',
    'The key was used before for other wishes; use a new key for a new placement',
  );
}

function unknownPlacement(id: string): BerthError {
  return new BerthError('placement.unknown', `There is no placement with the id ${id}`);
}
