import { BerthError } from '../errors.js';
import { AUDIT_WRITER, type AuditBody } from './audit-bodies.js';
import { sealed, type AuditAnchor, type UnsealedEntry } from './audit-chain.js';
import type { Tx } from './database.js';
import { jsonList } from './json-list.js';

/**
 * How the audit is written. Whoever changes something adds rows to `audit_pending` in the same transaction, and waits for
 * nobody; the sealer, of which one works at a time, moves them into the chain.
 */

/**
 * Begins a statement that writes audit rows as well: they are there exactly when what it does is, and cost no round trip.
 *
 * @param position of the first of the two {@link auditValues} among the statement's values, from 1
 */
export function auditing(position: number): string {
  return `WITH audited AS (INSERT INTO audit_pending (writer, body) SELECT $${position}::text, json_array_elements($${position + 1}::json))`;
}

export function auditValues(bodies: readonly AuditBody[]): [writer: string, bodies: string] {
  return [AUDIT_WRITER, jsonList(bodies.map((body) => JSON.stringify(body)))];
}

/** Writes audit rows on their own, in the caller's transaction. */
export async function writeAudit(tx: Tx, bodies: readonly AuditBody[]): Promise<void> {
  if (bodies.length === 0) return;
  await tx.query(
    `INSERT INTO audit_pending (writer, body) SELECT $1::text, json_array_elements($2::json)`,
    auditValues(bodies),
  );
}

const ROWS_PER_SEAL = 500;
/** A row may have a thousand devices in it; memory has a limit, and so has the time for which other work of the process is held up. */
const BYTES_PER_SEAL = 2 * 1024 * 1024;

/** UTC with microseconds: as precise as the ledger is. */
export const AUDIT_TIME = `to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Whether there is something to seal; costs next to nothing. */
export async function hasUnsealed(tx: Tx): Promise<boolean> {
  const [row] = (await tx.query(`SELECT EXISTS (SELECT 1 FROM audit_pending) AS found`)) as { found: boolean }[];
  return row?.found ?? false;
}

/**
 * Moves the oldest pending rows into the chain.
 *
 * Rows of one device come in the order in which they were written: who changes a device holds its host, so its row has an id,
 * and is committed, before the next one gets its id.
 *
 * @returns `sealed`: how many; `more`: whether there may be more. Nothing is done while another process seals
 */
export async function sealAudit(tx: Tx): Promise<{ readonly sealed: number; readonly more: boolean }> {
  if (!(await lockChain(tx))) return { sealed: 0, more: false };
  const head = await readHeadForSealing(tx);
  const pending = await readPending(tx);
  const entries = sealed(head, pending);
  const last = entries.at(-1);
  if (!last) return { sealed: 0, more: false };
  await tx.query(
    `WITH taken AS (DELETE FROM audit_pending WHERE id = ANY($1) RETURNING id, at, writer, body)
     INSERT INTO audit_entries (seq, at, writer, body, subjects, previous_hash, hash)
     SELECT e.seq, t.at, t.writer, t.body, e.subjects::uuid[], e.previous_hash, e.hash
       FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])
         AS e(id, seq, subjects, previous_hash, hash)
       JOIN taken t ON t.id = e.id`,
    [
      pending.map((row) => row.id),
      entries.map((entry) => entry.seq),
      entries.map((entry) => `{${entry.subjects.join()}}`),
      entries.map((entry) => entry.previousHash),
      entries.map((entry) => entry.hash),
    ],
  );
  await setAnchor(tx, 'head', last);
  return { sealed: entries.length, more: true };
}

/** One at a time over all schedulers. */
async function lockChain(tx: Tx): Promise<boolean> {
  const [row] = (await tx.query(`SELECT pg_try_advisory_xact_lock(hashtext('berth.audit')) AS locked`)) as {
    locked: boolean;
  }[];
  return row?.locked ?? false;
}

/**
 * The hash is that of what was sealed last, not that of the last row: an end that somebody cut off is not covered up by what
 * follows. A row that somebody put behind it is passed over, and is found as well.
 */
async function readHeadForSealing(tx: Tx): Promise<AuditAnchor> {
  const [head] = (await tx.query(
    `SELECT greatest(a.seq, (SELECT max(seq) FROM audit_entries)) AS seq, a.hash FROM audit_anchors a WHERE a.name = 'head'`,
  )) as AuditAnchor[];
  if (head) return head;
  throw new BerthError('audit.damaged', 'the end of the audit chain is not known: audit_anchors has no row head');
}

interface PendingRow extends UnsealedEntry {
  readonly id: number;
}

/** Nobody else takes them: the chain is locked. */
function readPending(tx: Tx): Promise<PendingRow[]> {
  return tx.query(
    `SELECT id, ${AUDIT_TIME} AS at, writer, body::text AS body
       FROM (SELECT *, sum(octet_length(body::text)) OVER (ORDER BY id) - octet_length(body::text) AS before
               FROM (SELECT id, at, writer, body FROM audit_pending ORDER BY id LIMIT $1) p) s
      WHERE before < $2 ORDER BY id`,
    [ROWS_PER_SEAL, BYTES_PER_SEAL],
  );
}

async function setAnchor(tx: Tx, name: 'start' | 'head', { seq, hash }: AuditAnchor): Promise<void> {
  await tx.query(`UPDATE audit_anchors SET seq = $2, hash = $3, at = now() WHERE name = $1`, [name, seq, hash]);
}

const ROWS_PER_PRUNE = 5000;

/**
 * Forgets entries from the start on that are older than `keepDays`; number and hash of the last one are kept, where the chain
 * begins from then on, and that they were pruned is audited. In steps.
 *
 * @returns whether there may be more
 */
export async function pruneAudit(tx: Tx, keepDays: number): Promise<boolean> {
  if (keepDays === 0 || !(await lockChain(tx))) return false;
  const rows = (await tx.query(
    `SELECT seq, hash, at < now() - $1::int * interval '1 day' AS old FROM audit_entries ORDER BY seq LIMIT $2`,
    [keepDays, ROWS_PER_PRUNE],
  )) as (AuditAnchor & { readonly old: boolean })[];
  const young = rows.findIndex(({ old }) => !old);
  const last = rows.at(young < 0 ? -1 : young - 1);
  if (young === 0 || !last) return false;
  await tx.query(`DELETE FROM audit_entries WHERE seq <= $1`, [last.seq]);
  await setAnchor(tx, 'start', last);
  const pruned = { action: 'audit.prune', actor: null, seq: last.seq, hash: last.hash, keep_days: keepDays };
  await writeAudit(tx, [{ kind: 'admin', ...pruned }]);
  return young < 0;
}
