import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNotEmpty,
  IsObject,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateBy,
  ValidateNested,
} from 'class-validator';
import { suggestion } from '../pci/suggest.js';

/** Decorators of request fields: what is checked and what OpenAPI says are written once, together. */

export const NAME_LENGTH_MAX = 255;
export const VCPUS_MAX = 65_536;
export const RAM_MB_MAX = 2_000_000_000;
export const DISK_GB_MAX = 2_000_000_000;

/** No control characters, and no halves of surrogate pairs: the database has no text for them. */
export const PLAIN_TEXT = /^[^\p{Cc}\p{Cs}]*$/u;

interface FieldOptions {
  readonly description?: string;
  readonly example?: unknown;
  readonly optional?: boolean;
}

/** A text of 1 to `max` characters that is not blank. */
export function TextField(options: FieldOptions & { readonly max?: number } = {}): PropertyDecorator {
  const max = options.max ?? NAME_LENGTH_MAX;
  return applyDecorators(
    ...described(options, { type: String, minLength: 1, maxLength: max }),
    IsString({ message: 'has to be a text' }),
    Length(1, max, { message: `has to have 1 to ${max} characters` }),
    Matches(PLAIN_TEXT, { message: 'has a control character in it; remove it' }),
    Matches(/\S/, { message: 'is blank' }),
  );
}

/** A whole number from `min` to `max`. */
export function CountField(options: FieldOptions & { readonly min: number; readonly max: number }): PropertyDecorator {
  const { min, max } = options;
  const message = `has to be a whole number from ${min} to ${max}`;
  return applyDecorators(
    ...described(options, { type: 'integer', minimum: min, maximum: max }),
    IsInt({ message }),
    Min(min, { message }),
    Max(max, { message }),
  );
}

/** A list of objects. */
export function ListField(
  options: FieldOptions & { readonly of: () => new () => object; readonly min: number; readonly max: number },
): PropertyDecorator {
  const { min, max } = options;
  return applyDecorators(
    ...described(options, { type: () => [options.of()], minItems: min, maxItems: max }),
    ...listRules(options),
  );
}

/** The rules of {@link ListField} alone. */
export function listRules(options: { of: () => new () => object; min: number; max: number }): PropertyDecorator[] {
  const { min, max } = options;
  return [
    IsArray({ message: 'has to be a list of objects' }),
    ArrayMinSize(min, { message: `needs ${min} at least` }),
    ArrayMaxSize(max, { message: `has more than ${max}` }),
    ValidateNested({ each: true }),
    Type(options.of),
  ];
}

/** One of some words. */
export function WordField(options: FieldOptions & { readonly words: readonly string[] }): PropertyDecorator {
  return applyDecorators(
    ...described(options, { type: String, enum: [...options.words] }),
    IsIn([...options.words], { message: ({ value }) => notOneOf(options.words, value) }),
  );
}

function notOneOf(words: readonly string[], value: unknown): string {
  if (value === '') return `is empty; say one of ${words.join(', ')}`;
  const hint = typeof value === 'string' ? suggestion(value, words) : '';
  return `has to be one of ${words.join(', ')}${hint}`;
}

/** `true` or `false`. */
export function FlagField(options: FieldOptions = {}): PropertyDecorator {
  return applyDecorators(
    ...described(options, { type: Boolean }),
    IsBoolean({ message: 'has to be true or false, without quotes' }),
  );
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/;

/** A time of ISO 8601 with its offset from UTC, so that nobody has to guess a time zone. */
export function TimeField(options: FieldOptions = {}): PropertyDecorator {
  return applyDecorators(
    ...described(options, { type: String, format: 'date-time', maxLength: 40 }),
    ValidateBy({
      name: 'time',
      validator: {
        validate: isTime,
        defaultMessage: () => 'has to be a time like 2026-03-01T09:00:00+01:00, with Z or an offset',
      },
    }),
  );
}

/** Also whether the calendar has that day: JavaScript takes February 30th for March 2nd. */
function isTime(value: unknown): boolean {
  const minute = typeof value === 'string' ? TIME.exec(value)?.[1] : undefined;
  if (minute === undefined || Number.isNaN(Date.parse(value as string))) return false;
  const local = new Date(`${minute}Z`);
  return !Number.isNaN(local.getTime()) && local.toISOString().startsWith(minute);
}

/** An id of ours. */
export function IdField(options: FieldOptions = {}): PropertyDecorator {
  return applyDecorators(
    ...described(options, { type: String, format: 'uuid' }),
    IsUUID('all', { message: 'has to be a UUID' }),
  );
}

/** Ids of ours: one text, or a list of 1 to `max`; becomes a list. */
export function IdsField(options: FieldOptions & { readonly max: number }): PropertyDecorator {
  const ids = { type: String, format: 'uuid' } as const;
  return applyDecorators(
    ...described(options, { oneOf: [ids, { type: 'array', minItems: 1, maxItems: options.max, items: ids }] } as never),
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? [value] : value)),
    IsArray({ message: 'has to be a UUID, or a list of them' }),
    ArrayMinSize(1, { message: 'is an empty list; leave it out' }),
    ArrayMaxSize(options.max, { message: `has more than ${options.max}` }),
    IsUUID('all', { each: true, message: 'has to be a UUID, or a list of them' }),
  );
}

