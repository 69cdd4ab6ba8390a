import { ApiProperty } from '@nestjs/swagger';
import { IsOptional, IsString, MaxLength } from 'class-validator';
import { DEVICE_TYPES } from '../../pci/device.js';
import { DISTANCES, distanceBetween, type Distance, type Neighbourhoods } from '../../pci/topology.js';
import type { HostSnapshot, SnapshotDevice } from '../../placement/snapshot.js';
import { HexIdParameter } from '../fields.js';

/** The matrix grows with the square of it. */
export const TOPOLOGY_DEVICES_MAX = 64;
const ADDRESSES_LENGTH_MAX = 2048;

export class HostTopologyQuery {
  @ApiProperty({
    type: String,
    required: false,
    maxLength: ADDRESSES_LENGTH_MAX,
    example: '0000:23:00.0,0000:25:00.0',
    description: `Only these devices: addresses, separated by commas; at most ${TOPOLOGY_DEVICES_MAX}.`,
  })
  @IsOptional()
  @MaxLength(ADDRESSES_LENGTH_MAX, { message: `has more than ${ADDRESSES_LENGTH_MAX} characters` })
  @IsString({ message: 'is given more than once; separate addresses by commas' })
  address?: string;

  @HexIdParameter({ example: '10de' }) vendor_id?: string;
  @HexIdParameter({ example: '20b0' }) product_id?: string;
}

/** Named as constraints name them: devices are within PIX when they have the same `switch`. */
export class NeighbourhoodsView {
  @ApiProperty({ type: String, description: 'PIX. Of what has no switch: its root port, or its slot.' })
  readonly switch: string;
  @ApiProperty({ type: String, description: 'PXB.' }) readonly root_port: string;
  @ApiProperty({ type: String, description: 'PHB: the host bridge.', example: 'pci0000:20' })
  readonly pcie_root: string;
  @ApiProperty({ type: String, description: "NODE; the host bridge's, when no node is known.", example: 'node 0' })
  readonly numa_node: string;
}

export class TopologyDeviceView {
  @ApiProperty({ type: String, example: '0000:23:00.0' }) readonly address: string;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: String, description: 'Six hex digits.' }) readonly class_code: string;
  @ApiProperty({ type: String, enum: [...DEVICE_TYPES] }) readonly device_type: string;
  @ApiProperty({ type: String, nullable: true, description: "A VF's PF." }) readonly parent_address: string | null;
  @ApiProperty({ type: 'integer', nullable: true, description: 'As the device itself says it.' })
  readonly numa_node: number | null;
  @ApiProperty({
    type: Boolean,
    nullable: true,
    description: 'ACS sends what it says to its neighbours up to the root complex first; null: not known.',
  })
  readonly acs_redirect: boolean | null;
  @ApiProperty({ type: NeighbourhoodsView }) readonly neighbourhoods: NeighbourhoodsView;
}

export class HostTopologyView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: String, format: 'uuid' }) readonly host_id: string;
  @ApiProperty({ type: 'integer', description: "The host's, when this was true of it." }) readonly generation: number;
  @ApiProperty({
    type: [TopologyDeviceView],
    description: 'What is offered, or in use and no longer offered; in address order.',
  })
  readonly devices: readonly TopologyDeviceView[];
  @ApiProperty({
    type: 'array',
    items: { type: 'array', items: { type: 'string', enum: [...DISTANCES] } },
    description:
      'How far each device is from each, rows and columns in the order of `devices`: PIX below one PCIe switch, PXB below ' +
      'one root port, PHB below one host bridge, NODE on one NUMA node, SYS beyond.',
  })
  readonly distances: readonly (readonly Distance[])[];
  @ApiProperty({ type: 'integer', description: 'Devices that match and are not shown, because they are too many.' })
  readonly left_out: number;
}

/** The topology of some of a host's devices, as decisions see it. All of them have to be in that. */
export function hostTopologyView(host: HostSnapshot, devices: readonly SnapshotDevice[]): HostTopologyView {
  const shown = devices.slice(0, TOPOLOGY_DEVICES_MAX);
  return {
    host: host.name,
    host_id: host.id,
    generation: host.generation,
    devices: shown.map((device) => deviceView(device, host.topology.get(device.address) as Neighbourhoods)),
    distances: shown.map((a) => shown.map((b) => distanceBetween(host.topology, a.address, b.address))),
    left_out: devices.length - shown.length,
  };
}

function deviceView(device: SnapshotDevice, { PIX, PXB, PHB, NODE }: Neighbourhoods): TopologyDeviceView {
  return {
    address: device.address,
    vendor_id: device.vendorId,
    product_id: device.productId,
    class_code: device.attributes.classCode,
    device_type: device.deviceType,
    parent_address: device.parentAddress,
    numa_node: device.numaNode,
    acs_redirect: device.acsRedirect ?? null,
    neighbourhoods: { switch: PIX, root_port: PXB, pcie_root: PHB, numa_node: NODE },
  };
}
