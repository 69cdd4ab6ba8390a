import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { Problem } from './problem.js';

const MEANINGS: Readonly<Record<number, string>> = {
  400: 'The request is not valid; `errors` names the fields.',
  401: 'Nobody says who asks, or not rightly.',
  403: 'The role of whoever asks does not reach, or the project would have more than its quota.',
  404: 'There is no such thing.',
  409: 'The state of things does not allow it.',
  412: 'It has changed since; `If-Match` names an older version.',
  413: 'The request asks for more than one answer may hold.',
  422: 'The idempotency key was used with another request.',
};

/** OpenAPI's word of the problems that a path answers, beside those that every path may answer. */
export function ApiProblems(...statuses: readonly number[]): MethodDecorator & ClassDecorator {
  return applyDecorators(
    ApiExtraModels(Problem),
    ...[...new Set([...statuses, 401, 403, 503])].map((status) =>
      ApiResponse({
        status,
        description: MEANINGS[status] ?? 'The database cannot be reached; try again.',
        content: { 'application/problem+json': { schema: { $ref: getSchemaPath(Problem) } } },
      }),
    ),
  );
}
