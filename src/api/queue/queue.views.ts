import { ApiProperty } from '@nestjs/swagger';
import type { QueueRow } from '../../store/queue.store.js';

export class QueuedServerView {
  @ApiProperty({ type: 'integer', description: 'From 1: who is tried first.' }) readonly position: number;
  @ApiProperty({ type: String, format: 'uuid' }) readonly server_id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String }) readonly project_id: string;
  @ApiProperty({ type: 'integer', description: "The server's own; what it has aged is in its position." })
  readonly priority: number;
  @ApiProperty({ type: String, format: 'date-time' }) readonly waiting_since: Date;
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'The same for all servers of one call.' })
  readonly reservation_id: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'The host that is kept for it.' })
  readonly nominated_host: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Why there was no room when it was tried last.' })
  readonly reason: string | null;
}

export class QueuePageView {
  @ApiProperty({ type: [QueuedServerView] }) readonly servers: readonly QueuedServerView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function queuedServerView(row: QueueRow): QueuedServerView {
  return {
    position: row.position,
    server_id: row.id,
    name: row.name,
    project_id: row.project_id,
    priority: row.priority,
    waiting_since: row.queued_at,
    reservation_id: row.gang_id,
    nominated_host: row.nominated_host,
    reason: row.fault?.message ?? null,
  };
}
