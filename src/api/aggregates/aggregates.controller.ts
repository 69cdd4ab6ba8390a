import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Put, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { announce, ApiIdempotencyKey, type GivenKey, IdempotencyKey } from '../idempotency.js';
import { PageQuery } from '../page.js';
import { NamePipe } from '../path-names.js';
import type { Reply } from '../reply.js';
import { AggregateBody, AggregateChangeBody, AggregatePageView, AggregateView } from './aggregates.dto.js';
import { AGGREGATES_PATH, AggregatesService } from './aggregates.service.js';

@ApiTags('aggregates')
@Controller('v1/aggregates')
export class AggregatesController {
  constructor(private readonly aggregates: AggregatesService) {}

  @Get()
  @ApiOperation({ operationId: 'listAggregates', summary: 'Host aggregates, in name order' })
  @ApiOkResponse({ type: AggregatePageView })
  @ApiProblems(400)
  list(@Query() query: PageQuery): Promise<AggregatePageView> {
    return this.aggregates.list(query);
  }

  @Get(':aggregate')
  @ApiOperation({ operationId: 'getAggregate', summary: 'One aggregate, by name or id' })
  @ApiOkResponse({ type: AggregateView })
  @ApiProblems(404)
  show(@Param('aggregate', NamePipe) aggregate: string): Promise<AggregateView> {
    return this.aggregates.show(aggregate);
  }

  @Post()
  @ApiOperation({ operationId: 'createAggregate', summary: 'Make an aggregate; its hosts are put into it afterwards' })
  @ApiIdempotencyKey()
  @ApiCreatedResponse({ type: AggregateView })
  @ApiProblems(400, 409, 422)
  async create(
    @Body() body: AggregateBody,
    @IdempotencyKey() key: GivenKey | null,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<AggregateView> {
    const created = await this.aggregates.create(body, key);
    announce(reply, created, AGGREGATES_PATH);
    return this.aggregates.show(created.id);
  }

  @Patch(':aggregate')
  @ApiOperation({ operationId: 'changeAggregate', summary: 'Change name, zone or metadata' })
  @ApiOkResponse({ type: AggregateView })
  @ApiProblems(400, 404, 409)
  change(@Param('aggregate', NamePipe) aggregate: string, @Body() body: AggregateChangeBody): Promise<AggregateView> {
    return this.aggregates.change(aggregate, body);
  }

  @Delete(':aggregate')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteAggregate', summary: 'Delete an aggregate; its hosts stay' })
  @ApiNoContentResponse()
  @ApiProblems(404, 409)
  remove(@Param('aggregate', NamePipe) aggregate: string): Promise<void> {
    return this.aggregates.remove(aggregate);
  }

  @Put(':aggregate/hosts/:host')
  @ApiOperation({ operationId: 'addAggregateHost', summary: 'Put a host into an aggregate' })
  @ApiOkResponse({ type: AggregateView })
  @ApiProblems(404, 409)
  addHost(
    @Param('aggregate', NamePipe) aggregate: string,
    @Param('host', NamePipe) host: string,
  ): Promise<AggregateView> {
    return this.aggregates.addHost(aggregate, host);
  }

  @Delete(':aggregate/hosts/:host')
  @HttpCode(204)
  @ApiOperation({ operationId: 'removeAggregateHost', summary: 'Take a host out of an aggregate' })
  @ApiNoContentResponse()
  @ApiProblems(404, 409)
  removeHost(@Param('aggregate', NamePipe) aggregate: string, @Param('host', NamePipe) host: string): Promise<void> {
    return this.aggregates.removeHost(aggregate, host);
  }
}
