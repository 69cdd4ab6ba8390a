import type { INestApplication } from '@nestjs/common';
import { ComputeAgentModule } from '../compute-agent/compute-agent.module.js';
import { ComputeAgentService, type AgentSource } from '../compute-agent/compute-agent.service.js';
import type { Check } from '../health/health.module.js';
import type { LiveConfiguration } from '../settings/live-configuration.js';
import { assertOwnUser, brokerCheck, busOf } from './broker-use.js';
import { configurationCheck } from './configuration-check.js';
import { RoleLogger } from './role-logger.js';
import { createRole, serve, type RunningRole } from './running-role.js';

/** `berth agent`: the compute agent of one host. It never opens the database. */
export async function startComputeAgent(configuration: LiveConfiguration): Promise<RunningRole> {
  const settings = configuration.settings();
  const logger = new RoleLogger(settings.logLevel);
  assertOwnUser(settings);
  const bus = busOf(settings, 'berth agent');
  const agents = ComputeAgentModule.register([settings.agent], bus, agentSource(configuration));
  const app = await createRole([bus, agents], {
    role: 'agent',
    http: settings.http,
    logger,
    checks: async (running) => ({
      ...brokerCheck(running),
      ...agentChecks(running),
      ...configurationCheck(configuration),
    }),
  });
  return serve(app, configuration, {
    follow: async (inForce, state) => {
      logger.follow(inForce.logLevel);
      await app
        .get(ComputeAgentService, { strict: false })
        .configure({ deviceSpecs: inForce.agent.deviceSpecs, sriov: inForce.agent.sriov ?? [], state });
    },
  });
}

export function agentSource(configuration: LiveConfiguration): AgentSource {
  return {
    state: () => configuration.state(),
    reload: async () => void (await configuration.reload('command')),
  };
}

export function agentChecks(app: INestApplication): Readonly<Record<string, Check>> {
  return app.get(ComputeAgentService, { strict: false }).checks();
}
