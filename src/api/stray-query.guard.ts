import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { invalidFields } from './request-validation.pipe.js';

/** The key prefix under which Nest notes that a handler takes `@Query()`. */
const QUERY_ARGUMENT = '4:';

/**
 * A path without query parameters refuses them, as a path with some refuses unknown ones: a filter that is silently
 * ignored answers another question than was asked.
 */
@Injectable()
export class StrayQueryGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const names = Object.keys(context.switchToHttp().getRequest<{ query?: object }>().query ?? {});
    if (names.length === 0 || takesQuery(context)) return true;
    throw invalidFields(names.map((field) => ({ field, problem: 'this path has no query parameters' })));
  }
}

function takesQuery(context: ExecutionContext): boolean {
  const controller = context.getClass();
  const args: unknown = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, context.getHandler().name);
  return Object.keys(args ?? {}).some((key) => key.startsWith(QUERY_ARGUMENT));
}
