import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { CurrentCaller, type Caller } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { announce, ApiIdempotencyKey, type GivenKey, IdempotencyKey } from '../idempotency.js';
import { idInPath } from '../path-names.js';
import { ViewQuery, viewFor } from '../placements/decision.view.js';
import type { Reply } from '../reply.js';
import { CreatedServerView } from './multi-create.js';
import { RecordedDecisionsView, ServerPageView, ServerView } from './server.views.js';
import { ServerBody, ServersQuery } from './servers.dto.js';
import { SERVERS_PATH, ServersService } from './servers.service.js';

const serverId = (text: string): string => idInPath(text, 'server.unknown', 'server');

@ApiTags('servers')
@Controller('v1/servers')
export class ServersController {
  constructor(private readonly servers: ServersService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listServers', summary: 'Servers, newest first' })
  @ApiOkResponse({ type: ServerPageView })
  @ApiProblems(400)
  list(@CurrentCaller() caller: Caller, @Query() query: ServersQuery): Promise<ServerPageView> {
    return this.servers.list(caller, query);
  }

  @Get(':id')
  @Needs('reader')
  @ApiOperation({ operationId: 'getServer', summary: 'One server, with devices, attachments and events' })
  @ApiOkResponse({ type: ServerView })
  @ApiProblems(404)
  show(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<ServerView> {
    return this.servers.show(caller, serverId(id));
  }

  @Post()
  @Needs('member')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'createServer',
    summary: 'Ask for a server, or for several of a kind; they are placed soon',
    description:
      'With `min_count` or `max_count` servers are named `name-1`, `name-2`, …. At least `min_count` of them are placed, or ' +
      'none; of the others as many as there is room for.',
  })
  @ApiIdempotencyKey()
  @ApiAcceptedResponse({ type: CreatedServerView })
  @ApiProblems(400, 403, 422)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: ServerBody,
    @IdempotencyKey() key: GivenKey | null,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<CreatedServerView> {
    const created = await this.servers.create(caller, body, key);
    announce(reply, created, SERVERS_PATH);
    return this.servers.created(caller, created.id);
  }

  @Delete(':id')
  @Needs('member')
  @ApiOperation({ operationId: 'deleteServer', summary: 'Delete a server and give its devices back' })
  @ApiAcceptedResponse({ description: 'Its devices are being given back.' })
  @ApiNoContentResponse({ description: 'It is gone.' })
  @ApiProblems(404)
  async remove(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<void> {
    const gone = await this.servers.remove(caller, serverId(id));
    reply.status(gone ? 204 : 202);
  }

  @Get(':id/decisions')
  @Needs('reader')
  @ApiOperation({ operationId: 'listDecisions', summary: 'What was decided for a server, with reasons' })
  @ApiOkResponse({ type: RecordedDecisionsView })
  @ApiProblems(400, 404)
  decisions(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Query() query: ViewQuery,
  ): Promise<RecordedDecisionsView> {
    return this.servers.decisions(caller, serverId(id), viewFor(caller, query.view));
  }
}
