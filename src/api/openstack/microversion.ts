import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { BerthError } from '../../errors.js';
import type { FaceRequest } from './faces.js';

const SERVED = 'berth:microversions';

interface Span {
  readonly first: number;
  readonly last: number;
}

/** A handler that is there from one minor version on, and perhaps only up to another. Outside of them its path is 404, as in Nova. */
export const ServedIn = (first: number, last = Infinity): MethodDecorator & ClassDecorator =>
  SetMetadata(SERVED, { first, last } satisfies Span);

/** The minor number of the version that the client asks for, in the arguments of a handler: 61 for 2.61. */
export const Microversion = createParamDecorator((_data: unknown, context: ExecutionContext): number =>
  microversionOf(context),
);

function microversionOf(context: ExecutionContext): number {
  return context.switchToHttp().getRequest<FaceRequest>().microversion ?? 0;
}

/** Hides what the asked version does not have. */
@Injectable()
export class MicroversionGuard implements CanActivate {
  private readonly reflector = new Reflector();

  canActivate(context: ExecutionContext): boolean {
    const where = [context.getHandler(), context.getClass()];
    const span = this.reflector.getAllAndOverride<Span | undefined>(SERVED, where);
    const version = microversionOf(context);
    if (!span || (version >= span.first && version <= span.last)) return true;
    throw new BerthError('request.not_found', 'The resource could not be found.');
  }
}
