import { ApiProperty } from '@nestjs/swagger';
import { IsObject, IsOptional, IsString, Matches } from 'class-validator';
import type { FlavorEntity } from '../../store/entities/catalog.entities.js';
import { CountField, DISK_GB_MAX, RAM_MB_MAX, TextField, VCPUS_MAX } from '../fields.js';

const ID = /^[a-zA-Z0-9_.-](?:[a-zA-Z0-9_. -]*[a-zA-Z0-9_.-])?$/;
const EXTRA_SPEC_VALUE_MAX = 16_384;

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
  @Matches(ID, { message: 'has other characters than letters, digits, _ - . and blanks within' })
  id?: string;

  @CountField({ min: 0, max: VCPUS_MAX }) vcpus: number;
  @CountField({ min: 0, max: RAM_MB_MAX, optional: true, description: '`ram` is the same; one of them is needed.' })
  ram_mb?: number;
  @CountField({ min: 0, max: RAM_MB_MAX, optional: true }) ram?: number;
  @CountField({ min: 0, max: DISK_GB_MAX, optional: true, description: '`disk` is the same; 0 when left out.' })
  disk_gb?: number;
  @CountField({ min: 0, max: DISK_GB_MAX, optional: true }) disk?: number;
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
  @ApiProperty({ type: 'integer' }) readonly disk_gb: number;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  readonly extra_specs: Readonly<Record<string, string>>;
}

export class CatalogFlavorView extends FlavorView {
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

export class FlavorPageView {
  @ApiProperty({ type: [CatalogFlavorView] }) readonly flavors: readonly CatalogFlavorView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function flavorView(row: FlavorEntity): CatalogFlavorView {
  const { id, name, vcpus, ram_mb, disk_gb, extra_specs, created_at } = row;
  return { id, name, vcpus, ram_mb, disk_gb, extra_specs, created_at };
}
