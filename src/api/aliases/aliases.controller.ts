import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { Needs } from '../identity/roles.guard.js';
import { announce, ApiIdempotencyKey, type GivenKey, IdempotencyKey } from '../idempotency.js';
import { PageQuery } from '../page.js';
import { NamePipe } from '../path-names.js';
import type { Reply } from '../reply.js';
import {
  AliasBody,
  AliasPageView,
  AliasReplaceBody,
  AliasVersionPageView,
  AliasVersionView,
  AliasView,
} from './aliases.dto.js';
import { ALIASES_PATH, AliasesService } from './aliases.service.js';
import { ApiIfMatch, IfMatch, versionTag } from './if-match.js';

@ApiTags('aliases')
@Controller('v1/aliases')
export class AliasesController {
  constructor(private readonly aliases: AliasesService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listAliases', summary: 'Aliases, in name order' })
  @ApiOkResponse({ type: AliasPageView })
  @ApiProblems(400)
  list(@Query() query: PageQuery): Promise<AliasPageView> {
    return this.aliases.list(query);
  }

  @Get(':name')
  @Needs('reader')
  @ApiOperation({ operationId: 'getAlias', summary: 'One alias' })
  @ApiOkResponse({ type: AliasView })
  @ApiProblems(404)
  async show(@Param('name', NamePipe) name: string, @Res({ passthrough: true }) reply: Reply): Promise<AliasView> {
    return tagged(reply, await this.aliases.show(name));
  }

  @Get(':name/versions')
  @Needs('reader')
  @ApiOperation({ operationId: 'listAliasVersions', summary: 'What an alias was, newest first; also a deleted one' })
  @ApiOkResponse({ type: AliasVersionPageView })
  @ApiProblems(400, 404)
  versions(@Param('name', NamePipe) name: string, @Query() query: PageQuery): Promise<AliasVersionPageView> {
    return this.aliases.versions(name, query);
  }

  @Get(':name/versions/:version')
  @Needs('reader')
  @ApiOperation({ operationId: 'getAliasVersion', summary: 'One version of an alias' })
  @ApiOkResponse({ type: AliasVersionView })
  @ApiProblems(404)
  version(@Param('name', NamePipe) name: string, @Param('version') version: string): Promise<AliasVersionView> {
    return this.aliases.version(name, version);
  }

  @Post()
  @ApiOperation({ operationId: 'createAlias', summary: 'Make an alias' })
  @ApiIdempotencyKey()
  @ApiCreatedResponse({ type: AliasView })
  @ApiProblems(400, 409, 422)
  async create(
    @Body() body: AliasBody,
    @IdempotencyKey() key: GivenKey | null,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<AliasView> {
    const created = await this.aliases.create(body, key);
    announce(reply, created, ALIASES_PATH);
    return tagged(reply, await this.aliases.show(created.id));
  }

  @Put(':name')
  @ApiOperation({
    operationId: 'replaceAlias',
    summary: 'Change an alias; its version counts up when it becomes another',
  })
  @ApiIfMatch()
  @ApiOkResponse({ type: AliasView })
  @ApiProblems(400, 404, 409, 412)
  async replace(
    @Param('name', NamePipe) name: string,
    @Body() body: AliasReplaceBody,
    @IfMatch() ifMatch: string | null,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<AliasView> {
    return tagged(reply, await this.aliases.replace(name, body, ifMatch));
  }

  @Delete(':name')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteAlias', summary: 'Delete an alias that no flavor names' })
  @ApiIfMatch()
  @ApiNoContentResponse()
  @ApiProblems(404, 409, 412)
  remove(@Param('name', NamePipe) name: string, @IfMatch() ifMatch: string | null): Promise<void> {
    return this.aliases.remove(name, ifMatch);
  }
}

function tagged(reply: Reply, alias: AliasView): AliasView {
  reply.header('etag', versionTag(alias.version));
  return alias;
}
