import { BerthError } from '../errors.js';
import type { AliasDefinition } from '../pci/alias/alias.js';
import { aliasStep, isSameAlias, type AliasStep } from './alias-owners.js';
import { BY_REST, countVersions, deleteWithVersion, type AliasWriter } from './alias-versions.store.js';
import type { Tx } from './database.js';
import type { AliasEntity } from './entities/catalog.entities.js';
import { countOtherOrigins, lockStatements, readStanding, writeStatements } from './file-aliases.store.js';

/** A page of what is listed by name: those after `after`, at most `limit`. */
export interface NamePage {
  readonly after: string | null;
  readonly limit: number;
}

/** Configuration files that define an alias. */
export interface AliasOwner {
  readonly origin: string;
  /** false: these files still say what the alias was before. */
  readonly current: boolean;
}

/** An alias and, of one from files, whose files they are. */
export type AliasRow = AliasEntity & { readonly owners: readonly AliasOwner[] };

/** A definition as the ledger has it. */
export interface VersionedAlias extends AliasDefinition {
  readonly version: number;
}

const ALIASES = `
  SELECT a.id, a.name, a.numa_policy, a.specs, a.source, a.version, a.created_at, a.updated_at,
         (SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'origin', f.origin, 'current', f.numa_policy = a.numa_policy AND f.specs = a.specs)
                   ORDER BY f.origin), '[]')
            FROM file_aliases f WHERE f.name = a.name) AS owners
  FROM aliases a`;

export async function listAliases(tx: Tx, page: NamePage): Promise<AliasRow[]> {
  return tx.query(`${ALIASES} WHERE ($1::text IS NULL OR a.name > $1) ORDER BY a.name LIMIT $2`, [
    page.after,
    page.limit,
  ]);
}

export async function findAlias(tx: Tx, name: string): Promise<AliasRow | null> {
  const rows = await tx.query<AliasRow[]>(`${ALIASES} WHERE a.name = $1`, [name]);
  return rows[0] ?? null;
}

/** Waits for writers of this alias and for flavors being written that name it. */
export async function lockAlias(tx: Tx, name: string): Promise<AliasRow | null> {
  const rows = await tx.query<AliasRow[]>(`${ALIASES} WHERE a.name = $1 FOR UPDATE OF a`, [name]);
  return rows[0] ?? null;
}

/** The aliases of these names; names without an alias are left out. */
export async function findAliasDefinitions(tx: Tx, names: readonly string[]): Promise<VersionedAlias[]> {
  return readDefinitions(tx, names, '');
}

/** As {@link findAliasDefinitions}, and none of them can be deleted before this transaction has ended. */
export async function holdAliasDefinitions(tx: Tx, names: readonly string[]): Promise<VersionedAlias[]> {
  return readDefinitions(tx, names, 'FOR SHARE');
}

async function readDefinitions(tx: Tx, names: readonly string[], lock: string): Promise<VersionedAlias[]> {
  if (names.length === 0) return [];
  return tx.query(
    `SELECT name, numa_policy AS "numaPolicy", specs, version FROM aliases WHERE name = ANY($1) ORDER BY name ${lock}`,
    [names],
  );
}

const NAMES_MAX = 1000;

/** For suggestions. */
export async function aliasNames(tx: Tx): Promise<string[]> {
  const rows = await tx.query<{ name: string }[]>(`SELECT name FROM aliases ORDER BY name LIMIT ${NAMES_MAX}`);
  return rows.map((row) => row.name);
}

/** @returns false when there is an alias of this name already */
export async function insertAlias(tx: Tx, alias: AliasDefinition): Promise<boolean> {
  return (await insertAliases(tx, [alias], BY_REST)) === 1;
}

/** Writes the alias and counts its version up, unless it is that already. The row is locked. */
export async function updateAlias(tx: Tx, row: AliasEntity, alias: AliasDefinition): Promise<void> {
  if (isSameAlias(alias, { name: row.name, numaPolicy: row.numa_policy, specs: row.specs })) return;
  await updateAliases(tx, [alias], BY_REST);
}

export async function deleteAlias(tx: Tx, name: string): Promise<void> {
  await deleteWithVersion(tx, [name], BY_REST);
}

/** What a sync of file aliases did, by name. */
export interface AliasSync {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** These files say still what the alias was before another origin changed it. Nothing was changed for them. */
  readonly behind: readonly string[];
}

/**
 * Takes what the configuration files of an origin say now; nothing is written when any of it is refused. It may be
 * called again at any time. The rules are in `docs/decisions/0009-alias-owners.md`: an alias is there as long as the
 * files of any origin have it; an origin may change what it had agreed to, and may not redefine what it had not.
 *
 * @throws BerthError `settings.invalid` when an alias of the REST face has one of the names, or when the files of another
 *   origin define one in another way; `details.problems` has one text for each alias
 */
