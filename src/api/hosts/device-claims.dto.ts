import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { ArrayMaxSize, IsArray, IsOptional, IsString, MaxLength } from 'class-validator';
import { CLAIMED_DEVICES_MAX } from '../../messages/device-claim-bodies.js';
import { fromWireDevice } from '../../messages/wire-device.js';
import { bindingMode } from '../../pci/binding-mode.js';
import {
  DEVICE_CLAIM_REFUSALS,
  previewDeviceClaim,
  type ClaimableDevice,
  type DeviceClaimPreview,
  type DeviceClaimRefusalCode,
} from '../../pci/device-claim.js';
import type { DeviceClaimRow } from '../../store/device-claims.store.js';
import { DEVICE_CLAIM_STATES, type DeviceClaimState } from '../../store/entities/device-claim.entities.js';
import type { DeviceRow } from '../../store/inventory-views.store.js';
import { HolderView } from '../device-specs/device-specs.dto.js';
import { TextField, TextParameter } from '../fields.js';

const ADDRESS_LENGTH_MAX = 16;

function AddressesField(description: string): PropertyDecorator {
  const message = `has to be a list of at most ${CLAIMED_DEVICES_MAX} addresses like 0000:83:00.1`;
  return applyDecorators(
    ApiProperty({ type: [String], required: false, description, example: ['0000:83:00.1'] }),
    IsOptional(),
    IsArray({ message }),
    ArrayMaxSize(CLAIMED_DEVICES_MAX, { message }),
    IsString({ each: true, message }),
    MaxLength(ADDRESS_LENGTH_MAX, { each: true, message }),
  );
}

export class DeviceClaimBody {
  @TextField({ max: ADDRESS_LENGTH_MAX, example: '0000:83:00.0' }) address: string;
  @AddressesField('All that is taken along, as the preview shows it; left out: there is nothing.')
  companions?: string[];
}

export class DeviceClaimPreviewQuery {
  @TextParameter({ example: '0000:83:00.0', description: 'What shall be claimed.' }) address?: string;
}

export class ClaimedDeviceView {
  @ApiProperty({ type: String, example: '0000:83:00.0' }) readonly address: string;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: Boolean, description: 'Taken along, because it shares the IOMMU group.' })
  readonly companion: boolean;
  @ApiProperty({ type: String, nullable: true, description: 'As last reported.' }) readonly driver: string | null;
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'That it gets back when the claim ends; null: it had none, or is not bound by the claim yet.',
  })
  readonly original_driver: string | null;
  @ApiProperty({ type: HolderView, nullable: true, description: 'The server that has it.' })
  readonly server: HolderView | null;
}

export class DeviceClaimView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: String, description: 'What it was made for.' }) readonly address: string;
  @ApiProperty({
    type: String,
    enum: [...DEVICE_CLAIM_STATES],
    description:
      '`pending`: the host has not said yet. `enabled`: all of it is bound. `blocked`: it waits for who has a device, and goes on by ' +
      'itself. `refused`: it cannot be, see `message`. `releasing`: it was deleted, and is gone when all has been given back.',
  })
  readonly state: DeviceClaimState;
  @ApiProperty({ type: Boolean, description: 'It was deleted, and is gone when all has been given back.' })
  readonly ends: boolean;
  @ApiProperty({ type: String, nullable: true, description: 'What did not succeed.' }) readonly step: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly errno: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'The server or the programs that it waits for.' })
  readonly held_by: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'What is in the way, and what to do about it.' })
  readonly message: string | null;
  @ApiProperty({ type: [ClaimedDeviceView] }) readonly devices: readonly ClaimedDeviceView[];
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: string;
  @ApiProperty({ type: String, format: 'date-time', description: 'When it was made, or deleted.' })
  readonly asked_at: string;
}

export class DeviceClaimListView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: [DeviceClaimView], description: 'In the order in which they were made.' })
  readonly device_claims: readonly DeviceClaimView[];
}

