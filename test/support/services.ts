import type { TestProject } from 'vitest/node';

import { startPostgres } from './postgres.js';
import { startRabbitMq } from './rabbitmq.js';

export { startPostgres, type TestPostgres } from './postgres.js';
export { startRabbitMq, type TestRabbitMq } from './rabbitmq.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** An empty database whose user may create databases; see `createTestDatabase`. */
    databaseUrl: string;
    /** A RabbitMQ that all test files share: use names of your own for queues. */
    amqpUrl: string;
  }
}

interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

interface Services {
  readonly postgres: Service;
  readonly rabbitMq: Service;
}

interface Shared {
  users: number;
  services: Promise<Services> | null;
}

/** Each vitest project loads this file anew; the process is what they share. */
const shared: Shared = ((globalThis as { berthTestServices?: Shared }).berthTestServices ??= {
  users: 0,
  services: null,
});

/**
 * vitest's global setup of the projects that need services: `DATABASE_URL` and `AMQP_URL` where they are set, else
 * services of our own, once for all projects. What cannot be had fails the run; nothing is skipped.
 *
 * @returns the teardown
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.users += 1;
  shared.services ??= startServices();
  try {
    const { postgres, rabbitMq } = await shared.services;
    project.provide('databaseUrl', postgres.url);
    project.provide('amqpUrl', rabbitMq.url);
  } catch (error) {
    shared.users -= 1;
    throw error;
  }
  return stopServices;
}

async function startServices(): Promise<Services> {
  const startedAt = Date.now();
  const [postgres, rabbitMq] = await Promise.allSettled([
    given('DATABASE_URL') ?? startPostgres(),
    given('AMQP_URL') ?? startRabbitMq(),
  ]);
  if (postgres.status === 'fulfilled' && rabbitMq.status === 'fulfilled') {
    process.stderr.write(`Postgres and RabbitMQ are up (${((Date.now() - startedAt) / 1000).toFixed(1)} s).\n`);
    return { postgres: postgres.value, rabbitMq: rabbitMq.value };
  }
  for (const service of [postgres, rabbitMq]) if (service.status === 'fulfilled') await service.value.stop();
  throw postgres.status === 'rejected' ? postgres.reason : (rabbitMq as PromiseRejectedResult).reason;
}

/** A service that was started by somebody else and stays. */
function given(variable: string): Service | null {
  const url = process.env[variable];
  return url === undefined || url === '' ? null : { url, stop: () => Promise.resolve() };
}

async function stopServices(): Promise<void> {
  shared.users -= 1;
  if (shared.users > 0 || shared.services === null) return;
  const { postgres, rabbitMq } = await shared.services;
  shared.services = null;
  await Promise.all([postgres.stop(), rabbitMq.stop()]);
}
