import { Module, type DynamicModule } from '@nestjs/common';
import type { AgentSettings } from '../settings/settings.js';
import { AgentFleet, ComputeAgentService, type AgentSource } from './compute-agent.service.js';

/** The compute agents of this process. Exports {@link ComputeAgentService} for readiness. */
@Module({})
export class ComputeAgentModule {
  /**
   * @param agents one for each host; each needs a host name and a state directory of its own
   * @param bus what `BusModule.register` answered
   * @param source where the settings come from, when they can be read again
   */
  static register(
    agents: readonly AgentSettings[],
    bus: DynamicModule,
    source: AgentSource | null = null,
  ): DynamicModule {
    return {
      module: ComputeAgentModule,
      imports: [bus],
      providers: [{ provide: AgentFleet, useValue: new AgentFleet(agents, source) }, ComputeAgentService],
      exports: [ComputeAgentService],
    };
  }
}