export async function syncFileAliases(tx: Tx, origin: string, aliases: readonly AliasDefinition[]): Promise<AliasSync> {
  return takeStatements(tx, origin, aliases, { source: 'file', origin, by: `file:${origin}` });
}

/**
 * Forgets what the files of an origin said that no longer exists. Aliases that no other origin has go away.
 *
 * @returns null when there is no such origin
 */
export async function forgetAliasOrigin(tx: Tx, origin: string): Promise<AliasSync | null> {
  await lockStatements(tx);
  const known = await tx.query<unknown[]>(`SELECT 1 FROM alias_origins WHERE origin = $1`, [origin]);
  if (known.length === 0) return null;
  return takeStatements(tx, origin, [], { source: 'file', origin, by: `forgotten:${origin}` });
}

async function takeStatements(
  tx: Tx,
  origin: string,
  aliases: readonly AliasDefinition[],
  writer: AliasWriter,
): Promise<AliasSync> {
  await lockStatements(tx);
  await assertOriginsFit(tx, origin);
  const given = new Map(aliases.map((alias) => [alias.name, alias]));
  const standings = await readStanding(tx, origin, [...given.keys()]);
  const steps = standings.map((standing) => aliasStep(standing, origin, given.get(standing.name) ?? null));
  const problems = steps.flatMap((step) => (step.kind === 'refused' ? [step.problem] : []));
  if (problems.length > 0) throw refusal(problems);
  await writeStatements(tx, origin, aliases);
  return carryOut(tx, steps, writer);
}

async function carryOut(tx: Tx, steps: readonly AliasStep[], writer: AliasWriter): Promise<AliasSync> {
  const named = (kind: AliasStep['kind']): string[] =>
    steps.filter((step) => step.kind === kind).map(({ name }) => name);
  const defined = (kind: 'added' | 'changed'): AliasDefinition[] =>
    steps.flatMap((step) => (step.kind === kind ? [step.definition] : []));
  const sync = { added: named('added'), changed: named('changed'), removed: named('removed'), behind: named('behind') };
  await lockInOrder(tx, [...sync.changed, ...sync.removed]);
  await deleteWithVersion(tx, sync.removed, writer);
  await updateAliases(tx, defined('changed'), writer);
  const inserted = await insertAliases(tx, defined('added'), writer);
  if (inserted < sync.added.length) throw refusal(['an alias of the files was made through REST just now; try again']);
  return sync;
}

const ORIGINS_MAX = 100;

async function assertOriginsFit(tx: Tx, origin: string): Promise<void> {
  if ((await countOtherOrigins(tx, origin)) < ORIGINS_MAX) return;
  throw refusal([
    `${ORIGINS_MAX} origins define aliases already; give processes with the same files one alias_origin, ` +
      'and forget those that are gone with `berth alias forget-origin`',
  ]);
}

function refusal(problems: readonly string[]): BerthError {
  return new BerthError('settings.invalid', problems.join('\n'), { details: { problems } });
}

/** Flavors that name several aliases lock them in name order, too. */
async function lockInOrder(tx: Tx, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await tx.query(`SELECT 1 FROM aliases WHERE name = ANY($1) ORDER BY name FOR UPDATE`, [names]);
}

/** @returns how many were written; names that there are already are left out */
async function insertAliases(tx: Tx, aliases: readonly AliasDefinition[], writer: AliasWriter): Promise<number> {
  if (aliases.length === 0) return 0;
  const rows = await tx.query<{ name: string }[]>(
    `INSERT INTO aliases (id, name, numa_policy, specs, source)
     SELECT gen_random_uuid(), name, "numaPolicy", specs, $2 ${FROM_GIVEN} ORDER BY name
     ON CONFLICT ON CONSTRAINT aliases_name_key DO NOTHING RETURNING name`,
    [JSON.stringify(aliases), writer.source],
  );
  const names = rows.map((row) => row.name);
  await countVersions(tx, names, 'created', writer);
  return names.length;
}

async function updateAliases(tx: Tx, aliases: readonly AliasDefinition[], writer: AliasWriter): Promise<void> {
  if (aliases.length === 0) return;
  await tx.query(
    `UPDATE aliases SET numa_policy = given."numaPolicy", specs = given.specs, updated_at = now()
     ${FROM_GIVEN} WHERE aliases.name = given.name`,
    [JSON.stringify(aliases)],
  );
  const names = aliases.map((alias) => alias.name);
  await countVersions(tx, names, 'changed', writer);
}

const FROM_GIVEN = `FROM jsonb_to_recordset($1::jsonb) AS given(name text, "numaPolicy" text, specs jsonb)`;
