import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsNumber,
  IsObject,
  IsOptional,
  Matches,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { IOMMU_STATES, type IommuState } from '../../pci/iommu-groups.js';
import type { HostRow } from '../../store/inventory-views.store.js';
import { CountField, FlagField, TextField, TextParameter, WordField } from '../fields.js';
import { TRAIT } from '../flavors/host-demands.js';
import { PageQuery } from '../page.js';

export class HostsQuery extends PageQuery {
  @WordField({ words: ['up', 'down'], optional: true }) status?: 'up' | 'down';
  @TextParameter({ description: 'Name or id of an aggregate.' }) aggregate?: string;
}

const TRAITS_MAX = 500;
const VCPUS_MAX = 65_536;
const AMOUNT_MAX = 2 ** 40;
const RATIO_MAX = 1000;

function TraitsField(): PropertyDecorator {
  const message = 'has to be a list of texts of capital letters, digits and _';
  return applyDecorators(
    ApiProperty({ type: [String], required: false, maxItems: TRAITS_MAX, description: 'All of them, in any order.' }),
    IsOptional(),
    IsArray({ message }),
    ArrayMaxSize(TRAITS_MAX, { message: `has more than ${TRAITS_MAX}` }),
    Matches(TRAIT, { each: true, message }),
  );
}

function RatioField(): PropertyDecorator {
  const message = `has to be a number above 0 and up to ${RATIO_MAX}`;
  return applyDecorators(
    ApiProperty({ type: Number, exclusiveMinimum: true, minimum: 0, maximum: RATIO_MAX }),
    IsNumber({ allowInfinity: false, allowNaN: false }, { message }),
    Min(Number.MIN_VALUE, { message }),
    Max(RATIO_MAX, { message }),
  );
}

/** An object of the body that null sets back. */
function ResettableField(of: () => new () => object, description: string): PropertyDecorator {
  return applyDecorators(
    // named `type`, or it would be taken for the class itself
    ApiProperty({ type: () => of(), required: false, nullable: true, description }),
    IsOptional(),
    IsObject({ message: 'has to be an object, or null' }),
    ValidateNested(),
    Type(of),
  );
}

export class ReservedBody {
  @CountField({ min: 0, max: VCPUS_MAX }) vcpus: number;
  @CountField({ min: 0, max: AMOUNT_MAX }) memory_mb: number;
  @CountField({ min: 0, max: AMOUNT_MAX }) disk_gb: number;
}

export class AllocationRatiosBody {
  @RatioField() cpu: number;
  @RatioField() ram: number;
  @RatioField() disk: number;
}

/** What is left out stays as it is. */
export class HostChangeBody {
  @FlagField({ optional: true, description: 'A host that is not gets no servers; those that it has stay.' })
  enabled?: boolean;
  @TextField({ optional: true, description: 'Of a host that is not enabled. It goes when the host is enabled.' })
  disabled_reason?: string;

  @FlagField({ optional: true, description: 'It counts as down, whatever its agent says, until this is taken back.' })
  forced_down?: boolean;

  @TraitsField()
  traits?: string[];

  @ResettableField(() => ReservedBody, 'Kept for the host itself. null: as its agent says.')
  reserved?: ReservedBody | null;
  @ResettableField(() => AllocationRatiosBody, 'Virtual for physical. null: as the settings say.')
  allocation_ratios?: AllocationRatiosBody | null;
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

export class AllocationRatiosView {
  @ApiProperty({ type: Number }) readonly cpu: number;
  @ApiProperty({ type: Number }) readonly ram: number;
  @ApiProperty({ type: Number }) readonly disk: number;
}

export class CapabilitiesView {
  @ApiProperty({ type: String, nullable: true, example: 'x86_64' }) readonly architecture: string | null;
  @ApiProperty({ type: String, nullable: true, example: 'QEMU' }) readonly hypervisor_type: string | null;
  @ApiProperty({ type: 'integer', nullable: true }) readonly hypervisor_version: number | null;
  @ApiProperty({ type: [String] }) readonly cpu_features: readonly string[];
}

export class IommuView {
  @ApiProperty({
    type: String,
    enum: [...IOMMU_STATES],
    description: '`off`: the machine has one, and its kernel does not use it.',
  })
  readonly state: IommuState;
  @ApiProperty({ type: 'integer', description: 'Remapping units that the kernel uses.' }) readonly units: number;
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
  @ApiProperty({ type: Boolean, description: 'It is down because an administrator says so.' })
  readonly forced_down: boolean;
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
  @ApiProperty({ type: ResourcesView, nullable: true, description: 'Kept for the host itself; null: nothing is.' })
  readonly reserved: ResourcesView | null;
  @ApiProperty({ type: AllocationRatiosView, nullable: true, description: 'null: as the settings say.' })
  readonly allocation_ratios: AllocationRatiosView | null;
  @ApiProperty({ type: String, description: 'That of its aggregates, else `nova`.' })
  readonly availability_zone: string;
  @ApiProperty({ type: [String], description: 'Names of those that it is in.' }) readonly aggregates: readonly string[];
  @ApiProperty({ type: [String] }) readonly traits: readonly string[];
  @ApiProperty({ type: CapabilitiesView, nullable: true, description: 'null: the agent does not say.' })
  readonly capabilities: CapabilitiesView | null;
  @ApiProperty({ type: IommuView, nullable: true, description: 'null: the agent does not say.' })
  readonly iommu: IommuView | null;
  @ApiProperty({
    type: String,
    nullable: true,
    example: 'qemu',
    description: 'Who starts guests; null: not the agent.',
  })
  readonly compute_driver: string | null;
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'In the network of the broker; null: its agent does not say.',
  })
  readonly ip_address: string | null;
  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'null: its agent does not say.' })
  readonly booted_at: Date | null;
  @ApiProperty({ type: 'integer', description: 'Builds that failed one after another, since the last that did not.' })
  readonly failed_builds: number;
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
    forced_down: row.forced_down,
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
    capacity: resourcesView(row),
    used: { vcpus: row.used_vcpus, memory_mb: row.used_memory_mb, disk_gb: row.used_disk_gb },
    reserved: row.reserved && resourcesView(row.reserved),
    allocation_ratios: row.allocation_ratios && ratiosView(row.allocation_ratios),
    availability_zone: row.availability_zone,
    aggregates: row.aggregates,
    traits: row.traits,
    capabilities: row.capabilities && capabilitiesView(row.capabilities),
    iommu: row.iommu && { state: row.iommu.state, units: row.iommu.units },
    compute_driver: row.compute_driver,
    ip_address: row.ip_address,
    booted_at: row.booted_at,
    failed_builds: row.failed_builds,
    devices: { reported: row.devices_reported, offered: row.devices_offered, available: row.devices_available },
    created_at: row.created_at,
  };
}

function configurationView({ loaded_at, problem, needs_restart }: ConfigurationView): ConfigurationView {
  return { loaded_at, problem, needs_restart };
}

function resourcesView({ vcpus, memory_mb, disk_gb }: ResourcesView): ResourcesView {
  return { vcpus, memory_mb, disk_gb };
}

function ratiosView({ cpu, ram, disk }: AllocationRatiosView): AllocationRatiosView {
  return { cpu, ram, disk };
}

function capabilitiesView(wire: CapabilitiesView): CapabilitiesView {
  const { architecture, hypervisor_type, hypervisor_version, cpu_features } = wire;
  return { architecture, hypervisor_type, hypervisor_version, cpu_features };
}
