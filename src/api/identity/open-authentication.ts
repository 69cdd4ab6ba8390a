import { Logger } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import type { AuthSettings, HttpSettings } from '../../settings/settings.js';
import type { Ledger } from '../../store/ledger.js';
import { BasicAuthentication } from './basic-authentication.js';
import type { Authentication, RequestHeaders } from './authentication.js';
import { type Caller, LOCAL_ADMIN } from './caller.js';
import { KeystoneAuthentication } from './keystone-authentication.js';
import { isLoopback, isLoopbackHost } from './loopback.js';

/**
 * @throws BerthError `settings.invalid` when the strategy lacks something, or is `none` where others than this machine can ask
 */
export async function openAuthentication(
  settings: AuthSettings,
  http: Pick<HttpSettings, 'host' | 'tls' | 'publicUrl'>,
  ledger: () => Ledger,
): Promise<Authentication> {
  const logger = new Logger('Authentication');
  if (settings.strategy !== 'none' && isReadOnTheWay(http)) logger.warn({ message: READ_ON_THE_WAY, host: http.host });
  if (settings.strategy === 'keystone') return KeystoneAuthentication.open(settings.keystone);
  if (settings.strategy === 'http_basic') {
    return BasicAuthentication.open(settings, ledger, (problem) =>
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

const READ_ON_THE_WAY =
  'passwords and tokens cross the network readable for everybody on the way: set http.tls.cert_file and key_file, or put a TLS ' +
  'proxy in front, have it alone reach http.host, and set http.public_url to its https:// address';

/** Who says that clients come by https has a proxy in front. */
function isReadOnTheWay({ host, tls, publicUrl }: Pick<HttpSettings, 'host' | 'tls' | 'publicUrl'>): boolean {
  return !isLoopback(host) && tls.certFile === null && !publicUrl?.startsWith('https:');
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
