import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { suggestion } from '../../pci/suggest.js';
import { findHost, hostNames, listHosts } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { ApiProblems } from '../answers.js';
import { HttpLimits } from '../http-limits.js';
import { pageOf } from '../page.js';
import { NamePipe } from '../path-names.js';
import { HostPageView, HostsQuery, HostView, hostView } from './hosts.dto.js';

@ApiTags('hosts')
@Controller('v1/hosts')
export class HostsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listHosts', summary: 'Hosts, in name order' })
  @ApiOkResponse({ type: HostPageView })
  @ApiProblems(400)
  async list(@Query() query: HostsQuery): Promise<HostPageView> {
    const limit = this.limits.pageSize(query.limit);
    const filter = { host: null, status: query.status ?? null };
    const rows = await listHosts(this.ledger.pool, filter, { after: query.marker ?? null, limit: limit + 1 });
    const page = pageOf(rows, { path: '/v1/hosts', query, limit }, (row) => row.name);
    return { hosts: page.items.map(hostView), next: page.next };
  }

  @Get(':host')
  @ApiOperation({ operationId: 'getHost', summary: 'One host, by name or id' })
  @ApiOkResponse({ type: HostView })
  @ApiProblems(404)
  async show(@Param('host', NamePipe) host: string): Promise<HostView> {
    const row = await findHost(this.ledger.pool, host);
    if (row) return hostView(row);
    const meant = suggestion(host, await hostNames(this.ledger.pool));
    throw new BerthError('host.unknown', `There is no host "${host}"${meant}`);
  }
}
