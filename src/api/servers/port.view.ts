import { ApiProperty } from '@nestjs/swagger';
import { VNIC_TYPES } from '../../pci/alias/port.js';
import type { PlacementRequest, PortRequest } from '../../placement/request.js';
import type { ServerDeviceRow } from '../../store/servers.store.js';

/** What Nova writes into a Neutron port's `binding:profile`; keys that are not known are left out. */
export class BindingProfileView {
  @ApiProperty({ type: String, example: '8086:154c' }) readonly pci_vendor_info: string;
  @ApiProperty({ type: String, example: '0000:81:02.0' }) readonly pci_slot: string;
  @ApiProperty({ type: String, nullable: true }) readonly physical_network: string | null;
  @ApiProperty({ type: 'integer', required: false, description: 'Of a VF.' }) readonly vf_num?: number;
  @ApiProperty({ type: String, required: false, description: "Of a VF, from the card's VPD." })
  readonly card_serial_number?: string;
}

export class PortView {
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String, enum: [...VNIC_TYPES] }) readonly vnic_type: string;
  @ApiProperty({ type: String, nullable: true, description: 'null: an overlay network.' })
  readonly physical_network: string | null;
  @ApiProperty({ type: Boolean, nullable: true }) readonly trusted: boolean | null;
  @ApiProperty({ type: String }) readonly numa_policy: string;
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'null until the server has a place.' })
  readonly device_id: string | null;
  @ApiProperty({ type: String, nullable: true, example: '0000:81:02.0' }) readonly address: string | null;
  @ApiProperty({ type: String, nullable: true, description: "Of a VF: its PF's address." })
  readonly pf_address: string | null;
  @ApiProperty({ type: BindingProfileView, nullable: true }) readonly binding_profile: BindingProfileView | null;
}

/** The ports of a server, each with the device that it has. */
export function portViews(request: PlacementRequest, devices: readonly ServerDeviceRow[]): PortView[] {
  return request.devices.flatMap(({ port, numaPolicy }, index) => {
    if (!port) return [];
    return [portView(port, numaPolicy, devices.find((device) => device.request_index === index) ?? null)];
  });
}

function portView(port: PortRequest, numaPolicy: string, device: ServerDeviceRow | null): PortView {
  return {
    name: port.name,
    vnic_type: port.vnicType,
    physical_network: port.physicalNetwork,
    trusted: port.trusted,
    numa_policy: numaPolicy,
    device_id: device?.device_id ?? null,
    address: device?.address ?? null,
    pf_address: device?.facts.parent_address ?? null,
    binding_profile: device && bindingProfile(port, device),
  };
}

function bindingProfile(port: PortRequest, { address, facts, vf_num }: ServerDeviceRow): BindingProfileView {
  return {
    pci_vendor_info: `${facts.vendor_id}:${facts.product_id}`,
    pci_slot: address,
    physical_network: port.physicalNetwork,
    ...(vf_num !== null && { vf_num }),
    ...(facts.parent_address !== null && facts.serial_number && { card_serial_number: facts.serial_number }),
  };
}
