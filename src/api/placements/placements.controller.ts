import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { DryRunBody } from '../servers/servers.dto.js';
import { DecisionView } from './decision.view.js';
import { PlacementsService } from './placements.service.js';

@ApiTags('placements')
@Controller('v1/placements')
export class PlacementsController {
  constructor(private readonly placements: PlacementsService) {}

  @Post('dry-run')
  @HttpCode(200)
  @ApiOperation({ operationId: 'dryRunPlacement', summary: 'Where would this server land, or why nowhere' })
  @ApiOkResponse({ type: DecisionView, description: 'Both answers, "there" and "nowhere". Nothing is written.' })
  @ApiProblems(400)
  dryRun(@Body() body: DryRunBody): Promise<DecisionView> {
    return this.placements.dryRun(body);
  }
}