export class ClaimableDeviceView {
  @ApiProperty({ type: String, example: '0000:83:00.0' }) readonly address: string;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: String, description: 'Six hex digits.' }) readonly class_code: string;
  @ApiProperty({ type: 'integer', nullable: true }) readonly iommu_group: number | null;
  @ApiProperty({ type: Boolean, description: 'Taken along, because it shares the IOMMU group.' })
  readonly companion: boolean;
  @ApiProperty({ type: String, nullable: true, description: 'That loses it; as last reported.' })
  readonly driver: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'That gets it; null: somebody else binds it.' })
  readonly binds_to: string | null;
  @ApiProperty({ type: [String], description: 'Network interfaces that go.' }) readonly netdevs: readonly string[];
  @ApiProperty({ type: Boolean, description: 'Whether servers can get it.' }) readonly offered: boolean;
  @ApiProperty({ type: HolderView, nullable: true, description: 'The server that has it.' })
  readonly server: HolderView | null;
  @ApiProperty({ type: [String], description: 'What the host itself needs it for: `default_route`, …' })
  readonly protection: readonly string[];
}

export class DeviceClaimRefusalView {
  @ApiProperty({ type: String, enum: [...DEVICE_CLAIM_REFUSALS] }) readonly code: DeviceClaimRefusalCode;
  @ApiProperty({ type: String, nullable: true, description: 'null: the host.' }) readonly address: string | null;
  @ApiProperty({ type: String }) readonly reason: string;
  @ApiProperty({ type: String, description: 'What to do about it.' }) readonly remedy: string;
}

export class DeviceClaimPreviewView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: String }) readonly address: string;
  @ApiProperty({ type: Boolean, description: 'Whether nothing is in the way.' }) readonly claimable: boolean;
  @ApiProperty({ type: [ClaimableDeviceView], description: 'What is asked for, then its companions.' })
  readonly takes: readonly ClaimableDeviceView[];
  @ApiProperty({ type: [ClaimableDeviceView], description: 'Bridges of the group, which are left alone.' })
  readonly bridges: readonly ClaimableDeviceView[];
  @ApiProperty({ type: [ClaimableDeviceView], description: 'Of the same slot, and isolated: they stay as they are.' })
  readonly stays: readonly ClaimableDeviceView[];
  @ApiProperty({ type: [DeviceClaimRefusalView], description: 'All that is in the way.' })
  readonly refusals: readonly DeviceClaimRefusalView[];
}

export type Claimable = ClaimableDevice & { readonly row: DeviceRow };

/** @param rows all devices of the host that are present */
export function previewOf(
  row: DeviceRow,
  rows: readonly DeviceRow[],
  { claimed, readOnly }: { readonly claimed: ReadonlyMap<string, string>; readonly readOnly: boolean },
): DeviceClaimPreview<Claimable> {
  const all = rows.map((one): Claimable => {
    const { server_id: id, server_name: name } = one;
    const server = id === null || name === null ? null : { id, name };
    return { ...fromWireDevice(one.facts), server, claimedFor: claimed.get(one.address) ?? null, row: one };
  });
  return previewDeviceClaim(all.find((one) => one.row === row) as Claimable, all, readOnly);
}

export function deviceClaimPreviewView(
  host: string,
  address: string,
  { takes, bridges, stays, refusals }: DeviceClaimPreview<Claimable>,
): DeviceClaimPreviewView {
  const view = (device: Claimable): ClaimableDeviceView =>
    claimableView(device, takes.includes(device) && device.address !== address);
  return {
    ...{ host, address, claimable: refusals.length === 0 },
    ...{ takes: takes.map(view), bridges: bridges.map(view), stays: stays.map(view), refusals },
  };
}

function claimableView({ row, server, offer }: Claimable, companion: boolean): ClaimableDeviceView {
  const { address, vendor_id, product_id, class_code, iommu_group, driver, netdevs, protection } = row.facts;
  const mode = bindingMode(offer?.tags ?? {});
  return {
    ...{ address, vendor_id, product_id, class_code, iommu_group, companion, driver },
    binds_to: mode.managed ? mode.driver : null,
    ...{ netdevs, offered: row.offered, server },
    protection: protection?.reasons.map(({ code }) => code) ?? [],
  };
}

export function deviceClaimView(row: DeviceClaimRow): DeviceClaimView {
  const { id, host, address, state, ends, step, errno, held_by, message } = row;
  return {
    ...{ id, host, address, state, ends, step, errno, held_by, message },
    devices: row.devices.map(({ server_id, server_name, original_driver, ...device }) => ({
      ...{ address: device.address, vendor_id: device.vendor_id, product_id: device.product_id },
      ...{ companion: device.address !== address, driver: device.driver, original_driver },
      server: server_id === null || server_name === null ? null : { id: server_id, name: server_name },
    })),
    created_at: row.created_at.toISOString(),
    asked_at: row.asked_at.toISOString(),
  };
}
