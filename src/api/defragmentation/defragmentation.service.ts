import { Injectable } from '@nestjs/common';
import type { DefragmentGoal } from '../../placement/defragment-goal.js';
import { type DefragmentPlan, planDefragmentation } from '../../placement/defragment.js';
import { Ledger } from '../../store/ledger.js';
import { requestsOfServers } from '../../store/plans.store.js';
import { CapacityService } from '../capacity/capacity.service.js';
import { inTurns } from '../in-turns.js';
import { withPrefix } from '../placements/placements.what-if.service.js';
import { RequestRules } from '../request-rules.js';
import { invalidFields } from '../request-validation.pipe.js';
import { resolveRequest } from '../servers/resolve-request.js';
import type { DefragmentationBody, DefragmentationPlanView, GoalBody } from './defragmentation.dto.js';

const MOVES_DEFAULT = 100;
const TRIALS_DEFAULT = 50_000;

/** Plans on a fork of the hosts as they are now; carries nothing out. */
@Injectable()
export class DefragmentationService {
  constructor(
    private readonly ledger: Ledger,
    private readonly capacity: CapacityService,
    private readonly rules: RequestRules,
  ) {}

  /** @throws BerthError `request.invalid`, `alias.unknown`, and what {@link resolveRequest} throws */
  async plan(projectId: string, body: DefragmentationBody): Promise<DefragmentationPlanView> {
    const goal = await this.goalOf(projectId, body);
    const snapshot = await this.capacity.snapshot();
    const ids = snapshot.hosts.flatMap(({ servers }) => servers.filter(({ settled }) => settled).map(({ id }) => id));
    const plan = await inTurns(
      planDefragmentation(snapshot, {
        goal,
        requests: await requestsOfServers(this.ledger.pool, ids),
        keep: new Set((body.keep ?? []).map((id) => id.toLowerCase())),
        movesMax: body.moves_max ?? MOVES_DEFAULT,
        trialsMax: body.trials_max ?? TRIALS_DEFAULT,
      }),
    );
    return planView(plan, goal.kind);
  }

  private async goalOf(projectId: string, { goal, aliases }: DefragmentationBody): Promise<DefragmentGoal> {
    const isFit = goal !== undefined && goal !== null;
    const isMix = aliases !== undefined && aliases !== null;
    if (isFit && isMix) {
      throw invalidFields([{ field: 'aliases', problem: 'means nothing beside goal; leave one of them out' }]);
    }
    if (isFit) return this.fitting(projectId, goal);
    if (!isMix) throw invalidFields([{ field: 'goal', problem: 'say what has to fit, or name aliases' }]);
    const known = await this.capacity.aliasesNamed(aliases, 'aliases');
    return { kind: 'mix', mixes: await this.capacity.mixesOf(known) };
  }

  private async fitting(projectId: string, goal: GoalBody): Promise<DefragmentGoal> {
    const resolved = resolveRequest(
      this.ledger.pool,
      { name: 'goal', projectId, anyFlavor: true },
      goal,
      this.rules,
    ).catch((error: unknown) => {
      throw withPrefix(error, 'goal.');
    });
    const { request } = await resolved;
    if (request.host?.group) {
      const problem = 'a goal is counted host by host, which a server group is not; leave the group out';
      throw invalidFields([{ field: 'goal.scheduler_hints.group', problem }]);
    }
    return { kind: 'fit', request, count: goal.count ?? 1 };
  }
}

function planView(plan: DefragmentPlan, kind: DefragmentGoal['kind']): DefragmentationPlanView {
  const { outcome, before, after, cost, trials, staying } = plan;
  return {
    ...{ outcome, before, after, gain: kind === 'fit' ? after - before : before - after },
    moves: plan.moves.map(({ serverId, serverName, from, to, givesBack, takes, memoryMb }) => ({
      ...{ server_id: serverId, server_name: serverName, from_host: from, to_host: to },
      ...{ gives_back: givesBack, takes, memory_mb: memoryMb },
    })),
    cost: { moves: cost.moves, devices: cost.devices, memory_mb: cost.memoryMb },
    moves_at_least: plan.movesAtLeast,
    trials,
    cut_short: plan.isCutShort,
    staying,
  };
}
