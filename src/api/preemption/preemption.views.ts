import { ApiProperty } from '@nestjs/swagger';
import type { Decision } from '../../placement/decision.js';
import type { PreemptionPlan } from '../../placement/preempt.js';
import type { HostedServer, HostSnapshot } from '../../placement/snapshot.js';

export class VictimView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly server_id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String }) readonly project_id: string;
  @ApiProperty({ type: 'integer' }) readonly priority: number;
  @ApiProperty({ type: [String], description: 'Addresses of the devices that it would give back.' })
  readonly devices: readonly string[];
}

export class PreemptionPreviewView {
  @ApiProperty({
    type: String,
    enum: ['fits', 'preempts', 'rejected'],
    description: '`fits`: nobody has to leave. `rejected`: nobody whose leaving would help may be made to leave.',
  })
  readonly outcome: 'fits' | 'preempts' | 'rejected';
  @ApiProperty({ type: String, nullable: true }) readonly host: string | null;
  @ApiProperty({ type: [VictimView], description: 'Who would have to leave the host.' })
  readonly victims: readonly VictimView[];
  @ApiProperty({
    type: Boolean,
    nullable: true,
    description: 'Whether it is proven that less damage would not do; null: nobody has to leave.',
  })
  readonly least: boolean | null;
  @ApiProperty({ type: String, nullable: true, description: 'Why there is no room as things are.' })
  readonly message: string | null;
}

/** @param host the one that the plan names */
export function previewView(
  decision: Decision,
  plan: PreemptionPlan | null,
  host: HostSnapshot | undefined,
): PreemptionPreviewView {
  if (decision.outcome === 'placed') {
    return { outcome: 'fits', host: decision.hostName, victims: [], least: null, message: null };
  }
  if (!plan) return { outcome: 'rejected', host: null, victims: [], least: null, message: decision.message };
  return {
    outcome: 'preempts',
    host: plan.hostName,
    victims: plan.victims.map((server) => victimView(server, host)),
    least: plan.least,
    message: decision.message,
  };
}

function victimView({ id, name, projectId, priority }: HostedServer, host: HostSnapshot | undefined): VictimView {
  const devices = (host?.devices ?? []).filter(({ owner }) => owner?.serverId === id).map(({ address }) => address);
  return { server_id: id, name, project_id: projectId, priority, devices };
}
