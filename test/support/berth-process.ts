import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { endChild, spawnTied } from './processes.js';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
/** The built program; BERTH_TEST_PROGRAM names another build of it. */
export const PROGRAM = process.env['BERTH_TEST_PROGRAM'] ?? path.join(PROJECT, 'dist/src/main.js');
const START_MS_MAX = 60_000;
const READY_MS_MAX = 60_000;
const READY_POLL_MS = 50;
const LOG_TAIL_LINES = 60;

export interface BerthOptions {
  readonly role: 'api' | 'scheduler' | 'agent';
  /** For failure output: `agent gpu-1`. */
  readonly name: string;
  /** `--config`, in order. */
  readonly config: readonly string[];
  /** Nothing else of Berth's own is in the environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** One role of the built program, as a process of its own that can end and be started again with the same settings. */
export class BerthProcess {
  private child: ChildProcess | null = null;
  private address: string | null = null;
  private output = '';

  constructor(private readonly options: BerthOptions) {}

  get name(): string {
    return this.options.name;
  }

  /** Of its HTTP face, of the life under way. */
  get url(): string {
    if (this.address === null) throw new Error(`${this.name} was not started`);
    return this.address;
  }

  /** Of the life under way; null when there is none. */
  get pid(): number | null {
    return this.isRunning() ? (this.child?.pid ?? null) : null;
  }

  /** Everything that it printed, in all its lives. */
  log(): string {
    return this.output;
  }

  /** Resolves when it has said that it is started; with `ready`, when `/readyz` agrees. */
  async start({ ready = true }: { readonly ready?: boolean } = {}): Promise<void> {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: run \`npm run build\``);
    this.address = null;
    const { role, config, env } = this.options;
    const words = [role, ...config.flatMap((file) => ['--config', file])];
    const child = spawnTied([process.execPath, PROGRAM, ...words], {
      cwd: PROJECT,
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => (this.output += text));
    }
    await this.whenStarted(child, this.output.length);
    if (ready) await this.whenReady();
  }

  /** Resolves when `/readyz` says 200. */
  async whenReady(): Promise<void> {
    const deadline = Date.now() + READY_MS_MAX;
    let answer = '';
    while (Date.now() < deadline && this.isRunning()) {
      const response = await fetch(`${this.url}/readyz`).catch(() => null);
      if (response?.status === 200) return;
      answer = (await response?.text().catch(() => '')) ?? answer;
      await sleep(READY_POLL_MS);
    }
    throw new Error(`${this.name} did not become ready: ${answer}\n${this.tail()}`);
  }

  isRunning(): boolean {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Sends it a signal that does not end it. */
  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** Ends it as a power cut would. */
  async kill9(): Promise<void> {
    if (this.child) await endChild(this.child, 'SIGKILL');
  }

  /** SIGTERM. @returns its exit code; null when it had to be killed */
  async stop(): Promise<number | null> {
    if (!this.child) return 0;
    await endChild(this.child, 'SIGTERM', 40_000);
    return this.child.exitCode;
  }

  /** The last lines that it printed, for people who look for the cause of a failure. */
  tail(): string {
    return `--- ${this.name}\n${this.output.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')}`;
  }

  private async whenStarted(child: ChildProcess, from: number): Promise<void> {
    const deadline = Date.now() + START_MS_MAX;
    while (Date.now() < deadline) {
      const line = this.output
        .slice(from)
        .split('\n')
        .find((text) => text.startsWith('{"message":"started"'));
      if (line !== undefined) {
        this.address = (JSON.parse(line) as { url: string }).url;
        return;
      }
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${this.name} ended with ${child.exitCode ?? child.signalCode}\n${this.tail()}`);
      }
      await sleep(20);
    }
    await endChild(child, 'SIGKILL');
    throw new Error(`${this.name} did not start within ${START_MS_MAX / 1000} s\n${this.tail()}`);
  }
}
