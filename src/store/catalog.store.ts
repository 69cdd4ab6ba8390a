import { randomUUID } from 'node:crypto';
import { BerthError } from '../errors.js';
import { parseAliasRequest, type AliasDefinition } from '../pci/alias.js';
import type { Tx } from './database.js';
import type { AliasEntity, FlavorEntity } from './entities/catalog.entities.js';

/** A page of what is listed by name: those after `after`, at most `limit`. */
export interface NamePage {
  readonly after: string | null;
  readonly limit: number;
}

export interface FlavorFields {
  readonly id: string;
  readonly name: string;
  readonly vcpus: number;
  readonly ramMb: number;
  readonly diskGb: number;
  readonly extraSpecs: Readonly<Record<string, string>>;
}

const ALIAS_COLUMNS = 'id, name, numa_policy, specs, source, version, created_at, updated_at';
const FLAVOR_COLUMNS = 'id, name, vcpus, ram_mb, disk_gb, extra_specs, created_at';

export async function listAliases(tx: Tx, page: NamePage): Promise<AliasEntity[]> {
  return tx.query(`SELECT ${ALIAS_COLUMNS} FROM aliases WHERE ($1::text IS NULL OR name > $1) ORDER BY name LIMIT $2`, [
    page.after,
    page.limit,
  ]);
}

export async function findAlias(tx: Tx, name: string): Promise<AliasEntity | null> {
  const rows = await tx.query<AliasEntity[]>(`SELECT ${ALIAS_COLUMNS} FROM aliases WHERE name = $1`, [name]);
  return rows[0] ?? null;
}

/** Waits for writers of this alias and for flavors being written that name it. */
export async function lockAlias(tx: Tx, name: string): Promise<AliasEntity | null> {
  const rows = await tx.query<AliasEntity[]>(`SELECT ${ALIAS_COLUMNS} FROM aliases WHERE name = $1 FOR UPDATE`, [name]);
  return rows[0] ?? null;
}

/** The aliases of these names; names without an alias are left out. */
export async function findAliasDefinitions(tx: Tx, names: readonly string[]): Promise<AliasDefinition[]> {
  if (names.length === 0) return [];
  return asDefinitions(await tx.query(`SELECT name, numa_policy, specs FROM aliases WHERE name = ANY($1)`, [names]));
}

/** As {@link findAliasDefinitions}, and none of them can be deleted before this transaction has ended. */
export async function holdAliasDefinitions(tx: Tx, names: readonly string[]): Promise<AliasDefinition[]> {
  if (names.length === 0) return [];
  return asDefinitions(
    await tx.query(`SELECT name, numa_policy, specs FROM aliases WHERE name = ANY($1) ORDER BY name FOR SHARE`, [
      names,
    ]),
  );
}

const NAMES_MAX = 1000;

/** For suggestions. */
export async function aliasNames(tx: Tx): Promise<string[]> {
  const rows = await tx.query<{ name: string }[]>(`SELECT name FROM aliases ORDER BY name LIMIT ${NAMES_MAX}`);
  return rows.map((row) => row.name);
}

/** @returns false when there is an alias of this name already */
export async function insertAlias(tx: Tx, alias: AliasDefinition, source: AliasEntity['source']): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `INSERT INTO aliases (id, name, numa_policy, specs, source) VALUES ($1, $2, $3, $4::jsonb, $5)
     ON CONFLICT ON CONSTRAINT aliases_name_key DO NOTHING RETURNING id`,
    [randomUUID(), alias.name, alias.numaPolicy, JSON.stringify(alias.specs), source],
  );
  return rows.length > 0;
}

/** Writes the alias and counts its version up. */
export async function updateAlias(tx: Tx, alias: AliasDefinition): Promise<void> {
  await tx.query(
    `UPDATE aliases SET numa_policy = $2, specs = $3::jsonb, version = version + 1, updated_at = now() WHERE name = $1`,
    [alias.name, alias.numaPolicy, JSON.stringify(alias.specs)],
  );
}

export async function deleteAlias(tx: Tx, name: string): Promise<void> {
  await tx.query(`DELETE FROM aliases WHERE name = $1`, [name]);
}

/**
 * Makes the aliases of configuration files what the files say now. One that is unchanged keeps its version.
 *
 * @throws BerthError `settings.invalid` when an alias of the REST face has the name of one in a file
 */
