import {
  Body,
  Controller,
  createParamDecorator,
  Delete,
  type ExecutionContext,
  Get,
  HttpCode,
  Param,
  Post,
  Query,
} from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { type Caller, CurrentCaller } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { idInPath } from '../path-names.js';
import {
  NativePlacementsQuery,
  PlacementAnswersView,
  PlacementDecisionView,
  PlacementPageView,
  PlacementsBody,
  PlacementView,
  ReleaseAnswersView,
  ReleaseAnswerView,
  ReleasedIdsBody,
} from './native-placements.dto.js';
import { NativePlacementsService } from './native-placements.service.js';

const placementId = (text: string): string => idInPath(text, 'placement.unknown', 'placement');

/** The body as it came: a thousand equal wishes are checked once, not a thousand times. */
const UncheckedBody = createParamDecorator(
  (_data: unknown, context: ExecutionContext): unknown => context.switchToHttp().getRequest<{ body: unknown }>().body,
);

@ApiTags('placements')
@Needs('member')
@Controller('v1/placements')
export class NativePlacementsController {
  constructor(private readonly placements: NativePlacementsService) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'createPlacements',
    summary: 'Place devices for an orchestrator that has no servers here',
    description:
      'Answered when the placements are durable. Each is placed or rejected by itself; their agents are told to bind the devices at ' +
      'once. A call that failed or got no answer is sent again with the same keys.',
  })
  @ApiBody({ type: PlacementsBody })
  @ApiOkResponse({ type: PlacementAnswersView })
  @ApiProblems(400)
  create(@CurrentCaller() caller: Caller, @UncheckedBody() body: unknown): Promise<PlacementAnswersView> {
    return this.placements.create(caller, body);
  }

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listPlacements', summary: 'Placements, newest first' })
  @ApiOkResponse({ type: PlacementPageView })
  @ApiProblems(400)
  list(@CurrentCaller() caller: Caller, @Query() query: NativePlacementsQuery): Promise<PlacementPageView> {
    return this.placements.list(caller, query);
  }

  @Get(':id')
  @Needs('reader')
  @ApiOperation({ operationId: 'getPlacement', summary: 'One placement and what it holds' })
  @ApiOkResponse({ type: PlacementView })
  @ApiProblems(404)
  show(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<PlacementView> {
    return this.placements.show(caller, placementId(id));
  }

  @Get(':id/decision')
  @Needs('reader')
  @ApiOperation({ operationId: 'getPlacementDecision', summary: 'Why a placement is where it is' })
  @ApiOkResponse({ type: PlacementDecisionView })
  @ApiProblems(404)
  decision(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<PlacementDecisionView> {
    return this.placements.decision(caller, placementId(id));
  }

  @Delete()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'deletePlacements',
    summary: 'Give back what placements hold',
    description: 'Answered when that is durable. Devices are free for others when their agents have given them back.',
  })
  @ApiOkResponse({ type: ReleaseAnswersView })
  @ApiProblems(400)
  async removeAll(@CurrentCaller() caller: Caller, @Body() body: ReleasedIdsBody): Promise<ReleaseAnswersView> {
    return {
      placements: await this.placements.release(
        caller,
        body.ids.map((id) => id.toLowerCase()),
      ),
    };
  }

  @Delete(':id')
  @HttpCode(200)
  @ApiOperation({ operationId: 'deletePlacement', summary: 'Give back what a placement holds' })
  @ApiOkResponse({ type: ReleaseAnswerView })
  @ApiProblems(404)
  remove(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<ReleaseAnswerView> {
    return this.placements.releaseOne(caller, placementId(id));
  }
}
