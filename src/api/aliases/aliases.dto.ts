import { ApiProperty } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { NUMA_POLICIES, type NumaPolicy } from '../../pci/alias.js';
import type { AliasEntity } from '../../store/entities/catalog.entities.js';
import { ListField, TextField, WordField } from '../fields.js';

const SPECS_MAX = 64;
const ALIAS_DEVICE_TYPES = ['type-PCI', 'type-PF', 'type-VF'];

/** A field whose grammar is that of the files; `parseAliases` checks it. */
function SpecField(schema: object): PropertyDecorator {
  const api = ApiProperty({ ...schema, required: false } as never);
  const optional = IsOptional();
  return (target, key) => {
    api(target, key);
    optional(target, key);
  };
}

export class AliasSpecBody {
  @SpecField({ type: String, pattern: '^[0-9a-fA-F]{4}$', example: '10de' }) vendor_id?: unknown;
  @SpecField({ type: String, pattern: '^[0-9a-fA-F]{4}$', example: '1bb0' }) product_id?: unknown;
  @SpecField({ type: String, enum: ALIAS_DEVICE_TYPES }) device_type?: unknown;
  @SpecField({ type: String, example: 'CUSTOM_GPU' }) resource_class?: unknown;
  @SpecField({ type: 'array', items: { type: 'string' } }) traits?: unknown;
  @SpecField({ type: Boolean }) live_migratable?: unknown;
}

/** Either `specs`, or the fields of one spec next to the name, as Nova's `[pci] alias` has them. */
export class AliasChangeBody extends AliasSpecBody {
  @WordField({ words: NUMA_POLICIES, optional: true, description: '`legacy` when left out.' })
  numa_policy?: NumaPolicy;

  @ListField({ of: () => AliasSpecBody, min: 1, max: SPECS_MAX, optional: true, description: 'Any of them will do.' })
  specs?: AliasSpecBody[];
}

export class AliasBody extends AliasChangeBody {
  @TextField({ example: 'gpu', description: 'Without "," and ":".' })
  name: string;
}

export class AliasReplaceBody extends AliasChangeBody {
  @TextField({ optional: true, description: 'The name in the path, or nothing.' })
  name?: string;
}

export class AliasSpecView {
  @ApiProperty({ type: String, nullable: true }) readonly vendor_id: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly product_id: string | null;
  @ApiProperty({ type: String, nullable: true, enum: ALIAS_DEVICE_TYPES }) readonly device_type: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly resource_class: string | null;
  @ApiProperty({ type: [String] }) readonly traits: readonly string[];
  @ApiProperty({ type: Boolean, nullable: true }) readonly live_migratable: boolean | null;
}

export class AliasView {
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String, enum: [...NUMA_POLICIES] }) readonly numa_policy: NumaPolicy;
  @ApiProperty({ type: [AliasSpecView] }) readonly specs: readonly AliasSpecView[];
  @ApiProperty({ type: String, enum: ['file', 'rest'] }) readonly source: 'file' | 'rest';
  @ApiProperty({ type: Boolean, description: 'Aliases of configuration files are changed there.' })
  readonly read_only: boolean;
  @ApiProperty({ type: 'integer', description: 'Counts the changes.' }) readonly version: number;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
  @ApiProperty({ type: String, format: 'date-time' }) readonly updated_at: Date;
}

export class AliasPageView {
  @ApiProperty({ type: [AliasView] }) readonly aliases: readonly AliasView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function aliasView(row: AliasEntity): AliasView {
  return {
    name: row.name,
    numa_policy: row.numa_policy,
    specs: row.specs.map((spec) => ({
      vendor_id: spec.vendorId,
      product_id: spec.productId,
      device_type: spec.deviceType,
      resource_class: spec.resourceClass,
      traits: spec.traits,
      live_migratable: spec.liveMigratable,
    })),
    source: row.source,
    read_only: row.source === 'file',
    version: row.version,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}
