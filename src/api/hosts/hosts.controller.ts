import { Body, Controller, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { envelope } from '../../messages/envelope.js';
import { agentQueue } from '../../messages/routes.js';
import { findHost, type HostRow, listHosts } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { addToOutbox } from '../../store/outbox.store.js';
import { ApiProblems } from '../answers.js';
import { HttpLimits } from '../http-limits.js';
import { pageOf } from '../page.js';
import { NamePipe } from '../path-names.js';
import { unknownHost } from '../unknown-names.js';
import { HostAdminService } from './host-admin.service.js';
import { HostChangeBody, HostPageView, HostsQuery, HostView, hostView } from './hosts.dto.js';

@ApiTags('hosts')
@Controller('v1/hosts')
export class HostsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
    private readonly hosts: HostAdminService,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listHosts', summary: 'Hosts, in name order' })
  @ApiOkResponse({ type: HostPageView })
  @ApiProblems(400)
  async list(@Query() query: HostsQuery): Promise<HostPageView> {
    const limit = this.limits.pageSize(query.limit);
    const filter = { host: null, status: query.status ?? null, aggregate: query.aggregate ?? null };
    const rows = await listHosts(this.ledger.pool, filter, { after: query.marker ?? null, limit: limit + 1 });
    const page = pageOf(rows, { path: '/v1/hosts', query, limit }, (row) => row.name);
    return { hosts: page.items.map(hostView), next: page.next };
  }

  @Get(':host')
  @ApiOperation({ operationId: 'getHost', summary: 'One host, by name or id' })
  @ApiOkResponse({ type: HostView })
  @ApiProblems(404)
  async show(@Param('host', NamePipe) host: string): Promise<HostView> {
    return hostView(await this.find(host));
  }

  @Patch(':host')
  @ApiOperation({
    operationId: 'changeHost',
    summary: 'Enable or disable a host, set traits, what is reserved, ratios',
  })
  @ApiOkResponse({ type: HostView })
  @ApiProblems(400, 404)
  async change(@Param('host', NamePipe) host: string, @Body() body: HostChangeBody): Promise<HostView> {
    return hostView(await this.find(await this.hosts.change(host, body)));
  }

  @Post(':host/reload')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'reloadHost',
    summary: "Have the host's agent read its configuration files again",
    description: 'Answers the host as it is before that. What comes of it is in its `configuration` soon after.',
  })
  @ApiAcceptedResponse({ type: HostView })
  @ApiProblems(404)
  async reload(@Param('host', NamePipe) host: string): Promise<HostView> {
    const row = await this.find(host);
    const message = envelope('agent.reload', { reason: 'asked for through REST' });
    await this.ledger.transaction((tx) => addToOutbox(tx, [{ queue: agentQueue(row.name), message }]));
    return hostView(row);
  }

  private async find(host: string): Promise<HostRow> {
    const row = await findHost(this.ledger.pool, host);
    if (row) return row;
    throw await unknownHost(this.ledger.pool, host);
  }
}
