import { Logger, Module, type DynamicModule, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BerthError, messageOf } from '../errors.js';
import { HealthModule, type Checks } from '../health/health.module.js';
import { httpAdapter, secureAnswers } from '../http/http-server.js';
import { renewCertificate } from '../http/http-tls.js';
import type { ConfigurationUser, LiveConfiguration } from '../settings/live-configuration.js';
import type { HttpSettings, Settings } from '../settings/settings.js';
import type { EmbeddedPostgres } from '../store/embedded-postgres.js';
import { closeGracefully } from './close-gracefully.js';
import type { RoleLogger } from './role-logger.js';

export interface RunningRole {
  /** Of the role's HTTP face: the REST face, or only `/healthz` and `/readyz`. */
  readonly url: string;
  /** Finishes or returns what the role holds, then closes everything that it opened. */
  stop(): Promise<void>;
}

@Module({})
class RoleModule {}

/** A role without a REST face: its rooms and the two health paths. */
export async function createRole(
  rooms: readonly DynamicModule[],
  health: {
    role: string;
    http: HttpSettings;
    logger: RoleLogger;
    checks: (app: INestApplication) => ReturnType<Checks>;
  },
): Promise<NestFastifyApplication> {
  let app: NestFastifyApplication | null = null;
  const checks: Checks = async () => (app ? health.checks(app) : { started: { ok: false, message: 'starting' } });
  const module: DynamicModule = {
    module: RoleModule,
    imports: [...rooms, HealthModule.register({ role: health.role, checks })],
  };
  app = await NestFactory.create<NestFastifyApplication>(module, httpAdapter(health.http), {
    abortOnError: false,
    logger: health.logger,
  });
  await secureAnswers(app, health.http);
  return app;
}

/** Listens, and from then on takes over what changes in the configuration. */
export async function serve(
  app: NestFastifyApplication,
  configuration: LiveConfiguration,
  user: ConfigurationUser,
  postgres: EmbeddedPostgres | null = null,
): Promise<RunningRole> {
  const running = await listen(app, configuration.settings(), postgres);
  configuration.start({
    ...user,
    follow: async (inForce, state) => {
      followCertificate(app, inForce.http);
      await user.follow?.(inForce, state);
    },
  });
  return {
    url: running.url,
    stop: async () => {
      await configuration.stop();
      await running.stop();
    },
  };
}

/** Whoever renews a certificate sends SIGHUP; one that cannot be used is told, and the old one stays. */
function followCertificate(app: NestFastifyApplication, { tls }: HttpSettings): void {
  try {
    renewCertificate(app.getHttpServer(), tls);
  } catch (error) {
    new Logger('Http').error({ message: 'the certificate read before stays in use', problem: messageOf(error) });
  }
}

async function listen(
  app: NestFastifyApplication,
  settings: Settings,
  postgres: EmbeddedPostgres | null,
): Promise<RunningRole> {
  const { host, port } = settings.http;
  try {
    await app.listen(port, host);
  } catch (cause) {
    await app.close();
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    throw new BerthError('settings.invalid', `http.port: ${port} is in use; set BERTH_HTTP_PORT to another`, { cause });
  }
  return {
    url: (await app.getUrl()).replace('[::1]', '127.0.0.1'),
    stop: async () => {
      await closeGracefully(app);
      await postgres?.stop();
    },
  };
}
