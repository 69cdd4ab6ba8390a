import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { CurrentCaller, type Caller } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { idInPath } from '../path-names.js';
import { viewFor } from '../placements/decision.view.js';
import { ExplanationQuery, ExplanationView } from './explanation.dto.js';
import { ExplanationService } from './explanation.service.js';

@ApiTags('servers')
@Controller('v1/servers')
export class ExplanationController {
  constructor(private readonly explanations: ExplanationService) {}

  @Get(':id/explanation')
  @Needs('reader')
  @ApiOperation({
    operationId: 'explainServer',
    summary: 'Why a server is where it is, or nowhere, and what would make it fit',
  })
  @ApiOkResponse({ type: ExplanationView })
  @ApiProblems(400, 404)
  explain(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Query() query: ExplanationQuery,
  ): Promise<ExplanationView> {
    const serverId = idInPath(id, 'server.unknown', 'server');
    return this.explanations.explain(caller, serverId, viewFor(caller, query.view), query.changes ?? true);
  }
}
