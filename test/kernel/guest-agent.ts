import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines, quoted, type Machine } from './machine.js';

const LOG = '/var/log/berth.log';
const CONFIG_FOLDER = '/etc/berth';
export const STATE_FOLDER = '/var/lib/berth';
const START_MS_MAX = 240_000;
const POLL_MS = 200;

export interface AgentPlan {
  /** Its configuration files by name. */
  readonly config: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

/** The built agent in a machine: `berth agent`, with the kernel's own /sys and /proc. */
export class GuestAgent {
  private pid = 0;

  private constructor(
    private readonly machine: Machine,
    private readonly plan: AgentPlan,
  ) {}

  static async start(machine: Machine, plan: AgentPlan): Promise<GuestAgent> {
    for (const [name, text] of Object.entries(plan.config)) await machine.write(`${CONFIG_FOLDER}/${name}`, text);
    const agent = new GuestAgent(machine, plan);
    await agent.start();
    return agent;
  }

  /** A new life with the same settings; resolves when it says that it is started. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.spawn(env);
    const deadline = Date.now() + START_MS_MAX;
    while (!(await this.hasStarted())) {
      if (Date.now() > deadline || !(await this.isRunning())) throw new Error(`no agent\n${await this.tail()}`);
      await sleep(POLL_MS);
    }
  }

  /** Begins a life, and does not wait for it. */
  async spawn(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const all = { BERTH_HTTP_PORT: '0', BERTH_STATE_DIR: STATE_FOLDER, ...this.plan.env, ...env };
    const words = Object.entries(all).map(([name, value]) => quoted(`${name}=${value}`));
    const files = Object.keys(this.plan.config).map((name) => `--config ${CONFIG_FOLDER}/${name}`);
    const command = `env ${words.join(' ')} node /berth/dist/src/main.js agent ${files.join(' ')}`;
    const script = `mkdir -p /var/log; cd /berth; setsid ${command} >${LOG} 2>&1 & echo $!`;
    this.pid = Number(await this.machine.exec(script));
  }

  async isRunning(): Promise<boolean> {
    const { exitCode } = await this.machine.tryExec(`kill -0 ${this.pid}`);
    return exitCode === 0;
  }

  /** Ends it as a power cut of the process would. */
  async kill(): Promise<void> {
    await this.machine.exec(`kill -9 ${this.pid}; while kill -0 ${this.pid} 2>/dev/null; do usleep 10000; done`);
  }

  /** The end of what it printed in the life under way. */
  async tail(): Promise<string> {
    return lastLines((await this.machine.tryExec(`cat ${LOG}`)).output);
  }

  private async hasStarted(): Promise<boolean> {
    const { exitCode } = await this.machine.tryExec(`grep -q '^{"message":"started"' ${LOG}`);
    return exitCode === 0;
  }
}
