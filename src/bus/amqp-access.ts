import { credentials } from 'amqplib';
import { BerthError } from '../errors.js';
import { certificatePair, readPem } from '../settings/pem-file.js';
import type { BusSettings } from '../settings/settings.js';

const HEARTBEAT_S = 10;

/** How the broker is reached, and who says so. */
export interface AmqpAccess {
  readonly url: URL;
  /** For the socket and the login. */
  readonly options: Readonly<Record<string, unknown>>;
}

export type AccessSettings = Partial<Pick<BusSettings, 'tls' | 'auth'>> & { readonly url: string };

/** @throws BerthError `settings.invalid` when the URL is none of AMQP, or does not go with the other settings; it is not repeated */
export function amqpAccess({ url: text, tls, auth = 'plain' }: AccessSettings): AmqpAccess {
  const url = brokerUrl(text);
  const { caFile = null, certFile = null, keyFile = null } = tls ?? {};
  const client = certificatePair('bus.tls', { certFile, keyFile });
  if (url.protocol === 'amqp:' && (caFile !== null || client !== null)) {
    throw invalid('bus.url: has to begin with amqps:// when bus.tls names files; amqp:// is not encrypted');
  }
  if (auth === 'external' && client === null) {
    throw invalid('bus.auth: external logs in by a certificate; bus.tls.cert_file and key_file are missing');
  }
  if (auth === 'external' && (url.username !== '' || url.password !== '')) {
    throw invalid('bus.url: names a user; with bus.auth external the certificate says who it is');
  }
  return {
    url,
    options: {
      ...(caFile === null ? {} : { ca: readPem('bus.tls.ca_file', caFile) }),
      ...(client === null
        ? {}
        : {
            cert: readPem('bus.tls.cert_file', client.certFile),
            key: readPem('bus.tls.key_file', client.keyFile),
          }),
      ...(auth === 'external' ? { credentials: credentials.external() } : {}),
    },
  };
}

function brokerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !['amqp:', 'amqps:'].includes(url.protocol) || !url.hostname) {
    throw invalid('bus.url: amqp://user:password@host:port/vhost is needed');
  }
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(HEARTBEAT_S));
  return url;
}

function invalid(problem: string): BerthError {
  return new BerthError('settings.invalid', problem);
}
