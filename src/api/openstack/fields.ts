import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  IsBoolean,
  IsDefined,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';
import { NAME_LENGTH_MAX, PLAIN_TEXT } from '../fields.js';

/** Decorators of fields in the bodies that clients of OpenStack send: laxer than Berth's own, as the services are that they speak to. */

/** An object of a class. */
export function NestedField(
  of: () => new () => object,
  options: { readonly optional?: boolean } = {},
): PropertyDecorator {
  const { optional } = options;
  return applyDecorators(
    // named `type`, or it would be taken for the class itself
    ApiProperty({ type: () => of(), ...(optional ? { required: false as never } : {}) }),
    optional ? IsOptional() : IsDefined({ message: 'is missing' }),
    IsObject({ message: 'has to be an object' }),
    ValidateNested(),
    Type(of),
  );
}

/** A text that may be left out or be null. */
export function WordyField(max = NAME_LENGTH_MAX): PropertyDecorator {
  return applyDecorators(
    ApiProperty({ type: String, required: false, nullable: true, maxLength: max }),
    IsOptional(),
    IsString({ message: 'has to be a text' }),
    MaxLength(max, { message: `has more than ${max} characters` }),
    Matches(PLAIN_TEXT, { message: 'has a control character in it; remove it' }),
  );
}

/** A name of 1 to 255 characters; blanks around it are taken away. */
export function NameField(options: { readonly optional?: boolean; readonly max?: number } = {}): PropertyDecorator {
  const { optional, max = NAME_LENGTH_MAX } = options;
  return applyDecorators(
    ApiProperty({ type: String, required: !optional, minLength: 1, maxLength: max }),
    optional ? IsOptional() : IsDefined({ message: 'is missing' }),
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.trim() : value)),
    IsString({ message: 'has to be a text' }),
    MaxLength(max, { message: `has more than ${max} characters` }),
    Matches(PLAIN_TEXT, { message: 'has a control character in it; remove it' }),
    Matches(/\S/, { message: 'is blank' }),
  );
}

/** A whole number, as such or as a text: `512`, `"512"`. */
export function IntegerField(options: {
  readonly min: number;
  readonly max: number;
  readonly optional?: boolean;
}): PropertyDecorator {
  const { min, max, optional } = options;
  const message = `has to be a whole number from ${min} to ${max}`;
  return applyDecorators(
    ApiProperty({ type: 'integer', minimum: min, maximum: max, required: !optional }),
    optional ? IsOptional() : IsDefined({ message: 'is missing' }),
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value,
    ),
    IsInt({ message }),
    Min(min, { message }),
    Max(max, { message }),
  );
}

const YES = /^(?:true|t|on|yes|y|1)$/i;
const NO = /^(?:false|f|off|no|n|0)$/i;

/** The boolean that a word means to services of OpenStack; the value itself when it means none. */
export function booleanOf(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return YES.test(value) ? true : NO.test(value) ? false : value;
}

/** `true` or `false`, as such or as a word: `"True"`, `"0"`. */
export function BooleanField(options: { readonly optional?: boolean } = {}): PropertyDecorator {
  const { optional } = options;
  return applyDecorators(
    ApiProperty({ type: Boolean, required: !optional }),
    optional ? IsOptional() : IsDefined({ message: 'is missing' }),
    Transform(({ value }: { value: unknown }) => booleanOf(value)),
    IsBoolean({ message: 'has to be true or false' }),
  );
}
