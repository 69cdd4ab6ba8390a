import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { ApiProblems } from '../../answers.js';
import { CurrentCaller, type Caller } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { ComputeServersService } from './compute-servers.service.js';
import { ServerMetadataBody, ServerMetadataItemBody } from './server-metadata.dto.js';
import { assertMetadataFits } from './server-wishes.js';
import { COMPUTE_PATH } from './url.js';

type Metadata = Readonly<Record<string, string>>;

/** Texts that users keep with their servers. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/servers/:id/metadata`)
export class ServerMetadataController {
  constructor(private readonly servers: ComputeServersService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeServerMetadata', summary: 'Metadata of a server' })
  @ApiOkResponse()
  @ApiProblems(404)
  async list(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<object> {
    const { metadata } = await this.servers.find(caller, id);
    return { metadata };
  }

  @Post()
  @Needs('member')
  @HttpCode(200)
  @ApiOperation({ operationId: 'updateComputeServerMetadata', summary: 'Add to the metadata of a server' })
  @ApiOkResponse()
  @ApiProblems(400, 403, 404, 409)
  async add(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: ServerMetadataBody,
  ): Promise<object> {
    return { metadata: await this.write(caller, id, (metadata) => ({ ...metadata, ...body.metadata })) };
  }

  @Put()
  @Needs('member')
  @ApiOperation({ operationId: 'replaceComputeServerMetadata', summary: 'Replace the metadata of a server' })
  @ApiOkResponse()
  @ApiProblems(400, 403, 404, 409)
  async replace(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: ServerMetadataBody,
  ): Promise<object> {
    return { metadata: await this.write(caller, id, () => body.metadata) };
  }

  @Get(':key')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeServerMetadataItem', summary: 'One item of the metadata of a server' })
  @ApiOkResponse()
  @ApiProblems(404)
  async show(@CurrentCaller() caller: Caller, @Param('id') id: string, @Param('key') key: string): Promise<object> {
    const { metadata } = await this.servers.find(caller, id);
    return { meta: { [key]: itemOf(metadata, key) } };
  }

  @Put(':key')
  @Needs('member')
  @ApiOperation({ operationId: 'setComputeServerMetadataItem', summary: 'Set one item of the metadata of a server' })
  @ApiOkResponse()
  @ApiProblems(400, 403, 404, 409)
  async set(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Param('key') key: string,
    @Body() { meta }: ServerMetadataItemBody,
  ): Promise<object> {
    if (!Object.hasOwn(meta, key)) throw invalidFields([{ field: 'meta', problem: 'has another key than the path' }]);
    await this.write(caller, id, (metadata) => ({ ...metadata, ...meta }));
    return { meta };
  }

  @Delete(':key')
  @Needs('member')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteComputeServerMetadataItem', summary: 'Delete one item of the metadata' })
  @ApiNoContentResponse()
  @ApiProblems(404, 409)
  async remove(@CurrentCaller() caller: Caller, @Param('id') id: string, @Param('key') key: string): Promise<void> {
    itemOf((await this.servers.find(caller, id)).metadata, key);
    await this.write(caller, id, (metadata) =>
      Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== key)),
    );
  }

  private async write(caller: Caller, id: string, change: (metadata: Metadata) => Metadata): Promise<Metadata> {
    const { metadata } = await this.servers.changeSettled(caller, id, 'update metadata', (row) => {
      const changed = change(row.metadata);
      assertMetadataFits(changed);
      return { metadata: changed };
    });
    return metadata;
  }
}

function itemOf(metadata: Metadata, key: string): string {
  const text = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  if (text !== undefined) return text;
  throw new BerthError('request.not_found', 'Metadata item was not found');
}
