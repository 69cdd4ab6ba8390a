import type { GuestEnded } from '../messages/server-bodies.js';
import type { Tx } from './database.js';

/** One line of a server's history, for people. */
export interface ServerEvent {
  readonly serverId: string;
  /**
   * `requested`, `placed`, `rejected`, `waiting`, `prepared`, `failed`, `preempting`, `preempted`, `delete_requested`, `deleted`;
   * of devices that come and go: `attach_requested`, `attaching`, `attach_refused`, `attach_failed`, `detach_requested`, `detached`;
   * `guest_ended`: its guest has ended by itself;
   * `released`: a device is not with the driver that it had; `repaired`: a check found ledger or journal wrong about the server.
   */
  readonly event: string;
  readonly message: string;
}

/**
 * A guest has ended by itself: its server says so, once, and stays as it is. Of a server that is on another host by now, or being deleted,
 * nothing is said.
 */
export async function addGuestEnd(tx: Tx, { host, server_id, message }: GuestEnded): Promise<void> {
  await tx.query(
    `INSERT INTO server_events (server_id, event, message)
     SELECT s.id, 'guest_ended', $3 FROM servers s JOIN hosts h ON h.id = s.host_id
      WHERE s.id = $2 AND h.name = $1 AND s.status = 'ACTIVE'
        AND NOT EXISTS (SELECT 1 FROM server_events e WHERE e.server_id = s.id AND e.event = 'guest_ended' AND e.message = $3)`,
    [host, server_id, message],
  );
}

export async function addServerEvents(tx: Tx, events: readonly ServerEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.query(
    `INSERT INTO server_events (server_id, event, message) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])`,
    [events.map((event) => event.serverId), events.map((event) => event.event), events.map((event) => event.message)],
  );
}
