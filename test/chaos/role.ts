import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BerthProcess, type BerthOptions } from '../support/berth-process.js';

const LOOK_MS = 250;
const RETRY_MS = 1_000;

/** A process of Berth under a supervisor that starts it again whenever it has ended, as systemd or Kubernetes would. */
export class Role {
  readonly process: BerthProcess;
  /** How often it ended without having been killed. */
  ownEnds = 0;
  private wanted = true;
  /** It was killed, and has not been started again. */
  private isKilled = false;
  private closed = false;
  private supervising: Promise<void> | null = null;

  constructor(
    readonly options: BerthOptions,
    private readonly clockFile: string,
    made?: BerthProcess,
  ) {
    this.process = made ?? new BerthProcess(options);
  }

  get name(): string {
    return this.process.name;
  }

  /** Starts it and its supervisor; resolves when it is ready. */
  async start(): Promise<void> {
    await this.process.start();
    this.supervising = this.supervise();
  }

  /** `kill -9`, and a new start after a while. */
  async kill9(pauseMs: number): Promise<void> {
    this.wanted = false;
    this.isKilled = true;
    await this.process.kill9();
    await sleep(pauseMs);
    this.wanted = true;
  }

  /** A process that does nothing for a while, and goes on where it was. */
  async pause(ms: number): Promise<void> {
    this.process.signal('SIGSTOP');
    await sleep(ms);
    this.process.signal('SIGCONT');
  }

  /** Its wall clock, that much off the machine's. */
  shiftClock(ms: number): void {
    writeFileSync(this.clockFile, String(ms));
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.process.kill9();
    await this.supervising;
    await this.process.kill9();
  }

  private async supervise(): Promise<void> {
    while (!this.closed) {
      await sleep(LOOK_MS);
      if (!this.wanted || this.closed || this.process.isRunning()) continue;
      if (!this.isKilled) this.ownEnds++;
      this.isKilled = false;
      await this.process.start({ ready: false }).catch(() => sleep(RETRY_MS));
    }
  }
}
