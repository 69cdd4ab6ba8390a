import { isIPv4, isIPv6 } from 'node:net';
import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsOptional, ValidateBy, ValidateIf } from 'class-validator';

/** Decorators of fields that only servers have. Problems are said by functions: null is "none". */

type Problem = (value: unknown) => string | null;

/** A field with a rule of its own; it may be left out. */
export function RuledField(schema: ApiPropertyOptions, problem: Problem): PropertyDecorator {
  return applyDecorators(ApiProperty({ ...schema, required: false as never }), IsOptional(), ruled(problem));
}

/** The same; null is not as if it were left out. */
export function StrictField(schema: ApiPropertyOptions, problem: Problem): PropertyDecorator {
  const isGiven = ValidateIf((_body: object, value: unknown) => value !== undefined);
  return applyDecorators(ApiProperty({ ...schema, required: false as never }), isGiven, ruled(problem));
}

/** The same; it has to be there. */
export function NeededField(schema: ApiPropertyOptions, problem: Problem): PropertyDecorator {
  return applyDecorators(
    ApiProperty({ ...schema, required: true as never }),
    ruled((value) => (value === undefined ? 'is missing' : problem(value))),
  );
}

function ruled(problem: Problem): PropertyDecorator {
  return ValidateBy({
    name: 'ruled',
    validator: {
      validate: (value) => problem(value) === null,
      defaultMessage: (args) => problem(args?.value) ?? '',
    },
  });
}

const METADATA_KEY = /^[a-zA-Z0-9_:. -]{1,255}$/;
const METADATA_VALUE_MAX = 255;

export function metadataProblem(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'has to be an object of texts';
  const entries = Object.entries(value);
  const key = entries.find(([name]) => !METADATA_KEY.test(name));
  if (key) return 'has a key that is not 1 to 255 letters, digits, blanks or any of - _ : .';
  const wrong = entries.find(
    ([, text]) => typeof text !== 'string' || text.length > METADATA_VALUE_MAX || /\0/.test(text),
  );
  return wrong ? `${wrong[0]}: has to be a text of at most ${METADATA_VALUE_MAX} characters` : null;
}

/** Texts by key. */
export const MetadataField = (): PropertyDecorator =>
  StrictField({ type: 'object', additionalProperties: { type: 'string' } }, metadataProblem);

export const TAGS_MAX = 50;
const TAG_LENGTH_MAX = 60;

export function tagProblem(tag: unknown): string | null {
  if (typeof tag === 'string' && /^[^,/\p{Cc}\p{Cs}]+$/u.test(tag) && tag.length <= TAG_LENGTH_MAX) return null;
  return `has to be a text of 1 to ${TAG_LENGTH_MAX} characters without "/" and ","`;
}

export function tagsProblem(value: unknown): string | null {
  if (!Array.isArray(value)) return 'has to be a list of texts';
  if (value.length > TAGS_MAX) return `has more than ${TAGS_MAX}`;
  const wrong = value.map(tagProblem).findIndex((problem) => problem !== null);
  return wrong < 0 ? null : `[${wrong}] ${tagProblem(value[wrong])}`;
}

export const TagsField = (): PropertyDecorator =>
  StrictField({ type: 'array', items: { type: 'string' }, maxItems: TAGS_MAX }, tagsProblem);

const USER_DATA_MAX = 65_535;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Line ends are passed over, as everybody does. */
export function isBase64(value: unknown): value is string {
  return typeof value === 'string' && BASE64.test(value.replace(/[\r\n]/g, ''));
}

/** What a guest is given at its first start, in base64. */
export const UserDataField = (): PropertyDecorator =>
  StrictField({ type: String, maxLength: USER_DATA_MAX }, (value) =>
    isBase64(value) && value.length <= USER_DATA_MAX
      ? null
      : `has to be a text in base64 of at most ${USER_DATA_MAX} characters`,
  );

export const Ipv4Field = (): PropertyDecorator =>
  StrictField({ type: String, format: 'ipv4' }, (value) =>
    typeof value === 'string' && isIPv4(value) ? null : 'has to be an IPv4 address',
  );

export const Ipv6Field = (): PropertyDecorator =>
  StrictField({ type: String, format: 'ipv6' }, (value) =>
    typeof value === 'string' && isIPv6(value) && !value.includes('%') ? null : 'has to be an IPv6 address',
  );

/** The one way to write an address: RFC 5952. */
export function plainIpv6(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

export const DISK_CONFIGS = ['AUTO', 'MANUAL'] as const;

export const DiskConfigField = (): PropertyDecorator =>
  StrictField({ type: String, enum: [...DISK_CONFIGS] }, (value) =>
    DISK_CONFIGS.some((word) => word === value) ? null : `has to be ${DISK_CONFIGS.join(' or ')}`,
  );

/** A host name without domain, as RFC 1123 has it. */
export const HostnameField = (): PropertyDecorator =>
  StrictField({ type: String, minLength: 2, maxLength: 63 }, (value) =>
    typeof value === 'string' && value.length <= 63 && /^[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]$/.test(value)
      ? null
      : 'has to be 2 to 63 letters, digits and "-"; neither first nor last is "-"',
  );

/** The name of a host where servers run. */
export const HostField = (): PropertyDecorator =>
  StrictField({ type: String, minLength: 1, maxLength: 255 }, (value) =>
    typeof value === 'string' && /^[\w.-]{1,255}$/.test(value) ? null : 'has to be the name of a host',
  );

const DESCRIPTION_MAX = 255;

/** null takes it away. */
export const DescriptionField = (): PropertyDecorator =>
  RuledField({ type: String, nullable: true, maxLength: DESCRIPTION_MAX }, (value) =>
    typeof value === 'string' && value.length <= DESCRIPTION_MAX && /^[^\p{Cc}\p{Cs}]*$/u.test(value)
      ? null
      : `has to be a text of at most ${DESCRIPTION_MAX} characters without control characters`,
  );

const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

/** The last part of a link, or the id itself. */
export function idOfReference(reference: string): string {
  return reference.split('/').at(-1) ?? '';
}

/** An image: its id, a link to it, or nothing at all (an empty text). */
export const ImageRefField = (): PropertyDecorator =>
  StrictField({ type: String, maxLength: 1000 }, (value) =>
    value === '' || (typeof value === 'string' && value.length <= 1000 && isUuid(idOfReference(value)))
      ? null
      : 'has to be the id of an image, a UUID, or empty',
  );

/** A flavor: its id, perhaps as a number, or a link to it. */
export const FlavorRefField = (): PropertyDecorator =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) => (Number.isSafeInteger(value) ? String(value) : value)),
    ApiProperty({ type: String, minLength: 1, maxLength: 1000 }),
    ruled((value) => {
      const id = typeof value === 'string' && value.length <= 1000 ? idOfReference(value) : '';
      return id !== '' && id.length <= 255 && /^[^\p{Cc}\p{Cs}]+$/u.test(id) ? null : 'has to be the id of a flavor';
    }),
  );
