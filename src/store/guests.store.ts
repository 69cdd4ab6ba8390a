import type { GuestEnded, WireServer } from '../messages/server-bodies.js';
import type { PlacementRequest } from '../placement/request.js';
import type { Tx } from './database.js';

/** The image property that names a server's image, for agents that start guests. */
const IMAGE_PROPERTY = 'berth_image';

/** A server with what it was placed with. */
export interface PlacedGuest {
  readonly name: string;
  readonly request: PlacementRequest;
  /** null: it has no NUMA topology of its own. */
  readonly numaCells: readonly number[] | null;
}

/** What an agent has to know to start the server's guest. */
export function wireServer({ name, request, numaCells }: PlacedGuest): WireServer {
  const image = request.host?.imageProperties?.[IMAGE_PROPERTY];
  return {
    ...{ name, project_id: request.projectId, vcpus: request.vcpus, memory_mb: request.memoryMb },
    ...(image === undefined ? {} : { image }),
    ...(numaCells === null || numaCells.length === 0 ? {} : { numa_cells: [...numaCells] }),
  };
}

/** Claims of which an agent runs a guest that all devices were detached from: it has to hear that the server ends. */
export async function readBareGuests(tx: Tx, claimIds: readonly string[]): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT c.id FROM claims c JOIN hosts h ON h.id = c.host_id
      WHERE c.id = ANY($1) AND c.kind = 'server' AND h.compute_driver IS NOT NULL
        AND EXISTS (SELECT 1 FROM claims s WHERE s.split_from = c.id)`,
    [claimIds],
  )) as { id: string }[];
  return rows.map(({ id }) => id);
}

/**
 * A guest has ended by itself: its server is stopped, says so once, and keeps what it has. Of a server that is on another host by now, or being deleted,
 * nothing is said.
 */
export async function addGuestEnd(tx: Tx, { host, server_id, message }: GuestEnded): Promise<void> {
  await tx.query(
    `WITH ended AS (
       UPDATE servers s SET vm_state = 'stopped', updated_at = now() FROM hosts h
        WHERE s.id = $2 AND h.id = s.host_id AND h.name = $1 AND s.status = 'ACTIVE' AND s.action IS NULL
     )
     INSERT INTO server_events (server_id, event, message)
     SELECT s.id, 'guest_ended', $3 FROM servers s JOIN hosts h ON h.id = s.host_id
      WHERE s.id = $2 AND h.name = $1 AND s.status = 'ACTIVE'
        AND NOT EXISTS (SELECT 1 FROM server_events e WHERE e.server_id = s.id AND e.event = 'guest_ended' AND e.message = $3)`,
    [host, server_id, message],
  );
}
