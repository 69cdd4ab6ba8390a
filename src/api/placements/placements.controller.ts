import { Body, Controller, HttpCode, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { type Caller, CurrentCaller } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { viewFor } from './decision.view.js';
import { CopiesBody, DryRunQuery, DryRunView, WhatIfBody, WhatIfView } from './placements.dto.js';
import { PlacementsService } from './placements.service.js';
import { WhatIfService } from './placements.what-if.service.js';

@ApiTags('placements')
@Controller('v1/placements')
export class PlacementsController {
  constructor(
    private readonly placements: PlacementsService,
    private readonly plans: WhatIfService,
  ) {}

  @Post('dry-run')
  @Needs('reader')
  @HttpCode(200)
  @ApiOperation({ operationId: 'dryRunPlacement', summary: 'Where would this server land, or why nowhere' })
  @ApiOkResponse({ type: DryRunView, description: 'Both answers, "there" and "nowhere". Nothing is written.' })
  @ApiProblems(400)
  dryRun(@CurrentCaller() caller: Caller, @Body() body: CopiesBody, @Query() query: DryRunQuery): Promise<DryRunView> {
    return this.placements.dryRun(caller, body, { ...query, view: viewFor(caller, query.view) });
  }

  @Post('what-if')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'whatIf',
    summary: 'What would have a place if hosts, devices, servers or the whitelist were others',
    description: 'The requests are decided on the hosts as they are, and as they would be. Nothing is written.',
  })
  @ApiOkResponse({ type: WhatIfView })
  @ApiProblems(400, 409, 413)
  whatIf(@CurrentCaller() { projectId }: Caller, @Body() body: WhatIfBody): Promise<WhatIfView> {
    return this.plans.whatIf(projectId, body);
  }
}
