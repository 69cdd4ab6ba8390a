import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { messageOf } from '../../errors.js';
import { type Address, normalizeAddress } from '../../pci/address.js';
import { suggestion } from '../../pci/suggest.js';
import type { SnapshotDevice } from '../../placement/snapshot.js';
import { findHost } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { readHosts } from '../../store/snapshot.store.js';
import { ApiProblems } from '../answers.js';
import { NamePipe } from '../path-names.js';
import { invalidFields } from '../request-validation.pipe.js';
import { unknownHost } from '../unknown-names.js';
import { HostTopologyQuery, HostTopologyView, hostTopologyView, TOPOLOGY_DEVICES_MAX } from './host-topology.dto.js';

@ApiTags('hosts')
@Controller('v1/hosts')
export class HostTopologyController {
  constructor(private readonly ledger: Ledger) {}

  @Get(':host/topology')
  @ApiOperation({
    operationId: 'getHostTopology',
    summary: "How far a host's devices are from each other",
    description: `Of at most ${TOPOLOGY_DEVICES_MAX} devices; \`address\`, \`vendor_id\` and \`product_id\` say of which.`,
  })
  @ApiOkResponse({ type: HostTopologyView })
  @ApiProblems(400, 404)
  async show(@Param('host', NamePipe) name: string, @Query() query: HostTopologyQuery): Promise<HostTopologyView> {
    const wanted = query.address === undefined ? null : addressesIn(query.address);
    const row = await findHost(this.ledger.pool, name);
    const [host] = row ? await readHosts(this.ledger.pool, [row.id]) : [];
    if (!host) throw await unknownHost(this.ledger.pool, name);
    const present = host.devices.filter(({ address }) => host.topology.has(address));
    if (wanted) assertPresent(wanted, present);
    const devices = present.filter(
      ({ address, vendorId, productId }) =>
        (wanted?.has(address) ?? true) &&
        vendorId === (query.vendor_id ?? vendorId) &&
        productId === (query.product_id ?? productId),
    );
    return hostTopologyView(host, devices);
  }
}

function addressesIn(text: string): ReadonlySet<Address> {
  const items = text.split(',');
  if (items.length > TOPOLOGY_DEVICES_MAX) {
    throw invalidFields([{ field: 'address', problem: `names ${items.length}; at most ${TOPOLOGY_DEVICES_MAX}` }]);
  }
  return new Set(items.map(addressOf));
}

function addressOf(text: string): Address {
  try {
    return normalizeAddress(text.trim());
  } catch (error) {
    throw invalidFields([{ field: 'address', problem: messageOf(error) }]);
  }
}

function assertPresent(wanted: ReadonlySet<Address>, present: readonly SnapshotDevice[]): void {
  const known = present.map(({ address }) => address);
  const unknown = [...wanted].filter((address) => !known.includes(address));
  if (unknown.length === 0) return;
  throw invalidFields(
    unknown.map((address) => ({
      field: 'address',
      problem: `the host offers no ${address}${suggestion(address, known)}`,
    })),
  );
}
