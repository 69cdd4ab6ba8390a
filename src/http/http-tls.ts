import { readFileSync } from 'node:fs';
import { createSecureContext, Server } from 'node:tls';
import { BerthError, messageOf } from '../errors.js';
import type { HttpTlsSettings } from '../settings/settings.js';

/** Older ones have known weaknesses. */
const OLDEST_VERSION = 'TLSv1.2';
/** A client that connects and says nothing is let go. */
const HANDSHAKE_MS_MAX = 10_000;

/** What `https.createServer` needs. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: typeof OLDEST_VERSION;
  readonly handshakeTimeout: number;
}

/**
 * The certificate of the HTTP face; null: it speaks plain HTTP.
 *
 * @throws BerthError `settings.invalid` when a file is missing, cannot be read, or the two do not belong together
 */
export function readServerTls({ certFile, keyFile }: HttpTlsSettings): ServerTls | null {
  if (certFile === null && keyFile === null) return null;
  if (certFile === null) throw invalid('http.tls.cert_file: is missing; http.tls.key_file is given');
  if (keyFile === null) throw invalid('http.tls.key_file: is missing; http.tls.cert_file is given');
  const cert = readPem('http.tls.cert_file', certFile);
  const key = readPem('http.tls.key_file', keyFile);
  try {
    createSecureContext({ cert, key, minVersion: OLDEST_VERSION });
  } catch (cause) {
    throw invalid(`http.tls: ${certFile} and ${keyFile} cannot be used together: ${messageOf(cause)}`, cause);
  }
  return { cert, key, minVersion: OLDEST_VERSION, handshakeTimeout: HANDSHAKE_MS_MAX };
}

/**
 * Reads the certificate again for connections that come from now on; those that are open keep theirs. Nothing where the server speaks
 * plain HTTP.
 *
 * @throws BerthError `settings.invalid`; then the old certificate stays
 */
export function renewCertificate(server: unknown, settings: HttpTlsSettings): void {
  if (!(server instanceof Server)) return;
  const tls = readServerTls(settings);
  if (tls) server.setSecureContext(tls);
}

function readPem(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw invalid(`${setting}: ${messageOf(cause)}`, cause);
  }
}

function invalid(problem: string, cause?: unknown): BerthError {
  return new BerthError('settings.invalid', problem, { cause });
}
