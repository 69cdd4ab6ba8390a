import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

import { installPackages } from '../support/packages.js';
import { endChild, spawnTied } from '../support/processes.js';

const PACKAGES = ['python3-openstackclient', 'python3-osc-placement'];
const INSTALLED = ['/usr/bin/openstack', '/usr/lib/python3/dist-packages/osc_placement'];
/** The distribution's, whatever else is in the path. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = join(import.meta.dirname, 'many_commands.py');
const ANSWER_MS_MAX = 120_000;

/** What a command printed. */
export interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The distribution's `openstack` with the placement commands. Starting it takes seconds, so it stays, and runs one command after the other. */
export class OpenStackClient {
  private readonly lines: AsyncIterator<string>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly reader: Interface,
  ) {
    this.lines = reader[Symbol.asyncIterator]();
  }

  /** @throws Error that says what is missing */
  static async start(): Promise<OpenStackClient> {
    if (!INSTALLED.every(existsSync)) {
      const problem = await installPackages('The openstack client', PACKAGES);
      if (problem !== null) throw new Error(`This test needs the openstack client: ${problem}`);
    }
    const child = spawnTied([PYTHON, PROGRAM], {
      // Nobody's own settings (OS_*, clouds.yaml of a home directory) get in.
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: '/nonexistent', COLUMNS: '200' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (!child.stdout) throw new Error('the client has no output');
    return new OpenStackClient(child, createInterface({ input: child.stdout }));
  }

  /** Runs `openstack ARGV`. */
  async run(argv: readonly string[]): Promise<Printed> {
    this.child.stdin?.write(`${JSON.stringify({ argv })}\n`);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), ANSWER_MS_MAX);
    const line = await this.lines.next();
    clearTimeout(timer);
    if (line.done === true) throw new Error(`the client ended in openstack ${argv.join(' ')}`);
    return JSON.parse(line.value) as Printed;
  }

  async close(): Promise<void> {
    this.reader.close();
    await endChild(this.child, 'SIGTERM');
  }
}
