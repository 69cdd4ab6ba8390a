import { createHmac, randomBytes } from 'node:crypto';
import { BerthError } from '../../errors.js';
import type { AuthSettings } from '../../settings/settings.js';
import type { Ledger } from '../../store/ledger.js';
import { type Attempts, UNCOUNTED } from './attempts.js';
import type { Authentication, RequestHeaders } from './authentication.js';
import type { Caller } from './caller.js';
import { HtpasswdFile } from './htpasswd.js';
import { hashOf, type OwnToken, OwnTokens } from './own-tokens.js';

/** A password that was right is not asked of bcrypt again for so long. */
const KNOWN_MS = 60_000;
const KNOWN_MAX = 1_000;
/** So many passwords are looked at together; each takes a good part of a second of a core. */
const AT_ONCE_MAX = 16;
const HEADER_LENGTH_MAX = 1_024;
const CHALLENGE = { 'www-authenticate': 'Basic realm="berth", charset="UTF-8"' };

/** A token of ours, and whose it is. */
export interface IssuedToken {
  readonly caller: Caller;
  readonly token: OwnToken;
}

/** HTTP Basic, or tokens for it, with the users of an htpasswd file. Project and role of each are in the settings. */
export class BasicAuthentication implements Authentication {
  private readonly secret = randomBytes(32);
  private readonly known = new Map<string, { readonly entry: string; readonly untilMs: number }>();
  private looking = 0;

  private constructor(
    private readonly file: HtpasswdFile,
    private readonly tokens: OwnTokens,
    private readonly settings: Pick<AuthSettings, 'projects' | 'roles'>,
  ) {}

  /** @throws BerthError `settings.invalid` when the users' file cannot be read */
  static async open(
    settings: AuthSettings,
    ledger: () => Ledger,
    warn: (problem: string) => void,
  ): Promise<BasicAuthentication> {
    if (settings.usersFile === null) {
      throw new BerthError('settings.invalid', 'auth.users_file: is missing; auth.strategy http_basic needs one');
    }
    const file = await new HtpasswdFile(settings.usersFile, warn).open();
    return new BasicAuthentication(file, new OwnTokens(ledger, settings.tokenTtlMs), settings);
  }

  async callerOf({ authorization, 'x-auth-token': text }: RequestHeaders, attempts = UNCOUNTED): Promise<Caller> {
    if (authorization === undefined && typeof text === 'string') {
      const found = await this.look(text);
      if (found) return found.caller;
      await attempts.assertFewFailed();
      await attempts.failed();
      throw required('The token is none of ours, was revoked, or is over; ask for a new one.');
    }
    const { user, password } = credentialsOf(authorization);
    if (!(await this.accepts(user, password, attempts))) throw required('User name or password is not right.');
    return this.caller(user);
  }

  /**
   * Gives a token to whoever knows the user's password.
   *
   * @throws BerthError `auth.required`, `auth.busy`, `request.too_many`
   */
  async logIn(user: string, password: string, attempts = UNCOUNTED): Promise<IssuedToken & { readonly text: string }> {
    const isUser = await this.accepts(user, password, attempts);
    const entry = await this.file.entryOf(user);
    if (!isUser || entry === null) throw required('User name or password is not right.');
    return { ...(await this.tokens.issue(user, entry)), caller: this.caller(user) };
  }

  /** Whose token it is; null: nobody's, or of a user who has another password by now. */
  async look(text: string): Promise<IssuedToken | null> {
    const token = await this.tokens.find(text);
    if (!token) return null;
    const entry = await this.file.entryOf(token.user_name);
    const isGood = entry !== null && hashOf(entry) === token.credential_hash;
    return isGood ? { caller: this.caller(token.user_name), token } : null;
  }

  logOut(text: string): Promise<void> {
    return this.tokens.revoke(text);
  }

  /** Projects that the settings name. */
  projects(): string[] {
    return [...new Set(Object.values(this.settings.projects))].sort();
  }

  /** The user's project is named after the user, and the role is member, where the settings say nothing else. */
  private caller(user: string): Caller {
    const project = this.settings.projects[user] ?? user;
    return {
      ...{ userId: user, userName: user, projectId: project, projectName: project },
      role: this.settings.roles[user] ?? 'member',
    };
  }

  /**
   * One that was right a moment ago is let in also while others guess from the same address.
   *
   * @throws BerthError `auth.busy` when too many passwords are looked at already, `request.too_many` when too many were wrong
   */
  private async accepts(user: string, password: string, attempts: Attempts): Promise<boolean> {
    const entry = await this.file.entryOf(user);
    const key = createHmac('sha256', this.secret).update(`${user}\0${password}`).digest('base64');
    const before = this.known.get(key);
    if (before && before.entry === entry && before.untilMs > Date.now()) return true;
    this.known.delete(key);
    await attempts.assertFewFailed();
    if (this.looking >= AT_ONCE_MAX) {
      throw new BerthError('auth.busy', 'Too many passwords are being looked at; try again in a moment');
    }
    this.looking += 1;
    try {
      const accepted = await this.file.accepts(user, password);
      if (accepted && entry !== null) this.remember(key, entry);
      else await attempts.failed();
      return accepted;
    } finally {
      this.looking -= 1;
    }
  }

  private remember(key: string, entry: string): void {
    const [oldest] = this.known.keys();
    if (this.known.size >= KNOWN_MAX && oldest !== undefined) this.known.delete(oldest);
    this.known.set(key, { entry, untilMs: Date.now() + KNOWN_MS });
  }
}

/** Source: RFC 7617. */
function credentialsOf(header: string | undefined): { readonly user: string; readonly password: string } {
  if (header === undefined) throw required('Send a user name and a password (HTTP Basic).');
  const encoded = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(header)?.[1];
  if (encoded === undefined || header.length > HEADER_LENGTH_MAX)
    throw required('The header is not one of HTTP Basic.');
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) throw required('The header has no user name in it.');
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function required(problem: string): BerthError {
  return new BerthError('auth.required', problem, { details: { headers: CHALLENGE } });
}
