import { Body, Controller, Get, Param, Put, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import {
  type ComputeHostRow,
  listComputeHosts,
  type ProjectUsage,
  usageByProject,
} from '../../../store/compute-hosts.store.js';
import { Ledger } from '../../../store/ledger.js';
import { ApiProblems } from '../../answers.js';
import { HostAdminService } from '../../hosts/host-admin.service.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { ServedIn } from '../microversion.js';
import { ComputeHostChangeBody } from './hosts.dto.js';
import type { RawQuery } from './paging.js';
import { textParameter, withoutNulls } from './query-rules.js';
import { COMPUTE_PATH } from './url.js';

const POWER_ACTIONS = ['startup', 'shutdown', 'reboot'];

/** Hosts, as Nova showed them before it had hypervisors and services. */
@ApiTags('compute')
@Needs('admin')
@ServedIn(1, 42)
@Controller(`${COMPUTE_PATH}/os-hosts`)
export class ComputeHostsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly hosts: HostAdminService,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listComputeHosts', summary: 'Hosts that are enabled, up to version 2.42' })
  @ApiOkResponse()
  @ApiProblems(400)
  async list(@Query() query: RawQuery): Promise<object> {
    const zone = textParameter(query, 'zone');
    const rows = await listComputeHosts(this.ledger.pool, { enabled: true, ...(zone === '' ? {} : { zone }) });
    return { hosts: rows.map(({ name, zone: of }) => ({ host_name: name, service: 'compute', zone: of })) };
  }

  @Get(':host')
  @ApiOperation({ operationId: 'getComputeHost', summary: 'What a host has and who has it, up to version 2.42' })
  @ApiOkResponse()
  @ApiProblems(404)
  async show(@Param('host', NamePipe) name: string, @Query() _query: RawQuery): Promise<object> {
    const host = await this.find(name);
    return { host: resourcesView(host, await usageByProject(this.ledger.pool, host.id)) };
  }

  @Put(':host')
  @ApiOperation({ operationId: 'changeComputeHost', summary: 'Enable or disable a host, up to version 2.42' })
  @ApiOkResponse()
  @ApiProblems(400, 404)
  async change(@Param('host', NamePipe) name: string, @Body() body: ComputeHostChangeBody): Promise<object> {
    const { status, maintenance_mode: maintenance } = withoutNulls(body);
    if (status === undefined && maintenance === undefined) {
      throw invalidFields([{ field: '', problem: 'say status or maintenance_mode' }]);
    }
    const { id } = await this.find(name);
    if (maintenance !== undefined) {
      throw new BerthError(
        'request.not_implemented',
        'There is no maintenance mode; disable the host and evacuate it.',
      );
    }
    await this.hosts.change(id, { enabled: status === 'enable', disabled_reason: null });
    return { host: name, status: `${status}d` };
  }

  @Get(':host/:action')
  @ApiOperation({ operationId: 'switchComputeHost', summary: 'The power of a host is not for Berth' })
  @ApiOkResponse()
  @ApiProblems(404)
  async power(
    @Param('host', NamePipe) name: string,
    @Param('action', NamePipe) action: string,
    @Query() _query: RawQuery,
  ): Promise<object> {
    if (!POWER_ACTIONS.includes(action)) throw new BerthError('request.not_found', 'The resource could not be found.');
    await this.find(name);
    throw new BerthError('request.not_implemented', 'Berth does not switch hosts on and off.');
  }

  private async find(name: string): Promise<ComputeHostRow> {
    const [host] = await listComputeHosts(this.ledger.pool, { name }, 1);
    if (host) return host;
    throw new BerthError('host.unknown', `Compute host ${name} could not be found.`);
  }
}

/** What the host has, what of it is in use, what servers have of it, and each project's part. */
function resourcesView(host: ComputeHostRow, usage: readonly ProjectUsage[]): object[] {
  const { vcpus, memory_mb, disk_gb, reserved, used_vcpus, used_memory_mb, used_disk_gb } = host;
  const line = (project: string, cpu: number, memoryMb: number, diskGb: number): object => ({
    resource: { host: host.name, project, cpu, memory_mb: memoryMb, disk_gb: diskGb },
  });
  const kept = reserved ?? { vcpus: 0, memory_mb: 0, disk_gb: 0 };
  return [
    line('(total)', vcpus, memory_mb, disk_gb),
    line('(used_now)', used_vcpus + kept.vcpus, used_memory_mb + kept.memory_mb, used_disk_gb + kept.disk_gb),
    line('(used_max)', used_vcpus, used_memory_mb, used_disk_gb),
    ...usage.map((of) => line(of.project_id, of.vcpus, of.memory_mb, of.disk_gb)),
  ];
}
