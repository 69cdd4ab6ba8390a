import { Injectable } from '@nestjs/common';
import { place } from '../../placement/place.js';
import type { PlacementPolicy } from '../../placement/snapshot.js';
import { Ledger } from '../../store/ledger.js';
import { SnapshotCache } from '../../store/snapshot.store.js';
import { RequestRules } from '../request-rules.js';
import { resolveRequest } from '../servers/resolve-request.js';
import type { DryRunBody } from '../servers/servers.dto.js';
import { type DecisionView, decisionView } from './decision.view.js';

const NAME_DEFAULT = 'dry-run';

/** How the scheduler judges hosts; the class is the token it is injected by. */
export class DryRunPolicy {
  constructor(readonly policy: PlacementPolicy) {}
}

@Injectable()
export class PlacementsService {
  constructor(
    private readonly ledger: Ledger,
    private readonly snapshots: SnapshotCache,
    private readonly scheduling: DryRunPolicy,
    private readonly rules: RequestRules,
  ) {}

  /** Decides with the scheduler's own function on the hosts as they are now. */
  async dryRun(body: DryRunBody): Promise<DecisionView> {
    const { request } = await resolveRequest(this.ledger.pool, body.name ?? NAME_DEFAULT, body, this.rules);
    await this.snapshots.refresh();
    const snapshot = { hosts: this.snapshots.list(), policy: this.scheduling.policy };
    return decisionView(place(snapshot, request, []));
  }
}
