import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { type ComputeHostRow, listComputeHosts } from '../../../store/compute-hosts.store.js';
import { Ledger } from '../../../store/ledger.js';
import { Needs } from '../../identity/roles.guard.js';
import type { RawQuery } from './paging.js';
import { COMPUTE_BINARY } from './services.views.js';
import { stamp } from './stamp.js';
import { COMPUTE_PATH } from './url.js';

/** Zones that have hosts. Nova's zone `internal` is of services that are nowhere here. */
@ApiTags('compute')
@Controller(`${COMPUTE_PATH}/os-availability-zone`)
export class ComputeZonesController {
  constructor(private readonly ledger: Ledger) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listComputeZones', summary: 'Availability zones' })
  @ApiOkResponse()
  async list(@Query() _query: RawQuery): Promise<object> {
    return { availabilityZoneInfo: zonesView(await listComputeHosts(this.ledger.pool), false) };
  }

  @Get('detail')
  @Needs('admin')
  @ApiOperation({ operationId: 'listComputeZoneDetails', summary: 'Availability zones, with their hosts' })
  @ApiOkResponse()
  async details(@Query() _query: RawQuery): Promise<object> {
    return { availabilityZoneInfo: zonesView(await listComputeHosts(this.ledger.pool), true) };
  }
}

/** A zone is available, as in Nova, while one of its hosts is enabled; those that are come first. */
export function zonesView(hosts: readonly ComputeHostRow[], withHosts: boolean): object[] {
  const zones = new Map<string, ComputeHostRow[]>(hosts.map(({ zone }) => [zone, []]));
  for (const host of hosts) if (host.enabled) zones.get(host.zone)?.push(host);
  const sorted = [...zones].sort(
    ([a, ofA], [b, ofB]) => Number(ofB.length > 0) - Number(ofA.length > 0) || (a < b ? -1 : 1),
  );
  return sorted.map(([zoneName, enabled]) => ({
    zoneName,
    zoneState: { available: enabled.length > 0 },
    hosts: withHosts && enabled.length > 0 ? Object.fromEntries(enabled.map(hostEntry)) : null,
  }));
}

function hostEntry({ name, status, last_seen_at }: ComputeHostRow): [string, object] {
  const service = { available: status === 'up', active: true, updated_at: stamp(last_seen_at) };
  return [name, { [COMPUTE_BINARY]: service }];
}
