import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import type { AgentSettings } from '../settings/settings.js';
import type { AgentLog } from './agent-log.js';
import { startAgent, type AgentStatus, type RunningAgent } from './agent.js';

/** The hosts whose agents this process runs: one, or a demo fleet's. */
export class AgentFleet {
  constructor(readonly agents: readonly AgentSettings[]) {}
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
    const log = nestLog();
    for (const settings of this.fleet.agents) this.running.push(await startAgent({ settings, bus: this.bus, log }));
  }

  async beforeApplicationShutdown(): Promise<void> {
    const agents = this.running;
    this.running = [];
    await Promise.all(agents.map((agent) => agent.stop()));
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
