import { ApiProperty } from '@nestjs/swagger';
import { cdiDeviceName, cdiSpec, type CdiSpec } from '../../pci/container/cdi-spec.js';
import type { ContainerDevice } from '../../pci/container/container-device.js';
import { cdiRunArguments, runArguments } from '../../pci/container/run-arguments.js';
import type { ServerDeviceRow, ServerRow } from '../../store/servers.store.js';

/** How a container takes the devices of a server. */
export class ContainerView {
  @ApiProperty({
    type: String,
    example: 'berth.dev/pci=0b1f7a3e-4c52-4a57-9d0e-2f6f7f0c9a11',
    description: 'All devices of the server in the Container Device Interface; each of them is `devices[].cdi_device`.',
  })
  readonly cdi_device: string;
  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'The CDI file, for hosts whose agent does not write it (`agent.compute_driver: cdi` does).',
  })
  readonly cdi_spec: CdiSpec;
  @ApiProperty({
    type: [String],
    description: 'For `docker run` and `podman run` on a host that has the CDI file: docker from 25, podman from 4.1.',
  })
  readonly cdi_run_args: readonly string[];
  @ApiProperty({ type: [String], description: 'For `docker run` and `podman run` without CDI: the device files.' })
  readonly run_args: readonly string[];
}

/** Devices that are only being attached are not among them yet. */
export function containerView(
  { id, status }: Pick<ServerRow, 'id' | 'status'>,
  rows: readonly Pick<ServerDeviceRow, 'address' | 'binding'>[],
): ContainerView | null {
  const devices = status === 'ACTIVE' ? rows.flatMap(containerDevice) : [];
  if (devices.length === 0) return null;
  return {
    cdi_device: cdiDeviceName(id),
    cdi_spec: cdiSpec(id, devices),
    cdi_run_args: cdiRunArguments(id, devices),
    run_args: runArguments(devices),
  };
}

function containerDevice({ address, binding }: Pick<ServerDeviceRow, 'address' | 'binding'>): ContainerDevice[] {
  if (!binding) return [];
  const { netdev, iommu_group: group } = binding;
  return [netdev === undefined ? { address, vfioGroup: group } : { address, vfioGroup: null, netdev }];
}
