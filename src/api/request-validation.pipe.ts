import { type ArgumentMetadata, Injectable, ValidationPipe } from '@nestjs/common';
import { getMetadataStorage, type ValidationError } from 'class-validator';
import { BerthError } from '../errors.js';
import { suggestion } from '../pci/suggest.js';

/** One wrong field of a request. */
export interface FieldError {
  /** `specs[0].vendor_id`; empty for the body as a whole. */
  readonly field: string;
  readonly problem: string;
}

/** A real body nests four deep; what nests deeper is made to hurt. */
const DEPTH_MAX = 16;
const FIELD_ERRORS_MAX = 50;

/** Turns bodies and queries into their classes; names every wrong field and what was probably meant. */
@Injectable()
export class RequestValidationPipe extends ValidationPipe {
  constructor() {
    super({
      whitelist: true,
      forbidNonWhitelisted: true,
      transform: true,
      transformOptions: { exposeUnsetFields: false },
      validationError: { target: true, value: false },
      exceptionFactory: (errors) => invalidFields(errors.flatMap((error) => fieldErrors(error, ''))),
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'body') assertPlainBody(value);
    if (metadata.type === 'query') assertNoPrototypeKeys(value);
    return super.transform(value, metadata);
  }
}

/** The error of a request with wrong fields. */
export function invalidFields(errors: readonly FieldError[]): BerthError {
  const shown = errors.slice(0, FIELD_ERRORS_MAX);
  const first = shown.slice(0, 3).map(({ field, problem }) => (field === '' ? problem : `${field}: ${problem}`));
  const more = errors.length > first.length ? `; and ${errors.length - first.length} more` : '';
  return new BerthError('request.invalid', `${first.join('; ')}${more}`, { details: { errors: shown } });
}

function assertPlainBody(body: unknown): void {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalidFields([{ field: '', problem: 'the body has to be a JSON object' }]);
  }
  // A loop, not a recursion: the point is to be safe from depth.
  let level: unknown[] = [body];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) {
      throw invalidFields([{ field: '', problem: `the body nests deeper than ${DEPTH_MAX} levels` }]);
    }
    level.forEach(assertNoPrototypeKeys);
    level = level
      .flatMap((value) => Object.values(value as object))
      .filter((value) => typeof value === 'object' && value !== null);
  }
}

/** Keys that, copied, would change what an object is. */
const PROTOTYPE_KEYS = ['__proto__', 'constructor', 'prototype'];

function assertNoPrototypeKeys(value: unknown): void {
  const field = PROTOTYPE_KEYS.find((key) => Object.hasOwn(value as object, key));
  if (field !== undefined) throw invalidFields([{ field, problem: 'is a name that nothing may have here' }]);
}

function fieldErrors(error: ValidationError, path: string): FieldError[] {
  const isIndex = Array.isArray(error.target) || /^\d+$/.test(error.property);
  const field = isIndex ? `${path}[${error.property}]` : path === '' ? error.property : `${path}.${error.property}`;
  const own = Object.entries(error.constraints ?? {}).slice(0, 1);
  return [
    ...own.map(([rule, message]) => ({ field: field.slice(0, 300), problem: problemOf(rule, message, error) })),
    ...(error.children ?? []).flatMap((child) => fieldErrors(child, field)),
  ];
}

function problemOf(rule: string, message: string, error: ValidationError): string {
  if (rule === 'whitelistValidation') {
    const known = knownFields(error.target);
    return `is not known here${suggestion(error.property, known) || `; known are ${known.join(', ')}`}`;
  }
  if (rule === 'unknownValue' || rule === 'nestedValidation') return 'has to be an object';
  return message.startsWith(`${error.property} `) ? message.slice(error.property.length + 1) : message;
}

function knownFields(target: object | undefined): string[] {
  if (!target) return [];
  const rules = getMetadataStorage().getTargetValidationMetadatas(target.constructor, '', false, false);
  return [...new Set(rules.map((rule) => rule.propertyName))];
}
