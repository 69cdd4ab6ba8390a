import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Ledger } from '../../store/ledger.js';
import { listQueue } from '../../store/queue.store.js';
import { ApiProblems } from '../answers.js';
import { HttpLimits } from '../http-limits.js';
import { PageQuery, pageOf } from '../page.js';
import { invalidFields } from '../request-validation.pipe.js';
import { QueuePageView, queuedServerView } from './queue.views.js';

const PATH = '/v1/queue';

@ApiTags('queue')
@Controller('v1/queue')
export class QueueController {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listQueue',
    summary: 'Servers that wait for room, in the order in which they are tried',
    description:
      'Servers for which a host is kept are first; then by priority, which grows with the time that a server has waited ' +
      '(`scheduler.queue.ageing_per_minute`); among equals the one that has waited longest.',
  })
  @ApiOkResponse({ type: QueuePageView })
  @ApiProblems(400)
  async list(@Query() query: PageQuery): Promise<QueuePageView> {
    const limit = this.limits.pageSize(query.limit);
    const rows = await listQueue(this.ledger.pool, { after: positionOf(query.marker), limit: limit + 1 });
    const page = pageOf(rows, { path: PATH, query, limit }, (row) => String(row.position));
    return { servers: page.items.map(queuedServerView), next: page.next };
  }
}

function positionOf(marker: string | undefined): number {
  if (marker === undefined) return 0;
  if (/^\d{1,9}$/.test(marker)) return Number(marker);
  throw invalidFields([{ field: 'marker', problem: 'is not a position in the queue; take it from `next`' }]);
}
