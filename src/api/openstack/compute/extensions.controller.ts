import { Controller, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../../errors.js';
import { Needs } from '../../identity/roles.guard.js';
import { NamePipe } from '../../path-names.js';
import { COMPUTE_PATH } from './url.js';

/** What is served of what Nova once had as extensions: alias, name, and what it is. */
const EXTENSIONS = [
  ['OS-DCF', 'DiskConfig', 'Who partitions the disk of a server'],
  ['OS-EXT-AZ', 'ExtendedAvailabilityZone', 'The zone of a server'],
  ['OS-EXT-SRV-ATTR', 'ExtendedServerAttributes', 'The host of a server, for administrators'],
  ['OS-EXT-STS', 'ExtendedStatus', 'Task, power and state of a server'],
  ['OS-FLV-DISABLED', 'FlavorDisabled', 'Whether a flavor is disabled; none is'],
  ['OS-FLV-EXT-DATA', 'FlavorExtraData', 'The second disk of a flavor'],
  ['OS-SCH-HNT', 'SchedulerHints', 'Hints for the choice of a host'],
  ['OS-SRV-USG', 'ServerUsage', 'When a server started and ended'],
  ['os-aggregates', 'Aggregates', 'Aggregates of hosts'],
  ['os-availability-zone', 'AvailabilityZone', 'Availability zones'],
  ['os-flavor-access', 'FlavorAccess', 'Flavors for named projects only'],
  ['os-flavor-extra-specs', 'FlavorExtraSpecs', 'Extra specs of flavors'],
  ['os-flavor-manage', 'FlavorManage', 'Flavors are made and deleted'],
  ['os-flavor-rxtx', 'FlavorRxtx', 'A factor that is kept with a flavor'],
  ['os-flavor-swap', 'FlavorSwap', 'The swap disk of a flavor'],
  ['os-hosts', 'Hosts', 'Hosts, as they were before hypervisors'],
  ['os-hypervisors', 'Hypervisors', 'Hosts and what is left on them'],
  ['os-instance-actions', 'ServerActions', 'What was done with a server'],
  ['os-keypairs', 'Keypairs', 'Public keys of users'],
  ['os-migrations', 'Migrations', 'Servers that changed their host'],
  ['os-multiple-create', 'MultipleCreate', 'Several servers in one call'],
  ['os-quota-class-sets', 'QuotaClasses', 'What every project may have'],
  ['os-quota-sets', 'Quotas', 'What a project may have'],
  ['os-server-groups', 'ServerGroups', 'Groups of servers that are kept together or apart'],
  ['os-server-start-stop', 'ServerStartStop', 'Servers are stopped and started'],
  ['os-services', 'Services', 'Compute services, enabled and disabled'],
  ['os-simple-tenant-usage', 'SimpleTenantUsage', 'What projects used, in hours'],
  ['os-used-limits', 'UsedLimits', 'What a project has, beside its limits'],
].map(([alias, name, description]) => ({
  ...{ alias, name, description, links: [], updated: '2026-11-22T00:00:00Z' },
  namespace: 'https://docs.openstack.org/api-ref/compute/',
}));

/** A list that clients of old look into before they use something. */
@ApiTags('compute')
@Needs('reader')
@Controller(`${COMPUTE_PATH}/extensions`)
export class ComputeExtensionsController {
  @Get()
  @ApiOperation({ operationId: 'listComputeExtensions', summary: 'What of the compute API is served' })
  @ApiOkResponse()
  list(): object {
    return { extensions: EXTENSIONS };
  }

  @Get(':alias')
  @ApiOperation({ operationId: 'getComputeExtension', summary: 'One of them' })
  @ApiOkResponse()
  show(@Param('alias', NamePipe) alias: string): object {
    const extension = EXTENSIONS.find((one) => one.alias === alias);
    if (!extension) throw new BerthError('request.not_found', `There is no extension "${alias}"`);
    return { extension };
  }
}
