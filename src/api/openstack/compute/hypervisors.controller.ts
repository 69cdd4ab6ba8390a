import { Controller, Get, Param, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import {
  type ComputeHostFilter,
  type ComputeHostRow,
  listComputeHosts,
  readHostedServers,
} from '../../../store/compute-hosts.store.js';
import { Ledger } from '../../../store/ledger.js';
import { ApiProblems } from '../../answers.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion, ServedIn } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import {
  hypervisorDetailView,
  type HypervisorQuestion,
  hypervisorUptimeView,
  hypervisorView,
  hostIdOf,
  NO_USAGE_SINCE,
  statisticsView,
  uptimeOf,
  UUIDS_SINCE,
} from './hypervisors.views.js';
import { refuseUnknown } from './microversion-fields.js';
import { nextLinks, pagingOf, parameter, type RawQuery } from './paging.js';
import { flagParameter, isUuid, numberInPath, uuidInPath } from './query-rules.js';
import { COMPUTE_PATH } from './url.js';

/** From this minor version on there are pages. */
const PAGES_SINCE = 33;
const PARAMETERS = ['limit', 'marker', 'hypervisor_hostname_pattern', 'with_servers'];
const HOST_PATTERN = /^[a-zA-Z0-9._-]{1,255}$/;

interface Request {
  readonly headers: { readonly host?: string };
}

/** How hypervisors are shown. */
interface Listing {
  readonly minor: number;
  readonly view: (host: ComputeHostRow, question: HypervisorQuestion) => object;
  readonly withServers: boolean;
}

