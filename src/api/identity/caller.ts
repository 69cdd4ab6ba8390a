import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import type { AuthRole } from '../../settings/settings.js';
import type { Attempts } from './attempts.js';

/** From the least to the most; each may do what those before it may. */
const RANKS: readonly AuthRole[] = ['reader', 'member', 'admin'];

/** Who asks, and for which project. */
export interface Caller {
  readonly userId: string;
  readonly userName: string;
  readonly projectId: string;
  readonly projectName: string;
  /** The highest of the caller's roles in the project. */
  readonly role: AuthRole;
  /** `req-` and a UUID, of a request to a face of OpenStack: what is recorded of it has it. */
  readonly requestId?: string;
}

/** Whoever asks where nobody is asked who he is: only on this machine. */
export const LOCAL_ADMIN: Caller = {
  userId: 'admin',
  userName: 'admin',
  projectId: 'default',
  projectName: 'default',
  role: 'admin',
};

/** A request as the hooks leave it: with its caller, unless its path is for everybody. */
export interface CallerRequest {
  readonly method: string;
  readonly routeOptions: { readonly url?: string | undefined };
  caller?: Caller;
  attempts?: Attempts;
  requestId?: string;
}

/** Whether the process lives, how it is talked to, and where one says who one is. */
const FOR_EVERYBODY: ReadonlySet<string> = new Set([
  ...['GET /healthz', 'GET /readyz', 'GET /v1/openapi.json'],
  ...['GET /identity', 'GET /identity/v3', 'POST /identity/v3/auth/tokens'],
  ...['GET /compute', 'GET /compute/v2', 'GET /compute/v2.1', 'GET /placement', 'GET /image'],
]);

/** Whether nobody is asked who he is. */
export function isForEverybody({ method, routeOptions }: Pick<CallerRequest, 'method' | 'routeOptions'>): boolean {
  const shown = method === 'HEAD' ? 'GET' : method;
  return FOR_EVERYBODY.has(`${shown} ${(routeOptions.url ?? '').replace(/(?<=.)\/$/, '')}`);
}

/** Whether it is asked how the process is: never counted, never slowed down. */
export function isOfHealth({ routeOptions }: Pick<CallerRequest, 'routeOptions'>): boolean {
  return routeOptions.url === '/healthz' || routeOptions.url === '/readyz';
}

/** The caller of the request, in the arguments of a handler. */
export const CurrentCaller = createParamDecorator((_data: unknown, context: ExecutionContext): Caller =>
  callerOf(context),
);

/** @throws BerthError `auth.required` where the request has none */
export function callerOf(context: ExecutionContext): Caller {
  const { caller, requestId } = context.switchToHttp().getRequest<CallerRequest>();
  if (!caller) throw new BerthError('auth.required', 'Say who you are: this path is not for everybody');
  return requestId === undefined ? caller : { ...caller, requestId };
}

export function hasRole({ role }: Pick<Caller, 'role'>, needed: AuthRole): boolean {
  return RANKS.indexOf(role) >= RANKS.indexOf(needed);
}

export function isAdmin(caller: Pick<Caller, 'role'>): boolean {
  return hasRole(caller, 'admin');
}

/** The highest of some role names, whatever others there are among them; null: none that means anything here. */
export function highestRole(names: readonly string[]): AuthRole | null {
  const known = new Set(names.map((name) => name.toLowerCase()));
  // Keystone's `manager` stands between member and admin, and manages users, which Berth has none of.
  if (known.has('manager')) known.add('member');
  return RANKS.findLast((role) => known.has(role)) ?? null;
}

/** Whether something of a project is there for the caller at all: to everybody else it does not exist. */
export function mayKnow(caller: Caller, projectId: string): boolean {
  return isAdmin(caller) || caller.projectId === projectId;
}

/**
 * The project that a list is limited to; null: all of them.
 *
 * @param asked as the query says; an administrator who says nothing sees all projects
 * @throws BerthError `auth.forbidden` for another's
 */
export function listedProject(caller: Caller, asked: string | undefined): string | null {
  if (isAdmin(caller)) return asked ?? null;
  if (asked === undefined || asked === caller.projectId) return caller.projectId;
  throw new BerthError('auth.forbidden', 'project_id: only an administrator may look into other projects');
}
