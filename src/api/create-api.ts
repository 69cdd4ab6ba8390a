import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Logger, type DynamicModule, type INestApplication, type LoggerService, type LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BatchesModule } from '../batches/batches.module.js';
import { BerthError, messageOf } from '../errors.js';
import type { Check, Checks } from '../health/health.module.js';
import { HEADERS_WITHOUT_HOOKS, httpAdapter, PARAMETER_LENGTH_MAX, secureAnswers } from '../http/http-server.js';
import type { ReloadOutcome } from '../settings/live-configuration.js';
import type { HttpSettings, Settings } from '../settings/settings.js';
import { databaseAddress } from '../store/database-address.js';
import { Ledger } from '../store/ledger.js';
import { StoreModule } from '../store/store.module.js';
import { ApiModule } from './api.module.js';
import type { Authentication } from './identity/authentication.js';
import { openAuthentication } from './identity/open-authentication.js';
import { type CallerRequest, isForEverybody, isOfHealth } from './identity/caller.js';
import { KnownPaths } from './known-paths.js';
import { openApiText } from './openapi.js';
import { assertOwnPath } from './openstack/compute/url.js';
import { type FaceRequest, faceUrl, greet } from './openstack/faces.js';
import { IMAGE_PATCH_TYPE } from './openstack/image/images.dto.js';
import { type ProblemReply, sendProblem } from './problem.filter.js';
import { Rates } from './rates.js';

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
  const url = databaseAddress(settings.database);
  if (url === null) throw new BerthError('settings.invalid', 'database.url: is missing; the API needs a database');
  const adapter = httpAdapter(settings.http, {
    rewriteUrl: (request: IncomingMessage) => faceUrl(request.url ?? '/'),
    frameworkErrors: (error: Error, request: { readonly url: string }, reply: ProblemReply) => {
      const problem = new BerthError('request.invalid', error.message, {
        cause: error,
        details: { headers: HEADERS_WITHOUT_HOOKS },
      });
      sendProblem(reply, problem, request);
    },
  });
  let app: NestFastifyApplication | null = null;
  const ledger = (): Ledger => (app as NestFastifyApplication).get(Ledger, { strict: false });
  const authentication = await openAuthentication(settings.auth, settings.http, ledger);
  const checks: Checks = async () => ({
    ...(await app?.get(Ledger, { strict: false }).check()),
    ...(app && start.checks?.(app)),
  });
  const store =
    start.store ?? StoreModule.register({ url, poolMax: settings.database.poolMax, connect: start.connect !== false });
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
  await secureAnswers(created, settings.http);
  prepareFastify(created, authentication, await Rates.open(created, settings.http.rate));
  return created;
}

function prepareFastify(app: NestFastifyApplication, authentication: Authentication, rates: Rates): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: unknown, text: string) =>
    parseJson(text),
  );
  fastify.addContentTypeParser(IMAGE_PATCH_TYPE, { parseAs: 'string' }, async (_request: unknown, text: string) => ({
    steps: parseJson(text),
  }));
  fastify.addContentTypeParser('application/octet-stream', async (_request: unknown, payload: Readable) => ({
    is_empty: await isEmpty(payload),
  }));
  const paths = new KnownPaths();
  fastify.addHook('onRoute', ({ method, url }) => paths.add(method, url));
  fastify.addHook('onRequest', async (request, reply) => {
    if (isOfHealth(request)) return;
    const asked: CallerRequest & FaceRequest & { readonly ip: string } = request;
    asked.attempts = rates.attemptsOf(asked);
    try {
      greet(asked, reply);
      if (request.is404) throw paths.refusal(request.method, request.url);
      if (!isForEverybody(request)) asked.caller = await authentication.callerOf(request.headers, asked.attempts);
    } finally {
      await rates.count(asked);
    }
    if (asked.caller) assertOwnPath(asked.caller, request.originalUrl);
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

/** Whether nothing comes. What comes is thrown away as it comes: data are not kept anywhere. */
function isEmpty(payload: Readable): Promise<boolean> {
  return new Promise((resolve, reject) => {
    payload.once('data', () => resolve(false));
    payload.once('end', () => resolve(true));
    payload.once('error', reject);
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
