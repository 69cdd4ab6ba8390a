import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { readAuditEnds, readTrail } from '../../store/audit-views.store.js';
import { findHost } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { ApiProblems } from '../answers.js';
import { HttpLimits } from '../http-limits.js';
import { nextPage } from '../page.js';
import { invalidFields } from '../request-validation.pipe.js';
import { AuditHeadView, AuditPageView, AuditQuery, auditEntryView, auditHeadView } from './audit.dto.js';

const PATH = '/v1/audit';

/** The sealed part of the audit, for administrators. Whether it is whole is asked with `berth audit verify`. */
@ApiTags('audit')
@Controller('v1/audit')
export class AuditController {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listAudit',
    summary: 'What changed devices and what was decided, oldest first',
    description:
      'An entry has all that one transaction did, so there may be other devices and servers in it than those asked for. ' +
      'A page of large entries has fewer than `limit`. What happened within the last second may not be sealed yet.',
  })
  @ApiOkResponse({ type: AuditPageView })
  @ApiProblems(400)
  async list(@Query() query: AuditQuery): Promise<AuditPageView> {
    const limit = this.limits.pageSize(query.limit);
    const subjects = await this.subjectsOf(query);
    const after = placeOf(query.marker);
    if (subjects === null) return { entries: [], next: null };
    const { entries, complete } = await readTrail(this.ledger.pool, { subjects, after, limit });
    const last = entries.at(-1);
    const next = complete || !last ? null : nextPage({ path: PATH, query, limit }, String(last.seq));
    return { entries: entries.map(auditEntryView), next };
  }

  @Get('head')
  @ApiOperation({
    operationId: 'getAuditHead',
    summary: 'Number and hash of the last entry: an anchor to keep elsewhere',
  })
  @ApiOkResponse({ type: AuditHeadView })
  @ApiProblems()
  async head(): Promise<AuditHeadView> {
    return auditHeadView(await readAuditEnds(this.ledger.pool));
  }

  /** null: there is no such host, so there is nothing about it. */
  private async subjectsOf({ device_id, server_id, host }: AuditQuery): Promise<string[] | null> {
    const ids = [device_id, server_id].flatMap((id) => id ?? []);
    if (host === undefined) return ids;
    const row = await findHost(this.ledger.pool, host);
    return row ? [...ids, row.id] : null;
  }
}

function placeOf(marker: string | undefined): number | null {
  if (marker === undefined) return null;
  if (/^\d{1,15}$/.test(marker)) return Number(marker);
  throw invalidFields([{ field: 'marker', problem: 'is not the number of an entry; take it from `next`' }]);
}
