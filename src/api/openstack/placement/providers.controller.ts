import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, UseInterceptors } from '@nestjs/common';
import { ApiBody, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { Ledger } from '../../../store/ledger.js';
import { listHeldOn } from '../../../store/placement-face.store.js';
import { ApiProblems } from '../../answers.js';
import { Microversion, ServedIn } from '../microversion.js';
import { CacheHeaders } from './cache-headers.js';
import { holdersView } from './held.js';
import { ProviderListing } from './provider-listing.js';
import { assertGeneration, HARDWARE, refuseHardware } from './provider-writes.js';
import { inventoriesView, inventoryView, providerView, usagesView } from './provider.views.js';
import { ProviderReader } from './providers.js';
import { ProviderTraits } from './provider-traits.js';
import { clip, type RawQuery } from './query.js';

const ONE = 'resource_providers/:uuid';
const ANY_BODY = { schema: { type: 'object', additionalProperties: true } };

/** Hosts and their devices as Placement's resource providers. They are what agents find: to be read, not to be made. */
@ApiTags('placement')
@UseInterceptors(CacheHeaders)
@Controller('placement')
export class ProvidersController {
  constructor(
    private readonly ledger: Ledger,
    private readonly reader: ProviderReader,
    private readonly listing: ProviderListing,
    private readonly traits: ProviderTraits,
  ) {}

  @Get('resource_providers')
  @ApiOperation({ operationId: 'listResourceProviders', summary: 'Resource providers' })
  @ApiOkResponse()
  @ApiProblems(400)
  async list(@Microversion() minor: number, @Query() query: RawQuery): Promise<object> {
    const found = await this.listing.list(query, minor);
    return { resource_providers: found.map((provider) => providerView(provider, minor)) };
  }

  @Get(ONE)
  @ApiOperation({ operationId: 'getResourceProvider', summary: 'One resource provider' })
  @ApiOkResponse()
  @ApiProblems(404)
  async show(@Microversion() minor: number, @Param('uuid') uuid: string): Promise<object> {
    return providerView((await this.reader.read()).get(uuid), minor);
  }

  @Get(`${ONE}/inventories`)
  @ApiOperation({ operationId: 'listInventories', summary: 'What a provider has' })
  @ApiOkResponse()
  @ApiProblems(404)
  async inventories(@Param('uuid') uuid: string): Promise<object> {
    return inventoriesView((await this.reader.read()).get(uuid));
  }

  @Get(`${ONE}/inventories/:resource_class`)
  @ApiOperation({ operationId: 'getInventory', summary: 'What a provider has of one class' })
  @ApiOkResponse()
  @ApiProblems(404)
  async inventory(@Param('uuid') uuid: string, @Param('resource_class') name: string): Promise<object> {
    const provider = (await this.reader.read()).get(uuid);
    const inventory = provider.inventories.get(name);
    if (inventory) return inventoryView(provider, inventory);
    throw new BerthError('inventory.unknown', `No inventory of class ${clip(name)} for ${provider.uuid}`);
  }

  @Get(`${ONE}/usages`)
  @ApiOperation({ operationId: 'listProviderUsages', summary: 'How much of a provider is in use' })
  @ApiOkResponse()
  @ApiProblems(404)
  async usages(@Param('uuid') uuid: string): Promise<object> {
    return usagesView((await this.reader.read()).get(uuid));
  }

  @Get(`${ONE}/aggregates`)
  @ServedIn(1)
  @ApiOperation({ operationId: 'listProviderAggregates', summary: 'The aggregates of a provider' })
  @ApiOkResponse()
  @ApiProblems(404)
  async aggregates(@Microversion() minor: number, @Param('uuid') uuid: string): Promise<object> {
    const { aggregates, generation } = (await this.reader.read()).get(uuid);
    return { aggregates, ...(minor >= 19 && { resource_provider_generation: generation }) };
  }

  @Get(`${ONE}/traits`)
  @ServedIn(6)
  @ApiOperation({ operationId: 'listProviderTraits', summary: 'The traits of a provider' })
  @ApiOkResponse()
  @ApiProblems(404)
  async traitsOf(@Param('uuid') uuid: string): Promise<object> {
    const { traits, generation } = (await this.reader.read()).get(uuid);
    return { traits, resource_provider_generation: generation };
  }

  @Get(`${ONE}/allocations`)
  @ApiOperation({ operationId: 'listProviderAllocations', summary: 'Who has what of a provider' })
  @ApiOkResponse()
  @ApiProblems(404)
  async allocations(@Microversion() minor: number, @Param('uuid') uuid: string): Promise<object> {
    const providers = await this.reader.read();
    const provider = providers.get(uuid);
    return holdersView(provider, await listHeldOn(this.ledger.pool, provider.host.id), providers, minor);
  }

  @Put(`${ONE}/traits`)
  @ServedIn(6)
  @ApiOperation({
    operationId: 'setProviderTraits',
    summary: 'Say which traits a host has; those of devices are refused',
  })
  @ApiBody(ANY_BODY)
  @ApiOkResponse()
  @ApiProblems(400, 404, 409)
  async setTraits(@Param('uuid') uuid: string, @Body() body: object): Promise<object> {
    return this.traits.set(uuid, body);
  }

  @Delete(`${ONE}/traits`)
  @ServedIn(6)
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteProviderTraits',
    summary: 'Take a host its traits; those of devices are refused',
  })
  @ApiNoContentResponse()
  @ApiProblems(404)
  async removeTraits(@Param('uuid') uuid: string): Promise<void> {
    await this.traits.clear(uuid);
  }

  @Post('resource_providers')
  @ApiOperation({ operationId: 'createResourceProvider', summary: 'Refused: providers are what agents find' })
  @ApiBody(ANY_BODY)
  @ApiProblems(403)
  create(): never {
    return refuseHardware('A resource provider cannot be made');
  }

  @Put(ONE)
  @ApiOperation({ operationId: 'updateResourceProvider', summary: 'Refused: providers are what agents find' })
  @ApiBody(ANY_BODY)
  @ApiProblems(403, 404)
  async update(@Param('uuid') uuid: string): Promise<never> {
    (await this.reader.read()).get(uuid);
    return refuseHardware('A resource provider cannot be renamed or moved');
  }

  @Delete(ONE)
  @ApiOperation({ operationId: 'deleteResourceProvider', summary: 'Refused: providers are what agents find' })
  @ApiProblems(403, 404)
  async remove(@Param('uuid') uuid: string): Promise<never> {
    (await this.reader.read()).get(uuid);
    return refuseHardware('A resource provider cannot be deleted', `; ${HARDWARE.forget}`);
  }

  @Put(`${ONE}/inventories`)
  @ApiOperation({ operationId: 'setInventories', summary: 'Refused: inventories are what agents find' })
  @ApiBody(ANY_BODY)
  @ApiProblems(400, 403, 404, 409)
  async setInventories(@Param('uuid') uuid: string, @Body() body: object): Promise<never> {
    assertGeneration((await this.reader.read()).get(uuid), body);
    return refuseHardware('Inventories cannot be set', `; ${HARDWARE.reserve}`);
  }

  @Post(`${ONE}/inventories`)
  @ApiOperation({ operationId: 'createInventory', summary: 'Refused: inventories are what agents find' })
  @ApiBody(ANY_BODY)
  @ApiProblems(403, 404)
  async addInventory(@Param('uuid') uuid: string): Promise<never> {
    (await this.reader.read()).get(uuid);
    return refuseHardware('An inventory cannot be added');
  }

  @Delete(`${ONE}/inventories`)
  @ServedIn(5)
  @ApiOperation({ operationId: 'deleteInventories', summary: 'Refused: inventories are what agents find' })
  @ApiProblems(403, 404)
  async removeInventories(@Param('uuid') uuid: string): Promise<never> {
    (await this.reader.read()).get(uuid);
    return refuseHardware('Inventories cannot be deleted', `; ${HARDWARE.reserve}`);
  }

  @Put(`${ONE}/inventories/:resource_class`)
  @ApiOperation({ operationId: 'setInventory', summary: 'Refused: inventories are what agents find' })
  @ApiBody(ANY_BODY)
  @ApiProblems(400, 403, 404, 409)
  async setInventory(@Param('uuid') uuid: string, @Body() body: object): Promise<never> {
    assertGeneration((await this.reader.read()).get(uuid), body);
    return refuseHardware('An inventory cannot be set', `; ${HARDWARE.reserve}`);
  }

  @Delete(`${ONE}/inventories/:resource_class`)
  @ApiOperation({ operationId: 'deleteInventory', summary: 'Refused: inventories are what agents find' })
  @ApiProblems(403, 404)
  async removeInventory(@Param('uuid') uuid: string): Promise<never> {
    (await this.reader.read()).get(uuid);
    return refuseHardware('An inventory cannot be deleted', `; ${HARDWARE.reserve}`);
  }

  @Put(`${ONE}/aggregates`)
  @ServedIn(1)
  @ApiOperation({ operationId: 'setProviderAggregates', summary: 'Refused: aggregates have their own paths' })
  @ApiBody({ schema: { oneOf: [{ type: 'object' }, { type: 'array', items: { type: 'string' } }] } })
  @ApiProblems(403, 404)
  async setAggregates(@Param('uuid') uuid: string): Promise<never> {
    (await this.reader.read()).get(uuid);
    throw new BerthError('provider.read_only', HARDWARE.aggregates);
  }
}