/** Hosts, as what runs servers. */
@ApiTags('compute')
@Needs('admin')
@Controller(`${COMPUTE_PATH}/os-hypervisors`)
export class HypervisorsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeHypervisors', summary: 'Hypervisors' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  list(@Microversion() minor: number, @Query() query: RawQuery, @Req() request: Request): Promise<object> {
    return this.page('os-hypervisors', { minor, view: hypervisorView }, query, request);
  }

  @Get('detail')
  @ApiOperation({ operationId: 'listComputeHypervisorDetails', summary: 'Hypervisors, with what they have' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  details(@Microversion() minor: number, @Query() query: RawQuery, @Req() request: Request): Promise<object> {
    return this.page('os-hypervisors/detail', { minor, view: hypervisorDetailView }, query, request);
  }

  @Get('statistics')
  @ServedIn(1, NO_USAGE_SINCE - 1)
  @ApiOperation({ operationId: 'getComputeHypervisorStatistics', summary: 'Sums of all hypervisors' })
  @ApiOkResponse()
  async statistics(@Query() _query: RawQuery): Promise<object> {
    return { hypervisor_statistics: statisticsView(await listComputeHosts(this.ledger.pool)) };
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getComputeHypervisor', summary: 'One hypervisor' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  async show(
    @Param('id', NamePipe) id: string,
    @Microversion() minor: number,
    @Query() query: RawQuery,
  ): Promise<object> {
    if (minor >= UUIDS_SINCE) refuseUnknown(query, ['with_servers']);
    const withServers = minor >= UUIDS_SINCE && flagParameter(query, 'with_servers');
    const host = await this.find(id, minor);
    return { hypervisor: hypervisorDetailView(host, await this.question([host], minor, withServers)) };
  }

  @Get(':id/uptime')
  @ServedIn(1, NO_USAGE_SINCE - 1)
  @ApiOperation({ operationId: 'getComputeHypervisorUptime', summary: 'How long a hypervisor runs' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  async uptime(
    @Param('id', NamePipe) id: string,
    @Microversion() minor: number,
    @Query() _query: RawQuery,
  ): Promise<object> {
    const host = await this.find(id, minor);
    if (host.status === 'down') throw new BerthError('request.invalid', `Compute service of ${host.name} is down.`);
    const question = await this.question([host], minor, false);
    const uptime = uptimeOf(host, question.now);
    if (uptime !== null) return { hypervisor: hypervisorUptimeView(host, question, uptime) };
    throw new BerthError('request.not_implemented', `Host ${host.name} does not say when it booted.`);
  }

  @Get(':id/search')
  @ServedIn(1, UUIDS_SINCE - 1)
  @ApiOperation({ operationId: 'searchComputeHypervisors', summary: 'Hypervisors with this in their names' })
  @ApiOkResponse()
  @ApiProblems(404)
  search(
    @Param('id', NamePipe) pattern: string,
    @Microversion() minor: number,
    @Query() _query: RawQuery,
  ): Promise<object> {
    return this.matching(pattern, { minor, view: hypervisorView, withServers: false });
  }

  @Get(':id/servers')
  @ServedIn(1, UUIDS_SINCE - 1)
  @ApiOperation({ operationId: 'listComputeHypervisorServers', summary: 'Hypervisors by name, with their servers' })
  @ApiOkResponse()
  @ApiProblems(404)
  servers(
    @Param('id', NamePipe) pattern: string,
    @Microversion() minor: number,
    @Query() _query: RawQuery,
  ): Promise<object> {
    return this.matching(pattern, { minor, view: hypervisorView, withServers: true });
  }

  private page(path: string, { minor, view }: Omit<Listing, 'withServers'>, query: RawQuery, request: Request) {
    if (minor < UUIDS_SINCE) return this.pageOf(path, { minor, view, withServers: false }, query, request);
    refuseUnknown(query, PARAMETERS);
    const listing = { minor, view, withServers: flagParameter(query, 'with_servers') };
    const pattern = parameter(query, 'hypervisor_hostname_pattern');
    if (pattern === undefined) return this.pageOf(path, listing, query, request);
    if (query['limit'] !== undefined || query['marker'] !== undefined) {
      throw invalidFields([{ field: 'hypervisor_hostname_pattern', problem: 'cannot be had in pages' }]);
    }
    if (!HOST_PATTERN.test(pattern)) {
      throw invalidFields([{ field: 'hypervisor_hostname_pattern', problem: 'is no part of a host name' }]);
    }
    return this.matching(pattern, listing);
  }

  private async pageOf(path: string, listing: Listing, query: RawQuery, request: Request): Promise<object> {
    const { minor } = listing;
    if (minor < PAGES_SINCE) return this.shown(await listComputeHosts(this.ledger.pool), listing);
    const { limit, marker } = pagingOf(query);
    const after = marker === null ? {} : { after: await this.markerOf(marker, minor) };
    const rows = await listComputeHosts(this.ledger.pool, after, limit + 1);
    const hosts = rows.slice(0, limit);
    const last = hosts.at(-1);
    const shown = await this.shown(hosts, listing);
    if (!last || rows.length === hosts.length) return shown;
    const next = nextLinks(this.publicUrl.of(request), path, query, String(hostIdOf(last, minor)));
    return { ...shown, hypervisors_links: next };
  }

  private async matching(pattern: string, listing: Listing): Promise<object> {
    const hosts = await listComputeHosts(this.ledger.pool, { match: pattern });
    if (hosts.length > 0) return this.shown(hosts, listing);
    throw new BerthError('host.unknown', `No hypervisor matching '${pattern}' could be found.`);
  }

  private async shown(hosts: readonly ComputeHostRow[], { view, minor, withServers }: Listing): Promise<object> {
    const question = await this.question(hosts, minor, withServers);
    return { hypervisors: hosts.map((host) => view(host, question)) };
  }

  private async question(
    hosts: readonly ComputeHostRow[],
    minor: number,
    withServers: boolean,
  ): Promise<HypervisorQuestion> {
    const ids = hosts.map(({ id }) => id);
    return { minor, now: new Date(), servers: withServers ? await readHostedServers(this.ledger.pool, ids) : null };
  }

  private async markerOf(marker: string, minor: number): Promise<number> {
    const filter = minor >= UUIDS_SINCE && !isUuid(marker) ? null : filterOf(marker, minor);
    const [host] = filter === null ? [] : await listComputeHosts(this.ledger.pool, filter, 1);
    if (host) return host.number;
    throw invalidFields([{ field: 'marker', problem: `marker [${marker.slice(0, 100)}] not found` }]);
  }

  /** @throws BerthError `host.unknown`; `request.invalid` for what is no id in this version */
  private async find(text: string, minor: number): Promise<ComputeHostRow> {
    const filter = filterOf(text, minor);
    const [host] = filter === null ? [] : await listComputeHosts(this.ledger.pool, filter, 1);
    if (host) return host;
    throw new BerthError('host.unknown', `Hypervisor with ID '${text}' could not be found.`);
  }
}

function filterOf(text: string, minor: number): ComputeHostFilter | null {
  if (minor >= UUIDS_SINCE) return { id: uuidInPath(text) };
  const number = numberInPath(text);
  return number === null ? null : { number };
}
