import { BerthError } from '../errors.js';
import { AUDIT_TIME } from './audit.store.js';
import type { AuditAnchor, AuditEntry } from './audit-chain.js';
import type { ChainReader } from './audit-check.js';
import type { Tx } from './database.js';

const ENTRIES_PER_READ = 1000;
/** A page ends here, though it has not as many entries as it may: one entry can have a thousand devices in it. */
const BYTES_PER_READ = 4 * 1024 * 1024;

const COLUMNS = `seq, ${AUDIT_TIME} AS at, writer, body::text AS body, subjects, previous_hash AS "previousHash", hash`;

/** Where the chain begins and ends, and how much waits to be sealed. */
export interface AuditEnds {
  readonly start: AuditAnchor;
  readonly head: AuditAnchor;
  readonly pending: number;
}

/** @throws BerthError `audit.damaged` */
export async function readAuditEnds(tx: Tx): Promise<AuditEnds> {
  const rows = (await tx.query(
    `SELECT name, seq, hash, (SELECT count(*) FROM audit_pending) AS pending FROM audit_anchors`,
  )) as (AuditAnchor & { readonly name: string; readonly pending: number })[];
  const anchorOf = (name: string): AuditAnchor => {
    const row = rows.find((anchor) => anchor.name === name);
    if (row) return { seq: row.seq, hash: row.hash };
    throw new BerthError('audit.damaged', `audit_anchors has no row ${name}`);
  };
  return { start: anchorOf('start'), head: anchorOf('head'), pending: rows[0]?.pending ?? 0 };
}

/** The entries after one; as many as fit into a page. */
export function readAuditEntries(tx: Tx, after: number): Promise<AuditEntry[]> {
  return tx.query(
    `SELECT ${COLUMNS} FROM (
       SELECT *, sum(octet_length(body::text)) OVER (ORDER BY seq) - octet_length(body::text) AS before
         FROM (SELECT * FROM audit_entries WHERE seq > $1 ORDER BY seq LIMIT $2) e) sized
      WHERE before < $3 ORDER BY seq`,
    [after, ENTRIES_PER_READ, BYTES_PER_READ],
  );
}

export async function findAuditEntry(tx: Tx, seq: number): Promise<AuditEntry | null> {
  const [row] = (await tx.query(`SELECT ${COLUMNS} FROM audit_entries WHERE seq = $1`, [seq])) as AuditEntry[];
  return row ?? null;
}

const HASH_COLUMNS = { hash: 'hash', previousHash: 'previous_hash' } as const;

/** Runs `work` on the chain as it is at one moment, however long it takes and whatever is sealed or pruned meanwhile. */
export function onStillChain<T>(
  pool: Tx,
  work: (reader: ChainReader, ends: AuditEnds, tx: Tx) => Promise<T>,
): Promise<T> {
  return pool.transaction('REPEATABLE READ', async (tx) => {
    await tx.query(`SET TRANSACTION READ ONLY`);
    await tx.query(`SET LOCAL statement_timeout = 0`); // what is looked for in a broken chain has no index
    const ends = await readAuditEnds(tx);
    const reader: ChainReader = {
      ...ends,
      after: (seq) => readAuditEntries(tx, seq),
      having: (field, value) =>
        tx.query(`SELECT ${COLUMNS} FROM audit_entries WHERE ${HASH_COLUMNS[field]} = $1 ORDER BY seq LIMIT 10`, [
          value,
        ]),
    };
    return work(reader, ends, tx);
  });
}

/** The trail of these subjects (all of them in one entry); none: of everything. */
export interface TrailQuery {
  readonly subjects: readonly string[];
  /** The number that the page begins after; null: at the beginning, or at the end when the newest are first. */
  readonly after: number | null;
  readonly limit: number;
  readonly newestFirst?: boolean;
}

/** @returns `complete`: there are no more; a page of large entries may have fewer than `limit` */
export async function readTrail(
  tx: Tx,
  { subjects, after, limit, newestFirst = false }: TrailQuery,
): Promise<{ readonly entries: readonly AuditEntry[]; readonly complete: boolean }> {
  const [beyond, order] = newestFirst ? ['<', 'seq DESC'] : ['>', 'seq'];
  const isAfter = `($1::bigint IS NULL OR seq ${beyond} $1)`;
  // found by its subjects first: in the order of seq everything would be looked through for a rare one
  const [where, how] = subjects.length > 0 ? [`subjects @> $4::uuid[]`, 'MATERIALIZED'] : ['true', 'NOT MATERIALIZED'];
  const rows = (await tx.query(
    `WITH found AS ${how} (SELECT seq FROM audit_entries WHERE ${where} AND ${isAfter}),
          first AS (SELECT seq FROM found ORDER BY ${order} LIMIT $2::int + 1),
          sized AS (SELECT e.*, row_number() OVER (ORDER BY e.${order}) AS place,
                           sum(octet_length(e.body::text)) OVER (ORDER BY e.${order}) - octet_length(e.body::text) AS before
                      FROM first JOIN audit_entries e ON e.seq = first.seq)
     SELECT ${COLUMNS}, (SELECT count(*) FROM first) AS found FROM sized
      WHERE before < $3 AND place <= $2::int ORDER BY ${order}`,
    [after, limit, BYTES_PER_READ, ...(subjects.length > 0 ? [subjects] : [])],
  )) as (AuditEntry & { readonly found: number })[];
  return {
    entries: rows.map(({ found: _found, ...entry }) => entry),
    complete: rows.length === (rows[0]?.found ?? 0),
  };
}

/** Host id → name, for people. */
export async function readHostNames(tx: Tx): Promise<Map<string, string>> {
  const rows = (await tx.query(`SELECT id, name FROM hosts`)) as { id: string; name: string }[];
  return new Map(rows.map(({ id, name }) => [id, name]));
}
