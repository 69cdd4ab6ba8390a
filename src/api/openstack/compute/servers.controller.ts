import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../answers.js';
import { CurrentCaller, type Caller, isAdmin } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import type { Reply } from '../../reply.js';
import { Microversion } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { ComputeServersService, type ServerChange } from './compute-servers.service.js';
import { linksOf } from './links.js';
import { refuseBefore } from './microversion-fields.js';
import { nextLinks, type RawQuery } from './paging.js';
import { plainIpv6 } from './server-fields.js';
import { serverQuery } from './server-query.js';
import { orderForm } from './server-wishes.js';
import { type ServerChangesBody, ServerCreateBody, ServerUpdateBody, UPDATE_SINCE } from './servers.dto.js';
import { briefView, reservationIdOf, type ServerAudience, serverView } from './servers.views.js';
import { adminPassword } from './admin-password.js';
import { COMPUTE_PATH } from './url.js';

interface Request {
  readonly headers: { readonly host?: string };
}

const PATH = `${COMPUTE_PATH}/servers`;

/** Nova's servers. */
@ApiTags('compute')
@Controller(PATH)
export class ComputeServersController {
  constructor(
    private readonly servers: ComputeServersService,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeServers', summary: "A project's servers: ids and names" })
  @ApiOkResponse()
  @ApiProblems(400, 403)
  async list(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Query() query: RawQuery,
    @Req() request: Request,
  ): Promise<object> {
    const base = this.publicUrl.of(request);
    const { servers, more } = await this.servers.list(caller, serverQuery(caller, minor, query));
    const links = more ? { servers_links: nextLinks(base, 'servers', query, servers.at(-1)?.id ?? '') } : {};
    return { servers: servers.map((server) => briefView(server, base)), ...links };
  }

  @Get('detail')
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeServerDetails', summary: "A project's servers" })
  @ApiOkResponse()
  @ApiProblems(400, 403)
  async detail(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Query() query: RawQuery,
    @Req() request: Request,
  ): Promise<object> {
    const audience = this.audience(caller, minor, request);
    const { servers, more } = await this.servers.list(caller, serverQuery(caller, minor, query));
    const rows = await this.servers.read(caller, servers);
    const last = servers.at(-1)?.id ?? '';
    const links = more ? { servers_links: nextLinks(audience.base, 'servers/detail', query, last) } : {};
    return { servers: rows.map((row) => serverView(row, audience, 'detail')), ...links };
  }

  @Post()
  @Needs('member')
  @HttpCode(202)
  @ApiOperation({ operationId: 'createComputeServer', summary: 'Ask for a server, or for several of a kind' })
  @ApiAcceptedResponse()
  @ApiProblems(400, 403)
  async create(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Body() body: ServerCreateBody,
    @Req() request: Request,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<object> {
    const { server } = body;
    const row = await this.servers.create(caller, orderForm(caller, minor, body));
    if (server.return_reservation_id) return { reservation_id: reservationIdOf(row) };
    const links = linksOf(this.publicUrl.of(request), `servers/${row.id}`);
    reply.header('location', links[0]?.href ?? '');
    return {
      server: {
        ...{ id: row.id, links, 'OS-DCF:diskConfig': row.disk_config },
        security_groups: server.security_groups ?? [{ name: 'default' }],
        adminPass: server.adminPass ?? adminPassword(),
      },
    };
  }

  @Get(':id')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeServer', summary: 'One server' })
  @ApiOkResponse()
  @ApiProblems(404)
  async show(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Param('id') id: string,
    @Req() request: Request,
  ): Promise<object> {
    const row = await this.servers.find(caller, id);
    return { server: serverView(row, this.audience(caller, minor, request), 'show') };
  }

  @Put(':id')
  @Needs('member')
  @ApiOperation({ operationId: 'updateComputeServer', summary: 'Change name, description and addresses of a server' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  async update(
    @CurrentCaller() caller: Caller,
    @Microversion() minor: number,
    @Param('id') id: string,
    @Body() { server }: ServerUpdateBody,
    @Req() request: Request,
  ): Promise<object> {
    refuseBefore(minor, server, UPDATE_SINCE, 'server');
    const row = await this.servers.change(caller, id, changeOf(server));
    return { server: serverView(row, this.audience(caller, minor, request), 'update') };
  }

  @Delete(':id')
  @Needs('member')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteComputeServer', summary: 'Delete a server and give its devices back' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  remove(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    return this.servers.remove(caller, id);
  }

  private audience(caller: Caller, minor: number, request: Request): ServerAudience {
    return { minor, base: this.publicUrl.of(request), isAdmin: isAdmin(caller) };
  }
}

function changeOf(server: ServerChangesBody): ServerChange {
  const { name, description, hostname, accessIPv4, accessIPv6, 'OS-DCF:diskConfig': disk } = server;
  return {
    ...(name === undefined ? {} : { name }),
    details: {
      ...(description === undefined ? {} : { description }),
      ...(hostname === undefined ? {} : { hostname }),
      ...(accessIPv4 === undefined ? {} : { access_ipv4: accessIPv4 }),
      ...(accessIPv6 === undefined ? {} : { access_ipv6: plainIpv6(accessIPv6) }),
      ...(disk === undefined ? {} : { disk_config: disk }),
    },
  };
}
