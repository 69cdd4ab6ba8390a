import { BerthError, messageOf } from '../../errors.js';
import { isObject } from '../../pci/device-spec/device-spec-fields.js';
import type { KeystoneSettings } from '../../settings/settings.js';

const ANSWER_MS_MAX = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

interface Named {
  readonly id: string;
  readonly name: string;
}

/** What Keystone says of a token. */
export interface KeystoneToken {
  readonly user: Named;
  /** null: the token is for no project. */
  readonly project: Named | null;
  readonly roles: readonly string[];
  readonly expiresAtMs: number;
}

interface Service {
  readonly username: string;
  readonly password: string;
  readonly project: string;
}

/** Asks a Keystone (identity v3), as a user of its own that may look at others' tokens. */
export class KeystoneClient {
  private own: Promise<string> | null = null;

  private constructor(
    private readonly base: string,
    private readonly service: Service,
    private readonly domains: { readonly user: string; readonly project: string },
  ) {}

  /** @throws BerthError `settings.invalid` */
  static of({ url, username, password, project, userDomain, projectDomain }: KeystoneSettings): KeystoneClient {
    const given = { url, username, password, project };
    const missing = Object.entries(given).flatMap(([name, value]) => (value === null ? [`auth.keystone.${name}`] : []));
    if (url === null || username === null || password === null || project === null) {
      throw new BerthError('settings.invalid', `auth.strategy keystone needs ${missing.join(', ')}`);
    }
    const base = `${url.replace(/\/+$/, '').replace(/\/v3$/, '')}/v3`;
    return new KeystoneClient(base, { username, password, project }, { user: userDomain, project: projectDomain });
  }

  /** Where tokens are to be had. */
  get publicUrl(): string {
    return this.base;
  }

  /**
   * Asks about a token.
   *
   * @returns null when Keystone does not know it, or not any more
   * @throws BerthError `auth.unavailable` when Keystone does not answer, or does not let us ask
   */
  async validate(token: string): Promise<KeystoneToken | null> {
    let answer = await this.askAbout(token);
    if (answer.status === 401) {
      this.own = null; // our own token is over, or was revoked
      answer = await this.askAbout(token);
    }
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw unavailable(`it answered ${answer.status} when asked about a token`);
    return readToken(answer.body);
  }

  private async askAbout(token: string): Promise<Answer> {
    const own = await this.ownToken();
    return this.exchange('GET', { 'x-auth-token': own, 'x-subject-token': token }, null);
  }

  private ownToken(): Promise<string> {
    this.own ??= this.authenticate().catch((error: unknown) => {
      this.own = null;
      throw error;
    });
    return this.own;
  }

  private async authenticate(): Promise<string> {
    const { username, password, project } = this.service;
    const identity = {
      methods: ['password'],
      password: { user: { name: username, password, domain: domainOf(this.domains.user) } },
    };
    const scope = { project: { name: project, domain: domainOf(this.domains.project) } };
    const answer = await this.exchange('POST', {}, { auth: { identity, scope } });
    if (answer.status !== 201 || answer.subjectToken === null) {
      throw unavailable(`it does not let ${username} in (it answered ${answer.status}); see auth.keystone`);
    }
    return answer.subjectToken;
  }

  private async exchange(method: string, headers: Record<string, string>, body: object | null): Promise<Answer> {
    try {
      const response = await fetch(`${this.base}/auth/tokens`, {
        method,
        headers: { ...headers, accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      const text = await response.text();
      const subjectToken = response.headers.get('x-subject-token');
      return { status: response.status, subjectToken, body: text.length > ANSWER_BYTES_MAX ? null : parsed(text) };
    } catch (error) {
      throw unavailable(`it does not answer: ${messageOf(error)}`, error);
    }
  }
}

interface Answer {
  readonly status: number;
  readonly subjectToken: string | null;
  readonly body: unknown;
}

/** By id as far as a text can be one: the only domain that has a speaking id is `default`. */
function domainOf(domain: string): object {
  return domain === 'default' || /^[0-9a-f]{32}$/.test(domain) ? { id: domain } : { name: domain };
}

/** @throws BerthError `auth.unavailable` for what is no token */
function readToken(body: unknown): KeystoneToken {
  const token = isObject(body) ? body['token'] : null;
  if (!isObject(token)) throw unavailable('its answer about a token is none');
  const user = named(token['user']);
  const expiresAtMs = Date.parse(String(token['expires_at']));
  if (!user || Number.isNaN(expiresAtMs)) throw unavailable('its answer about a token has no user, or no end');
  const roles = Array.isArray(token['roles']) ? token['roles'].flatMap((role) => named(role)?.name ?? []) : [];
  return { user, project: named(token['project']), roles, expiresAtMs };
}

function named(value: unknown): Named | null {
  if (!isObject(value)) return null;
  const { id, name } = value as Record<string, unknown>;
  return typeof id === 'string' && typeof name === 'string' ? { id, name } : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function unavailable(problem: string, cause?: unknown): BerthError {
  return new BerthError('auth.unavailable', `Keystone cannot be asked: ${problem}`, { cause });
}
