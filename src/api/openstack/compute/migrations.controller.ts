import { Controller, Get, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Ledger } from '../../../store/ledger.js';
import { isMove, listMoves, type MovesFilter } from '../../../store/server-moves.store.js';
import { ApiProblems } from '../../answers.js';
import { Needs } from '../../identity/roles.guard.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { changesOf } from './changes-query.js';
import { refuseUnknown } from './microversion-fields.js';
import { migrationView } from './migrations.views.js';
import { nextLinks, PAGE_MAX, pagingOf, parameter, type RawQuery } from './paging.js';
import { COMPUTE_PATH } from './url.js';

/** Versions from which something is there. */
const SINCE = { paging: 59, before: 66, asker: 80 } as const;
const FILTERS = ['hidden', 'host', 'instance_uuid', 'source_compute', 'status', 'migration_type'];
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

interface Request {
  readonly headers: { readonly host?: string };
}

/** Servers that left a host. */
@ApiTags('compute')
@Needs('admin')
@Controller(`${COMPUTE_PATH}/os-migrations`)
export class ComputeMigrationsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeMigrations', summary: 'Servers that left a host, or are to; newest first' })
  @ApiOkResponse()
  @ApiProblems(400)
  async list(@Microversion() minor: number, @Query() query: RawQuery, @Req() request: Request): Promise<object> {
    const isPaged = minor >= SINCE.paging;
    if (isPaged) refuseUnknown(query, parametersOf(minor));
    const { limit, marker } = isPaged ? pagingOf(query) : { limit: PAGE_MAX, marker: null };
    if (marker !== null && !(UUID.test(marker) && (await isMove(this.ledger.pool, marker)))) {
      throw invalidFields([{ field: '', problem: `Marker ${marker.slice(0, 60)} could not be found.` }]);
    }
    const rows = await listMoves(this.ledger.pool, filterOf(minor, query), { limit: limit + 1, marker });
    const shown = rows.slice(0, limit);
    const more = isPaged && rows.length > shown.length && shown.length > 0;
    const last = shown.at(-1)?.uuid ?? '';
    return {
      migrations: shown.map((move) => migrationView(move, minor)),
      ...(more ? { migrations_links: nextLinks(this.publicUrl.of(request), 'os-migrations', query, last) } : {}),
    };
  }
}

function parametersOf(minor: number): string[] {
  const before = minor >= SINCE.before ? ['changes-before'] : [];
  const asker = minor >= SINCE.asker ? ['user_id', 'project_id'] : [];
  return [...FILTERS, 'limit', 'marker', 'changes-since', ...before, ...asker];
}

/** Before there were pages, times and askers were no filters, and were passed over. */
function filterOf(minor: number, query: RawQuery): MovesFilter {
  const text = (name: string): string | null => parameter(query, name) ?? null;
  const serverId = text('instance_uuid');
  if (serverId !== null && !UUID.test(serverId)) {
    throw invalidFields([{ field: 'instance_uuid', problem: 'has to be the id of a server, a UUID' }]);
  }
  const times = minor >= SINCE.paging ? changesOf(query) : { changesSince: null, changesBefore: null };
  const asker = minor >= SINCE.asker;
  return {
    ...{ serverId, host: text('host'), sourceHost: text('source_compute') },
    ...{ kind: text('migration_type'), status: text('status') },
    ...{ userId: asker ? text('user_id') : null, projectId: asker ? text('project_id') : null },
    ...times,
  };
}
