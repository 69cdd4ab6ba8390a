import { Controller, Get, Param, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { Ledger } from '../../../store/ledger.js';
import { type ActionsPage, findAction, findActionEvents, listActions } from '../../../store/server-actions.store.js';
import { findServer, type ServerRow } from '../../../store/servers.store.js';
import { ApiProblems } from '../../answers.js';
import { type Caller, CurrentCaller, isAdmin, mayKnow } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { idInPath } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { unknownServer } from '../../servers/servers.service.js';
import { Microversion } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { changesOf } from './changes-query.js';
import { type ActionsAudience, actionView, actionWithEventsView } from './instance-actions.views.js';
import { refuseUnknown } from './microversion-fields.js';
import { nextLinks, PAGE_MAX, pagingOf, type RawQuery } from './paging.js';
import { COMPUTE_PATH } from './url.js';

/** Versions from which something is there. */
const SINCE = { deleted: 21, paging: 58, before: 66 } as const;

interface Request {
  readonly headers: { readonly host?: string };
}

/** Who asked what of a server, and what came of it. */
@ApiTags('compute')
@Needs('reader')
@Controller(`${COMPUTE_PATH}/servers/:id/os-instance-actions`)
export class InstanceActionsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeServerActions', summary: 'What was asked of a server, newest first' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  async list(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Param('id') id: string,
    @Query() query: RawQuery,
    @Req() request: Request,
  ): Promise<object> {
    const server = await this.serverOf(caller, minor, id);
    const page = minor < SINCE.paging ? WHOLE : pageOf(minor, query);
    if (page.marker !== null && !(await findAction(this.ledger.pool, server.id, page.marker))) {
      throw invalidFields([{ field: '', problem: `Marker ${page.marker.slice(0, 60)} could not be found.` }]);
    }
    const rows = await listActions(this.ledger.pool, server.id, { ...page, limit: page.limit + 1 });
    const shown = rows.slice(0, page.limit);
    const path = `servers/${server.id}/os-instance-actions`;
    const last = shown.at(-1)?.request_id ?? '';
    const more = rows.length > shown.length && shown.length > 0;
    return {
      instanceActions: shown.map((row) => actionView(row, audienceOf(caller, minor, server))),
      ...(more && minor >= SINCE.paging ? { links: nextLinks(this.publicUrl.of(request), path, query, last) } : {}),
    };
  }

  @Get(':request_id')
  @ApiOperation({
    operationId: 'getComputeServerAction',
    summary: 'What one request asked of a server, with its steps',
  })
  @ApiOkResponse()
  @ApiProblems(404)
  async show(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Param('id') id: string,
    @Param('request_id') requestId: string,
  ): Promise<object> {
    const server = await this.serverOf(caller, minor, id);
    const row = await findAction(this.ledger.pool, server.id, requestId);
    if (!row) throw new BerthError('request.not_found', `Action ${requestId.slice(0, 60)} not found`);
    const events = await findActionEvents(this.ledger.pool, row);
    const audience = { ...audienceOf(caller, minor, server), host: server.host_name };
    return { instanceAction: actionWithEventsView(row, events, audience) };
  }

  private async serverOf(caller: Caller, minor: number, text: string): Promise<ServerRow> {
    const id = idInPath(text, 'server.unknown', 'server');
    const row = await findServer(this.ledger.pool, id);
    const isThere = row && mayKnow(caller, row.project_id) && (row.status !== 'DELETED' || minor >= SINCE.deleted);
    if (!isThere) throw unknownServer(id);
    return row;
  }
}

/** Before there were pages. */
const WHOLE: ActionsPage = { limit: PAGE_MAX, marker: null, changesSince: null, changesBefore: null };

function pageOf(minor: number, query: RawQuery): ActionsPage {
  const before = minor >= SINCE.before ? ['changes-before'] : [];
  refuseUnknown(query, ['limit', 'marker', 'changes-since', ...before]);
  return { ...pagingOf(query), ...changesOf(query) };
}

function audienceOf(caller: Caller, minor: number, { project_id: projectId }: ServerRow): ActionsAudience {
  return { minor, isAdmin: isAdmin(caller), projectId };
}
