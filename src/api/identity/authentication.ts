import type { Caller } from './caller.js';

/** The headers of a request that say who asks; of one that comes twice there is none. */
export interface RequestHeaders {
  readonly authorization?: string | undefined;
  readonly host?: string | undefined;
  readonly 'x-auth-token'?: string | string[] | undefined;
}

/** Finds out who asks; the class is the token it is injected by. */
export abstract class Authentication {
  /** @throws BerthError `auth.required`, `auth.forbidden`, `auth.busy`, `auth.unavailable` */
  abstract callerOf(headers: RequestHeaders): Promise<Caller>;
}
