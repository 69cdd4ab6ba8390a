import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { type Caller, CurrentCaller } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { announce, ApiIdempotencyKey, type GivenKey, IdempotencyKey } from '../idempotency.js';
import { PageQuery } from '../page.js';
import { NamePipe } from '../path-names.js';
import type { Reply } from '../reply.js';
import { CatalogFlavorView, ExtraSpecBody, ExtraSpecsBody, FlavorBody, FlavorPageView } from './flavors.dto.js';
import { FLAVORS_PATH, FlavorsService, idOrName, withoutKey } from './flavors.service.js';

@ApiTags('flavors')
@Controller('v1/flavors')
export class FlavorsController {
  constructor(private readonly flavors: FlavorsService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listFlavors', summary: 'Flavors, in name order' })
  @ApiOkResponse({ type: FlavorPageView })
  @ApiProblems(400)
  list(@CurrentCaller() caller: Caller, @Query() query: PageQuery): Promise<FlavorPageView> {
    return this.flavors.list(caller, query);
  }

  @Get(':id')
  @Needs('reader')
  @ApiOperation({ operationId: 'getFlavor', summary: 'One flavor, by id or name' })
  @ApiOkResponse({ type: CatalogFlavorView })
  @ApiProblems(404)
  show(@CurrentCaller() caller: Caller, @Param('id', NamePipe) id: string): Promise<CatalogFlavorView> {
    return this.flavors.show(caller, id);
  }

  @Post()
  @ApiOperation({ operationId: 'createFlavor', summary: 'Make a flavor' })
  @ApiIdempotencyKey()
  @ApiCreatedResponse({ type: CatalogFlavorView })
  @ApiProblems(400, 409, 422)
  async create(
    @Body() body: FlavorBody,
    @IdempotencyKey() key: GivenKey | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<CatalogFlavorView> {
    const created = await this.flavors.create(body, key);
    announce(reply, created, FLAVORS_PATH);
    return this.flavors.show(caller, created.id);
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteFlavor', summary: 'Delete a flavor; servers keep their copy of it' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  remove(@Param('id', NamePipe) id: string): Promise<void> {
    return this.flavors.remove(idOrName(id));
  }

  @Put(':id/extra_specs')
  @ApiOperation({ operationId: 'replaceExtraSpecs', summary: 'Set all extra specs of a flavor' })
  @ApiOkResponse({ type: ExtraSpecsBody })
  @ApiProblems(400, 404)
  async replaceExtraSpecs(@Param('id', NamePipe) id: string, @Body() body: ExtraSpecsBody): Promise<ExtraSpecsBody> {
    return { extra_specs: await this.flavors.changeExtraSpecs(idOrName(id), () => body.extra_specs) };
  }

  @Delete(':id/extra_specs')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteExtraSpecs', summary: 'Remove all extra specs of a flavor' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  async deleteExtraSpecs(@Param('id', NamePipe) id: string): Promise<void> {
    await this.flavors.changeExtraSpecs(idOrName(id), () => ({}));
  }

  @Put(':id/extra_specs/:key')
  @ApiOperation({ operationId: 'setExtraSpec', summary: 'Set one extra spec of a flavor' })
  @ApiOkResponse({ type: ExtraSpecsBody })
  @ApiProblems(400, 404)
  async setExtraSpec(
    @Param('id', NamePipe) id: string,
    @Param('key', NamePipe) key: string,
    @Body() body: ExtraSpecBody,
  ): Promise<ExtraSpecsBody> {
    const extra_specs = await this.flavors.changeExtraSpecs(idOrName(id), (known) => ({ ...known, [key]: body.value }));
    return { extra_specs };
  }

  @Delete(':id/extra_specs/:key')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteExtraSpec', summary: 'Remove one extra spec of a flavor' })
  @ApiNoContentResponse()
  @ApiProblems(404)
  async deleteExtraSpec(@Param('id', NamePipe) id: string, @Param('key', NamePipe) key: string): Promise<void> {
    await this.flavors.changeExtraSpecs(idOrName(id), (known) => withoutKey(known, key));
  }
}
