import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { AliasesQuery, CapacityView, FragmentationView } from './capacity.dto.js';
import { CapacityService } from './capacity.service.js';

@ApiTags('capacity')
@Controller('v1')
export class CapacityController {
  constructor(private readonly service: CapacityService) {}

  @Get('capacity')
  @ApiOperation({
    operationId: 'getCapacity',
    summary: 'What there is of each alias, how much of it fits now, and the most that one server can get',
  })
  @ApiOkResponse({ type: CapacityView })
  @ApiProblems(400)
  capacity(@Query() query: AliasesQuery): Promise<CapacityView> {
    return this.service.capacity(query);
  }

  @Get('fragmentation')
  @ApiOperation({
    operationId: 'getFragmentation',
    summary: 'Devices that nobody has and nobody could have, with the causes',
    description: 'Servers are tried that are like those there are, and of the flavors that ask for the alias.',
  })
  @ApiOkResponse({ type: FragmentationView })
  @ApiProblems(400)
  fragmentation(@Query() query: AliasesQuery): Promise<FragmentationView> {
    return this.service.fragmentation(query);
  }
}
