import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { DEVICES_PER_HOST_MAX } from '../../messages/bodies.js';
import { findHost, listDevices } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { ApiProblems } from '../answers.js';
import { NamePipe } from '../path-names.js';
import { unknownHost } from '../unknown-names.js';
import { GROUPS_SHOWN_MAX, IommuGroupsQuery, IommuGroupsView, iommuGroupsView } from './iommu-groups.dto.js';

/** All that a host has, of whatever kind. */
const ANYTHING = {
  ...{ vendorId: null, productId: null, deviceType: null, status: null, offered: null },
  ...{ numaNode: null, iommuGroup: null, serverId: null },
};

@ApiTags('hosts')
@Controller('v1/hosts')
export class IommuGroupsController {
  constructor(private readonly ledger: Ledger) {}

  @Get(':host/iommu-groups')
  @ApiOperation({
    operationId: 'listIommuGroups',
    summary: 'What of a host can only be handed over together, and what is in the way',
    description: `As its agent reported last; at most ${GROUPS_SHOWN_MAX} groups.`,
  })
  @ApiOkResponse({ type: IommuGroupsView })
  @ApiProblems(400, 404)
  async list(@Param('host', NamePipe) name: string, @Query() query: IommuGroupsQuery): Promise<IommuGroupsView> {
    const host = await findHost(this.ledger.pool, name);
    if (!host) throw await unknownHost(this.ledger.pool, name);
    const page = { after: null, limit: DEVICES_PER_HOST_MAX };
    const rows = await listDevices(this.ledger.pool, { ...ANYTHING, host: host.id }, page);
    const present = rows.filter(({ status }) => status !== 'removed');
    return iommuGroupsView(host, present, query);
  }
}
