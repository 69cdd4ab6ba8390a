import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { DEVICES_PER_HOST_MAX } from '../../messages/bodies.js';
import { normalizeAddress, type Address } from '../../pci/address.js';
import { refusalText, type DeviceClaimPreview } from '../../pci/device-claim.js';
import { suggestion } from '../../pci/suggest.js';
import type { Tx } from '../../store/database.js';
import {
  createDeviceClaim,
  endDeviceClaim,
  readClaimedAddresses,
  readDeviceClaims,
} from '../../store/device-claims.store.js';
import { lockHostForChange, type LockedHost } from '../../store/host-admin.store.js';
import { findHost, listDevices, type HostRow } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { ApiProblems } from '../answers.js';
import { idInPath, NamePipe } from '../path-names.js';
import { invalidFields } from '../request-validation.pipe.js';
import { unknownHost } from '../unknown-names.js';
import {
  DeviceClaimBody,
  DeviceClaimListView,
  deviceClaimPreviewView,
  DeviceClaimPreviewQuery,
  DeviceClaimPreviewView,
  deviceClaimView,
  DeviceClaimView,
  previewOf,
  type Claimable,
} from './device-claims.dto.js';

/** All that a host has, of whatever kind. */
const ANYTHING = {
  ...{ vendorId: null, productId: null, deviceType: null, status: null, offered: null },
  ...{ numaNode: null, iommuGroup: null, serverId: null },
};
const PAGE = { after: null, limit: DEVICES_PER_HOST_MAX };
/** Of a refusal's reasons, so many are told in its text. */
const TOLD_MAX = 5;

/** Passthrough enabled on devices ahead of use. */
@ApiTags('hosts')
@Controller('v1/hosts/:host/device-claims')
export class DeviceClaimsController {
  constructor(private readonly ledger: Ledger) {}

  @Get()
  @ApiOperation({ operationId: 'listDeviceClaims', summary: 'Devices of a host that are kept bound ahead of use' })
  @ApiOkResponse({ type: DeviceClaimListView })
  @ApiProblems(404)
  async list(@Param('host', NamePipe) name: string): Promise<DeviceClaimListView> {
    const host = await found(this.ledger.pool, name);
    const claims = await readDeviceClaims(this.ledger.pool, host.id, null);
    return { host: host.name, device_claims: claims.map(deviceClaimView) };
  }

  @Get('preview')
  @ApiOperation({
    operationId: 'previewDeviceClaim',
    summary: 'What a claim on a device would take, and what is in the way',
    description: 'By the last report. Nothing is changed.',
  })
  @ApiOkResponse({ type: DeviceClaimPreviewView })
  @ApiProblems(400, 404)
  async preview(
    @Param('host', NamePipe) name: string,
    @Query() { address: text }: DeviceClaimPreviewQuery,
  ): Promise<DeviceClaimPreviewView> {
    if (text === undefined)
      throw invalidFields([{ field: 'address', problem: 'is missing; say what shall be claimed' }]);
    const address = normalizeAddress(text);
    const host = await found(this.ledger.pool, name);
    return deviceClaimPreviewView(host.name, address, await previewed(this.ledger.pool, host, address));
  }

  @Get(':claim')
  @ApiOperation({ operationId: 'getDeviceClaim', summary: 'How it stands with a claim on a device' })
  @ApiOkResponse({ type: DeviceClaimView })
  @ApiProblems(404)
  async show(@Param('host', NamePipe) name: string, @Param('claim') text: string): Promise<DeviceClaimView> {
    return shown(this.ledger.pool, await found(this.ledger.pool, name), claimId(text));
  }

