import { ApiProperty } from '@nestjs/swagger';
import { libvirtHostdev, qemuArguments, vfioGroupFile } from '../../pci/attachment.js';
import { cdiDeviceName } from '../../pci/container/cdi-spec.js';
import type { Decision } from '../../placement/decision.js';
import type { DeviceRequest, PlacementRequest } from '../../placement/request.js';
import {
  GUEST_ACTIONS,
  TASK_STATES,
  VM_STATES,
  type DecisionEntity,
  type Fault,
  type ServerEventEntity,
} from '../../store/entities/workload.entities.js';
import type { ServerDeviceRow, ServerRow } from '../../store/servers.store.js';
import { FlavorView, sizeView } from '../flavors/flavors.dto.js';
import { type Audience, DecisionView, decisionView, rejectionView } from '../placements/decision.view.js';
import { containerView, ContainerView } from './container.view.js';
import { portViews, PortView } from './port.view.js';
import { SHOWN_STATUSES } from './servers.dto.js';

export class RequestedDevicesView {
  @ApiProperty({ type: String, nullable: true, description: 'null: a port asks.' }) readonly alias: string | null;
  @ApiProperty({ type: String, nullable: true, description: "The port's name." }) readonly port: string | null;
  @ApiProperty({ type: 'integer', nullable: true, description: 'Of the alias, when the server was asked for.' })
  readonly alias_version: number | null;
  @ApiProperty({ type: 'integer' }) readonly count: number;
  @ApiProperty({ type: 'integer', description: 'As many as there were, up to so many.' }) readonly count_max: number;
  @ApiProperty({ type: String }) readonly numa_policy: string;
}

export class FaultView {
  @ApiProperty({ type: String }) readonly code: string;
  @ApiProperty({ type: String }) readonly message: string;
  @ApiProperty({ type: 'object', additionalProperties: true }) readonly details: Readonly<Record<string, unknown>>;
}

export class ServerEventView {
  @ApiProperty({ type: String }) readonly event: string;
  @ApiProperty({ type: String }) readonly message: string;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

const WHEN_ACTIVE = 'null until the server is ACTIVE.';

export class ServerDeviceView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly device_id: string;
  @ApiProperty({ type: String, nullable: true, example: '0000:83:00.0', description: 'null: for administrators only.' })
  readonly address: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly alias: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Name of the port that asked for it.' })
  readonly port: string | null;
  @ApiProperty({ type: Boolean, description: 'Not asked for: it shares the IOMMU group of a device that was.' })
  readonly companion: boolean;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: String }) readonly device_type: string;
  @ApiProperty({ type: 'integer', nullable: true }) readonly numa_node: number | null;
  @ApiProperty({ type: 'integer', nullable: true }) readonly iommu_group: number | null;
  @ApiProperty({ type: Boolean, description: 'Of a recorded host: there is no such device in reach.' })
  readonly simulated: boolean;
  @ApiProperty({ type: String, format: 'date-time', nullable: true }) readonly missing_since: Date | null;
  @ApiProperty({ type: String, nullable: true, example: 'vfio-pci', description: WHEN_ACTIVE })
  readonly driver: string | null;
  @ApiProperty({ type: String, nullable: true, example: '/dev/vfio/25', description: WHEN_ACTIVE })
  readonly vfio: string | null;
  @ApiProperty({
    type: String,
    nullable: true,
    example: 'ens1f0',
    description: 'The interface that the container takes instead, of a device with `handover: netdev`.',
  })
  readonly netdev: string | null;
  @ApiProperty({ type: String, nullable: true, description: WHEN_ACTIVE }) readonly libvirt_hostdev_xml: string | null;
  @ApiProperty({ type: [String], nullable: true, description: WHEN_ACTIVE })
  readonly qemu_args: readonly string[] | null;
  @ApiProperty({ type: String, nullable: true, example: 'berth.dev/pci=0000:83:00.0', description: WHEN_ACTIVE })
  readonly cdi_device: string | null;
}

/** A server in a list. */
export class ServerSummaryView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String }) readonly project_id: string;
  @ApiProperty({ type: String, enum: [...SHOWN_STATUSES, 'DELETED'] }) readonly status: string;
  @ApiProperty({ type: String, nullable: true, enum: [...TASK_STATES] })
  readonly task_state: string | null;
  @ApiProperty({ type: String, enum: [...VM_STATES], description: 'Of an ACTIVE server: how its guest is to be.' })
  readonly vm_state: string;
  @ApiProperty({
    type: String,
    nullable: true,
    enum: [...GUEST_ACTIONS],
    description: 'What is under way with its guest.',
  })
  readonly action: string | null;
  @ApiProperty({ type: Boolean, description: 'Members of its project may not touch it.' }) readonly locked: boolean;
  @ApiProperty({ type: String, nullable: true }) readonly locked_reason: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly host: string | null;
  @ApiProperty({ type: Boolean }) readonly simulated: boolean;
  @ApiProperty({ type: FlavorView, nullable: true, description: 'As it was when the server was created.' })
  readonly flavor: FlavorView | null;
  @ApiProperty({ type: 'integer' }) readonly vcpus: number;
  @ApiProperty({ type: 'integer' }) readonly ram_mb: number;
  @ApiProperty({ type: 'integer' }) readonly disk_gb: number;
  @ApiProperty({ type: [RequestedDevicesView] }) readonly requested_devices: readonly RequestedDevicesView[];
  @ApiProperty({ type: String, nullable: true, description: 'That was asked for; null: any.' })
  readonly availability_zone: string | null;
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'Its server group.' })
  readonly server_group: string | null;
  @ApiProperty({ type: 'integer' }) readonly priority: number;
  @ApiProperty({ type: Boolean }) readonly preemptible: boolean;
  @ApiProperty({ type: 'array', items: { type: 'integer' }, nullable: true }) readonly numa_cells:
    readonly number[] | null;
  @ApiProperty({ type: 'integer' }) readonly attempts: number;
  @ApiProperty({ type: FaultView, nullable: true }) readonly fault: FaultView | null;
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'The last one.' })
  readonly decision_id: string | null;
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'The same for all servers of one call.' })
  readonly reservation_id: string | null;
  @ApiProperty({ type: Boolean, description: 'Whether it waits where there is no room, instead of ending in ERROR.' })
  readonly wait: boolean;
  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'null: it is not in the queue.' })
  readonly waiting_since: Date | null;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
  @ApiProperty({ type: String, format: 'date-time' }) readonly updated_at: Date;
}

