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

export async function addServerEvents(tx: Tx, events: readonly ServerEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.query(
    `INSERT INTO server_events (server_id, event, message) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])`,
    [events.map((event) => event.serverId), events.map((event) => event.event), events.map((event) => event.message)],
  );
}
