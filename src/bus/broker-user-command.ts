import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { BerthError, messageOf } from '../errors.js';
import { HOST_NAME } from '../messages/routes.js';
import { definitionsOf, rabbitmqctlLines } from './broker-user.js';

/** As the command line has them. */
export interface BrokerUserOptions {
  readonly vhost: string;
  readonly passwordFile?: string;
  readonly external?: boolean;
  readonly definitions?: boolean;
}

const PASSWORD_BYTES = 24;

/**
 * `berth broker-user HOST`: what makes the broker's user of one host's agent. Nothing is changed at the broker; a password that is not
 * there yet is made and written into its file.
 *
 * @throws BerthError `settings.invalid`
 */
export function brokerUserText(
  host: string,
  { vhost, passwordFile, external, definitions }: BrokerUserOptions,
): string {
  if (!HOST_NAME.test(host)) throw invalid(`"${host.slice(0, 100)}" is no name of a host`);
  if ((passwordFile === undefined) === (external !== true)) {
    throw invalid('say how the agent logs in: --password-file FILE, or --external for a certificate');
  }
  const password = passwordFile === undefined ? null : passwordOf(passwordFile);
  if (definitions) return `${JSON.stringify(definitionsOf(host, vhost, password), null, 2)}\n`;
  const login =
    passwordFile === undefined ? { by: 'certificate' as const } : { by: 'password' as const, file: passwordFile };
  return `${rabbitmqctlLines(host, vhost, login).join('\n')}\n`;
}

/** Its first line; a file that is not there is made, for nobody else to read. */
function passwordOf(file: string): string {
  try {
    writeFileSync(file, `${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw invalid(`--password-file: ${messageOf(error)}`);
  }
  const [password = ''] = readFileSync(file, 'utf8').split('\n');
  if (password.trim() === '') throw invalid(`--password-file: ${file} has no password in its first line`);
  return password;
}

function invalid(problem: string): BerthError {
  return new BerthError('settings.invalid', problem);
}
