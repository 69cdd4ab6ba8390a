import { ApiProperty } from '@nestjs/swagger';
import type { EvacuationRow, ServerThere } from '../../store/evacuation-admin.store.js';
import { FlagField, FlagParameter, IdsField, TextField } from '../fields.js';

const SERVERS_MAX = 1000;

export class EvacuateBody {
  @IdsField({ max: SERVERS_MAX, optional: true, description: 'Only these servers; without, all that are there.' })
  server_ids?: string[];
  @TextField({ optional: true, description: 'For the history of the servers, and why the host is disabled.' })
  reason?: string;
  @FlagField({ optional: true, description: 'Servers leave also when no host takes them, and wait for room.' })
  force?: boolean;
  @FlagField({ optional: true, description: 'A server for which there is no room is tried again. Default true.' })
  wait?: boolean;
  @FlagField({ optional: true, description: 'The host takes no servers any more. Default true.' })
  disable?: boolean;
}

export class RemoveHostQuery {
  @FlagParameter({ optional: true, description: 'Also a host that is up, or enabled. Never one that servers are on.' })
  force?: boolean;
}

export const PLANNED = ['move', 'needs_owner'] as const;

export class PlannedServerView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly server_id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({
    enum: [...PLANNED],
    type: String,
    description: 'needs_owner: a placement; whoever asked for it has to place it anew.',
  })
  readonly will: (typeof PLANNED)[number];
}

export class EvacuationPlanView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: [PlannedServerView], description: 'The most important first.' })
  readonly servers: readonly PlannedServerView[];
}

export const PROGRESS = ['moving', 'moved', 'stuck', 'needs_owner', 'gone'] as const;

export class EvacuatedServerView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly server_id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ enum: [...PROGRESS], type: String, description: 'gone: it was deleted meanwhile.' })
  readonly progress: (typeof PROGRESS)[number];
  @ApiProperty({ type: String, nullable: true, description: 'The host that it is on, or on its way to.' })
  readonly to: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'What keeps it.' }) readonly reason: string | null;
  @ApiProperty({ type: Boolean, description: 'Whether it is tried again by itself.' }) readonly tried_again: boolean;
  @ApiProperty({ type: String, format: 'date-time' }) readonly asked_at: Date;
}

export class EvacuationView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: Boolean, description: 'Nothing is on its way any more, and every device is given back.' })
  readonly done: boolean;
  @ApiProperty({ type: 'integer', description: 'Claims whose devices the agent has not given back yet.' })
  readonly releasing: number;
  @ApiProperty({ type: [EvacuatedServerView] }) readonly servers: readonly EvacuatedServerView[];
}

export function planView(host: string, servers: readonly ServerThere[]): EvacuationPlanView {
  return {
    host,
    servers: servers.map(({ id, name, kind }) => ({
      server_id: id,
      name,
      will: kind === 'placement' ? 'needs_owner' : 'move',
    })),
  };
}

export function evacuationView(host: string, rows: readonly EvacuationRow[], releasing: number): EvacuationView {
  const servers = rows.map((row) => serverView(row));
  const isOpen = servers.some(({ progress, tried_again }) => progress === 'moving' || tried_again);
  return { host, done: !isOpen && releasing === 0, releasing, servers };
}

function serverView(row: EvacuationRow): EvacuatedServerView {
  const progress = progressOf(row);
  const isAway = row.state === 'left';
  const reason = isAway ? row.fault_message : row.problem;
  return {
    server_id: row.server_id,
    name: row.name,
    progress,
    to: isAway ? row.host_name : null,
    reason: progress === 'moved' || progress === 'gone' ? null : reason,
    tried_again: row.state === 'open',
    asked_at: row.asked_at,
  };
}

/** A server that found no room elsewhere is where it was, and stuck; one that waits in the queue is on its way. */
function progressOf({ state, status, problem }: EvacuationRow): EvacuatedServerView['progress'] {
  if (status === 'DELETED' || status === 'DELETING') return 'gone';
  if (state === 'needs_owner') return 'needs_owner';
  if (state === 'stuck' || (state === 'open' && problem !== null)) return 'stuck';
  if (state === 'left' && status === 'ACTIVE') return 'moved';
  return state === 'left' && status === 'ERROR' ? 'stuck' : 'moving';
}
