import { ApiProperty } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import type { AliasSpec } from '../../pci/alias/alias.js';
import { NUMA_POLICIES, type NumaPolicy } from '../../pci/alias/numa-policy.js';
import { ALIAS_GROUPS, type AliasGroup } from '../../pci/alias/alias-fields.js';
import type { Tags } from '../../pci/device.js';
import type { AliasRow } from '../../store/catalog.store.js';
import type { AliasVersionEntity } from '../../store/entities/catalog.entities.js';
import { ListField, TextField, WordField } from '../fields.js';

const SPECS_MAX = 64;
const ALIAS_DEVICE_TYPES = ['type-PCI', 'type-PF', 'type-VF'];
const TRAIT_NAMES = { type: 'array' as const, items: { type: 'string' as const } };
const TAGS = { type: 'object' as const, additionalProperties: { type: 'string' as const, nullable: true } };

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
  @SpecField({
    type: 'array',
    items: { type: 'string' },
    example: ['CUSTOM_FAST', '!CUSTOM_WORN', '{HW_A|HW_B}'],
    description: '`T`: has to be there; `!T`: must not; `{A|B}`: one of them has to.',
  })
  traits?: unknown;
  @SpecField({ ...TRAIT_NAMES, description: 'Another form of `!T` in `traits`.' }) forbidden_traits?: unknown;
  @SpecField({ type: 'array', items: TRAIT_NAMES, description: 'Another form of `{A|B}` in `traits`.' })
  any_traits?: unknown;
  @SpecField({ type: Boolean }) live_migratable?: unknown;
  @SpecField({ ...TAGS, description: 'Tags that the device has to have with these values.' }) tags?: unknown;
  @SpecField({
    type: String,
    nullable: true,
    description: 'Another form of the tag of this name; null is an overlay network.',
  })
  physical_network?: unknown;
  @SpecField({ type: String, description: 'A CEL expression over the attributes of the device.' }) selector?: unknown;
  @SpecField({ type: 'integer', description: 'How good this alternative is beside the others; 0 when left out.' })
  utility?: unknown;
  @SpecField({ type: String, enum: [...ALIAS_GROUPS], description: 'What is taken along with the device.' })
  group?: unknown;
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
  @ApiProperty({ type: [String], description: 'All of them are wanted.' }) readonly traits: readonly string[];
  @ApiProperty({ type: [String], description: 'None of them may be there.' })
  readonly forbidden_traits: readonly string[];
  @ApiProperty({ type: 'array', items: TRAIT_NAMES, description: 'Of each list one at least is wanted.' })
  readonly any_traits: readonly (readonly string[])[];
  @ApiProperty({ type: Boolean, nullable: true }) readonly live_migratable: boolean | null;
  @ApiProperty(TAGS) readonly tags: Tags;
  @ApiProperty({ type: String, nullable: true }) readonly selector: string | null;
  @ApiProperty({ type: Number }) readonly utility: number;
  @ApiProperty({ type: String, nullable: true, enum: [...ALIAS_GROUPS] }) readonly group: AliasGroup | null;
}

export class AliasOwnerView {
  @ApiProperty({ type: String, description: 'Setting `pci.alias_origin` of the process that read the files.' })
  readonly origin: string;
  @ApiProperty({ type: Boolean, description: 'false: these files say what the alias was before another changed it.' })
  readonly current: boolean;
}

export class AliasView {
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String, enum: [...NUMA_POLICIES] }) readonly numa_policy: NumaPolicy;
  @ApiProperty({ type: [AliasSpecView] }) readonly specs: readonly AliasSpecView[];
  @ApiProperty({ type: String, enum: ['file', 'rest'] }) readonly source: 'file' | 'rest';
  @ApiProperty({ type: Boolean, description: 'Aliases of configuration files are changed there.' })
  readonly read_only: boolean;
  @ApiProperty({ type: [AliasOwnerView], description: 'Whose configuration files define it.' })
  readonly owners: readonly AliasOwnerView[];
  @ApiProperty({ type: 'integer', description: 'Counts the changes; also after a deletion.' }) readonly version: number;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
  @ApiProperty({ type: String, format: 'date-time' }) readonly updated_at: Date;
}

export class AliasPageView {
  @ApiProperty({ type: [AliasView] }) readonly aliases: readonly AliasView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function aliasView(row: AliasRow): AliasView {
  return {
    name: row.name,
    numa_policy: row.numa_policy,
    specs: row.specs.map(specView),
    source: row.source,
    read_only: row.source === 'file',
    owners: row.owners,
    version: row.version,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

/** What an alias was from one change to the next; of a deletion, what was deleted. */
export class AliasVersionView {
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: 'integer' }) readonly version: number;
  @ApiProperty({ type: String, enum: ['created', 'changed', 'deleted'] })
  readonly change: AliasVersionEntity['change'];
  @ApiProperty({ type: String, enum: [...NUMA_POLICIES] }) readonly numa_policy: NumaPolicy;
  @ApiProperty({ type: [AliasSpecView] }) readonly specs: readonly AliasSpecView[];
  @ApiProperty({ type: String, enum: ['file', 'rest'] }) readonly source: 'file' | 'rest';
  @ApiProperty({ type: String, nullable: true, description: 'Whose files the change came from.' })
  readonly origin: string | null;
  @ApiProperty({ type: String, format: 'date-time' }) readonly changed_at: Date;
  @ApiProperty({ type: String, description: '`rest`, `file:ORIGIN`, or `forgotten:ORIGIN`.' })
  readonly changed_by: string;
}

export class AliasVersionPageView {
  @ApiProperty({ type: [AliasVersionView], description: 'Newest first; at most the last thousand are kept.' })
  readonly versions: readonly AliasVersionView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function aliasVersionView(row: AliasVersionEntity): AliasVersionView {
  return {
    name: row.name,
    version: row.version,
    change: row.change,
    numa_policy: row.numa_policy,
    specs: row.specs.map(specView),
    source: row.source,
    origin: row.origin,
    changed_at: row.changed_at,
    changed_by: row.changed_by,
  };
}

function specView(spec: AliasSpec): AliasSpecView {
  return {
    vendor_id: spec.vendorId,
    product_id: spec.productId,
    device_type: spec.deviceType,
    resource_class: spec.resourceClass,
    traits: spec.traits,
    forbidden_traits: spec.forbiddenTraits,
    any_traits: spec.anyTraits,
    live_migratable: spec.liveMigratable,
    tags: spec.tags,
    selector: spec.selector,
    utility: spec.utility,
    group: spec.group,
  };
}
