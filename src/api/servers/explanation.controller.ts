import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { idInPath } from '../path-names.js';
import { ExplanationQuery, ExplanationView } from './explanation.dto.js';
import { ExplanationService } from './explanation.service.js';

@ApiTags('servers')
@Controller('v1/servers')
export class ExplanationController {
  constructor(private readonly explanations: ExplanationService) {}

  @Get(':id/explanation')
  @ApiOperation({
    operationId: 'explainServer',
    summary: 'Why a server is where it is, or nowhere, and what would make it fit',
  })
  @ApiOkResponse({ type: ExplanationView })
  @ApiProblems(400, 404)
  explain(@Param('id') id: string, @Query() query: ExplanationQuery): Promise<ExplanationView> {
    const serverId = idInPath(id, 'server.unknown', 'server');
    return this.explanations.explain(serverId, query.view ?? 'admin', query.changes ?? true);
  }
}