  @Post()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'createDeviceClaim',
    summary: 'Enable passthrough on a device ahead of use',
    description:
      'The device and all that shares its IOMMU group are bound to vfio-pci (or the `vfio_driver` of their whitelist entries) now, and stay ' +
      'so between servers and after a reboot, until the claim is deleted. `companions` has to name all that is taken along, as the preview ' +
      'shows it. What comes of it is in `state` soon after.',
  })
  @ApiAcceptedResponse({ type: DeviceClaimView })
  @ApiProblems(400, 404, 409)
  create(@Param('host', NamePipe) name: string, @Body() body: DeviceClaimBody): Promise<DeviceClaimView> {
    const address = normalizeAddress(body.address);
    const companions = (body.companions ?? []).map(normalizeAddress);
    return this.ledger.transaction(async (tx) => {
      await locked(tx, name);
      const host = await found(tx, name);
      const { takes, refusals } = await previewed(tx, host, address);
      if (refusals.length > 0) throw refused(address, refusals.map(refusalText));
      assertNamed(address, takes.slice(1), companions);
      const claim = await createDeviceClaim(
        tx,
        host,
        takes.map(({ row }) => row.facts),
      );
      return shown(tx, host, claim);
    });
  }

  @Delete(':claim')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'deleteDeviceClaim',
    summary: 'End a claim: the devices get their drivers back',
    description:
      'As soon as no server has one of them; `state` says what is waited for. The claim is gone when its devices are given back.',
  })
  @ApiAcceptedResponse({ type: DeviceClaimView })
  @ApiProblems(404)
  end(@Param('host', NamePipe) name: string, @Param('claim') text: string): Promise<DeviceClaimView> {
    return this.ledger.transaction(async (tx) => {
      const host = await locked(tx, name);
      await endDeviceClaim(tx, host, claimId(text));
      return shown(tx, host, claimId(text));
    });
  }
}

async function found(tx: Tx, name: string): Promise<HostRow> {
  const host = await findHost(tx, name);
  if (host) return host;
  throw await unknownHost(tx, name);
}

async function locked(tx: Tx, name: string): Promise<LockedHost> {
  const host = await lockHostForChange(tx, name);
  if (host) return host;
  throw await unknownHost(tx, name);
}

async function previewed(tx: Tx, host: HostRow, address: Address): Promise<DeviceClaimPreview<Claimable>> {
  const rows = await listDevices(tx, { ...ANYTHING, host: host.id }, PAGE);
  const present = rows.filter(({ status }) => status !== 'removed');
  const row = present.find((one) => one.address === address);
  if (!row) {
    const near = suggestion(
      address,
      present.map((one) => one.address),
    );
    throw new BerthError('device.unknown', `Host ${host.name} has no device at ${address}${near}`);
  }
  return previewOf(row, present, { claimed: await readClaimedAddresses(tx, host.id), readOnly: host.read_only });
}

function refused(address: Address, reasons: readonly string[]): BerthError {
  const more = reasons.length > TOLD_MAX ? `\nand ${reasons.length - TOLD_MAX} more, which the preview shows` : '';
  const text = reasons.slice(0, TOLD_MAX).join('\n');
  return new BerthError('device_claim.refused', `${address} cannot be claimed:\n${text}${more}`);
}

/** Nothing is taken silently: who claims has seen what goes along. */
function assertNamed(address: Address, taken: readonly Claimable[], named: readonly Address[]): void {
  const along = taken.map((device) => device.address);
  const more = taken.filter((device) => !named.includes(device.address));
  const less = named.filter((one) => !along.includes(one));
  if (more.length === 0 && less.length === 0) return;
  const told = [
    ...more.map(
      (device) => `${device.address} (driver ${device.driver ?? 'none'}) would be taken along and is not named`,
    ),
    ...less.map((one) => `${one} is named and would not be taken along`),
  ];
  const remedy = 'see the preview, and name in companions just what it shows';
  throw new BerthError(
    'device_claim.companions',
    `A claim on ${address} has other companions: ${told.slice(0, TOLD_MAX).join('; ')}; ${remedy}`,
  );
}

async function shown(tx: Tx, host: Pick<LockedHost, 'id' | 'name'>, id: string): Promise<DeviceClaimView> {
  const [claim] = await readDeviceClaims(tx, host.id, id);
  if (claim) return deviceClaimView(claim);
  throw new BerthError('device_claim.unknown', `Host ${host.name} has no device claim ${id}`);
}

function claimId(text: string): string {
  return idInPath(text, 'device_claim.unknown', 'device claim');
}
