import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  ValidateNested,
} from 'class-validator';
import { DEVICE_SPECS_MAX } from '../../pci/device-spec/device-spec-reader.js';
import { type Dialect, DIALECTS } from '../../pci/dialect.js';
import { COPIES_MAX } from '../../placement/capacity.js';
import {
  CountField,
  FlagParameter,
  IdField,
  ListField,
  NAME_LENGTH_MAX,
  PLAIN_TEXT,
  TextField,
  WordField,
} from '../fields.js';
import { DryRunBody } from '../servers/servers.dto.js';
import { SmallestChangesView } from '../servers/explanation-changes.js';
import { DecisionView, HostRejectionView, ViewQuery } from './decision.view.js';

export const CHANGES_MAX = 1_000;
export const ADDED_HOSTS_MAX = 1_000;
const REQUESTS_MAX = 100;
const FREE_TAGS_MAX = 64;
const WHITELIST_HOSTS_MAX = 500;

export class CopiesBody extends DryRunBody {
  @CountField({ min: 1, max: COPIES_MAX, optional: true, description: 'How many of them, one after another.' })
  copies?: number;
}

export class HostCountView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: String, description: 'Of a host that was added: not an id of the ledger.' })
  readonly host_id: string;
  @ApiProperty({ type: 'integer' }) readonly count: number;
}

/** Copies of one request. */
export class CopiesView {
  @ApiProperty({ type: 'integer' }) readonly asked: number;
  @ApiProperty({ type: 'integer' }) readonly placed: number;
  @ApiProperty({ type: [HostCountView], description: 'In name order; the first 1000.' })
  readonly hosts: readonly HostCountView[];
  @ApiProperty({ type: String, nullable: true, description: 'Why the next one is refused; null: all have a place.' })
  readonly message: string | null;
  @ApiProperty({ type: [HostRejectionView] }) readonly rejections: readonly HostRejectionView[];
}

export class DryRunQuery extends ViewQuery {
  @FlagParameter({ description: 'Whether to look for the smallest changes that make it fit; false when left out.' })
  changes?: boolean;
}

export class DryRunView extends DecisionView {
  @ApiProperty({ type: SmallestChangesView, required: false, description: 'When asked for, and it fits nowhere.' })
  readonly changes?: SmallestChangesView;

  @ApiProperty({ type: CopiesView, required: false, description: 'When the request says `copies`.' })
  readonly copies?: CopiesView;
}

export const CHANGE_KINDS = [
  'add_hosts',
  'lose_host',
  'enable_host',
  'free_server',
  'hold_device',
  'lift_hold',
  'lose_device',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** One change of the world; which fields it needs depends on its kind. */
export class ChangeBody {
  @WordField({ words: CHANGE_KINDS }) kind: ChangeKind;
  @TextField({ optional: true, description: 'Of add_hosts: the host that they are like, by name or id.' })
  like?: string;
  @CountField({ min: 1, max: ADDED_HOSTS_MAX, optional: true, description: 'Of add_hosts.' }) count?: number;
  @TextField({ optional: true, description: 'Name or id.' }) host?: string;
  @TextField({ optional: true, example: '0000:83:00.0', description: 'Of a device, with its host.' }) address?: string;
  @IdField({ optional: true, description: 'Of free_server.' }) server_id?: string;
}

/** Another whitelist for some hosts, held against their last scans. */
export class WhitelistBody {
  @WordField({ words: DIALECTS, optional: true, description: 'How the entries are read; `strict` when left out.' })
  compat?: Dialect;

  @ApiProperty({ type: 'array', maxItems: DEVICE_SPECS_MAX, items: { type: 'object', additionalProperties: true } })
  @ArrayMaxSize(DEVICE_SPECS_MAX, { message: `has more than ${DEVICE_SPECS_MAX} entries` })
  @IsArray({ message: 'has to be a list of entries' })
  device_specs: unknown[];

  @ApiProperty({ type: [String], required: false, description: 'Names of tags of your own, as in `pci.free_tags`.' })
  @IsOptional()
  @ArrayMaxSize(FREE_TAGS_MAX, { message: `has more than ${FREE_TAGS_MAX} names` })
  @IsString({ each: true, message: 'has to be a list of names' })
  @IsArray({ message: 'has to be a list of names' })
  free_tags?: string[];

  @ApiProperty({ type: [String], maxItems: WHITELIST_HOSTS_MAX, description: 'Names or ids.' })
  @ArrayMinSize(1, { message: 'is empty' })
  @ArrayMaxSize(WHITELIST_HOSTS_MAX, { message: `has more than ${WHITELIST_HOSTS_MAX} names` })
  @ArrayUnique({ message: 'names a host twice' })
  @IsString({ each: true, message: 'has to be a list of texts' })
  @MaxLength(NAME_LENGTH_MAX, { each: true, message: `has a name of more than ${NAME_LENGTH_MAX} characters` })
  @Matches(PLAIN_TEXT, { each: true, message: 'has a control character in it' })
  @IsArray({ message: 'has to be a list of names' })
  hosts: string[];
}

export class WhatIfBody {
  @ListField({ of: () => ChangeBody, min: 0, max: CHANGES_MAX, optional: true, description: 'Made in this order.' })
  changes?: ChangeBody[];

  @ApiProperty({ type: WhitelistBody, required: false, description: 'Comes before the changes.' })
  @IsOptional()
  @IsObject({ message: 'has to be an object' })
  @ValidateNested()
  @Type(() => WhitelistBody)
  whitelist?: WhitelistBody;

  @ListField({ of: () => CopiesBody, min: 1, max: REQUESTS_MAX, description: 'Decided in this order.' })
  requests: CopiesBody[];
}

export class DifferenceView {
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: CopiesView }) readonly before: CopiesView;
  @ApiProperty({ type: CopiesView }) readonly after: CopiesView;
  @ApiProperty({ type: 'integer', description: 'How many more have a place after the changes; less than 0: fewer.' })
  readonly gain: number;
}

export class WhatIfView {
  @ApiProperty({ type: 'integer' }) readonly hosts_before: number;
  @ApiProperty({ type: 'integer' }) readonly hosts_after: number;
  @ApiProperty({ type: [DifferenceView], description: 'In the order of the requests.' })
  readonly requests: readonly DifferenceView[];
}
