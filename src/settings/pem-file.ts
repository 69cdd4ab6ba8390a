import { readFileSync } from 'node:fs';
import { BerthError, messageOf } from '../errors.js';

/**
 * What is in a file of certificates or keys; what is in it is in no message.
 *
 * @param setting for the message: `http.tls.key_file`
 * @throws BerthError `settings.invalid` when it cannot be read, or is none
 */
export function readPem(setting: string, file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new BerthError('settings.invalid', `${setting}: ${messageOf(cause)}`, { cause });
  }
  if (text.includes('-----BEGIN ')) return text;
  throw new BerthError('settings.invalid', `${setting}: ${file} has nothing in it that PEM files have`);
}

/**
 * A certificate with its key; null: none.
 *
 * @param section of the settings: `bus.tls`
 * @throws BerthError `settings.invalid` when one of the two is missing
 */
export function certificatePair(
  section: string,
  { certFile, keyFile }: { readonly certFile: string | null; readonly keyFile: string | null },
): { readonly certFile: string; readonly keyFile: string } | null {
  if (certFile === null && keyFile === null) return null;
  if (certFile !== null && keyFile !== null) return { certFile, keyFile };
  const [missing, given] = certFile === null ? ['cert_file', 'key_file'] : ['key_file', 'cert_file'];
  throw new BerthError('settings.invalid', `${section}.${missing}: is missing; ${section}.${given} is given`);
}
