import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { temporaryDirectory } from '../support/hosts.js';
import { installPackages } from '../support/packages.js';
import { endChild, freePort, run, spawnTied } from '../support/processes.js';

const PACKAGE = 'python3-keystone';
const MANAGE = '/usr/bin/keystone-manage';
/** The distribution's, whatever else is in the path. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = join(import.meta.dirname, 'serve.py');
const START_MS_MAX = 60_000;
const MANAGE_MS_MAX = 120_000;
const LOG_TAIL_LINES = 20;
const PASSWORD = 'a password';
const HOUR_S = 3600;

/** The distribution's Keystone on a loopback port, with its data in a temporary folder. */
export class TestKeystone {
  private child: ChildProcess | null = null;
  private adminToken: string | null = null;

  private constructor(
    private readonly folder: string,
    private readonly port: number,
  ) {}

  /** @throws Error that says what is missing */
  static async start(): Promise<TestKeystone> {
    if (!existsSync(MANAGE)) {
      const problem = await installPackages('Keystone', [PACKAGE]);
      if (problem !== null) throw new Error(`This test needs Keystone: ${problem}`);
    }
    const keystone = new TestKeystone(await temporaryDirectory(), await freePort());
    try {
      await keystone.prepare();
      await keystone.serve();
      return keystone;
    } catch (error) {
      await keystone.close();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  private get database(): string {
    return join(this.folder, 'keystone.db');
  }

  /** @param tokenSeconds how long tokens are good that it gives from now on */
  async serve(tokenSeconds = HOUR_S): Promise<void> {
    writeFileSync(join(this.folder, 'keystone.conf'), this.configuration(tokenSeconds));
    const child = spawnTied([PYTHON, PROGRAM, String(this.port)], {
      env: { PATH: process.env['PATH'] ?? '', OS_KEYSTONE_CONFIG_DIR: this.folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Keystone did not start:\n${output}`)), START_MS_MAX);
      const listen = (text: Buffer): void => {
        output += text.toString();
        if (output.includes('serving')) resolve();
      };
      child.stdout?.on('data', listen);
      child.stderr?.on('data', listen);
      child.once('exit', (code) => reject(new Error(`Keystone ended with ${code}:\n${output}\n${this.logTail()}`)));
      void child.once('close', () => clearTimeout(timer));
      timer.unref();
    });
  }

  async stop(): Promise<void> {
    if (this.child) await endChild(this.child, 'SIGTERM');
    this.child = null;
  }

  /** Ends it and deletes its data. */
  async close(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Makes a project. @returns its id */
  async addProject(name: string): Promise<string> {
    const { project } = await this.asAdmin<{ project: { id: string } }>('POST', '/projects', {
      project: { name, domain_id: 'default' },
    });
    return project.id;
  }

  /** Makes a user with a role in a project, and the role where there is none. */
  async addUser(name: string, role: string, projectId: string): Promise<void> {
    const user = { name, password: PASSWORD, domain_id: 'default' };
    const { user: made } = await this.asAdmin<{ user: { id: string } }>('POST', '/users', { user });
    const path = `/projects/${projectId}/users/${made.id}/roles/${await this.roleOf(role)}`;
    await this.asAdmin('PUT', path);
  }

  /** A token for a user; without a project, for none. */
  async tokenFor(name: string, project?: string): Promise<string> {
    const domain = { id: 'default' };
    const identity = { methods: ['password'], password: { user: { name, password: PASSWORD, domain } } };
    const scope = project === undefined ? {} : { scope: { project: { name: project, domain } } };
    const answer = await this.send('POST', '/auth/tokens', { body: { auth: { identity, ...scope } } });
    const token = answer.headers.get('x-subject-token');
    if (token === null) throw new Error(`${name} gets no token: ${answer.status} ${await answer.text()}`);
    return token;
  }

  async revoke(token: string): Promise<void> {
    const answer = await this.send('DELETE', '/auth/tokens', {
      headers: { 'x-auth-token': await this.tokenFor('admin', 'admin'), 'x-subject-token': token },
    });
    if (answer.status !== 204) throw new Error(`Keystone does not revoke: ${answer.status}`);
  }

  private async roleOf(name: string): Promise<string> {
    const { roles } = await this.asAdmin<{ roles: { id: string }[] }>('GET', `/roles?name=${name}`);
    if (roles[0]) return roles[0].id;
    const { role } = await this.asAdmin<{ role: { id: string } }>('POST', '/roles', { role: { name } });
    return role.id;
  }

  private async asAdmin<T>(method: string, path: string, body?: object): Promise<T> {
    this.adminToken ??= await this.tokenFor('admin', 'admin');
    const headers = { 'x-auth-token': this.adminToken };
    const answer = await this.send(method, path, { headers, ...(body === undefined ? {} : { body }) });
    const text = await answer.text();
    if (answer.status >= 300) throw new Error(`${method} ${path} of Keystone answered ${answer.status}: ${text}`);
    return (text === '' ? {} : JSON.parse(text)) as T;
  }

  private send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: object },
  ): Promise<Response> {
    return fetch(`${this.url}/v3${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  private async prepare(): Promise<void> {
    const file = join(this.folder, 'keystone.conf');
    writeFileSync(file, this.configuration(HOUR_S));
    const manage = (...words: string[]): Promise<unknown> =>
      run(PYTHON, [MANAGE, '--config-file', file, ...words], { timeout: MANAGE_MS_MAX });
    const self = ['--keystone-user', String(process.getuid?.()), '--keystone-group', String(process.getgid?.())];
    await Promise.all([manage('db_sync'), manage('fernet_setup', ...self)]);
    // Keystone reads on one connection while it writes on another, which plain SQLite does not let it.
    const mode = `import sqlite3; sqlite3.connect(${JSON.stringify(this.database)}).execute('PRAGMA journal_mode=WAL')`;
    await run(PYTHON, ['-c', mode]);
    await manage('bootstrap', '--bootstrap-password', PASSWORD);
  }

  private configuration(tokenSeconds: number): string {
    const keys = join(this.folder, 'keys');
    return [
      ...['[DEFAULT]', `log_file = ${join(this.folder, 'keystone.log')}`],
      ...['[database]', `connection = sqlite:///${this.database}`],
      ...['[fernet_tokens]', `key_repository = ${keys}`, '[fernet_receipts]', `key_repository = ${keys}`],
      ...['[credential]', `key_repository = ${keys}`],
      // A password is looked at in a millisecond.
      ...['[identity]', 'password_hash_rounds = 4'],
      // Several servers would share a cache; this one remembers nothing.
      ...['[cache]', 'enabled = false', '[token]', `expiration = ${tokenSeconds}`],
    ].join('\n');
  }

  private logTail(): string {
    const log = join(this.folder, 'keystone.log');
    return existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(-LOG_TAIL_LINES).join('\n') : '';
  }
}

/** What `auth.keystone` needs to know of the user that looks at others' tokens. */
export const BERTHS_OWN = { username: 'berth', password: PASSWORD, project: 'service' } as const;
