import { writeAudit } from './audit.store.js';
import type { Tx } from './database.js';
import type { AliasVersionEntity } from './entities/catalog.entities.js';

/** How many versions of one name are kept; the oldest go first. */
export const VERSIONS_MAX = 1000;

/** Who writes aliases. */
export interface AliasWriter {
  readonly source: AliasVersionEntity['source'];
  /** null: no file's. */
  readonly origin: string | null;
  /** `rest`, `file:<origin>`, or `forgotten:<origin>`. */
  readonly by: string;
}

export const BY_REST: AliasWriter = { source: 'rest', origin: null, by: 'rest' };

const VERSION_COLUMNS = 'name, version, numa_policy, specs, source, origin, change, changed_at, changed_by';

/** Versions of a name, the newest first, those before `before` only. Also of an alias that is deleted. */
export async function listAliasVersions(
  tx: Tx,
  name: string,
  page: { readonly before: number | null; readonly limit: number },
): Promise<AliasVersionEntity[]> {
  return tx.query(
    `SELECT ${VERSION_COLUMNS} FROM alias_versions
     WHERE name = $1 AND ($2::integer IS NULL OR version < $2) ORDER BY version DESC LIMIT $3`,
    [name, page.before, page.limit],
  );
}

export async function findAliasVersion(tx: Tx, name: string, version: number): Promise<AliasVersionEntity | null> {
  const rows = await tx.query<AliasVersionEntity[]>(
    `SELECT ${VERSION_COLUMNS} FROM alias_versions WHERE name = $1 AND version = $2`,
    [name, version],
  );
  return rows[0] ?? null;
}

/**
 * Gives aliases that this transaction has just inserted or updated their next version, and keeps it. The number comes
 * from the kept versions, not from the row: a name that was deleted and made again never has one twice.
 */
export async function countVersions(
  tx: Tx,
  names: readonly string[],
  change: 'created' | 'changed',
  writer: AliasWriter,
): Promise<void> {
  if (names.length === 0) return;
  await auditAliases(tx, names, change, writer);
  await tx.query(
    `WITH numbered AS (
       UPDATE aliases a SET version = 1 + coalesce((SELECT max(v.version) FROM alias_versions v WHERE v.name = a.name), 0)
       WHERE a.name = ANY($1) RETURNING a.*)
     INSERT INTO alias_versions (name, version, numa_policy, specs, source, origin, change, changed_by)
     SELECT name, version, numa_policy, specs, source, $2, $3, $4 FROM numbered`,
    [names, writer.origin, change, writer.by],
  );
  await dropOldest(tx, names);
}

/** Deletes aliases; that is a version, too. */
export async function deleteWithVersion(tx: Tx, names: readonly string[], writer: AliasWriter): Promise<void> {
  if (names.length === 0) return;
  await auditAliases(tx, names, 'deleted', writer);
  await tx.query(
    `WITH gone AS (DELETE FROM aliases WHERE name = ANY($1) RETURNING *)
     INSERT INTO alias_versions (name, version, numa_policy, specs, source, origin, change, changed_by)
     SELECT name, version + 1, numa_policy, specs, source, $2, 'deleted', $3 FROM gone`,
    [names, writer.origin, writer.by],
  );
  await dropOldest(tx, names);
}

/** Which aliases, not what they say: that is in `alias_versions`. */
async function auditAliases(
  tx: Tx,
  names: readonly string[],
  change: AliasVersionEntity['change'],
  { by }: AliasWriter,
): Promise<void> {
  await writeAudit(tx, [{ kind: 'admin', action: `alias.${change}`, actor: by, aliases: names }]);
}

async function dropOldest(tx: Tx, names: readonly string[]): Promise<void> {
  await tx.query(
    `DELETE FROM alias_versions v
     USING (SELECT name, max(version) - $2::integer AS last_dropped FROM alias_versions WHERE name = ANY($1)
            GROUP BY name) old
     WHERE v.name = old.name AND v.version <= old.last_dropped`,
    [names, VERSIONS_MAX],
  );
}
