import { Body, Controller, Delete, Get, HttpCode, Param, Put, Req, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { ApiProblems } from '../../answers.js';
import { CurrentCaller, type Caller } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import type { Reply } from '../../reply.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { ServedIn } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { ComputeServersService } from './compute-servers.service.js';
import { NeededField, tagProblem, TAGS_MAX, tagsProblem } from './server-fields.js';
import { COMPUTE_PATH } from './url.js';

class TagsBody {
  @NeededField({ type: 'array', items: { type: 'string' }, maxItems: TAGS_MAX }, tagsProblem)
  tags: readonly string[];
}

const PATH = `${COMPUTE_PATH}/servers`;

/** Words by which users find their servers. */
@ApiTags('compute')
@ServedIn(26)
@Controller(`${PATH}/:id/tags`)
export class ServerTagsController {
  constructor(
    private readonly servers: ComputeServersService,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeServerTags', summary: 'Tags of a server' })
  @ApiOkResponse()
  @ApiProblems(404)
  async list(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    const { tags } = await this.servers.find(caller, id);
    return { tags };
  }

  @Put()
  @Needs('member')
  @ApiOperation({ operationId: 'replaceComputeServerTags', summary: 'Replace the tags of a server' })
  @ApiOkResponse()
  @ApiProblems(400, 404, 409)
  async replace(@CurrentCaller() caller: Caller, @Param('id') id: string, @Body() body: TagsBody): Promise<object> {
    return { tags: await this.write(caller, id, () => [...new Set(body.tags)]) };
  }

  @Delete()
  @Needs('member')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteComputeServerTags', summary: 'Take all tags from a server' })
  @ApiNoContentResponse()
  @ApiProblems(404, 409)
  async clear(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.write(caller, id, () => []);
  }

  @Get(':tag')
  @Needs('reader')
  @HttpCode(204)
  @ApiOperation({ operationId: 'checkComputeServerTag', summary: 'Whether a server has a tag' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  async check(@CurrentCaller() caller: Caller, @Param('id') id: string, @Param('tag') tag: string): Promise<void> {
    const { tags } = await this.servers.find(caller, id);
    assertHas(id, tags, tag);
  }

  @Put(':tag')
  @Needs('member')
  @HttpCode(201)
  @ApiOperation({ operationId: 'addComputeServerTag', summary: 'Give a server a tag' })
  @ApiCreatedResponse()
  @ApiNoContentResponse({ description: 'It has the tag already.' })
  @ApiProblems(400, 404, 409)
  async add(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Param('tag') tag: string,
    @Req() request: { readonly headers: { readonly host?: string } },
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<void> {
    const problem = tagProblem(tag);
    let isNew = false;
    await this.write(caller, id, (tags) => {
      if (problem !== null) throw invalidFields([{ field: 'tag', problem }]);
      isNew = !tags.includes(tag);
      return isNew ? [...tags, tag] : tags;
    });
    reply.header('location', `${this.publicUrl.of(request)}/${PATH}/${id}/tags/${encodeURIComponent(tag)}`);
    if (!isNew) reply.status(204);
  }

  @Delete(':tag')
  @Needs('member')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteComputeServerTag', summary: 'Take a tag from a server' })
  @ApiNoContentResponse()
  @ApiProblems(404, 409)
  async remove(@CurrentCaller() caller: Caller, @Param('id') id: string, @Param('tag') tag: string): Promise<void> {
    await this.write(caller, id, (tags) => {
      assertHas(id, tags, tag);
      return tags.filter((one) => one !== tag);
    });
  }

  private async write(
    caller: Caller,
    id: string,
    change: (tags: readonly string[]) => readonly string[],
  ): Promise<readonly string[]> {
    const { tags } = await this.servers.changeSettled(caller, id, 'update tags', (row) => {
      const changed = change(row.tags);
      if (changed.length <= TAGS_MAX) return { tags: [...changed] };
      throw invalidFields([{ field: 'tags', problem: `would be more than ${TAGS_MAX}` }]);
    });
    return tags;
  }
}

function assertHas(id: string, tags: readonly string[], tag: string): void {
  if (tags.includes(tag)) return;
  throw new BerthError('request.not_found', `Server ${id} has no tag '${tag.slice(0, 60)}'`);
}
