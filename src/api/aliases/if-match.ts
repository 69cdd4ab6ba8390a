import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { BerthError } from '../../errors.js';
import { invalidFields } from '../request-validation.pipe.js';

const LENGTH_MAX = 1000;
const TAGS = /^\s*(?:\*|"[^"]*"(?:\s*,\s*"[^"]*")*)\s*$/;

/** The request's `If-Match`; null when it has none. */
export const IfMatch = createParamDecorator((_data: unknown, context: ExecutionContext): string | null => {
  const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string | string[] | undefined> }>();
  const value = headers['if-match'];
  if (value === undefined) return null;
  if (typeof value === 'string' && value.length <= LENGTH_MAX && TAGS.test(value)) return value;
  throw invalidFields([{ field: 'If-Match', problem: 'has to be an ETag like "3", in its quotes, or *' }]);
});

/** OpenAPI's word of the header. */
export const ApiIfMatch = (): MethodDecorator =>
  applyDecorators(
    ApiHeader({
      name: 'If-Match',
      required: false,
      description: 'Only if the alias has this `ETag` still; else 412.',
      schema: { type: 'string', example: '"3"' },
    }),
  );

/** The ETag of a version. */
export function versionTag(version: number): string {
  return `"${version}"`;
}

/** @throws BerthError `alias.stale` when `If-Match` wants another version */
export function assertVersion(ifMatch: string | null, row: { readonly name: string; readonly version: number }): void {
  if (ifMatch === null || ifMatch.trim() === '*') return;
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (tags.includes(versionTag(row.version))) return;
  throw new BerthError(
    'alias.stale',
    `Alias "${row.name}" is at version ${row.version}, and If-Match says ${ifMatch.trim()}; read it again`,
  );
}
