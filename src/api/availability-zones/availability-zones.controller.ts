import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import { listZones } from '../../store/aggregates.store.js';
import { Ledger } from '../../store/ledger.js';
import { Needs } from '../identity/roles.guard.js';
import { ApiProblems } from '../answers.js';
import { HttpLimits } from '../http-limits.js';
import { PageQuery, pageOf } from '../page.js';

const PATH = '/v1/availability-zones';

export class AvailabilityZoneView {
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: Boolean, description: 'One of its hosts at least is up and enabled.' })
  readonly available: boolean;
  @ApiProperty({ type: 'integer' }) readonly host_count: number;
  @ApiProperty({ type: 'integer', description: 'Those that are up and enabled.' }) readonly hosts_up: number;
  @ApiProperty({ type: [String], description: 'Names, the first thousand.' }) readonly hosts: readonly string[];
}

export class AvailabilityZonePageView {
  @ApiProperty({ type: [AvailabilityZoneView] }) readonly availability_zones: readonly AvailabilityZoneView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

@ApiTags('availability zones')
@Controller('v1/availability-zones')
export class AvailabilityZonesController {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  @Get()
  @Needs('reader')
  @ApiOperation({
    operationId: 'listAvailabilityZones',
    summary: 'Zones that have hosts, in name order',
    description: 'A host is in the zone of its aggregate; of which none names a zone, it is in zone `nova`.',
  })
  @ApiOkResponse({ type: AvailabilityZonePageView })
  @ApiProblems(400)
  async list(@Query() query: PageQuery): Promise<AvailabilityZonePageView> {
    const limit = this.limits.pageSize(query.limit);
    const rows = await listZones(this.ledger.pool, { after: query.marker ?? null, limit: limit + 1 });
    const page = pageOf(rows, { path: PATH, query, limit }, (row) => row.name);
    return { availability_zones: page.items.map((row) => ({ ...row, available: row.hosts_up > 0 })), next: page.next };
  }
}
