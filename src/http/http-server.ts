import helmet from '@fastify/helmet';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { HttpSettings } from '../settings/settings.js';
import { readServerTls } from './http-tls.js';

/** Request line and headers together; more is 431. A token of Keystone may have 8 KiB. */
const HEADER_BYTES_MAX = 16 * 1024;
/** So long the headers of a request may take, and so long all of it; a client that sends a byte now and then is let go (408). */
const HEADERS_MS_MAX = 20_000;
const REQUEST_MS_MAX = 60_000;
const SLOW_LOOK_MS = 5_000;
const KEEP_ALIVE_MS = 72_000;
/** Above every name and key that we take, in percent-encoding. */
export const PARAMETER_LENGTH_MAX = 2_048;

const YEAR_S = 365 * 24 * 3600;

/**
 * What a browser may do with an answer: nothing. A console for browsers gives its own routes a wider policy, by
 * `@RouteConfig({ helmet: { contentSecurityPolicy: … } })`, and leaves this one alone.
 */
export const CONTENT_POLICY = {
  useDefaults: false,
  directives: {
    'default-src': ["'none'"],
    'frame-ancestors': ["'none'"],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
  },
};

/**
 * The HTTP server of a role, with or without TLS, and with limits on everything that a client can draw out.
 *
 * @param more what the role's face adds
 * @throws BerthError `settings.invalid` when the certificate cannot be used
 */
export function httpAdapter(settings: HttpSettings, more: object = {}): FastifyAdapter {
  const tls = readServerTls(settings.tls);
  const limits = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_MS_MAX,
    connectionsCheckingInterval: SLOW_LOOK_MS,
  };
  const options = {
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    trustProxy: settings.trustedProxies.length > 0 ? [...settings.trustedProxies] : false,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    ...(tls ? { https: { ...limits, ...tls } } : { http: limits }),
    ...more,
  };
  return new FastifyAdapter(options as object);
}

/** What {@link secureAnswers} adds, as far as it matters, for answers that are given before any hook is asked. */
export const HEADERS_WITHOUT_HOOKS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': Object.entries(CONTENT_POLICY.directives)
    .map(([name, values]) => `${name} ${values.join(' ')}`)
    .join(';'),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** Headers for browsers, and for caches in between: what is answered depends on who asks. To be called before other hooks are added. */
export async function secureAnswers(app: NestFastifyApplication, { tls }: HttpSettings): Promise<void> {
  await app.register(helmet as never, {
    contentSecurityPolicy: CONTENT_POLICY,
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: tls.certFile !== null && { maxAge: YEAR_S, includeSubDomains: false },
  });
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
    });
}
