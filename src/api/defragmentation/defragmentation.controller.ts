import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { type Caller, CurrentCaller } from '../identity/caller.js';
import { DefragmentationBody, DefragmentationPlanView } from './defragmentation.dto.js';
import { DefragmentationService } from './defragmentation.service.js';

@ApiTags('defragmentation')
@Controller('v1/defragmentation')
export class DefragmentationController {
  constructor(private readonly service: DefragmentationService) {}

  @Post('plan')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'planDefragmentation',
    summary: 'Which servers to move so that more fits: moves in order, gain and cost',
    description:
      'A plan only; nothing is carried out. Each move has its new place free before the old one is given back.',
  })
  @ApiOkResponse({ type: DefragmentationPlanView })
  @ApiProblems(400)
  plan(@CurrentCaller() { projectId }: Caller, @Body() body: DefragmentationBody): Promise<DefragmentationPlanView> {
    return this.service.plan(projectId, body);
  }
}
