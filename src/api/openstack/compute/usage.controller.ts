import { Controller, Get, Param, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { Ledger } from '../../../store/ledger.js';
import { isUsedServer, type UsedServer, usedServers } from '../../../store/server-usage.store.js';
import { type Caller, CurrentCaller, isAdmin } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import type { Link } from './links.js';
import { refuseUnknown } from './microversion-fields.js';
import { nextLinks, PAGE_MAX, type Paging, pagingOf, parameter, type RawQuery } from './paging.js';
import { COMPUTE_PATH } from './url.js';
import { type UsageTimes, usageViews } from './usage.views.js';

const NOUN = 'os-simple-tenant-usage';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?$/;
/** From this version on a long list has pages. */
const PAGED_SINCE = 40;

interface Request {
  readonly headers: { readonly host?: string };
  readonly originalUrl: string;
}

interface Page {
  readonly servers: readonly UsedServer[];
  readonly links: readonly Link[];
}

/** What projects used, in hours, as Nova tells it. It counts from the moment in which a server got room on a host. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/${NOUN}`)
export class ComputeUsageController {
  constructor(
    private readonly ledger: Ledger,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeUsages', summary: 'What each project used in a window of time' })
  @ApiOkResponse()
  async list(@Query() query: RawQuery, @Microversion() minor: number, @Req() request: Request): Promise<object> {
    // A path that ends with a slash asks for a project without a name.
    if (/\/(?:\?|$)/.test(request.originalUrl)) throw new BerthError('request.not_found', 'A project has a name');
    if (minor >= 75) refuseUnknown(query, ['start', 'end', 'detailed', 'limit', 'marker']);
    const times = timesIn(query);
    const { servers, links } = await this.page(null, times, query, { minor, request });
    const tenant_usages = usageViews(servers, times, parameter(query, 'detailed') === '1');
    return { tenant_usages, ...(links.length === 0 ? {} : { tenant_usages_links: links }) };
  }

  @Get(':project')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeUsage', summary: 'What a project used in a window of time' })
  @ApiOkResponse()
  async show(
    @CurrentCaller() caller: Caller,
    @Param('project', NamePipe) project: string,
    @Query() query: RawQuery,
    @Microversion() minor: number,
    @Req() request: Request,
  ): Promise<object> {
    if (!isAdmin(caller) && project !== caller.projectId) {
      throw new BerthError('auth.forbidden', 'Only an administrator may look into other projects');
    }
    if (minor >= 75) refuseUnknown(query, ['start', 'end', 'limit', 'marker']);
    const times = timesIn(query);
    const { servers, links } = await this.page(project, times, query, { minor, request });
    const [tenant_usage = {}] = usageViews(servers, times, true);
    return { tenant_usage, ...(links.length === 0 ? {} : { tenant_usage_links: links }) };
  }

  private async page(
    projectId: string | null,
    { start, stop }: UsageTimes,
    query: RawQuery,
    { minor, request }: { readonly minor: number; readonly request: Request },
  ): Promise<Page> {
    const { limit, marker }: Paging = minor >= PAGED_SINCE ? pagingOf(query) : { limit: PAGE_MAX, marker: null };
    if (marker !== null && !(UUID.test(marker) && (await isUsedServer(this.ledger.pool, marker, projectId)))) {
      throw invalidFields([{ field: 'marker', problem: 'is not the id of a server' }]);
    }
    const servers = await usedServers(this.ledger.pool, { start, stop, projectId, after: marker, limit });
    const last = servers.at(-1);
    if (minor < PAGED_SINCE || last === undefined || servers.length < limit) return { servers, links: [] };
    const path = projectId === null ? NOUN : `${NOUN}/${encodeURIComponent(projectId)}`;
    return { servers, links: nextLinks(this.publicUrl.of(request), path, query, last.id) };
  }
}

/**
 * The window; what is not said is now, and nothing is told of the future.
 *
 * @throws BerthError `request.invalid`
 */
function timesIn(query: RawQuery): UsageTimes {
  const now = new Date();
  const [start, end] = [timeIn(query, 'start'), timeIn(query, 'end')];
  if ((start ?? now) >= (end ?? now) && (start !== null || end !== null)) {
    throw invalidFields([{ field: 'start', problem: 'has to be before end' }]);
  }
  return { start: start ?? now, stop: end !== null && end < now ? end : now, now };
}

/** In UTC, with a T or a blank in the middle. */
function timeIn(query: RawQuery, name: 'start' | 'end'): Date | null {
  const text = parameter(query, name);
  if (text === undefined) return null;
  const time = new Date(`${text.replace(' ', 'T')}Z`);
  if (TIME.test(text) && !Number.isNaN(time.getTime())) return time;
  throw invalidFields([{ field: name, problem: 'has to be a time like 2026-11-22T09:00:00, in UTC' }]);
}
