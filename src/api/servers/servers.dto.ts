import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsObject, IsOptional, IsString, Length, Matches, ValidateIf, ValidateNested } from 'class-validator';
import { REQUEST_COUNT_MAX } from '../../pci/alias/alias-request.js';
import { NUMA_POLICIES, type NumaPolicy } from '../../pci/alias/numa-policy.js';
import { VNIC_TYPES, type VnicType } from '../../pci/alias/port.js';
import { DEVICE_REQUESTS_MAX } from '../../placement/request.js';
import {
  CountField,
  DISK_GB_MAX,
  FlagField,
  ListField,
  listRules,
  NAME_LENGTH_MAX,
  PLAIN_TEXT,
  RAM_MB_MAX,
  TextField,
  TextParameter,
  VCPUS_MAX,
  WordField,
} from '../fields.js';
import { PageQuery } from '../page.js';

export class DeviceWishBody {
  @TextField({ example: 'QuickAssist' }) alias: string;
  @CountField({ min: 1, max: REQUEST_COUNT_MAX }) count: number;
  @WordField({ words: NUMA_POLICIES, optional: true, description: 'As flavor, image or alias say when left out.' })
  numa_policy?: NumaPolicy;
}

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

export class ImagePropertiesBody {
  @WordField({ words: NUMA_POLICIES, optional: true }) hw_pci_numa_affinity_policy?: NumaPolicy;
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

  @ApiProperty({ type: ImagePropertiesBody, required: false })
  @IsOptional()
  @IsObject({ message: 'has to be an object' })
  @ValidateNested()
  @Type(() => ImagePropertiesBody)
  image_properties?: ImagePropertiesBody;
}

export class ServerBody extends ServerWishesBody {
  @TextField({ example: 'training-1' }) name: string;
}

export class DryRunBody extends ServerWishesBody {
  @TextField({ optional: true }) name?: string;
}

export const SHOWN_STATUSES = ['BUILD', 'ACTIVE', 'ERROR', 'DELETING'] as const;

export class ServersQuery extends PageQuery {
  @WordField({ words: SHOWN_STATUSES, optional: true }) status?: (typeof SHOWN_STATUSES)[number];
  @TextParameter({ description: 'Name or id.' }) host?: string;
  @TextParameter() name?: string;
  @TextParameter() project_id?: string;
}
