import { createHash } from 'node:crypto';
import { BerthError } from '../../errors.js';
import type { KeystoneSettings } from '../../settings/settings.js';
import { UNCOUNTED } from './attempts.js';
import type { Authentication, RequestHeaders } from './authentication.js';
import { type Caller, highestRole } from './caller.js';
import { KeystoneClient, type KeystoneToken } from './keystone-client.js';

const TOKEN = /^[\x21-\x7e]{1,8192}$/;
const TOKENS_MAX = 10_000;

interface Known {
  readonly untilMs: number;
  /** null: Keystone does not know the token. */
  readonly token: Promise<KeystoneToken | null>;
}

/**
 * Tokens of an OpenStack Keystone. Keystone is asked about each, once in `cache_ms`: so long at most a token is good for after it
 * was revoked.
 */
export class KeystoneAuthentication implements Authentication {
  private readonly known = new Map<string, Known>();

  private constructor(
    private readonly client: KeystoneClient,
    private readonly cacheMs: number,
  ) {}

  /** @throws BerthError `settings.invalid` when something is not said; Keystone itself need not be up yet */
  static async open(settings: KeystoneSettings): Promise<KeystoneAuthentication> {
    return new KeystoneAuthentication(KeystoneClient.of(settings), settings.cacheMs);
  }

  async callerOf(headers: RequestHeaders, attempts = UNCOUNTED): Promise<Caller> {
    const text = headers['x-auth-token'];
    if (text === undefined) throw this.required('Send a token of Keystone in X-Auth-Token.');
    if (typeof text !== 'string' || !TOKEN.test(text)) throw this.required('X-Auth-Token is not a token.');
    const token = await this.lookUp(text);
    if (token === null || token.expiresAtMs <= Date.now()) {
      await attempts.assertFewFailed();
      await attempts.failed();
      throw this.required('The token is not known to Keystone, was revoked, or is over; ask for a new one.');
    }
    return callerOf(token);
  }

  /** Requests that come at once with one token ask once. What failed is not remembered. */
  private lookUp(text: string): Promise<KeystoneToken | null> {
    const key = createHash('sha256').update(text).digest('base64');
    const before = this.known.get(key);
    if (before && before.untilMs > Date.now()) return before.token;
    this.known.delete(key);
    const [oldest] = this.known.keys();
    if (this.known.size >= TOKENS_MAX && oldest !== undefined) this.known.delete(oldest);
    const token = this.client.validate(text);
    this.known.set(key, { token, untilMs: Date.now() + this.cacheMs });
    token.catch(() => this.known.delete(key));
    return token;
  }

  /** Source: the header by which keystonemiddleware says where tokens are to be had. */
  private required(problem: string): BerthError {
    const headers = { 'www-authenticate': `Keystone uri="${this.client.publicUrl}"` };
    return new BerthError('auth.required', problem, { details: { headers } });
  }
}

function callerOf({ user, project, roles }: KeystoneToken): Caller {
  if (!project)
    throw new BerthError('auth.forbidden', 'The token is for no project; ask for one that is scoped to a project');
  const role = highestRole(roles);
  if (role === null) {
    throw new BerthError(
      'auth.forbidden',
      `${user.name} has none of the roles admin, member, reader in project ${project.name}`,
    );
  }
  return { userId: user.id, userName: user.name, projectId: project.id, projectName: project.name, role };
}
