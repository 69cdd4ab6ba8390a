import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  IsObject,
  IsOptional,
  IsString,
  Length,
  Matches,
  ValidateBy,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { REQUEST_COUNT_MAX } from '../../pci/alias/alias-request.js';
import { NUMA_POLICIES, type NumaPolicy } from '../../pci/alias/numa-policy.js';
import { VNIC_TYPES, type VnicType } from '../../pci/alias/port.js';
import { DEVICE_REQUESTS_MAX } from '../../placement/request.js';
import { TOPOLOGY_LENGTH_MAX } from '../../placement/topology-text.js';
import {
  CountField,
  DISK_GB_MAX,
  FlagField,
  IdField,
  IdsField,
  ListField,
  listRules,
  NAME_LENGTH_MAX,
  PLAIN_TEXT,
  RAM_MB_MAX,
  TextField,
  TextMapField,
  TextParameter,
  VCPUS_MAX,
  WordField,
} from '../fields.js';
import { PRIORITY_MAX } from '../flavors/host-demands.js';
import { PageQuery } from '../page.js';

export class DeviceWishBody {
  @TextField({ example: 'QuickAssist' }) alias: string;
  @CountField({ min: 1, max: REQUEST_COUNT_MAX }) count: number;
  @CountField({ min: 1, max: REQUEST_COUNT_MAX, optional: true, description: 'As many as there are, up to so many.' })
  count_max?: number;
  @WordField({ words: NUMA_POLICIES, optional: true, description: 'As flavor, image or alias say when left out.' })
  numa_policy?: NumaPolicy;
}

const CPU_POLICIES = ['shared', 'dedicated'] as const;

/** Has to be said, because leaving it out would be a choice of its own: null is an overlay network. */
function PhysicalNetworkField(): PropertyDecorator {
  const problem = `has to be the name of a network (1 to ${NAME_LENGTH_MAX} characters), or null for an overlay network`;
  return applyDecorators(
    ApiProperty({ type: String, nullable: true, maxLength: NAME_LENGTH_MAX, description: 'null: an overlay network.' }),
    ValidateIf((port: PortBody) => port.physical_network !== null),
    IsString({ message: problem }),
    Length(1, NAME_LENGTH_MAX, { message: problem }),
    Matches(PLAIN_TEXT, { message: 'has a control character in it; remove it' }),
    Matches(/\S/, { message: problem }),
  );
}

/** A port that takes one device, as Neutron's ports do. */
export class PortBody {
  @TextField({
    optional: true,
    example: 'eth0',
    description: 'Its own among the ports; port0, port1, … when left out.',
  })
  name?: string;
  @WordField({ words: VNIC_TYPES }) vnic_type: VnicType;
  @PhysicalNetworkField() physical_network: string | null;
  @FlagField({ optional: true, description: 'Only a device whose entry says the same.' }) trusted?: boolean;
  @WordField({ words: NUMA_POLICIES, optional: true, description: 'Before what flavor and image say.' })
  numa_policy?: NumaPolicy;
}

const HINTED_SERVERS_MAX = 100;

/** Nova's scheduler hints. */
export class SchedulerHintsBody {
  @IdField({ optional: true, description: 'Of a server group.' }) group?: string;
  @IdsField({ max: HINTED_SERVERS_MAX, optional: true, description: 'Only on a host of one of these servers.' })
  same_host?: string[];
  @IdsField({ max: HINTED_SERVERS_MAX, optional: true, description: 'On no host of these servers.' })
  different_host?: string[];
}

/** A text in the grammar of flavors, which `parseAliasRequest` checks, or a list. */
function DevicesField(): PropertyDecorator {
  return applyDecorators(
    ApiProperty({
      required: false,
      description: 'Beside the flavor, or without one: `"QuickAssist:2"`, or a list.',
      oneOf: [
        { type: 'string', example: 'QuickAssist:2' },
        { type: 'array', maxItems: DEVICE_REQUESTS_MAX, items: { $ref: getSchemaPath(DeviceWishBody) } },
      ],
    }),
    IsOptional(),
    ValidateIf((body: ServerWishesBody) => typeof body.devices !== 'string'),
    ...listRules({ of: () => DeviceWishBody, min: 0, max: DEVICE_REQUESTS_MAX }),
  );
}

