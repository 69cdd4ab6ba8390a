import { isIP } from 'node:net';
import { BerthError } from '../errors.js';
import { certificatePair, readPem } from '../settings/pem-file.js';
import type { DatabaseSettings } from '../settings/settings.js';

/**
 * The URL by which the driver connects: `database.url`, and what `database.tls` says of it, in the words of libpq.
 *
 * @returns null: the embedded database
 * @throws BerthError `settings.invalid` when both say something of TLS, or a file cannot be read; the URL is not repeated
 */
export function databaseAddress({ url, tls }: DatabaseSettings): string | null {
  if (url === null) return null;
  const { mode = null, caFile = null, certFile = null, keyFile = null } = tls ?? {};
  const client = certificatePair('database.tls', { certFile, keyFile });
  if (mode === null) {
    if (caFile === null && client === null) return url;
    throw invalid('database.tls.mode: say require or verify-full; without it the files of database.tls are not used');
  }
  if ([...new URL(url).searchParams.keys()].some((name) => name.startsWith('ssl'))) {
    throw invalid('database.url: says something of TLS, and so does database.tls.mode; say it in one place');
  }
  if (mode === 'verify-full' && isIP(new URL(url).hostname.replace(/^\[|\]$/g, '')) !== 0) {
    // the driver has names compared, and would compare another one
    throw invalid(
      'database.url: names an address; with database.tls.mode verify-full it has to be the name of the server',
    );
  }
  // uselibpqcompat: the driver's own reading of `require` is another one
  const words: Record<string, string> = { sslmode: mode, uselibpqcompat: 'true' };
  if (mode !== 'disable') {
    if (caFile !== null) words['sslrootcert'] = readable('ca_file', caFile);
    if (client !== null) {
      words['sslcert'] = readable('cert_file', client.certFile);
      words['sslkey'] = readable('key_file', client.keyFile);
    }
  }
  const query = Object.entries(words).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `${url}${url.includes('?') ? '&' : '?'}${query.join('&')}`;
}

function readable(key: string, file: string): string {
  readPem(`database.tls.${key}`, file);
  return file;
}

function invalid(problem: string): BerthError {
  return new BerthError('settings.invalid', problem);
}
