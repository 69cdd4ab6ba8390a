import { createSecureContext, Server } from 'node:tls';
import { BerthError, messageOf } from '../errors.js';
import { certificatePair, readPem } from '../settings/pem-file.js';
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
export function readServerTls(settings: HttpTlsSettings): ServerTls | null {
  const pair = certificatePair('http.tls', settings);
  if (pair === null) return null;
  const cert = readPem('http.tls.cert_file', pair.certFile);
  const key = readPem('http.tls.key_file', pair.keyFile);
  try {
    createSecureContext({ cert, key, minVersion: OLDEST_VERSION });
  } catch (cause) {
    const problem = `http.tls: ${pair.certFile} and ${pair.keyFile} cannot be used together: ${messageOf(cause)}`;
    throw new BerthError('settings.invalid', problem, { cause });
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
