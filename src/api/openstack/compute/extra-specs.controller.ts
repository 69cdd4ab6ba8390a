import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FlavorRef } from '../../../store/flavors.store.js';
import type { ExtraSpecs } from '../../flavors/extra-specs.js';
import { FlavorsService, projectSeen, withoutKey } from '../../flavors/flavors.service.js';
import { type Caller, CurrentCaller } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion } from '../microversion.js';
import { assertKnownSpecs } from './extra-spec-rules.js';
import { ComputeExtraSpecsBody } from './flavors.dto.js';
import { COMPUTE_PATH } from './url.js';

/** The extra specs of a flavor, as Nova has them. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/flavors/:id/os-extra_specs`)
export class ComputeExtraSpecsController {
  constructor(private readonly flavors: FlavorsService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeExtraSpecs', summary: 'All extra specs of a flavor' })
  @ApiOkResponse()
  async list(@CurrentCaller() caller: Caller, @Param('id', NamePipe) id: string): Promise<object> {
    const { extra_specs } = await this.flavors.find({ id, orName: false, projectId: projectSeen(caller) });
    return { extra_specs };
  }

  @Get(':key')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeExtraSpec', summary: 'One extra spec of a flavor' })
  @ApiOkResponse()
  async show(
    @CurrentCaller() caller: Caller,
    @Param('id', NamePipe) id: string,
    @Param('key', NamePipe) key: string,
  ): Promise<object> {
    const { extra_specs } = await this.flavors.find({ id, orName: false, projectId: projectSeen(caller) });
    withoutKey(extra_specs, key);
    return { [key]: extra_specs[key] };
  }

  @Post()
  @HttpCode(200)
  @ApiOperation({ operationId: 'setComputeExtraSpecs', summary: 'Set extra specs of a flavor; others stay' })
  @ApiOkResponse()
  async set(
    @Param('id', NamePipe) id: string,
    @Body() body: ComputeExtraSpecsBody,
    @Microversion() minor: number,
  ): Promise<object> {
    const extra_specs = textsOf(body.extra_specs, minor);
    await this.flavors.changeExtraSpecs(admins(id), (known) => ({ ...known, ...extra_specs }), 'each');
    return { extra_specs };
  }

  @Put(':key')
  @ApiOperation({ operationId: 'setComputeExtraSpec', summary: 'Set one extra spec of a flavor' })
  @ApiBody({ schema: { type: 'object', minProperties: 1, maxProperties: 1, additionalProperties: { type: 'string' } } })
  @ApiOkResponse()
  async setOne(
    @Param('id', NamePipe) id: string,
    @Param('key', NamePipe) key: string,
    @Body() body: Record<string, unknown>,
    @Microversion() minor: number,
  ): Promise<object> {
    if (Object.keys(body).length !== 1 || !Object.hasOwn(body, key)) {
      throw invalidFields([{ field: '', problem: 'the body has to have the key of the path, and no other' }]);
    }
    const extraSpec = textsOf(body, minor);
    await this.flavors.changeExtraSpecs(admins(id), (known) => ({ ...known, ...extraSpec }), 'each');
    return extraSpec;
  }

  @Delete(':key')
  @HttpCode(200)
  @ApiOperation({ operationId: 'deleteComputeExtraSpec', summary: 'Remove one extra spec of a flavor' })
  @ApiOkResponse()
  async remove(@Param('id', NamePipe) id: string, @Param('key', NamePipe) key: string): Promise<void> {
    await this.flavors.changeExtraSpecs(admins(id), (known) => withoutKey(known, key), 'each');
  }
}

/** A flavor by its id, as an administrator names it. */
function admins(id: string): FlavorRef {
  return { id, orName: false, projectId: null };
}

/**
 * Numbers are taken, too. What else is no text is refused when it is read.
 *
 * @throws BerthError `flavor.invalid`
 */
function textsOf(specs: Record<string, unknown>, minor: number): ExtraSpecs {
  const texts = Object.fromEntries(
    Object.entries(specs).map(([key, value]) => [key, typeof value === 'number' ? String(value) : value]),
  ) as ExtraSpecs;
  if (minor >= 86) assertKnownSpecs(texts);
  return texts;
}
