import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { place } from '../../placement/place.js';
import { planPreemption } from '../../placement/preempt.js';
import { Ledger } from '../../store/ledger.js';
import { SnapshotCache } from '../../store/snapshot.store.js';
import { ApiProblems } from '../answers.js';
import { DryRunPolicy } from '../placements/placements.service.js';
import { RequestRules } from '../request-rules.js';
import { type Caller, CurrentCaller } from '../identity/caller.js';
import { resolveRequest } from '../servers/resolve-request.js';
import { DryRunBody } from '../servers/servers.dto.js';
import { PreemptionPreviewView, previewView } from './preemption.views.js';

const NAME_DEFAULT = 'preview';

@ApiTags('placements')
@Controller('v1/placements')
export class PreemptionController {
  constructor(
    private readonly ledger: Ledger,
    private readonly snapshots: SnapshotCache,
    private readonly scheduling: DryRunPolicy,
    private readonly rules: RequestRules,
  ) {}

  @Post('preemption-preview')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'previewPreemption',
    summary: 'Who would have to leave for this server',
    description:
      'Decided by the function that preempts, whether `scheduler.preemption` is on or not: the fewest servers, then the ' +
      'least important, then those with the fewest devices. Nothing is written.',
  })
  @ApiOkResponse({ type: PreemptionPreviewView })
  @ApiProblems(400)
  async preview(@CurrentCaller() { projectId }: Caller, @Body() body: DryRunBody): Promise<PreemptionPreviewView> {
    const wisher = { name: body.name ?? NAME_DEFAULT, projectId, anyFlavor: true };
    const { request } = await resolveRequest(this.ledger.pool, wisher, body, this.rules);
    await this.snapshots.refresh();
    const snapshot = { hosts: this.snapshots.list(), policy: this.scheduling.policy };
    const decision = place(snapshot, request, []);
    const plan = decision.outcome === 'placed' ? null : planPreemption(snapshot, request, []);
    return previewView(decision, plan, plan ? this.snapshots.get(plan.hostId) : undefined);
  }
}
