import { ApiProperty } from '@nestjs/swagger';
import { IsObject, IsOptional, IsString, Matches } from 'class-validator';
import type { FlavorEntity } from '../../store/entities/catalog.entities.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { CountField, DISK_GB_MAX, FlagField, RAM_MB_MAX, TextField, VCPUS_MAX } from '../fields.js';

/** What an id of a flavor may be. */
export const FLAVOR_ID = /^[a-zA-Z0-9_.-](?:[a-zA-Z0-9_. -]*[a-zA-Z0-9_.-])?$/;
const EXTRA_SPEC_VALUE_MAX = 16_384;
export const DESCRIPTION_MAX = 65_535;

function ExtraSpecsField(options: { readonly required: boolean }): PropertyDecorator {
  const decorators = [
    ApiProperty({
      type: 'object',
      additionalProperties: { type: 'string' },
      ...(options.required ? {} : { required: false as never }),
      example: { 'pci_passthrough:alias': 'gpu:1', 'hw:pci_numa_affinity_policy': 'required' },
    }),
    ...(options.required ? [] : [IsOptional()]),
    IsObject({ message: 'has to be an object of texts' }),
  ];
  return (target, key) => decorators.forEach((decorate) => decorate(target, key));
}

export class FlavorBody {
  @TextField({ example: 'm1.gpu' }) name: string;

  @TextField({ optional: true, description: 'A UUID is made when left out.' })
  @Matches(FLAVOR_ID, { message: 'has other characters than letters, digits, _ - . and blanks within' })
  id?: string;

  @CountField({ min: 0, max: VCPUS_MAX }) vcpus: number;
  @CountField({ min: 0, max: RAM_MB_MAX, optional: true, description: '`ram` is the same; one of them is needed.' })
  ram_mb?: number;
  @CountField({ min: 0, max: RAM_MB_MAX, optional: true }) ram?: number;
  @CountField({ min: 0, max: DISK_GB_MAX, optional: true, description: '`disk` is the same; 0 when left out.' })
  disk_gb?: number;
  @CountField({ min: 0, max: DISK_GB_MAX, optional: true }) disk?: number;
  @CountField({ min: 0, max: DISK_GB_MAX, optional: true, description: 'A second disk; 0 when left out.' })
  ephemeral_gb?: number;
  @CountField({ min: 0, max: RAM_MB_MAX, optional: true, description: 'A swap disk; 0 when left out.' })
  swap_mb?: number;
  @TextField({ optional: true, max: DESCRIPTION_MAX }) description?: string;
  @FlagField({
    optional: true,
    description:
      'If not, only projects with access see it; `/compute/v2.1/flavors/{id}/action` gives access. True when left out.',
  })
  is_public?: boolean;
  @ExtraSpecsField({ required: false }) extra_specs?: Record<string, string>;
}

export class ExtraSpecsBody {
  @ExtraSpecsField({ required: true }) extra_specs: Record<string, string>;
}

export class ExtraSpecBody {
  @ApiProperty({ type: String, maxLength: EXTRA_SPEC_VALUE_MAX })
  @IsString({ message: 'has to be a text' })
  value: string;
}

export class FlavorView {
  @ApiProperty({ type: String }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: 'integer' }) readonly vcpus: number;
  @ApiProperty({ type: 'integer' }) readonly ram_mb: number;
  @ApiProperty({ type: 'integer', description: 'The root disk.' }) readonly disk_gb: number;
  @ApiProperty({ type: 'integer' }) readonly ephemeral_gb: number;
  @ApiProperty({ type: 'integer' }) readonly swap_mb: number;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  readonly extra_specs: Readonly<Record<string, string>>;
}

export class CatalogFlavorView extends FlavorView {
  @ApiProperty({ type: String, nullable: true }) readonly description: string | null;
  @ApiProperty({ type: Boolean }) readonly is_public: boolean;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

export class FlavorPageView {
  @ApiProperty({ type: [CatalogFlavorView] }) readonly flavors: readonly CatalogFlavorView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function flavorView(row: FlavorEntity): CatalogFlavorView {
  const { description, is_public, created_at } = row;
  return { ...sizeView(row), description, is_public, created_at };
}

/** The copy of a flavor that a server has. */
export function sizeView(flavor: FlavorSnapshot): FlavorView {
  const { id, name, vcpus, ram_mb, disk_gb, ephemeral_gb = 0, swap_mb = 0, extra_specs } = flavor;
  return { id, name, vcpus, ram_mb, disk_gb, ephemeral_gb, swap_mb, extra_specs };
}
