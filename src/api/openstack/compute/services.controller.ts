import { Body, Controller, Delete, Get, HttpCode, Param, Put, Query } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { type ComputeHostRow, listComputeHosts } from '../../../store/compute-hosts.store.js';
import { Ledger } from '../../../store/ledger.js';
import { ApiProblems } from '../../answers.js';
import { HostAdminService, type HostWish } from '../../hosts/host-admin.service.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { Microversion } from '../microversion.js';
import { UUIDS_SINCE } from './hypervisors.views.js';
import { refuseBefore, refuseUnknown } from './microversion-fields.js';
import type { RawQuery } from './paging.js';
import { numberInPath, refuseFields, textParameter, uuidInPath, withoutNulls } from './query-rules.js';
import { ServiceChangeBody } from './services.dto.js';
import { COMPUTE_BINARY, serviceView } from './services.views.js';
import { COMPUTE_PATH } from './url.js';

/** From this minor version on a service can be forced down. */
const FORCED_DOWN_SINCE = 11;

/** The agents of hosts, as Nova's compute services. */
@ApiTags('compute')
@Needs('admin')
@Controller(`${COMPUTE_PATH}/os-services`)
export class ServicesController {
  constructor(
    private readonly ledger: Ledger,
    private readonly hosts: HostAdminService,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeServices', summary: 'Compute services, one on each host' })
  @ApiOkResponse()
  @ApiProblems(400)
  async list(@Microversion() minor: number, @Query() query: RawQuery): Promise<object> {
    if (minor >= 75) refuseUnknown(query, ['host', 'binary']);
    const name = textParameter(query, 'host');
    const binary = textParameter(query, 'binary');
    const isOther = binary !== '' && binary !== COMPUTE_BINARY;
    const rows = isOther ? [] : await listComputeHosts(this.ledger.pool, name === '' ? {} : { name });
    return { services: rows.map((row) => serviceView(row, minor)) };
  }

  @Put(':id')
  @ApiOperation({
    operationId: 'changeComputeService',
    summary: 'Enable, disable or force down a compute service',
    description: 'Up to 2.52 `id` is what to do: enable, disable, disable-log-reason, force-down.',
  })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  change(
    @Param('id', NamePipe) id: string,
    @Microversion() minor: number,
    @Body() body: ServiceChangeBody,
  ): Promise<object> {
    const said = withoutNulls(body);
    return minor >= UUIDS_SINCE ? this.changeById(id, minor, said) : this.act(id, minor, said);
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteComputeService',
    summary: 'Say that a host is gone: one that is down, disabled, and that nobody is on',
  })
  @ApiNoContentResponse()
  @ApiProblems(400, 404, 409)
  async remove(
    @Param('id', NamePipe) id: string,
    @Microversion() minor: number,
    @Query() _query: RawQuery,
  ): Promise<void> {
    const number = numberInPath(id);
    if (minor < UUIDS_SINCE && number === null) throw new BerthError('request.invalid', `id: ${id} is no whole number`);
    const host = await this.find(id, minor >= UUIDS_SINCE ? { id: uuidInPath(id) } : { number: number ?? 0 });
    await this.hosts.remove(host.id, false);
  }

  /** What the path names is to become as the body says. */
  private async changeById(text: string, minor: number, body: ServiceChangeBody): Promise<object> {
    const id = uuidInPath(text);
    refuseFields(body, ['host', 'binary']);
    await this.find(text, { id });
    await this.hosts.change(id, wishOf(body));
    return { service: serviceView(await this.find(text, { id }), minor) };
  }

  /** What the body names is to become as the path says. */
  private async act(action: string, minor: number, body: ServiceChangeBody): Promise<object> {
    refuseBefore(minor, body, { status: UUIDS_SINCE, forced_down: FORCED_DOWN_SINCE });
    const { host, binary } = body;
    if (host === undefined || binary === undefined) {
      const missing = host === undefined ? 'host' : 'binary';
      throw invalidFields([{ field: missing, problem: 'is missing' }]);
    }
    const { wish, shown } = actionOf(action, minor, body);
    if (binary !== COMPUTE_BINARY) {
      const message = `Updating a ${binary} service is not supported. Only ${COMPUTE_BINARY} services can be updated.`;
      throw new BerthError('request.invalid', message);
    }
    const { id } = await this.find(host, { name: host });
    await this.hosts.change(id, wish);
    return { service: { host, binary, ...shown } };
  }

  private async find(
    text: string,
    filter: { id: string } | { number: number } | { name: string },
  ): Promise<ComputeHostRow> {
    const [host] = await listComputeHosts(this.ledger.pool, filter, 1);
    if (host) return host;
    throw new BerthError('host.unknown', `Service ${text} not found.`);
  }
}

function wishOf({ status, disabled_reason: reason, forced_down: forcedDown }: ServiceChangeBody): HostWish {
  if (status === undefined && forcedDown === undefined) {
    throw invalidFields([{ field: '', problem: 'no updates were requested; say status or forced_down' }]);
  }
  if (status === 'enabled' && reason !== undefined) {
    throw invalidFields([{ field: 'disabled_reason', problem: 'means nothing with status enabled' }]);
  }
  return {
    ...(status === undefined ? {} : { enabled: status === 'enabled', disabled_reason: reason ?? null }),
    ...(forcedDown === undefined ? {} : { forced_down: forcedDown }),
  };
}

/** What an action of a path means for the host, and what is answered of it. */
function actionOf(
  action: string,
  minor: number,
  { disabled_reason: reason, forced_down: forcedDown }: ServiceChangeBody,
): { readonly wish: HostWish; readonly shown: object } {
  if (action === 'enable') return { wish: { enabled: true, disabled_reason: null }, shown: { status: 'enabled' } };
  if (action === 'disable') return { wish: { enabled: false, disabled_reason: null }, shown: { status: 'disabled' } };
  if (action === 'disable-log-reason') {
    if (reason === undefined) throw invalidFields([{ field: 'disabled_reason', problem: 'is missing' }]);
    const disabled = { disabled_reason: reason };
    return { wish: { enabled: false, ...disabled }, shown: { status: 'disabled', ...disabled } };
  }
  if (action === 'force-down' && minor >= FORCED_DOWN_SINCE) {
    if (forcedDown === undefined) throw invalidFields([{ field: 'forced_down', problem: 'is missing' }]);
    return { wish: { forced_down: forcedDown }, shown: { forced_down: forcedDown } };
  }
  throw new BerthError('request.not_found', 'Unknown action');
}