export class ServerView extends ServerSummaryView {
  @ApiProperty({ type: [ServerDeviceView] }) readonly devices: readonly ServerDeviceView[];
  @ApiProperty({ type: ContainerView, nullable: true, description: 'null until it is ACTIVE, and without devices.' })
  readonly container: ContainerView | null;
  @ApiProperty({ type: [PortView], description: 'In the order of the request.' }) readonly ports: readonly PortView[];
  @ApiProperty({ type: [ServerEventView], description: 'The latest hundred, oldest first.' })
  readonly events: readonly ServerEventView[];
  @ApiProperty({ type: 'integer', nullable: true, description: 'From 1; null: it is not in the queue.' })
  readonly queue_position: number | null;
}

export class ServerPageView {
  @ApiProperty({ type: [ServerSummaryView] }) readonly servers: readonly ServerSummaryView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export class RecordedDecisionView extends DecisionView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: 'integer' }) readonly attempt: number;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

export class RecordedDecisionsView {
  @ApiProperty({ type: [RecordedDecisionView], description: 'Newest first.' })
  readonly decisions: readonly RecordedDecisionView[];
}

export function serverSummaryView(row: ServerRow): ServerSummaryView {
  return {
    id: row.id,
    name: row.name,
    project_id: row.project_id,
    status: row.status,
    task_state: row.task_state,
    ...{ vm_state: row.vm_state, action: row.action },
    ...{ locked: row.locked_by !== null, locked_reason: row.locked_reason },
    host: row.host_name,
    simulated: row.kernel_kind === 'simulated',
    flavor: row.flavor && sizeView(row.flavor),
    vcpus: row.request.vcpus,
    ram_mb: row.request.memoryMb,
    disk_gb: row.request.diskGb,
    requested_devices: row.request.devices.map(requestedView),
    availability_zone: row.request.host?.availabilityZone ?? null,
    server_group: row.group_id,
    priority: row.priority,
    preemptible: row.preemptible,
    numa_cells: row.numa_cells,
    attempts: row.attempts,
    fault: row.fault && faultView(row.fault),
    decision_id: row.decision_id,
    reservation_id: row.gang_id,
    wait: row.waits,
    waiting_since: row.task_state === 'waiting' ? row.queued_at : null,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

export function serverView(
  row: ServerRow,
  devices: readonly ServerDeviceRow[],
  events: readonly ServerEventEntity[],
): Omit<ServerView, 'queue_position'> {
  return {
    ...serverSummaryView(row),
    devices: devices.map((device) => serverDeviceView(device, row)),
    container: containerView(row, devices),
    ports: portViews(row.request, devices),
    events: events.map(({ event, message, created_at }) => ({ event, message, created_at })),
  };
}

/** The recorded decision is a `Decision`, kept as it was made. */
export function recordedDecisionView(row: DecisionEntity, audience: Audience): RecordedDecisionView {
  return {
    id: row.id,
    attempt: row.attempt,
    created_at: row.created_at,
    ...decisionView(row.record as unknown as Decision, audience),
  };
}

/** Rejections are kept in the ledger as the decision has them; here they get the words of the wire. */
function faultView({ code, message, details }: Fault): FaultView {
  const { rejections, ...others } = details as Fault['details'] & Pick<Decision, 'rejections'>;
  return { code, message, details: rejections ? { ...others, rejections: rejections.map(rejectionView) } : others };
}

function requestedView(request: DeviceRequest): RequestedDevicesView {
  const { alias, aliasVersion, port, count, countMax, numaPolicy } = request;
  return {
    ...{ alias, port: port?.name ?? null, alias_version: aliasVersion ?? null },
    ...{ count, count_max: countMax ?? count, numa_policy: numaPolicy },
  };
}

function portOf({ devices }: PlacementRequest, { request_index }: ServerDeviceRow): string | null {
  return request_index === null ? null : (devices[request_index]?.port?.name ?? null);
}

function serverDeviceView(row: ServerDeviceRow, { status, request }: ServerRow): ServerDeviceView {
  const binding = status === 'ACTIVE' ? row.binding : null;
  const byVfio = binding?.netdev === undefined ? binding : null;
  return {
    device_id: row.device_id,
    address: row.address,
    alias: row.alias,
    port: portOf(request, row),
    companion: row.request_index === null,
    vendor_id: row.facts.vendor_id,
    product_id: row.facts.product_id,
    device_type: row.facts.device_type,
    numa_node: row.numa_node,
    iommu_group: binding?.iommu_group ?? row.iommu_group,
    simulated: row.kernel_kind === 'simulated',
    missing_since: row.missing_since,
    driver: binding?.driver ?? null,
    vfio: byVfio && vfioGroupFile(byVfio.iommu_group),
    netdev: binding?.netdev ?? null,
    libvirt_hostdev_xml: byVfio && libvirtHostdev(row.address),
    qemu_args: byVfio && qemuArguments(row.address),
    cdi_device: binding && cdiDeviceName(row.address),
  };
}
