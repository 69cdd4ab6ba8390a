import type { Attempts } from './attempts.js';
import type { Caller } from './caller.js';

/** The headers of a request that say who asks; of one that comes twice there is none. */
export interface RequestHeaders {
  readonly authorization?: string | undefined;
  readonly host?: string | undefined;
  readonly 'x-auth-token'?: string | string[] | undefined;
}

/** Finds out who asks; the class is the token it is injected by. */
export abstract class Authentication {
  /**
   * @param attempts of whoever asks; left out: nobody counts
   * @throws BerthError `auth.required`, `auth.forbidden`, `auth.busy`, `auth.unavailable`, `request.too_many`
   */
  abstract callerOf(headers: RequestHeaders, attempts?: Attempts): Promise<Caller>;
}
