import { Body, Controller, Delete, Get, HttpCode, Param, Put, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { EVERY_PROJECT } from '../../../store/quotas.store.js';
import { type Caller, CurrentCaller, isAdmin } from '../../identity/caller.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { type QuotaAmounts, QuotasService } from '../../quotas/quotas.service.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion } from '../microversion.js';
import { refuseUnknown } from './microversion-fields.js';
import { parameter, type RawQuery } from './paging.js';
import { type QuotaName, quotaLine, quotaNames, resourceOf } from './quota-keys.js';
import { ComputeQuotaClassBody, ComputeQuotasBody } from './quotas.dto.js';
import {
  classQuotaNames,
  defaultQuotasView,
  limitsView,
  quotaClassView,
  quotaDetailView,
  quotaSetView,
} from './quotas.views.js';
import { COMPUTE_PATH } from './url.js';

/** What projects may have, as Nova has it. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/os-quota-sets/:project`)
export class ComputeQuotasController {
  constructor(private readonly quotas: QuotasService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeQuotas', summary: 'What a project may have' })
  @ApiOkResponse()
  async show(
    @CurrentCaller() caller: Caller,
    @Param('project', NamePipe) project: string,
    @Query() query: RawQuery,
    @Microversion() minor: number,
  ): Promise<object> {
    assertQuery(query, minor);
    const amounts = await this.amounts(caller, project);
    return { quota_set: { id: project, ...quotaSetView(amounts, minor) } };
  }

  @Get('detail')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeQuotaDetails', summary: 'What a project may have, and what it has' })
  @ApiOkResponse()
  async detail(
    @CurrentCaller() caller: Caller,
    @Param('project', NamePipe) project: string,
    @Query() query: RawQuery,
    @Microversion() minor: number,
  ): Promise<object> {
    assertQuery(query, minor);
    const amounts = await this.amounts(caller, project);
    return { quota_set: { id: project, ...quotaDetailView(amounts, minor) } };
  }

  @Get('defaults')
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeQuotaDefaults', summary: 'What a project may have if nothing is said of it' })
  @ApiOkResponse()
  async defaults(@Param('project', NamePipe) project: string, @Microversion() minor: number): Promise<object> {
    const amounts = await this.quotas.amounts(EVERY_PROJECT);
    return { quota_set: { id: project, ...defaultQuotasView(amounts, minor) } };
  }

  @Put()
  @ApiOperation({
    operationId: 'setComputeQuotas',
    summary: 'Limit what a project may have',
    description: 'Instances, cores, RAM and keypairs are limited; the others are kept and limit nothing.',
  })
  @ApiOkResponse()
  async set(
    @Param('project', NamePipe) project: string,
    @Query() query: RawQuery,
    @Body() { quota_set: { force = false, ...asked } }: ComputeQuotasBody,
    @Microversion() minor: number,
  ): Promise<object> {
    assertQuery(query, minor);
    assertOfProject(query);
    const changes = changesIn(asked, quotaNames(minor), 'quota_set');
    if (!force) assertNotBelowUse(changes, await this.quotas.amounts(project));
    await this.quotas.change(project, limitsOf(changes));
    return { quota_set: quotaSetView(await this.quotas.amounts(project), minor) };
  }

  @Delete()
  @HttpCode(202)
  @ApiOperation({ operationId: 'deleteComputeQuotas', summary: 'Have the defaults hold for a project again' })
  @ApiAcceptedResponse()
  async remove(
    @Param('project', NamePipe) project: string,
    @Query() query: RawQuery,
    @Microversion() minor: number,
  ): Promise<void> {
    assertQuery(query, minor);
    assertOfProject(query);
    await this.quotas.change(project, Object.fromEntries(quotaNames(1).map((name) => [resourceOf(name), null])));
  }

  private amounts(caller: Caller, project: string): Promise<QuotaAmounts> {
    assertMaySee(caller, project);
    return this.quotas.amounts(project);
  }
}

/** What holds for every project that has no quotas of its own; Nova has a class for that. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/os-quota-class-sets/:name`)
export class ComputeQuotaClassesController {
  constructor(private readonly quotas: QuotasService) {}

  @Get()
  @ApiOperation({ operationId: 'getComputeQuotaClass', summary: 'What every project may have' })
  @ApiOkResponse()
  async show(@Param('name', NamePipe) name: string, @Microversion() minor: number): Promise<object> {
    assertClass(name);
    return { quota_class_set: { id: name, ...quotaClassView(await this.quotas.amounts(EVERY_PROJECT), minor) } };
  }

  @Put()
  @ApiOperation({ operationId: 'setComputeQuotaClass', summary: 'Limit what every project may have' })
  @ApiOkResponse()
  async set(
    @Param('name', NamePipe) name: string,
    @Body() { quota_class_set: asked }: ComputeQuotaClassBody,
    @Microversion() minor: number,
  ): Promise<object> {
    assertClass(name);
    await this.quotas.change(EVERY_PROJECT, limitsOf(changesIn(asked, classQuotaNames(minor), 'quota_class_set')));
    return { quota_class_set: quotaClassView(await this.quotas.amounts(EVERY_PROJECT), minor) };
  }
}

/** What the project of a client may have, and what it has, as Nova tells it. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/limits`)
export class ComputeLimitsController {
  constructor(private readonly quotas: QuotasService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'getComputeLimits', summary: 'What the project may have, and what it has' })
  @ApiOkResponse()
  async show(
    @CurrentCaller() caller: Caller,
    @Query() query: RawQuery,
    @Microversion() minor: number,
  ): Promise<object> {
    if (minor >= 75) refuseUnknown(query, ['tenant_id']);
    const project = parameter(query, 'tenant_id') ?? caller.projectId;
    assertMaySee(caller, project);
    return limitsView(await this.quotas.amounts(project), minor);
  }
}

function assertQuery(query: RawQuery, minor: number): void {
  if (minor >= 75) refuseUnknown(query, ['user_id']);
}

/** Reading passes over a user; a change that were made for all instead of one would be wrong. */
function assertOfProject(query: RawQuery): void {
  if (parameter(query, 'user_id') === undefined) return;
  throw invalidFields([{ field: 'user_id', problem: 'users have no quotas of their own here; leave it out' }]);
}

