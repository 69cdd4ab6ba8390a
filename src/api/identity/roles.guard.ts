import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { BerthError } from '../../errors.js';
import type { AuthRole } from '../../settings/settings.js';
import { callerOf, type CallerRequest, hasRole, isForEverybody } from './caller.js';

const NEEDED = 'berth:role';

/** The role that a handler, or all handlers of a controller, need. Without it: admin. */
export const Needs = (role: AuthRole): MethodDecorator & ClassDecorator => SetMetadata(NEEDED, role);

/** Refuses who has not the role that a path needs. What says nothing is for administrators: a new path cannot be open by mistake. */
@Injectable()
export class RolesGuard implements CanActivate {
  private readonly reflector = new Reflector();

  canActivate(context: ExecutionContext): boolean {
    if (isForEverybody(context.switchToHttp().getRequest<CallerRequest>())) return true;
    const where = [context.getHandler(), context.getClass()];
    const needed = this.reflector.getAllAndOverride<AuthRole | undefined>(NEEDED, where) ?? 'admin';
    const caller = callerOf(context);
    if (hasRole(caller, needed)) return true;
    throw new BerthError(
      'auth.forbidden',
      `This needs the role ${needed}; ${caller.userName} has ${caller.role} in project ${caller.projectName}`,
    );
  }
}
