import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError, type ErrorCode } from '../../../errors.js';
import { type AggregateRow, listNumberedAggregates } from '../../../store/aggregates.store.js';
import { Ledger } from '../../../store/ledger.js';
import type { AggregateChangeBody } from '../../aggregates/aggregates.dto.js';
import { AggregatesService } from '../../aggregates/aggregates.service.js';
import { ApiProblems } from '../../answers.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion, ServedIn } from '../microversion.js';
import {
  AggregateActionBody,
  AggregateImagesBody,
  ComputeAggregateBody,
  ComputeAggregateChangeBody,
} from './aggregates.dto.js';
import { aggregateView, newAggregateView } from './aggregates.views.js';
import type { RawQuery } from './paging.js';
import { numberInPath } from './query-rules.js';
import { COMPUTE_PATH } from './url.js';

const ZONE = 'availability_zone';

/** Host aggregates; their ids are numbers. */
@ApiTags('compute')
@Needs('admin')
@Controller(`${COMPUTE_PATH}/os-aggregates`)
export class ComputeAggregatesController {
  constructor(
    private readonly ledger: Ledger,
    private readonly aggregates: AggregatesService,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeAggregates', summary: 'Host aggregates' })
  @ApiOkResponse()
  async list(@Microversion() minor: number, @Query() _query: RawQuery): Promise<object> {
    const rows = await listNumberedAggregates(this.ledger.pool);
    return { aggregates: rows.map((row) => aggregateView(row, minor)) };
  }

  @Post()
  @HttpCode(200)
  @ApiOperation({ operationId: 'createComputeAggregate', summary: 'Make an aggregate' })
  @ApiOkResponse()
  @ApiProblems(400, 409)
  async create(@Microversion() minor: number, @Body() { aggregate }: ComputeAggregateBody): Promise<object> {
    const { name, availability_zone: zone } = aggregate;
    const { id } = await this.aggregates.create({ name, ...(zone ? { availability_zone: zone } : {}) }, null);
    const [row] = await listNumberedAggregates(this.ledger.pool, { id });
    return { aggregate: newAggregateView(row as AggregateRow, minor) };
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getComputeAggregate', summary: 'One aggregate' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  async show(
    @Param('id', NamePipe) id: string,
    @Microversion() minor: number,
    @Query() _query: RawQuery,
  ): Promise<object> {
    return { aggregate: aggregateView(await this.find(id), minor) };
  }

  @Put(':id')
  @ApiOperation({ operationId: 'changeComputeAggregate', summary: 'Change the name or the zone' })
  @ApiOkResponse()
  @ApiProblems(400, 404, 409)
  async change(
    @Param('id', NamePipe) id: string,
    @Microversion() minor: number,
    @Body() { aggregate }: ComputeAggregateChangeBody,
  ): Promise<object> {
    const { name, availability_zone: zone } = aggregate;
    if ((name ?? null) === null && zone === undefined) {
      throw invalidFields([{ field: 'aggregate', problem: 'say name or availability_zone' }]);
    }
    const row = await this.find(id);
    await asBadRequest(['aggregate.zone_conflict'], this.aggregates.change(row.id, aggregate));
    return { aggregate: aggregateView(await this.find(id), minor) };
  }

  @Delete(':id')
  @HttpCode(200)
  @ApiOperation({ operationId: 'deleteComputeAggregate', summary: 'Delete an aggregate that has no hosts' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  async remove(@Param('id', NamePipe) id: string, @Query() _query: RawQuery): Promise<void> {
    const row = await this.find(id);
    await asBadRequest(['aggregate.in_use', 'aggregate.zone_conflict'], this.aggregates.remove(row.id, true));
  }

  @Post(':id/action')
  @HttpCode(200)
  @ApiOperation({ operationId: 'actOnComputeAggregate', summary: 'Add a host, remove one, or set metadata' })
  @ApiOkResponse()
  @ApiProblems(400, 404, 409)
  async act(
    @Param('id', NamePipe) id: string,
    @Microversion() minor: number,
    @Body() body: AggregateActionBody,
  ): Promise<object> {
    const { add_host: add, remove_host: remove, set_metadata: set } = body;
    if ([add, remove, set].filter(Boolean).length !== 1) {
      throw invalidFields([{ field: '', problem: 'say one of add_host, remove_host, set_metadata' }]);
    }
    const row = await this.find(id);
    if (add) await this.aggregates.addHost(row.id, add.host, true);
    if (remove) await this.aggregates.removeHost(row.id, remove.host);
    if (set) {
      const changes = changesOf(set.metadata);
      await asBadRequest(['aggregate.zone_conflict'], this.aggregates.change(row.id, changes));
    }
    return { aggregate: aggregateView(await this.find(id), minor) };
  }

  @Post(':id/images')
  @HttpCode(202)
  @ServedIn(81)
  @ApiOperation({
    operationId: 'cacheComputeAggregateImages',
    summary: 'Have images ready on the hosts; as Berth keeps no images, there is nothing to do for that',
  })
  @ApiAcceptedResponse()
  @ApiProblems(400, 404)
  async images(@Param('id', NamePipe) id: string, @Body() _body: AggregateImagesBody): Promise<void> {
    await this.find(id);
  }

  /** @throws BerthError `aggregate.unknown`; `request.invalid` for what is no number */
  private async find(text: string): Promise<AggregateRow> {
    const number = numberInPath(text);
    if (number === null) throw new BerthError('request.invalid', `id: ${text} is no whole number`);
    const [row] = await listNumberedAggregates(this.ledger.pool, { number });
    if (row) return row;
    throw new BerthError('aggregate.unknown', `Aggregate ${text} could not be found.`);
  }
}

/** Metadata as Nova has it: the zone is among them. */
function changesOf({ [ZONE]: zone, ...metadata }: Record<string, string | null>): AggregateChangeBody {
  if (zone === undefined) return { metadata };
  if (zone !== null && (zone.trim() === '' || zone.includes(':'))) {
    throw invalidFields([{ field: `set_metadata.metadata.${ZONE}`, problem: 'is empty, or has a colon in it' }]);
  }
  return { metadata, availability_zone: zone };
}

/** Some conflicts are bad requests to Nova. */
async function asBadRequest(codes: readonly ErrorCode[], work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof BerthError) || !codes.includes(error.code)) throw error;
    throw new BerthError('request.invalid', error.message, { cause: error });
  }
}
