import { ApiProperty } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
} from 'class-validator';
import { DEVICE_SPECS_MAX } from '../../pci/device-spec/device-spec-reader.js';
import { type Dialect, DIALECTS } from '../../pci/dialect.js';
import { OfferView } from '../devices/devices.dto.js';
import { CountField, NAME_LENGTH_MAX, PLAIN_TEXT, TextField, WordField } from '../fields.js';

const FREE_TAGS_MAX = 64;
const FREE_TAG = /^[a-z][a-z0-9_.-]{0,63}$/i;
const HOSTS_MAX = 500;
const PAGE_MAX = 1_000_000;

export class PreviewBody {
  @WordField({ words: DIALECTS, optional: true, description: 'How the entries are read; `strict` when left out.' })
  compat?: Dialect;

  @ApiProperty({
    type: 'array',
    maxItems: DEVICE_SPECS_MAX,
    items: { type: 'object', additionalProperties: true },
    description: 'The whitelist, with the keys of `device_spec` in the files.',
    example: [{ vendor_id: '10de', product_id: '1bb0' }],
  })
  @ArrayMaxSize(DEVICE_SPECS_MAX, { message: `has more than ${DEVICE_SPECS_MAX} entries` })
  @IsArray({ message: 'has to be a list of entries' })
  device_specs: unknown[];

  @ApiProperty({ type: [String], required: false, description: 'Names of tags of your own, as in `pci.free_tags`.' })
  @IsOptional()
  @ArrayMaxSize(FREE_TAGS_MAX, { message: `has more than ${FREE_TAGS_MAX} names` })
  @Matches(FREE_TAG, { each: true, message: 'has a name with other characters than letters, digits, "_", "." and "-"' })
  @IsArray({ message: 'has to be a list of names' })
  free_tags?: string[];

  @ApiProperty({
    type: [String],
    required: false,
    maxItems: HOSTS_MAX,
    description: 'Names or ids; all when left out.',
  })
  @IsOptional()
  @ArrayMinSize(1, { message: 'is empty; leave it out for all hosts' })
  @ArrayMaxSize(HOSTS_MAX, { message: `has more than ${HOSTS_MAX} names` })
  @ArrayUnique({ message: 'names a host twice' })
  @IsString({ each: true, message: 'has to be a list of texts' })
  @MaxLength(NAME_LENGTH_MAX, { each: true, message: `has a name of more than ${NAME_LENGTH_MAX} characters` })
  @Matches(PLAIN_TEXT, { each: true, message: 'has a control character in it' })
  @IsArray({ message: 'has to be a list of names' })
  hosts?: string[];

  @CountField({ min: 1, max: PAGE_MAX, optional: true, description: 'Most hosts in the answer.' }) limit?: number;
  @TextField({ optional: true, description: 'Hosts after this name: `next` of the answer before.' }) marker?: string;
}

export class CoverageView {
  @ApiProperty({ type: 'integer', description: 'Of the list that was sent, from 0.' }) readonly entry: number;
  @ApiProperty({ type: 'integer', description: 'Devices that it matches.' }) readonly matched_count: number;
  @ApiProperty({ type: 'integer', description: 'Those that no earlier entry matches.' }) readonly decided_count: number;
}

export class HostCoverageView extends CoverageView {
  @ApiProperty({ type: [String], description: 'Addresses; the first ones when there are many.' })
  readonly matched: readonly string[];
  @ApiProperty({ type: [String] }) readonly decided: readonly string[];
}

export class FindingView {
  @ApiProperty({ type: String, enum: ['dead', 'shadowed', 'unreachable'] })
  readonly kind: 'dead' | 'shadowed' | 'unreachable';
  @ApiProperty({ type: 'integer' }) readonly entry: number;
  @ApiProperty({ type: 'array', items: { type: 'integer' }, description: 'Earlier entries that take its place.' })
  readonly by: readonly number[];
  @ApiProperty({ type: String }) readonly message: string;
}

export class HolderView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
}

export class OfferChangeView {
  @ApiProperty({ type: String, example: '0000:83:00.0' }) readonly address: string;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: String }) readonly device_type: string;
  @ApiProperty({ type: HolderView, nullable: true, description: 'The server that holds it.' })
  readonly server: HolderView | null;
  @ApiProperty({ type: OfferView, nullable: true, description: 'null: not offered now.' })
  readonly before: OfferView | null;
  @ApiProperty({ type: OfferView, nullable: true, description: 'null: would not be offered.' })
  readonly after: OfferView | null;
  @ApiProperty({
    type: String,
    description: 'Why it would not be offered, what would differ, or why that is not known.',
  })
  readonly reason: string;
  @ApiProperty({ type: [String], description: 'What the host itself needs it for: `default_route`, `system_disk`, …' })
  readonly protection: readonly string[];
}

export class HostPreviewView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: String, format: 'uuid' }) readonly host_id: string;
  @ApiProperty({ type: String, enum: ['up', 'down'] }) readonly status: 'up' | 'down';
  @ApiProperty({ type: Boolean, description: 'Of such a host nothing is offered, whatever the whitelist.' })
  readonly read_only: boolean;
  @ApiProperty({ type: String, format: 'date-time' }) readonly last_seen_at: Date;
  @ApiProperty({ type: 'integer', description: 'Of the last scan.' }) readonly devices: number;
  @ApiProperty({ type: 'integer', description: 'Entries that match a device here.' }) readonly entries_count: number;
  @ApiProperty({ type: [HostCoverageView], description: 'The first of them.' })
  readonly entries: readonly HostCoverageView[];
  @ApiProperty({ type: 'integer' }) readonly findings_count: number;
  @ApiProperty({ type: [FindingView] }) readonly findings: readonly FindingView[];
  @ApiProperty({ type: 'integer' }) readonly added_count: number;
  @ApiProperty({ type: [OfferChangeView] }) readonly added: readonly OfferChangeView[];
  @ApiProperty({ type: 'integer' }) readonly removed_count: number;
  @ApiProperty({ type: 'integer', description: 'Those that a server holds.' }) readonly removed_held_count: number;
  @ApiProperty({ type: [OfferChangeView], description: 'Those that a server holds come first.' })
  readonly removed: readonly OfferChangeView[];
  @ApiProperty({ type: 'integer' }) readonly changed_count: number;
  @ApiProperty({ type: [OfferChangeView] }) readonly changed: readonly OfferChangeView[];
  @ApiProperty({ type: 'integer' }) readonly uncertain_count: number;
  @ApiProperty({
    type: [OfferChangeView],
    description: 'In use; an agent of an older version does not tell the driver or interface that an entry asks for.',
  })
  readonly uncertain: readonly OfferChangeView[];
  @ApiProperty({ type: 'integer' }) readonly protected_count: number;
  @ApiProperty({
    type: [OfferChangeView],
    description: 'Entries mean them, and they are not offered, because the host itself needs them.',
  })
  readonly protected: readonly OfferChangeView[];
}

export class PreviewView {
  @ApiProperty({ type: [HostPreviewView], description: 'In name order.' }) readonly hosts: readonly HostPreviewView[];
  @ApiProperty({ type: [CoverageView], description: 'Each entry, over these hosts.' })
  readonly entries: readonly CoverageView[];
  @ApiProperty({ type: [FindingView], description: 'Entries that can never decide, whatever the host.' })
  readonly findings: readonly FindingView[];
  @ApiProperty({ type: String, nullable: true, description: '`marker` for the hosts after these.' })
  readonly next: string | null;
}
