import { readFile, stat } from 'node:fs/promises';
import { BerthError, messageOf } from '../../errors.js';
import { PasswordChecker } from './password-checker.js';

const FILE_BYTES_MAX = 1024 * 1024;
const USERS_MAX = 10_000;
const USER = /^[^:\p{Cc}]{1,255}$/u;
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** Above, one look at a password takes seconds of a core. */
const COST_MAX = 14;
/** What longer passwords have beyond it, bcrypt does not see. */
const PASSWORD_BYTES_MAX = 72;

/**
 * Reads a file as `htpasswd -B` writes it: a line `user:hash` for each user, hashes of bcrypt only.
 *
 * @param where the file, for messages
 * @returns user → hash
 * @throws BerthError `settings.invalid`, with a line for each problem
 */
export function parseHtpasswd(text: string, where: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  const problems: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) continue;
    const [user = '', hash, ...others] = content.split(':');
    // a line without a colon may be a password, and is not repeated
    const problem = hash === undefined || others.length > 0 ? 'is not user:hash' : problemOf(user, hash, users);
    if (problem === null) users.set(user, hash ?? '');
    else problems.push(`${where}:${index + 1}: ${problem}`);
  }
  if (users.size > USERS_MAX) problems.push(`${where}: ${users.size} users; at most ${USERS_MAX}`);
  if (users.size === 0 && problems.length === 0) problems.push(`${where}: names no user; add one with htpasswd -B`);
  if (problems.length > 0) throw new BerthError('settings.invalid', problems.slice(0, 20).join('\n'));
  return users;
}

/** The hash is not repeated in the message. */
function problemOf(user: string, hash: string, known: ReadonlyMap<string, string>): string | null {
  if (!USER.test(user)) return 'has no name of a user before the colon';
  if (known.has(user)) return `names ${user} a second time`;
  const cost = BCRYPT.exec(hash)?.[1];
  if (cost === undefined) return `the hash of ${user} is not of bcrypt; write it with htpasswd -B`;
  if (Number(cost) < 4 || Number(cost) > COST_MAX) return `the hash of ${user} has cost ${cost}; at most ${COST_MAX}`;
  return null;
}

/** A file of users, read again when it has changed. */
export class HtpasswdFile {
  private readonly checker = new PasswordChecker();
  private users: ReadonlyMap<string, string> = new Map();
  private stamp = '';
  private reading: Promise<void> | null = null;

  /** @param warn is told of a changed file that cannot be taken; what was read before stays in force */
  constructor(
    private readonly path: string,
    private readonly warn: (problem: string) => void,
  ) {}

  /** @throws BerthError `settings.invalid` when the file is none, now, at the start */
  async open(): Promise<this> {
    try {
      await this.read();
    } catch (error) {
      if (error instanceof BerthError) throw error;
      throw new BerthError('settings.invalid', `auth.users_file: ${messageOf(error)}`, { cause: error });
    }
    return this;
  }

  /** Whether the password is the user's. Takes as long for a user that there is not. */
  async accepts(user: string, password: string): Promise<boolean> {
    await this.refresh();
    const hash = this.users.get(user);
    const isShort = Buffer.byteLength(password) <= PASSWORD_BYTES_MAX;
    const matches = await this.checker.matches(isShort ? password : '', hash ?? this.someHash());
    return matches && hash !== undefined && isShort;
  }

  /** What a user's entry is now: when it changes, what was found out about it is nothing worth. */
  async entryOf(user: string): Promise<string | null> {
    await this.refresh();
    return this.users.get(user) ?? null;
  }

  private someHash(): string {
    return this.users.values().next().value as string;
  }

  private async refresh(): Promise<void> {
    this.reading ??= this.read()
      .catch((error: unknown) => this.warn(messageOf(error)))
      .finally(() => (this.reading = null));
    await this.reading;
  }

  private async read(): Promise<void> {
    const { mtimeMs, size, ino } = await stat(this.path);
    const stamp = `${mtimeMs} ${size} ${ino}`;
    if (stamp === this.stamp) return;
    if (size > FILE_BYTES_MAX) {
      throw new BerthError('settings.invalid', `${this.path} has ${size} bytes; at most ${FILE_BYTES_MAX}`);
    }
    this.stamp = stamp;
    this.users = parseHtpasswd(await readFile(this.path, 'utf8'), this.path);
  }
}
