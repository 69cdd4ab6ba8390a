import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import type { ConfigurationState } from '../settings/live-configuration.js';
import type { AgentSettings } from '../settings/settings.js';
import type { AgentLog } from './agent-log.js';
import { startAgent, type AgentConfiguration, type AgentStatus, type RunningAgent } from './agent.js';

/** Where the agents' settings come from, when that can be read again. */
export interface AgentSource {
  state(): ConfigurationState;
  reload(): Promise<void>;
}

/** The hosts whose agents this process runs: one, or a demo fleet's. */
export class AgentFleet {
  constructor(
    readonly agents: readonly AgentSettings[],
    readonly source: AgentSource | null = null,
  ) {}
}

/**
 * Runs the agents from bootstrap to shutdown. They stop before the bus closes, which happens in `onApplicationShutdown`.
 */
@Injectable()
export class ComputeAgentService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private running: RunningAgent[] = [];

  constructor(
    private readonly fleet: AgentFleet,
    private readonly bus: Bus,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { agents, source } = this.fleet;
    const log = nestLog();
    const reload = source && (() => source.reload());
    for (const settings of agents) {
      const configuration = source?.state() ?? null;
      this.running.push(await startAgent({ settings, bus: this.bus, log, configuration, reload }));
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    const agents = this.running;
    this.running = [];
    await Promise.all(agents.map((agent) => agent.stop()));
  }

  /** Gives the agents a configuration that was read again. Resolves when they have reported, or cannot for now. */
  async configure(configuration: AgentConfiguration): Promise<void> {
    await Promise.all(this.running.map((agent) => agent.configure(configuration)));
  }

  status(): readonly AgentStatus[] {
    return this.running.map((agent) => agent.status());
  }

  /** Readiness, one check for each agent: `agent node-1`. */
  checks(): Readonly<Record<string, { readonly ok: boolean; readonly message: string }>> {
    const checks = this.status().map(({ host, ready, problems }) => {
      return [`agent ${host}`, { ok: ready, message: problems.join('; ') }] as const;
    });
    const started = this.running.length === this.fleet.agents.length;
    return {
      agents: { ok: started, message: started ? '' : 'not all agents are started' },
      ...Object.fromEntries(checks),
    };
  }
}

function nestLog(): AgentLog {
  const logger = new Logger('Agent');
  return (level, message, fields) => logger[level === 'info' ? 'log' : level](message, fields);
}