export const TEXT_MAP_MAX = 128;

/** Texts by key: at most 128, each of at most 255 characters. With `removable`, null stands for a key to remove. */
export function TextMapField(options: FieldOptions & { readonly removable?: boolean } = {}): PropertyDecorator {
  const removable = options.removable === true;
  return applyDecorators(
    ...described(options, {
      type: 'object',
      maxProperties: TEXT_MAP_MAX,
      additionalProperties: { type: 'string', maxLength: NAME_LENGTH_MAX, nullable: removable },
    } as ApiPropertyOptions),
    IsObject({ message: 'has to be an object of texts' }),
    ValidateBy({
      name: 'textMap',
      validator: {
        validate: (value) => textMapProblem(value, removable) === null,
        defaultMessage: (args) => textMapProblem(args?.value, removable) ?? '',
      },
    }),
  );
}

function textMapProblem(value: unknown, removable: boolean): string | null {
  const entries = Object.entries((value ?? {}) as object) as [string, unknown][];
  if (entries.length > TEXT_MAP_MAX) return `has ${entries.length} keys; at most ${TEXT_MAP_MAX}`;
  const isText = (text: unknown): boolean =>
    typeof text === 'string' && text.length <= NAME_LENGTH_MAX && PLAIN_TEXT.test(text);
  const key = entries.find(([name]) => !isText(name) || name.trim() === '');
  if (key) return `has a key that is not a text of 1 to ${NAME_LENGTH_MAX} characters`;
  const wrong = entries.find(([, text]) => !isText(text) && !(removable && text === null));
  if (!wrong) return null;
  const orNull = removable ? ', or null to remove it' : '';
  return `${wrong[0]}: has to be a text of at most ${NAME_LENGTH_MAX} characters${orNull}`;
}

/** A query parameter with a whole number; `limit=10`, not `limit=1e1`. */
export function CountParameter(
  options: FieldOptions & { readonly min: number; readonly max: number },
): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value,
    ),
    CountField({ ...options, optional: true }),
  );
}

/** A query parameter that is `true` or `false`. */
export function FlagParameter(options: FieldOptions = {}): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value)),
    ...described({ ...options, optional: true }, { type: Boolean }),
    IsBoolean({ message: 'has to be true or false' }),
  );
}

/** A query parameter with four hex digits, in any case. */
export function HexIdParameter(options: FieldOptions = {}): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.toLowerCase() : value)),
    ...described({ ...options, optional: true }, { type: String, pattern: '^[0-9a-fA-F]{4}$' }),
    Matches(/^[0-9a-f]{4}$/, { message: 'has to be four hex digits, like 10de' }),
  );
}

/** A query parameter with an id of ours. */
export function IdParameter(options: FieldOptions = {}): PropertyDecorator {
  return applyDecorators(
    ...described({ ...options, optional: true }, { type: String, format: 'uuid' }),
    IsUUID(undefined, { message: 'has to be a UUID' }),
  );
}

/** A query parameter with a text. */
export function TextParameter(options: FieldOptions = {}): PropertyDecorator {
  return applyDecorators(
    ...described({ ...options, optional: true }, { type: String, maxLength: NAME_LENGTH_MAX }),
    IsString({ message: 'is given more than once' }),
    IsNotEmpty({ message: 'is empty' }),
    MaxLength(NAME_LENGTH_MAX, { message: `has more than ${NAME_LENGTH_MAX} characters` }),
    Matches(PLAIN_TEXT, { message: 'has a control character in it' }),
  );
}

function described(options: FieldOptions, schema: ApiPropertyOptions): PropertyDecorator[] {
  const { description, example, optional } = options;
  const property = {
    ...schema,
    required: !optional,
    ...(description === undefined ? {} : { description }),
    ...(example === undefined ? {} : { example }),
  } as ApiPropertyOptions;
  return [ApiProperty(property), ...(optional ? [IsOptional()] : [])];
}
