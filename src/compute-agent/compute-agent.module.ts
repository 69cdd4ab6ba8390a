import { Module, type DynamicModule } from '@nestjs/common';
import type { AgentSettings } from '../settings/settings.js';
import { AgentFleet, ComputeAgentService } from './compute-agent.service.js';

/** The compute agents of this process. Exports {@link ComputeAgentService} for readiness. */
@Module({})
export class ComputeAgentModule {
  /**
   * @param agents one for each host; each needs a host name and a state directory of its own
   * @param bus what `BusModule.register` answered
   */
  static register(agents: readonly AgentSettings[], bus: DynamicModule): DynamicModule {
    return {
      module: ComputeAgentModule,
      imports: [bus],
      providers: [{ provide: AgentFleet, useValue: new AgentFleet(agents) }, ComputeAgentService],
      exports: [ComputeAgentService],
    };
  }
}
