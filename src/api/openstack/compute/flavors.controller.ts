import { randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FlavorEntity } from '../../../store/entities/catalog.entities.js';
import type { FlavorFields } from '../../../store/flavors.store.js';
import { type FlavorSearch, searchFlavors } from '../../../store/flavor-search.store.js';
import { Ledger } from '../../../store/ledger.js';
import { FlavorsService, projectSeen } from '../../flavors/flavors.service.js';
import { type Caller, CurrentCaller } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion, ServedIn } from '../microversion.js';
import { PublicUrl } from '../public-url.js';
import { flavorSearch } from './flavor-query.js';
import { ComputeFlavorBody, ComputeFlavorChangeBody } from './flavors.dto.js';
import { flavorLink, flavorView } from './flavors.views.js';
import { refuseBefore } from './microversion-fields.js';
import { nextLinks, type RawQuery } from './paging.js';
import { COMPUTE_PATH } from './url.js';

interface Request {
  readonly headers: { readonly host?: string };
}

type View = (flavor: FlavorEntity, minor: number, base: string) => object;

/** Flavors, as Nova has them. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/flavors`)
export class ComputeFlavorsController {
  constructor(
    private readonly flavors: FlavorsService,
    private readonly ledger: Ledger,
    private readonly publicUrl: PublicUrl,
  ) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeFlavors', summary: 'Flavors that are there for the project' })
  @ApiOkResponse()
  list(
    @CurrentCaller() caller: Caller,
    @Query() query: RawQuery,
    @Microversion() minor: number,
    @Req() request: Request,
  ): Promise<object> {
    const page = { path: 'flavors', query, minor, base: this.publicUrl.of(request) };
    return this.page(flavorSearch(caller, query, minor), page, flavorLink);
  }

  @Get('detail')
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeFlavorDetails', summary: 'Flavors, with all there is to each' })
  @ApiOkResponse()
  detail(
    @CurrentCaller() caller: Caller,
    @Query() query: RawQuery,
    @Microversion() minor: number,
    @Req() request: Request,
  ): Promise<object> {
    const page = { path: 'flavors/detail', query, minor, base: this.publicUrl.of(request) };
    return this.page(flavorSearch(caller, query, minor), page, flavorView);
  }

  @Get(':id')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeFlavor', summary: 'One flavor, by id' })
  @ApiOkResponse()
  async show(
    @CurrentCaller() caller: Caller,
    @Param('id', NamePipe) id: string,
    @Microversion() minor: number,
    @Req() request: Request,
  ): Promise<object> {
    const flavor = await this.flavors.find({ id, orName: false, projectId: projectSeen(caller) });
    return { flavor: flavorView(flavor, minor, this.publicUrl.of(request)) };
  }

  @Post()
  @HttpCode(200)
  @ApiOperation({ operationId: 'createComputeFlavor', summary: 'Make a flavor' })
  @ApiOkResponse()
  async create(
    @Body() { flavor }: ComputeFlavorBody,
    @Microversion() minor: number,
    @Req() request: Request,
  ): Promise<object> {
    refuseBefore(minor, flavor, { description: 55 }, 'flavor');
    const fields = fieldsOf(flavor);
    await this.flavors.add(fields);
    const made = await this.flavors.find({ id: fields.id, orName: false, projectId: null });
    return { flavor: flavorView(made, minor, this.publicUrl.of(request)) };
  }

  @Put(':id')
  @ServedIn(55)
  @ApiOperation({ operationId: 'changeComputeFlavor', summary: 'Change the description of a flavor (2.55)' })
  @ApiOkResponse()
  async change(
    @Param('id', NamePipe) id: string,
    @Body() { flavor: { description } }: ComputeFlavorChangeBody,
    @Microversion() minor: number,
    @Req() request: Request,
  ): Promise<object> {
    if (description === undefined) throw invalidFields([{ field: 'flavor.description', problem: 'is missing' }]);
    const flavor = await this.flavors.describe({ id, orName: false, projectId: null }, description);
    return { flavor: flavorView(flavor, minor, this.publicUrl.of(request)) };
  }

  @Delete(':id')
  @HttpCode(202)
  @ApiOperation({ operationId: 'deleteComputeFlavor', summary: 'Delete a flavor; servers keep their copy of it' })
  @ApiAcceptedResponse()
  remove(@Param('id', NamePipe) id: string): Promise<void> {
    return this.flavors.remove({ id, orName: false, projectId: null });
  }

  private async page(
    search: FlavorSearch,
    page: { readonly path: string; readonly query: RawQuery; readonly minor: number; readonly base: string },
    view: View,
  ): Promise<object> {
    const rows = await searchFlavors(this.ledger.pool, search);
    if (!rows) throw invalidFields([{ field: 'marker', problem: 'is not the id of a flavor that is found' }]);
    const last = rows.at(-1);
    // As Nova does it: a page that is full has a next one, even if that is empty.
    const more = last !== undefined && rows.length === search.limit;
    return {
      flavors: rows.map((flavor) => view(flavor, page.minor, page.base)),
      ...(more ? { flavors_links: nextLinks(page.base, page.path, page.query, last.id) } : {}),
    };
  }
}

function fieldsOf(flavor: ComputeFlavorBody['flavor']): FlavorFields {
  const { id = null } = flavor;
  return {
    id: id === null || id === 'auto' ? randomUUID() : id,
    name: flavor.name,
    vcpus: flavor.vcpus,
    ramMb: flavor.ram,
    diskGb: flavor.disk,
    ephemeralGb: flavor['OS-FLV-EXT-DATA:ephemeral'] ?? 0,
    swapMb: flavor.swap ?? 0,
    rxtxFactor: flavor.rxtx_factor ?? 1,
    isPublic: flavor['os-flavor-access:is_public'] ?? true,
    description: flavor.description ?? null,
    extraSpecs: {},
  };
}
