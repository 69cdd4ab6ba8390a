import { ApiProperty } from '@nestjs/swagger';
import type { HostRow } from '../../store/inventory-views.store.js';
import { WordField } from '../fields.js';
import { PageQuery } from '../page.js';

export class HostsQuery extends PageQuery {
  @WordField({ words: ['up', 'down'], optional: true }) status?: 'up' | 'down';
}

export class NumaCellView {
  @ApiProperty({ type: 'integer' }) readonly id: number;
  @ApiProperty({ type: 'integer' }) readonly cpus: number;
  @ApiProperty({ type: 'integer' }) readonly memory_mb: number;
  @ApiProperty({ type: 'integer', nullable: true }) readonly socket: number | null;
}

export class ResourcesView {
  @ApiProperty({ type: 'integer' }) readonly vcpus: number;
  @ApiProperty({ type: 'integer' }) readonly memory_mb: number;
  @ApiProperty({ type: 'integer' }) readonly disk_gb: number;
}

export class DeviceCountsView {
  @ApiProperty({ type: 'integer', description: 'What the host has.' }) readonly reported: number;
  @ApiProperty({ type: 'integer', description: 'What its device_spec offers.' }) readonly offered: number;
  @ApiProperty({ type: 'integer', description: 'What is free of that.' }) readonly available: number;
}

export class ConfigurationView {
  @ApiProperty({ type: String, format: 'date-time', description: 'When what the agent goes by was read.' })
  readonly loaded_at: string;
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Why its files as they are now are not in force, one problem a line; null: they are.',
  })
  readonly problem: string | null;
  @ApiProperty({ type: [String], description: "Changed settings that wait for the agent's next start." })
  readonly needs_restart: readonly string[];
}

export class HostView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String, enum: ['up', 'down'] }) readonly status: 'up' | 'down';
  @ApiProperty({ type: Boolean }) readonly enabled: boolean;
  @ApiProperty({ type: String, nullable: true }) readonly disabled_reason: string | null;
  @ApiProperty({ type: 'integer', description: 'Counts the changes of the host and its devices.' })
  readonly generation: number;
  @ApiProperty({ type: String, format: 'date-time' }) readonly last_seen_at: Date;
  @ApiProperty({ type: String, enum: ['live', 'simulated'] }) readonly kernel_kind: 'live' | 'simulated';
  @ApiProperty({ type: Boolean, description: 'A recorded tree; Berth plays the kernel. Nothing real is bound.' })
  readonly simulated: boolean;
  @ApiProperty({ type: String, nullable: true }) readonly kernel: string | null;
  @ApiProperty({ type: Boolean, description: 'The agent looks and reports, and binds nothing.' })
  readonly read_only: boolean;
  @ApiProperty({ type: String }) readonly agent_version: string;
  @ApiProperty({ type: ConfigurationView, nullable: true, description: 'null: the agent does not say.' })
  readonly configuration: ConfigurationView | null;
  @ApiProperty({ type: [NumaCellView] }) readonly numa_cells: readonly NumaCellView[];
  @ApiProperty({ type: ResourcesView }) readonly capacity: ResourcesView;
  @ApiProperty({ type: ResourcesView, description: 'Claimed and allocated, by all servers.' })
  readonly used: ResourcesView;
  @ApiProperty({ type: DeviceCountsView }) readonly devices: DeviceCountsView;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

export class HostPageView {
  @ApiProperty({ type: [HostView] }) readonly hosts: readonly HostView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function hostView(row: HostRow): HostView {
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    enabled: row.enabled,
    disabled_reason: row.disabled_reason,
    generation: row.generation,
    last_seen_at: row.last_seen_at,
    kernel_kind: row.kernel_kind,
    simulated: row.kernel_kind === 'simulated',
    kernel: row.kernel,
    read_only: row.read_only,
    agent_version: row.agent_version,
    configuration: row.configuration && configurationView(row.configuration),
    numa_cells: row.numa_cells,
    capacity: { vcpus: row.vcpus, memory_mb: row.memory_mb, disk_gb: row.disk_gb },
    used: { vcpus: row.used_vcpus, memory_mb: row.used_memory_mb, disk_gb: row.used_disk_gb },
    devices: { reported: row.devices_reported, offered: row.devices_offered, available: row.devices_available },
    created_at: row.created_at,
  };
}

function configurationView({ loaded_at, problem, needs_restart }: ConfigurationView): ConfigurationView {
  return { loaded_at, problem, needs_restart };
}
