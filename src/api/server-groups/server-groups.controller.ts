import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { CurrentCaller, type Caller } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { announce, ApiIdempotencyKey, type GivenKey, IdempotencyKey } from '../idempotency.js';
import { PageQuery } from '../page.js';
import { idInPath } from '../path-names.js';
import type { Reply } from '../reply.js';
import { ServerGroupBody, ServerGroupPageView, ServerGroupView } from './server-groups.dto.js';
import { SERVER_GROUPS_PATH, ServerGroupsService } from './server-groups.service.js';

const groupId = (text: string): string => idInPath(text, 'server_group.unknown', 'server group');

@ApiTags('server groups')
@Controller('v1/server-groups')
export class ServerGroupsController {
  constructor(private readonly groups: ServerGroupsService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listServerGroups', summary: 'Server groups, oldest first' })
  @ApiOkResponse({ type: ServerGroupPageView })
  @ApiProblems(400)
  list(@CurrentCaller() caller: Caller, @Query() query: PageQuery): Promise<ServerGroupPageView> {
    return this.groups.list(caller, query);
  }

  @Get(':id')
  @Needs('reader')
  @ApiOperation({ operationId: 'getServerGroup', summary: 'One server group, with its members' })
  @ApiOkResponse({ type: ServerGroupView })
  @ApiProblems(404)
  show(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<ServerGroupView> {
    return this.groups.show(caller, groupId(id));
  }

  @Post()
  @Needs('member')
  @ApiOperation({
    operationId: 'createServerGroup',
    summary: 'Make a server group; servers join it by their scheduler hint `group`',
  })
  @ApiIdempotencyKey()
  @ApiCreatedResponse({ type: ServerGroupView })
  @ApiProblems(400, 422)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: ServerGroupBody,
    @IdempotencyKey() key: GivenKey | null,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<ServerGroupView> {
    const created = await this.groups.create(caller, body, key);
    announce(reply, created, SERVER_GROUPS_PATH);
    return this.groups.show(caller, created.id);
  }

  @Delete(':id')
  @Needs('member')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteServerGroup', summary: 'Delete a server group; its servers stay' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  remove(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    return this.groups.remove(caller, groupId(id));
  }
}
