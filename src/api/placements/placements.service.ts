import { Injectable } from '@nestjs/common';
import { howManyMore } from '../../placement/capacity.js';
import { place } from '../../placement/place.js';
import type { PlacementPolicy } from '../../placement/snapshot.js';
import { Ledger } from '../../store/ledger.js';
import { LiveMix } from '../../store/live-mix.js';
import { SnapshotCache } from '../../store/snapshot.store.js';
import type { Caller } from '../identity/caller.js';
import { inTurns } from '../in-turns.js';
import { judgedByQuota } from '../quotas/quota-check.js';
import { RequestRules } from '../request-rules.js';
import { changesFor } from '../servers/explanation-changes.js';
import { resolveRequest, wisherOf } from '../servers/resolve-request.js';
import { decisionView } from './decision.view.js';
import type { CopiesBody, DryRunQuery, DryRunView } from './placements.dto.js';
import { copiesView } from './placements.views.js';

const NAME_DEFAULT = 'dry-run';
const NOTHING_OWN: ReadonlySet<string> = new Set();

/** How the scheduler judges hosts; the class is the token it is injected by. */
export class DryRunPolicy {
  constructor(readonly policy: PlacementPolicy) {}
}

@Injectable()
export class PlacementsService {
  private readonly mix = new LiveMix();

  constructor(
    private readonly ledger: Ledger,
    private readonly snapshots: SnapshotCache,
    private readonly scheduling: DryRunPolicy,
    private readonly rules: RequestRules,
  ) {}

  /** Decides with the scheduler's own function on the hosts as they are now. */
  async dryRun(
    caller: Caller,
    body: CopiesBody,
    { view = 'admin', changes = false }: DryRunQuery,
  ): Promise<DryRunView> {
    const { request } = await resolveRequest(
      this.ledger.pool,
      wisherOf(caller, body.name ?? NAME_DEFAULT),
      body,
      this.rules,
    );
    await this.snapshots.refresh();
    const hosts = this.snapshots.list();
    const policy = await this.mix.addTo(this.ledger.pool, { hosts, policy: this.scheduling.policy }, 0);
    const snapshot = { hosts, policy };
    const audience = { view, own: NOTHING_OWN };
    const decided = place(snapshot, request, []);
    const decision = decisionView(await judgedByQuota(this.ledger.pool, request, decided), audience);
    const isAsked = changes && decided.outcome === 'rejected';
    const answer = isAsked ? { ...decision, changes: await changesFor(snapshot, request, [], view) } : decision;
    if (body.copies === undefined || body.copies === null) return answer;
    const copies = await inTurns(howManyMore(snapshot, request, body.copies));
    return { ...answer, copies: copiesView(body.copies, copies, audience) };
  }
}
