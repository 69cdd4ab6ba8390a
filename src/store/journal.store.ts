import type { Frozen } from '../placement/frozen-snapshot.js';
import type { Tx } from './database.js';
import { jsonList } from './json-list.js';
import type { JournalKind } from './entities/journal.entities.js';

/** One step of a scheduler run. */
export interface JournalLine {
  readonly seq: number;
  readonly kind: JournalKind;
  /** Milliseconds since 1970, by the clock of the process. */
  readonly atMs: number;
  /** JSON. */
  readonly body: string;
}

/** Appends lines, all or none of them. */
export async function writeJournal(tx: Tx, run: string, lines: readonly JournalLine[]): Promise<void> {
  await tx.query(
    `INSERT INTO journal_entries (run, seq, kind, at, body)
     SELECT $1::uuid, * FROM ROWS FROM
       (unnest($2::bigint[], $3::text[], $4::timestamptz[]), json_array_elements($5::json)) AS l(seq, kind, at, body)`,
    [
      run,
      lines.map((line) => line.seq),
      lines.map((line) => line.kind),
      lines.map((line) => new Date(line.atMs).toISOString()),
      jsonList(lines.map((line) => line.body)),
    ],
  );
}

/**
 * Writes facts that are not there yet, and says of the others that they are still named.
 *
 * @param facts content hash → JSON
 */
export async function writeJournalFacts(tx: Tx, facts: ReadonlyMap<string, string>): Promise<void> {
  // locked in one order: two schedulers name the same facts
  const [known] = (await tx.query(
    `UPDATE journal_facts SET named_at = now() WHERE hash IN
       (SELECT hash FROM journal_facts WHERE hash = ANY($1) ORDER BY hash FOR UPDATE) RETURNING hash`,
    [[...facts.keys()]],
  )) as [{ hash: string }[], number];
  const there = new Set(known.map(({ hash }) => hash));
  const missing = [...facts].filter(([hash]) => !there.has(hash)).sort(([a], [b]) => (a < b ? -1 : 1));
  if (missing.length === 0) return;
  await tx.query(
    `INSERT INTO journal_facts (hash, body)
     SELECT * FROM ROWS FROM (unnest($1::text[]), json_array_elements($2::json)) AS f(hash, body)
     ON CONFLICT (hash) DO UPDATE SET named_at = now()`,
    [missing.map(([hash]) => hash), jsonList(missing.map(([, body]) => body))],
  );
}

/** Where the reading of a run begins: at one of its bases. */
export interface JournalStart {
  readonly run: string;
  readonly seq: number;
}

/**
 * The runs that have something to tell of the time from `from` to before `to`, each with its last base before it; of a
 * run that began later, its first one.
 *
 * @param run null: all of them
 */
export async function readJournalStarts(
  tx: Tx,
  { from, to, run }: { readonly from: Date; readonly to: Date; readonly run: string | null },
): Promise<JournalStart[]> {
  return (await tx.query(
    `SELECT b.run, coalesce(max(b.seq) FILTER (WHERE b.at <= $1), min(b.seq)) AS seq
       FROM journal_entries b
      WHERE b.kind = 'base' AND b.at < $2 AND ($3::uuid IS NULL OR b.run = $3)
      GROUP BY b.run
     HAVING (SELECT e.at FROM journal_entries e WHERE e.run = b.run ORDER BY e.seq DESC LIMIT 1) >= $1
      ORDER BY min(b.at), b.run`,
    [from, to, run],
  )) as JournalStart[];
}

/** A line as it is read back. */
export interface JournalEntry {
  readonly seq: number;
  readonly kind: JournalKind;
  readonly at: Date;
  readonly body: unknown;
}

const ENTRIES_PER_READ = 2000;

/** The entries of a run from one on, in their order and in portions, until the first that is not before `to`. */
export async function* readJournal(tx: Tx, { run, seq }: JournalStart, to: Date): AsyncGenerator<JournalEntry[]> {
  for (let next = seq; ;) {
    const entries = (await tx.query(
      `SELECT seq, kind, at, body FROM journal_entries WHERE run = $1 AND seq >= $2 ORDER BY seq LIMIT $3`,
      [run, next, ENTRIES_PER_READ],
    )) as JournalEntry[];
    const end = entries.findIndex(({ at }) => at >= to);
    yield end < 0 ? entries : entries.slice(0, end);
    const last = entries.at(-1);
    if (end >= 0 || last === undefined || entries.length < ENTRIES_PER_READ) return;
    next = last.seq + 1;
  }
}

/** @returns by hash; those that are not kept any more are left out */
export async function readJournalFacts(tx: Tx, hashes: readonly string[]): Promise<Map<string, Frozen>> {
  const rows = (await tx.query(`SELECT hash, body FROM journal_facts WHERE hash = ANY($1)`, [hashes])) as {
    hash: string;
    body: Frozen;
  }[];
  return new Map(rows.map(({ hash, body }) => [hash, body]));
}

/** The record of a server's decision as the ledger has it: that of its latest commit of this attempt. */
export async function readDecisionRecord(tx: Tx, serverId: string, attempt: number): Promise<unknown> {
  const [row] = (await tx.query(
    `SELECT record FROM decisions WHERE server_id = $1 AND attempt = $2 ORDER BY created_at DESC LIMIT 1`,
    [serverId, attempt],
  )) as { record: unknown }[];
  return row?.record ?? null;
}

const ROWS_PER_PURGE = 5000;
const PURGES_MAX = 20;
const FACTS_PER_PURGE = 500;

/**
 * Forgets what is not needed to decide anything again that is younger than `keepMs`. In small steps; what is left over
 * is for the next time.
 *
 * @param baseIntervalMs of the schedulers: facts are said to be still named once for each base
 */
export async function purgeJournal(tx: Tx, keepMs: number, baseIntervalMs: number): Promise<void> {
  let left = PURGES_MAX;
  for (const { run, before } of await readPurgeable(tx, keepMs)) {
    // bases come last, by which the run is found again
    while (left-- > 0) {
      const [, deleted] = (await tx.query(
        `DELETE FROM journal_entries WHERE run = $1 AND seq IN
           (SELECT seq FROM journal_entries WHERE run = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3)`,
        [run, before, ROWS_PER_PURGE],
      )) as [unknown, number];
      if (deleted < ROWS_PER_PURGE) break;
    }
  }
  await tx.query(
    `DELETE FROM journal_facts WHERE hash IN
       (SELECT hash FROM journal_facts WHERE named_at < now() - $1::bigint * interval '1 millisecond' LIMIT $2)`,
    [keepMs + 2 * baseIntervalMs, FACTS_PER_PURGE],
  );
}

/** For each run the entry before which nothing is needed: its last base that is old enough, or its end when that is. */
async function readPurgeable(tx: Tx, keepMs: number): Promise<{ run: string; before: number }[]> {
  return (await tx.query(
    `SELECT b.run, CASE WHEN last.at < old.at THEN last.seq + 1 ELSE max(b.seq) END AS before
       FROM (SELECT now() - $1::bigint * interval '1 millisecond' AS at) old, journal_entries b
      CROSS JOIN LATERAL
            (SELECT e.seq, e.at FROM journal_entries e WHERE e.run = b.run ORDER BY e.seq DESC LIMIT 1) last
      WHERE b.kind = 'base' AND b.at < old.at
      GROUP BY b.run, old.at, last.seq, last.at`,
    [keepMs],
  )) as { run: string; before: number }[];
}