export async function syncFileAliases(tx: Tx, aliases: readonly AliasDefinition[]): Promise<void> {
  // two processes that start together must not both insert
  await tx.query(`SELECT pg_advisory_xact_lock(hashtext('berth.file_aliases'))`);
  const names = aliases.map((alias) => alias.name);
  await assertNotInRest(tx, names);
  await tx.query(`DELETE FROM aliases WHERE source = 'file' AND name <> ALL($1)`, [names]);
  for (const alias of aliases) {
    await tx.query(
      `INSERT INTO aliases (id, name, numa_policy, specs, source) VALUES ($1, $2, $3, $4::jsonb, 'file')
       ON CONFLICT ON CONSTRAINT aliases_name_key DO UPDATE
         SET numa_policy = excluded.numa_policy, specs = excluded.specs, version = aliases.version + 1, updated_at = now()
         WHERE aliases.source = 'file'
           AND (aliases.numa_policy, aliases.specs) IS DISTINCT FROM (excluded.numa_policy, excluded.specs)`,
      [randomUUID(), alias.name, alias.numaPolicy, JSON.stringify(alias.specs)],
    );
  }
}

async function assertNotInRest(tx: Tx, names: readonly string[]): Promise<void> {
  const rows = await tx.query<{ name: string }[]>(
    `SELECT name FROM aliases WHERE source = 'rest' AND name = ANY($1) ORDER BY name`,
    [names],
  );
  if (rows.length === 0) return;
  const problems = rows.map(
    ({ name }) => `alias ${name} is defined in a configuration file and through REST; delete one`,
  );
  throw new BerthError('settings.invalid', problems.join('\n'), { details: { problems } });
}

function asDefinitions(rows: Pick<AliasEntity, 'name' | 'numa_policy' | 'specs'>[]): AliasDefinition[] {
  return rows.map((row) => ({ name: row.name, numaPolicy: row.numa_policy, specs: row.specs }));
}

export async function listFlavors(tx: Tx, page: NamePage): Promise<FlavorEntity[]> {
  return tx.query(
    `SELECT ${FLAVOR_COLUMNS} FROM flavors WHERE ($1::text IS NULL OR name > $1) ORDER BY name LIMIT $2`,
    [page.after, page.limit],
  );
}

/** By id, else by name. */
export async function findFlavor(tx: Tx, idOrName: string): Promise<FlavorEntity | null> {
  const rows = await tx.query<FlavorEntity[]>(
    `SELECT ${FLAVOR_COLUMNS} FROM flavors WHERE id = $1 OR name = $1 ORDER BY (id = $1) DESC LIMIT 1`,
    [idOrName],
  );
  return rows[0] ?? null;
}

/** As {@link findFlavor}; other writers of it wait. */
export async function lockFlavor(tx: Tx, idOrName: string): Promise<FlavorEntity | null> {
  const rows = await tx.query<FlavorEntity[]>(
    `SELECT ${FLAVOR_COLUMNS} FROM flavors WHERE id = $1 OR name = $1 ORDER BY (id = $1) DESC LIMIT 1 FOR UPDATE`,
    [idOrName],
  );
  return rows[0] ?? null;
}

/** For suggestions. */
export async function flavorNames(tx: Tx): Promise<string[]> {
  const rows = await tx.query<{ name: string }[]>(`SELECT name FROM flavors ORDER BY name LIMIT ${NAMES_MAX}`);
  return rows.map((row) => row.name);
}

/** @returns false when there is a flavor of this name or id already */
export async function insertFlavor(tx: Tx, flavor: FlavorFields): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `INSERT INTO flavors (id, name, vcpus, ram_mb, disk_gb, extra_specs) VALUES ($1, $2, $3, $4, $5, $6::jsonb)
     ON CONFLICT DO NOTHING RETURNING id`,
    [flavor.id, flavor.name, flavor.vcpus, flavor.ramMb, flavor.diskGb, JSON.stringify(flavor.extraSpecs)],
  );
  return rows.length > 0;
}

export async function updateExtraSpecs(
  tx: Tx,
  id: string,
  extraSpecs: Readonly<Record<string, string>>,
): Promise<void> {
  await tx.query(`UPDATE flavors SET extra_specs = $2::jsonb WHERE id = $1`, [id, JSON.stringify(extraSpecs)]);
}

/** Servers keep a copy of their flavor, so a flavor can go at any time. */
export async function deleteFlavor(tx: Tx, id: string): Promise<void> {
  await tx.query(`DELETE FROM flavors WHERE id = $1`, [id]);
}

const ALIAS_KEY = 'pci_passthrough:alias';

/** Names of flavors that ask for devices of this alias. */
export async function flavorsNaming(tx: Tx, alias: string): Promise<string[]> {
  const rows = await tx.query<{ name: string; text: string }[]>(
    `SELECT name, extra_specs ->> '${ALIAS_KEY}' AS text FROM flavors
     WHERE strpos(extra_specs ->> '${ALIAS_KEY}', $1) > 0 ORDER BY name`,
    [alias],
  );
  return rows
    .filter(({ text }) => parseAliasRequest(text).some((request) => request.alias === alias))
    .map(({ name }) => name);
}
