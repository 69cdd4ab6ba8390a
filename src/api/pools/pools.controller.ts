import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import { poolsOf } from '../../pci/pool.js';
import { type HostRow, listHosts, listPoolDevices, type PoolDeviceRow } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { ApiProblems } from '../answers.js';
import { TextParameter } from '../fields.js';
import { HttpLimits } from '../http-limits.js';
import { PageQuery, pageOf } from '../page.js';

export class PoolsQuery extends PageQuery {
  @TextParameter({ description: 'Name or id.' }) host?: string;
}

export class PoolView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: Boolean }) readonly simulated: boolean;
  @ApiProperty({
    type: 'object',
    description: 'What the devices have in common: ids, type, NUMA node, card, every tag.',
    additionalProperties: { oneOf: [{ type: 'string' }, { type: 'integer' }], nullable: true },
  })
  readonly key: Readonly<Record<string, string | number | null>>;
  @ApiProperty({ type: 'integer' }) readonly total: number;
  @ApiProperty({ type: 'integer', description: 'Neither claimed, nor shut out by a relative, nor missing.' })
  readonly free: number;
}

export class PoolPageView {
  @ApiProperty({ type: [PoolView] }) readonly pools: readonly PoolView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

@ApiTags('pools')
@Controller('v1/pools')
export class PoolsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listPools',
    summary: 'Equal devices of a host, counted together',
    description: 'A page holds the pools of `limit` hosts, in name order.',
  })
  @ApiOkResponse({ type: PoolPageView })
  @ApiProblems(400)
  async list(@Query() query: PoolsQuery): Promise<PoolPageView> {
    const limit = this.limits.pageSize(query.limit);
    const filter = { host: query.host ?? null, status: null };
    const rows = await listHosts(this.ledger.pool, filter, { after: query.marker ?? null, limit: limit + 1 });
    const page = pageOf(rows, { path: '/v1/pools', query, limit }, (row) => row.name);
    const devices = await listPoolDevices(
      this.ledger.pool,
      page.items.map((host) => host.id),
    );
    return { pools: page.items.flatMap((host) => poolViews(host, devices)), next: page.next };
  }
}

function poolViews(host: HostRow, devices: readonly PoolDeviceRow[]): PoolView[] {
  const own = devices.filter((device) => device.host_name === host.name);
  const free = new Set(
    own.filter((device) => device.status === 'available' && !device.missing).map((device) => device.address),
  );
  return poolsOf(own.map(poolDevice)).map(({ key, count, addresses }) => ({
    host: host.name,
    simulated: host.kernel_kind === 'simulated',
    key,
    total: count,
    free: addresses.filter((address) => free.has(address)).length,
  }));
}

function poolDevice(row: PoolDeviceRow): Parameters<typeof poolsOf>[0][number] {
  return {
    address: row.address,
    vendorId: row.vendor_id,
    productId: row.product_id,
    deviceType: row.device_type,
    numaNode: row.numa_node,
    parentAddress: row.parent_address,
    offer: { tags: row.tags },
  };
}