/** What a server asks for: a flavor, devices of its own, or both. */
@ApiExtraModels(DeviceWishBody)
export class ServerWishesBody {
  @TextField({ optional: true, example: 'm1.gpu', description: 'Id or name.' }) flavor?: string;

  @DevicesField()
  devices?: string | DeviceWishBody[];

  @ListField({ of: () => PortBody, min: 0, max: DEVICE_REQUESTS_MAX, optional: true })
  ports?: PortBody[];

  @CountField({ min: 0, max: VCPUS_MAX, optional: true, description: 'Without flavor only; 1 when left out.' })
  vcpus?: number;
  @CountField({ min: 0, max: RAM_MB_MAX, optional: true, description: 'Without flavor only; 512 when left out.' })
  ram_mb?: number;
  @CountField({ min: 0, max: DISK_GB_MAX, optional: true, description: 'Without flavor only; 0 when left out.' })
  disk_gb?: number;

  @TextMapField({
    optional: true,
    example: { hw_pci_numa_affinity_policy: 'required', hw_architecture: 'x86_64' },
    description: 'What filters look at, and `hw_pci_numa_affinity_policy`.',
  })
  image_properties?: Record<string, string>;

  @TextField({ optional: true, description: 'Only on hosts of this zone.' }) availability_zone?: string;

  @ApiProperty({ type: SchedulerHintsBody, required: false })
  @IsOptional()
  @IsObject({ message: 'has to be an object' })
  @ValidateNested()
  @Type(() => SchedulerHintsBody)
  scheduler_hints?: SchedulerHintsBody;

  @TextField({
    max: TOPOLOGY_LENGTH_MAX,
    optional: true,
    example: 'gpu,nic within PXB; gpu same numa_node prefer',
    description: "How the devices have to lie to each other, beside what the flavor's `pci_passthrough:topology` says.",
  })
  topology?: string;

  @WordField({
    words: CPU_POLICIES,
    optional: true,
    description: "`dedicated`: each vCPU has a host CPU of its own. As the flavor's `hw:cpu_policy`, else shared.",
  })
  cpu_policy?: (typeof CPU_POLICIES)[number];
  @CountField({
    min: -PRIORITY_MAX,
    max: PRIORITY_MAX,
    optional: true,
    description: "The higher, the more important. As the flavor's `berth:priority`, else 0.",
  })
  priority?: number;
  @FlagField({
    optional: true,
    description: "Whether it may be stopped for a more important one. As the flavor's `berth:preemptible`, else no.",
  })
  preemptible?: boolean;

  @IdField({ optional: true, description: 'Of a reservation: its devices and no others, while its window lasts.' })
  reservation?: string;
}

const CREATED_MAX = 1000;

/** The most of a multi-create is not below its least. */
function NotBelow(other: 'min_count'): PropertyDecorator {
  return ValidateBy({
    name: 'notBelow',
    validator: {
      validate: (value, args) => {
        const body = args?.object as ServerBody | undefined;
        return typeof value !== 'number' || value >= (body?.[other] ?? 1);
      },
      defaultMessage: () => `is below ${other}`,
    },
  });
}

export class ServerBody extends ServerWishesBody {
  @TextField({ example: 'training-1' }) name: string;

  @CountField({
    min: 1,
    max: CREATED_MAX,
    optional: true,
    description: 'So many servers at least, or none; 1 when left out.',
  })
  min_count?: number;
  @CountField({ min: 1, max: CREATED_MAX, optional: true, description: 'At most so many; `min_count` when left out.' })
  @NotBelow('min_count')
  max_count?: number;
  @FlagField({ optional: true, description: 'Wait for room instead of ending in ERROR where there is none.' })
  wait?: boolean;
}

export class DryRunBody extends ServerWishesBody {
  @TextField({ optional: true }) name?: string;
}

export const SHOWN_STATUSES = ['BUILD', 'ACTIVE', 'SHELVED', 'ERROR', 'DELETING'] as const;

export class ServersQuery extends PageQuery {
  @WordField({ words: SHOWN_STATUSES, optional: true }) status?: (typeof SHOWN_STATUSES)[number];
  @TextParameter({ description: 'Name or id.' }) host?: string;
  @TextParameter() name?: string;
  @TextParameter() project_id?: string;
}
