import { Logger } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import type { AuthSettings, HttpSettings } from '../../settings/settings.js';
import { BasicAuthentication } from './basic-authentication.js';
import { type Caller, LOCAL_ADMIN } from './caller.js';
import { KeystoneAuthentication } from './keystone-authentication.js';
import { isLoopback, isLoopbackHost } from './loopback.js';

/** The headers of a request that say who asks; of one that comes twice there is none. */
export interface RequestHeaders {
  readonly authorization?: string | undefined;
  readonly host?: string | undefined;
  readonly 'x-auth-token'?: string | string[] | undefined;
}

/** Finds out who asks. */
export interface Authentication {
  /** @throws BerthError `auth.required`, `auth.forbidden`, `auth.busy`, `auth.unavailable` */
  callerOf(headers: RequestHeaders): Promise<Caller>;
}

/**
 * @throws BerthError `settings.invalid` when the strategy lacks something, or is `none` where others than this machine can ask
 */
export async function openAuthentication(
  settings: AuthSettings,
  http: Pick<HttpSettings, 'host'>,
): Promise<Authentication> {
  if (settings.strategy === 'keystone') return KeystoneAuthentication.open(settings.keystone);
  if (settings.strategy === 'http_basic') {
    const logger = new Logger('Authentication');
    return BasicAuthentication.open(settings, (problem) =>
      logger.warn({ message: 'the users that were read before stay in force', problem }),
    );
  }
  if (isLoopback(http.host)) return new NoAuthentication();
  throw new BerthError(
    'settings.invalid',
    `auth.strategy: none lets everybody do everything, so it is for loopback only, and http.host is ${http.host}; ` +
      'set auth.strategy to http_basic or keystone, or http.host to 127.0.0.1',
  );
}

/** Everybody on this machine is the administrator. */
class NoAuthentication implements Authentication {
  /** A browser that was led here by a name of somebody's own sends that name. */
  async callerOf({ host }: RequestHeaders): Promise<Caller> {
    if (host === undefined || isLoopbackHost(host)) return LOCAL_ADMIN;
    throw new BerthError(
      'auth.forbidden',
      'Without authentication only this machine is served, under the name localhost or 127.0.0.1',
    );
  }
}