/** @throws BerthError `auth.forbidden` */
function assertMaySee(caller: Caller, project: string): void {
  if (isAdmin(caller) || caller.projectId === project) return;
  throw new BerthError('auth.forbidden', 'Only an administrator may look into other projects');
}

function assertClass(name: string): void {
  if (name === 'default') return;
  throw new BerthError('request.not_found', 'There is one class of quotas, "default"');
}

type Changes = ReadonlyMap<QuotaName, number>;

/** @throws BerthError `request.invalid` for what the version does not have */
function changesIn(asked: object, names: readonly QuotaName[], path: string): Changes {
  const given = Object.entries(asked).filter(([, limit]) => typeof limit === 'number') as [QuotaName, number][];
  const gone = given.filter(([name]) => !names.includes(name));
  if (gone.length === 0) return new Map(given);
  throw invalidFields(gone.map(([name]) => ({ field: `${path}.${name}`, problem: 'is not known in this version' })));
}

function assertNotBelowUse(changes: Changes, amounts: QuotaAmounts): void {
  const errors = [...changes].flatMap(([name, limit]) => {
    const { used } = quotaLine(name, amounts);
    if (limit < 0 || limit >= used) return [];
    return [{ field: `quota_set.${name}`, problem: `is below the ${used} that are used; force makes it so` }];
  });
  if (errors.length > 0) throw invalidFields(errors);
}

function limitsOf(changes: Changes): Record<string, number> {
  return Object.fromEntries([...changes].map(([name, limit]) => [resourceOf(name), limit]));
}
