import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, UseInterceptors } from '@nestjs/common';
import { ApiBody, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Ledger } from '../../../store/ledger.js';
import { listHeldBy } from '../../../store/placement-face.store.js';
import { ApiProblems } from '../../answers.js';
import { type Caller, CurrentCaller } from '../../identity/caller.js';
import { Microversion, ServedIn } from '../microversion.js';
import { consumerWish, consumerWishes } from './allocation-body.js';
import { AllocationWrites } from './allocation-writes.js';
import { CacheHeaders } from './cache-headers.js';
import { consumerView } from './held.js';
import { ProviderReader } from './providers.js';
import { dashed, isUuid } from './query.js';

const ANY_BODY = { schema: { type: 'object', additionalProperties: true } };

/** Who has what. */
@ApiTags('placement')
@Controller('placement/allocations')
export class AllocationsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly reader: ProviderReader,
    private readonly writes: AllocationWrites,
  ) {}

  @Get(':consumer')
  @UseInterceptors(CacheHeaders)
  @ApiOperation({
    operationId: 'getAllocations',
    summary: 'What a consumer has: a server, a placement, or one that was made here',
  })
  @ApiOkResponse()
  @ApiProblems(400)
  async show(@Microversion() minor: number, @Param('consumer') consumer: string): Promise<object> {
    // one that nobody has heard of has nothing
    const rows = isUuid(consumer) ? await listHeldBy(this.ledger.pool, [dashed(consumer)]) : [];
    return consumerView(rows, await this.reader.read(), minor);
  }

  @Put(':consumer')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'setAllocations',
    summary: 'Give devices of providers to a consumer, or take all back; those of servers are refused',
  })
  @ApiBody(ANY_BODY)
  @ApiNoContentResponse()
  @ApiProblems(400, 409)
  async set(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Param('consumer') consumer: string,
    @Body() body: object,
  ): Promise<void> {
    await this.writes.replace(caller, [consumerWish(consumer, body, minor)]);
  }

  @Post()
  @ServedIn(13)
  @HttpCode(204)
  @ApiOperation({
    operationId: 'setManyAllocations',
    summary: 'The same for several consumers: all of them, or nothing',
  })
  @ApiBody(ANY_BODY)
  @ApiNoContentResponse()
  @ApiProblems(400, 409)
  async setMany(@CurrentCaller() caller: Caller, @Microversion() minor: number, @Body() body: object): Promise<void> {
    await this.writes.replace(caller, consumerWishes(body, minor));
  }

  @Delete(':consumer')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteAllocations', summary: 'Give back what a consumer has; servers are refused' })
  @ApiNoContentResponse()
  @ApiProblems(404, 409)
  async remove(@Param('consumer') consumer: string): Promise<void> {
    await this.writes.remove(consumer);
  }
}
