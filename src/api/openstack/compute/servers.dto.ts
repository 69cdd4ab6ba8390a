import { BooleanField, IntegerField, NameField, NestedField } from '../fields.js';
import {
  DescriptionField,
  DiskConfigField,
  FlavorRefField,
  HostField,
  HostnameField,
  ImageRefField,
  Ipv4Field,
  Ipv6Field,
  isBase64,
  MetadataField,
  RuledField,
  StrictField,
  TagsField,
  UserDataField,
} from './server-fields.js';

const CREATED_MAX = 1000;
const LISTED_MAX = 100;
const FILES_MAX = 5;

/** From which minor version on a field of a new server is known. */
export const CREATE_SINCE = {
  ...{ description: 19, tags: 52, trusted_image_certificates: 63, host: 74, hypervisor_hostname: 74, hostname: 90 },
} as const;

/** The same of a change. */
export const UPDATE_SINCE = { description: 19, hostname: 90 } as const;

function objectsProblem(value: unknown, keys: ReadonlySet<string>): string | null {
  if (!Array.isArray(value)) return 'has to be a list of objects';
  if (value.length > LISTED_MAX) return `has more than ${LISTED_MAX}`;
  for (const [at, one] of value.entries()) {
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return `[${at}] has to be an object`;
    const stranger = Object.keys(one as object).find((key) => !keys.has(key));
    if (stranger !== undefined) return `[${at}].${stranger.slice(0, 60)} is not known here`;
  }
  return null;
}

const GROUP_KEYS = new Set(['name']);
const FILE_KEYS = new Set(['path', 'contents']);

function filesProblem(value: unknown): string | null {
  const problem = objectsProblem(value, FILE_KEYS);
  if (problem !== null) return problem;
  const files = value as readonly { readonly path?: unknown; readonly contents?: unknown }[];
  if (files.length > FILES_MAX) return `has more than ${FILES_MAX}`;
  const wrong = files.findIndex(({ path, contents }) => typeof path !== 'string' || !isBase64(contents));
  return wrong < 0 ? null : `[${wrong}] has to have a path, and contents in base64`;
}

const NETWORK_KEYS = new Set(['uuid', 'port', 'fixed_ip', 'tag']);

/** Words, or what clients would have of a network service; see {@link networksWish}. */
function networksProblem(value: unknown): string | null {
  return value === 'none' || value === 'auto' ? null : objectsProblem(value, NETWORK_KEYS);
}

const BLOCK_DEVICE_KEYS = new Set([
  ...['source_type', 'uuid', 'image_id', 'volume_id', 'snapshot_id', 'destination_type', 'guest_format', 'device_type'],
  ...['disk_bus', 'boot_index', 'volume_size', 'delete_on_termination', 'device_name', 'no_device', 'tag'],
  ...['virtual_name', 'connection_info', 'volume_type'],
]);

const DISKS = 'As far as it says what `imageRef` says; there are no volumes.';

class NewServerFields {
  @NameField() name: string;
  @ImageRefField() imageRef?: string;
  @FlavorRefField() flavorRef: string;

  @IntegerField({ min: 1, max: CREATED_MAX, optional: true }) min_count?: number;
  @IntegerField({ min: 1, max: CREATED_MAX, optional: true }) max_count?: number;
  @BooleanField({ optional: true }) return_reservation_id?: boolean;

  @NameField({ optional: true }) availability_zone?: string;
  @HostField() host?: string;
  @HostField() hypervisor_hostname?: string;

  @StrictField(
    { description: '`none`, `auto`, or an empty list: there are no networks.', type: String },
    networksProblem,
  )
  networks?: 'none' | 'auto' | readonly Readonly<Record<string, unknown>>[];

  @StrictField({ type: 'array', items: { type: 'object' }, description: DISKS }, (value) =>
    objectsProblem(value, BLOCK_DEVICE_KEYS),
  )
  block_device_mapping?: readonly Readonly<Record<string, unknown>>[];

  @StrictField({ type: 'array', items: { type: 'object' }, description: DISKS }, (value) =>
    objectsProblem(value, BLOCK_DEVICE_KEYS),
  )
  block_device_mapping_v2?: readonly Readonly<Record<string, unknown>>[];

  @StrictField({ type: 'array', items: { type: 'object' }, description: 'Only `default`.' }, (value) =>
    objectsProblem(value, GROUP_KEYS),
  )
  security_groups?: readonly { readonly name?: unknown }[];

  @NameField({ optional: true }) key_name?: string;
  @MetadataField() metadata?: Readonly<Record<string, string>>;
  @TagsField() tags?: readonly string[];
  @DescriptionField() description?: string | null;
  @HostnameField() hostname?: string;
  @UserDataField() user_data?: string;
  @BooleanField({ optional: true }) config_drive?: boolean;

  @StrictField(
    { type: 'array', items: { type: 'object' }, description: 'Before 2.57; they reach no guest.' },
    filesProblem,
  )
  personality?: readonly object[];

  @StrictField({ type: String, maxLength: 255, description: 'Answered, and not kept.' }, (value) =>
    typeof value === 'string' && value.length <= 255 ? null : 'has to be a text of at most 255 characters',
  )
  adminPass?: string;

  @DiskConfigField() 'OS-DCF:diskConfig'?: 'AUTO' | 'MANUAL';
  @Ipv4Field() accessIPv4?: string;
  @Ipv6Field() accessIPv6?: string;

  @RuledField(
    { type: 'array', items: { type: 'string' }, nullable: true },
    () => 'certificates of images are not looked at here',
  )
  trusted_image_certificates?: null;
}

function hintsProblem(value: unknown): string | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? null : 'has to be an object';
}

/** Ends of a body; hints that mean nothing here are passed over, as Nova does. */
export class ServerCreateBody {
  @NestedField(() => NewServerFields) server: NewServerFields;

  @StrictField({ type: 'object', additionalProperties: true }, hintsProblem)
  'os:scheduler_hints'?: Readonly<Record<string, unknown>>;

  @StrictField({ type: 'object', additionalProperties: true }, hintsProblem)
  'OS-SCH-HNT:scheduler_hints'?: Readonly<Record<string, unknown>>;
}

class ServerChanges {
  @NameField({ optional: true }) name?: string;
  @DescriptionField() description?: string | null;
  @HostnameField() hostname?: string;
  @DiskConfigField() 'OS-DCF:diskConfig'?: 'AUTO' | 'MANUAL';
  @Ipv4Field() accessIPv4?: string;
  @Ipv6Field() accessIPv6?: string;
}

export class ServerUpdateBody {
  @NestedField(() => ServerChanges) server: ServerChanges;
}

export type NewServerBody = ServerCreateBody['server'];
export type ServerChangesBody = ServerUpdateBody['server'];
