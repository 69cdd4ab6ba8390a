import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { type AliasSpec, withExclusiveTags } from '../../pci/alias/alias.js';
import { findAliasDefinitions } from '../../store/catalog.store.js';
import { type DeviceFilter, findDevice, listDevices, listDevicesTaken } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { ApiProblems } from '../answers.js';
import { HttpLimits } from '../http-limits.js';
import { assertMarker, nextPage, pageOf } from '../page.js';
import { idInPath } from '../path-names.js';
import { RequestRules } from '../request-rules.js';
import { assertAliasesKnown } from '../unknown-names.js';
import { DevicePageView, DevicesQuery, DeviceView, deviceView } from './devices.dto.js';

@ApiTags('devices')
@Controller('v1/devices')
export class DevicesController {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
    private readonly rules: RequestRules,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listDevices', summary: 'Devices, in order of host name and address' })
  @ApiOkResponse({ type: DevicePageView })
  @ApiProblems(400)
  async list(@Query() query: DevicesQuery): Promise<DevicePageView> {
    const limit = this.limits.pageSize(query.limit);
    const filter = filterOf(query);
    const list = { path: '/v1/devices', query, limit };
    const specs = query.alias === undefined ? null : await this.specsOf(query.alias);
    const after = await assertMarker(query.marker, async (id) => (await findDevice(this.ledger.pool, id)) !== null);
    if (specs !== null) {
      const { rows, continueAfter } = await listDevicesTaken(this.ledger.pool, filter, specs, { after, limit });
      return { devices: rows.map(deviceView), next: continueAfter === null ? null : nextPage(list, continueAfter) };
    }
    const rows = await listDevices(this.ledger.pool, filter, { after, limit: limit + 1 });
    const page = pageOf(rows, list, (row) => row.id);
    return { devices: page.items.map(deviceView), next: page.next };
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getDevice', summary: 'One device, with all its facts' })
  @ApiOkResponse({ type: DeviceView })
  @ApiProblems(404)
  async show(@Param('id') text: string): Promise<DeviceView> {
    const id = idInPath(text, 'device.unknown', 'device');
    const row = await findDevice(this.ledger.pool, id);
    if (row) return deviceView(row);
    throw new BerthError('device.unknown', `There is no device with the id ${id}`);
  }

  /** As placement takes them: without devices of exclusive tags that the alias does not name. */
  private async specsOf(alias: string): Promise<readonly AliasSpec[]> {
    const definitions = await findAliasDefinitions(this.ledger.pool, [alias]);
    await assertAliasesKnown(this.ledger.pool, [alias], definitions, 'alias');
    return definitions.flatMap(({ specs }) => withExclusiveTags(specs, this.rules.exclusiveTags));
  }
}

function filterOf(query: DevicesQuery): DeviceFilter {
  return {
    host: query.host ?? null,
    vendorId: query.vendor_id ?? null,
    productId: query.product_id ?? null,
    deviceType: query.device_type ?? null,
    status: query.status ?? null,
    offered: query.offered ?? null,
    numaNode: query.numa_node ?? null,
    iommuGroup: query.iommu_group ?? null,
    serverId: query.server_id ?? null,
  };
}
