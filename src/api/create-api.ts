import type { IncomingMessage } from 'node:http';
import { Logger, type DynamicModule, type INestApplication, type LoggerService, type LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { BatchesModule } from '../batches/batches.module.js';
import { BerthError, messageOf } from '../errors.js';
import type { Check, Checks } from '../health/health.module.js';
import type { ReloadOutcome } from '../settings/live-configuration.js';
import type { HttpSettings, Settings } from '../settings/settings.js';
import { Ledger } from '../store/ledger.js';
import { StoreModule } from '../store/store.module.js';
import { ApiModule } from './api.module.js';
import type { Authentication } from './identity/authentication.js';
import { openAuthentication } from './identity/open-authentication.js';
import { type CallerRequest, isForEverybody } from './identity/caller.js';
import { KnownPaths } from './known-paths.js';
import { openApiText } from './openapi.js';
import { assertOwnPath } from './openstack/compute/url.js';
import { type FaceRequest, faceUrl, greet } from './openstack/faces.js';
import { IMAGE_PATCH_TYPE } from './openstack/image/images.dto.js';
import { type ProblemReply, sendProblem } from './problem.filter.js';

/** Above every name and key that we take, in percent-encoding. */
const PARAMETER_LENGTH_MAX = 2_048;
const REQUEST_TIMEOUT_MS = 60_000;

export interface ApiSettings {
  readonly database: Settings['database'];
  readonly http: HttpSettings;
  readonly auth: Settings['auth'];
  readonly scheduler: Settings['scheduler'];
  readonly pci: Pick<Settings['pci'], 'exclusiveTags'>;
}

export interface ApiStart {
  /** The role that `/healthz` names; `api` when left out. */
  readonly role?: string;
  /** What `/readyz` asks beside database and migrations. */
  readonly checks?: (app: INestApplication) => Readonly<Record<string, Check>>;
  /** Shared with other rooms of the process; by default one of its own. */
  readonly store?: DynamicModule;
  /** What decides, shared with other rooms of the process; by default its own. */
  readonly batches?: DynamicModule;
  /** Further rooms of the process. */
  readonly rooms?: readonly DynamicModule[];
  /** `false` leaves the database alone: only the shape of the program is wanted. */
  readonly connect?: boolean;
  readonly logger?: LoggerService | LogLevel[] | false;
  /** Has the configuration files read again; without it nobody can ask for that. */
  readonly reload?: () => Promise<ReloadOutcome>;
}

/**
 * The REST application, ready to `listen` or `init`.
 *
 * @throws BerthError `settings.invalid` without a database URL, or when nobody could be told from anybody; TypeORM's error when the database stays out of reach
 */
export async function createApi(settings: ApiSettings, start: ApiStart = {}): Promise<NestFastifyApplication> {
  const { url, poolMax } = settings.database;
  if (url === null) throw new BerthError('settings.invalid', 'database.url: is missing; the API needs a database');
  const adapter = new FastifyAdapter({
    bodyLimit: settings.http.bodyBytesMax,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    rewriteUrl: (request: IncomingMessage) => faceUrl(request.url ?? '/'),
    frameworkErrors: (error: Error, request: { readonly url: string }, reply: unknown) => {
      const problem = new BerthError('request.invalid', error.message, { cause: error });
      sendProblem(reply as ProblemReply, problem, request);
    },
  });
  let app: NestFastifyApplication | null = null;
  const ledger = (): Ledger => (app as NestFastifyApplication).get(Ledger, { strict: false });
  const authentication = await openAuthentication(settings.auth, settings.http, ledger);
  const checks: Checks = async () => ({
    ...(await app?.get(Ledger, { strict: false }).check()),
    ...(app && start.checks?.(app)),
  });
  const store = start.store ?? StoreModule.register({ url, poolMax, connect: start.connect !== false });
  const module = ApiModule.register({
    store,
    batches: start.batches ?? BatchesModule.register(settings.scheduler, store),
    rooms: start.rooms ?? [],
    http: settings.http,
    authentication,
    scheduler: settings.scheduler,
    pci: settings.pci,
    reload: start.reload ?? null,
    health: { role: start.role ?? 'api', checks },
  });
  const created = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    bodyParser: false, // Nest's would take forms, too
    abortOnError: false,
    ...(start.logger === undefined ? {} : { logger: start.logger }),
  });
  app = created;
  prepareFastify(created, authentication);
  return created;
}

function prepareFastify(app: NestFastifyApplication, authentication: Authentication): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: unknown, text: string) =>
    parseJson(text),
  );
  fastify.addContentTypeParser(IMAGE_PATCH_TYPE, { parseAs: 'string' }, async (_request: unknown, text: string) => ({
    steps: parseJson(text),
  }));
  // Not read: what an image has in it is refused, whatever its size.
  fastify.addContentTypeParser('application/octet-stream', async () => undefined);
  const paths = new KnownPaths();
  fastify.addHook('onRoute', ({ method, url }) => paths.add(method, url));
  fastify.addHook('onRequest', async (request, reply) => {
    greet(request as FaceRequest, reply);
    if (request.is404) throw paths.refusal(request.method, request.url);
    if (isForEverybody(request)) return;
    const caller = await authentication.callerOf(request.headers);
    (request as CallerRequest).caller = caller;
    assertOwnPath(caller, request.originalUrl);
  });
  const logger = new Logger('Http');
  fastify.addHook('onResponse', async (request, reply) => {
    logger.log({
      message: 'request',
      method: request.method,
      url: request.url.slice(0, PARAMETER_LENGTH_MAX),
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    });
  });
  let text: string | null = null;
  fastify.get('/v1/openapi.json', async (_request, reply) => {
    text ??= openApiText(app);
    return reply.header('content-type', 'application/json; charset=utf-8').send(text);
  });
}

/** `__proto__` and depth are the validation's business; no body at all is fine where none is wanted. */
function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BerthError('request.invalid', `The body is not JSON: ${messageOf(cause).slice(0, 200)}`, { cause });
  }
}
