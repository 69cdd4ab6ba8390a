import type { AliasDefinition, AliasSpec } from '../pci/alias/alias.js';
import type { NumaPolicy } from '../pci/alias/numa-policy.js';
import type { AliasStanding } from './alias-owners.js';
import type { Tx } from './database.js';
import type { AliasEntity } from './entities/catalog.entities.js';

/** What the configuration files of each origin say; what comes of it is in `aliases`. */

/** Only one process at a time takes files. May be called twice in a transaction. */
export async function lockStatements(tx: Tx): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtext('berth.file_aliases'))`);
}

interface StandingRow {
  readonly name: string;
  readonly source: AliasEntity['source'] | null;
  readonly numa_policy: NumaPolicy;
  readonly specs: AliasSpec[];
  readonly statements: readonly {
    readonly origin: string;
    readonly said_at: string;
    readonly numa_policy: NumaPolicy;
    readonly specs: AliasSpec[];
  }[];
}

/**
 * How the aliases stand that the origin's files say, or said before, and those that nobody says (they are from before
 * origins were written down); in name order.
 */
export async function readStanding(tx: Tx, origin: string, given: readonly string[]): Promise<AliasStanding[]> {
  const rows = await tx.query<StandingRow[]>(
    `WITH scope AS (
       SELECT unnest($2::text[]) AS name
       UNION SELECT name FROM file_aliases WHERE origin = $1
       UNION SELECT name FROM aliases a
             WHERE source = 'file' AND NOT EXISTS (SELECT 1 FROM file_aliases f WHERE f.name = a.name))
     SELECT s.name, a.source, a.numa_policy, a.specs,
            (SELECT coalesce(jsonb_agg(jsonb_build_object(
                      'origin', f.origin, 'said_at', to_char(o.said_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
                      'numa_policy', f.numa_policy, 'specs', f.specs)
                      ORDER BY o.said_at DESC, f.origin), '[]')
               FROM file_aliases f JOIN alias_origins o ON o.origin = f.origin WHERE f.name = s.name) AS statements
     FROM scope s LEFT JOIN aliases a ON a.name = s.name
     ORDER BY s.name`,
    [origin, given],
  );
  return rows.map((row) => ({
    name: row.name,
    inForce: row.source && { source: row.source, definition: definitionOf(row.name, row) },
    statements: row.statements.map((statement) => ({
      origin: statement.origin,
      saidAt: statement.said_at,
      definition: definitionOf(row.name, statement),
    })),
  }));
}

/** Replaces what the files of the origin say. An origin that says nothing is forgotten. */
export async function writeStatements(tx: Tx, origin: string, aliases: readonly AliasDefinition[]): Promise<void> {
  if (aliases.length === 0) {
    await tx.query(`DELETE FROM alias_origins WHERE origin = $1`, [origin]);
    return;
  }
  await tx.query(
    `INSERT INTO alias_origins (origin) VALUES ($1)
     ON CONFLICT ON CONSTRAINT alias_origins_pkey DO UPDATE SET said_at = now()`,
    [origin],
  );
  await tx.query(`DELETE FROM file_aliases WHERE origin = $1 AND name <> ALL($2)`, [
    origin,
    aliases.map((alias) => alias.name),
  ]);
  await tx.query(
    `INSERT INTO file_aliases (name, origin, numa_policy, specs)
     SELECT name, $1, "numaPolicy", specs
     FROM jsonb_to_recordset($2::jsonb) AS given(name text, "numaPolicy" text, specs jsonb)
     ON CONFLICT ON CONSTRAINT file_aliases_pkey DO UPDATE
       SET numa_policy = excluded.numa_policy, specs = excluded.specs
       WHERE (file_aliases.numa_policy, file_aliases.specs) IS DISTINCT FROM (excluded.numa_policy, excluded.specs)`,
    [origin, JSON.stringify(aliases)],
  );
}

/** How many origins there are beside this one. */
export async function countOtherOrigins(tx: Tx, origin: string): Promise<number> {
  const rows = await tx.query<{ count: number }[]>(
    `SELECT count(*)::integer AS count FROM alias_origins WHERE origin <> $1`,
    [origin],
  );
  return rows[0]?.count ?? 0;
}

function definitionOf(
  name: string,
  row: { readonly numa_policy: NumaPolicy; readonly specs: AliasSpec[] },
): AliasDefinition {
  return { name, numaPolicy: row.numa_policy, specs: row.specs };
}
