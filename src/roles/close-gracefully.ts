import type { Server } from 'node:http';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

const SWEEP_MS = 50;
const PATIENCE_MS = 5_000;

/**
 * Closes the application; requests that run are answered first.
 *
 * Node closes the connections that are idle when the server closes, and no later: one whose request ends after that would
 * keep the process for the keep-alive time (72 s), one that never sent a request for a minute. So the idle ones are looked
 * for again until all are gone, and what is left after five seconds is cut.
 */
export async function closeGracefully(app: NestFastifyApplication): Promise<void> {
  const server: Server = app.getHttpServer();
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  const cut = setTimeout(() => server.closeAllConnections(), PATIENCE_MS);
  try {
    await app.close();
  } finally {
    clearInterval(sweep);
    clearTimeout(cut);
  }
}
