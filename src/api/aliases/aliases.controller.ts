import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { announce, ApiIdempotencyKey, IdempotencyKey } from '../idempotency.js';
import { PageQuery } from '../page.js';
import { NamePipe } from '../path-names.js';
import type { Reply } from '../reply.js';
import { AliasBody, AliasPageView, AliasReplaceBody, AliasView } from './aliases.dto.js';
import { ALIASES_PATH, AliasesService } from './aliases.service.js';

@ApiTags('aliases')
@Controller('v1/aliases')
export class AliasesController {
  constructor(private readonly aliases: AliasesService) {}

  @Get()
  @ApiOperation({ operationId: 'listAliases', summary: 'Aliases, in name order' })
  @ApiOkResponse({ type: AliasPageView })
  @ApiProblems(400)
  list(@Query() query: PageQuery): Promise<AliasPageView> {
    return this.aliases.list(query);
  }

  @Get(':name')
  @ApiOperation({ operationId: 'getAlias', summary: 'One alias' })
  @ApiOkResponse({ type: AliasView })
  @ApiProblems(404)
  show(@Param('name', NamePipe) name: string): Promise<AliasView> {
    return this.aliases.show(name);
  }

  @Post()
  @ApiOperation({ operationId: 'createAlias', summary: 'Make an alias' })
  @ApiIdempotencyKey()
  @ApiCreatedResponse({ type: AliasView })
  @ApiProblems(400, 409, 422)
  async create(
    @Body() body: AliasBody,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<AliasView> {
    const created = await this.aliases.create(body, key);
    announce(reply, created, ALIASES_PATH);
    return this.aliases.show(created.id);
  }

  @Put(':name')
  @ApiOperation({ operationId: 'replaceAlias', summary: 'Change an alias; its version counts up' })
  @ApiOkResponse({ type: AliasView })
  @ApiProblems(400, 404, 409)
  replace(@Param('name', NamePipe) name: string, @Body() body: AliasReplaceBody): Promise<AliasView> {
    return this.aliases.replace(name, body);
  }

  @Delete(':name')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteAlias', summary: 'Delete an alias that no flavor names' })
  @ApiNoContentResponse()
  @ApiProblems(404, 409)
  remove(@Param('name', NamePipe) name: string): Promise<void> {
    return this.aliases.remove(name);
  }
}
