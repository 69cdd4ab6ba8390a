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

type Kind = 'databaseUrl' | 'amqpUrl';

interface Shared {
  users: number;
  readonly services: Map<Kind, Promise<Service>>;
}

/** Each vitest project loads this file anew; the process is what they share. */
const shared: Shared = ((globalThis as { berthTestServices?: Shared }).berthTestServices ??= {
  users: 0,
  services: new Map(),
});

/**
 * vitest's global setup of the projects that need services: `DATABASE_URL` and `AMQP_URL` where they are set, else
 * services of our own, once for all projects. What cannot be had fails the run; nothing is skipped.
 *
 * @returns the teardown
 */
export function setup(project: TestProject): Promise<() => Promise<void>> {
  return provide(project, ['databaseUrl', 'amqpUrl']);
}

/** The same of some of the services. */
export async function provide(project: TestProject, kinds: readonly Kind[]): Promise<() => Promise<void>> {
  shared.users += 1;
  const ends = await Promise.allSettled(kinds.map(async (kind) => project.provide(kind, (await service(kind)).url)));
  const failed = ends.find((end) => end.status === 'rejected');
  if (!failed) return stopServices;
  await stopServices();
  throw failed.reason;
}

function service(kind: Kind): Promise<Service> {
  const known = shared.services.get(kind);
  if (known) return known;
  const started = kind === 'databaseUrl' ? startOrTake('Postgres') : startOrTake('RabbitMQ');
  shared.services.set(kind, started);
  return started;
}

async function startOrTake(name: 'Postgres' | 'RabbitMQ'): Promise<Service> {
  const startedAt = Date.now();
  const started =
    name === 'Postgres'
      ? await (given('DATABASE_URL') ?? startPostgres())
      : await (given('AMQP_URL') ?? startRabbitMq());
  process.stderr.write(`${name} is up (${((Date.now() - startedAt) / 1000).toFixed(1)} s).\n`);
  return started;
}

/** A service that was started by somebody else and stays. */
function given(variable: string): Service | null {
  const url = process.env[variable];
  return url === undefined || url === '' ? null : { url, stop: () => Promise.resolve() };
}

async function stopServices(): Promise<void> {
  shared.users -= 1;
  if (shared.users > 0) return;
  const started = await Promise.allSettled(shared.services.values());
  shared.services.clear();
  await Promise.all(started.map((end) => (end.status === 'fulfilled' ? end.value.stop() : undefined)));
}
