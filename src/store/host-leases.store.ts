import type { AgentStamp } from '../messages/bodies.js';
import type { Tx } from './database.js';

/** What the ledger knows of a host's agent. */
export interface HostStampRow {
  readonly id: string;
  readonly name: string;
  readonly status: 'up' | 'down';
  readonly epoch: number;
  readonly sequence: number;
  readonly hash: string;
}

const STAMP = `h.id, h.name, h.status, h.epoch, h.report_sequence AS sequence, h.report_hash AS hash`;
const CHANGED = `changed_xid = (pg_current_xact_id()::text)::bigint`;

/**
 * Hosts that were changed by a transaction that was not over at `since`, a horizon that this answered before; 0: all
 * hosts. Read only.
 */
export async function readHostStamps(
  tx: Tx,
  since: number,
): Promise<{ readonly hosts: readonly HostStampRow[]; readonly horizon: number }> {
  // the horizon comes first: what commits in between is read again the next time
  const [now] = (await tx.query(`SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon`)) as [
    { horizon: number },
  ];
  const hosts = (await tx.query(`SELECT ${STAMP} FROM hosts h WHERE h.changed_xid >= $1`, [since])) as HostStampRow[];
  return { hosts, horizon: now.horizon };
}

/**
 * Takes over new epochs of hosts that are up and have what the ledger has. One statement for all of them; an epoch is
 * never lowered. Nothing that a decision looks at changes, and so no generation.
 *
 * @returns the hosts that were adopted, as they are now
 */
export async function adoptEpochs(tx: Tx, stamps: readonly AgentStamp[]): Promise<HostStampRow[]> {
  const [rows] = (await tx.query(
    `WITH said AS (SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS s(name, epoch, sequence, hash)),
          held AS (SELECT h.id FROM hosts h JOIN said s ON s.name = h.name ORDER BY h.id FOR UPDATE OF h)
     UPDATE hosts h SET epoch = s.epoch, report_sequence = s.sequence, last_seen_at = now(), ${CHANGED}
       FROM said s, held
      WHERE held.id = h.id AND s.name = h.name AND h.epoch < s.epoch AND h.report_hash = s.hash AND h.status = 'up'
     RETURNING ${STAMP}`,
    columnsOf(stamps),
  )) as [HostStampRow[], number];
  return rows;
}

/**
 * Takes in full reports whose content is what the ledger has already: epoch, sequence and time only, and a host that was
 * down is up. One statement for all of them, at most one a host. Not for hosts with a device that is missing: what
 * becomes of that takes a closer look.
 *
 * @returns names of the hosts for which that was all
 */
export async function renewReports(tx: Tx, stamps: readonly AgentStamp[]): Promise<string[]> {
  const [rows] = (await tx.query(
    `WITH said AS (SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS s(name, epoch, sequence, hash)),
          held AS (SELECT h.id FROM hosts h JOIN said s ON s.name = h.name ORDER BY h.id FOR UPDATE OF h)
     UPDATE hosts h SET epoch = s.epoch, report_sequence = s.sequence, last_seen_at = now(), status = 'up', ${CHANGED},
            generation = h.generation + CASE h.status WHEN 'down' THEN 1 ELSE 0 END,
            facts_generation = CASE h.status WHEN 'down' THEN h.generation + 1 ELSE h.facts_generation END
       FROM said s, held
      WHERE held.id = h.id AND s.name = h.name AND h.report_hash = s.hash
        AND (h.epoch < s.epoch OR (h.epoch = s.epoch AND h.report_sequence <= s.sequence))
        AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.host_id = h.id AND d.missing_since IS NOT NULL)
     RETURNING h.name`,
    columnsOf(stamps),
  )) as [{ name: string }[], number];
  return rows.map(({ name }) => name);
}

/**
 * Hosts of which a scheduler has not heard for so long go down and leave the decisions: one statement for all of them.
 * Who was heard of by anybody since (another report, another life, a contact in this time) stays up.
 *
 * @returns names of those that went down
 */
export async function silenceHosts(
  tx: Tx,
  silent: readonly Pick<HostStampRow, 'id' | 'epoch' | 'sequence'>[],
  silentAfterMs: number,
): Promise<string[]> {
  const [rows] = (await tx.query(
    `WITH quiet AS (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS q(id, epoch, sequence)),
          held AS (SELECT h.id FROM hosts h JOIN quiet q ON q.id = h.id ORDER BY h.id FOR UPDATE OF h)
     UPDATE hosts h SET status = 'down', generation = h.generation + 1, facts_generation = h.generation + 1, ${CHANGED}
       FROM quiet q, held
      WHERE held.id = h.id AND q.id = h.id AND h.status = 'up' AND h.epoch = q.epoch AND h.report_sequence = q.sequence
        AND h.last_seen_at < now() - $4::int * interval '1 millisecond'
     RETURNING h.name`,
    [
      silent.map(({ id }) => id),
      silent.map(({ epoch }) => epoch),
      silent.map(({ sequence }) => sequence),
      silentAfterMs,
    ],
  )) as [{ name: string }[], number];
  return rows.map(({ name }) => name);
}

function columnsOf(stamps: readonly AgentStamp[]): unknown[] {
  return [
    stamps.map(({ host }) => host),
    stamps.map(({ epoch }) => epoch),
    stamps.map(({ sequence }) => sequence),
    stamps.map(({ hash }) => hash),
  ];
}
