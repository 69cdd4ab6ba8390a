import { aliasesNamedIn } from '../pci/alias/alias-request.js';
import type { Tx } from './database.js';
import type { FlavorEntity } from './entities/catalog.entities.js';
import type { NamePage } from './catalog.store.js';

export interface FlavorFields {
  readonly id: string;
  readonly name: string;
  readonly vcpus: number;
  readonly ramMb: number;
  readonly diskGb: number;
  readonly extraSpecs: Readonly<Record<string, string>>;
}

const FLAVOR_COLUMNS = 'id, name, vcpus, ram_mb, disk_gb, extra_specs, created_at';
const NAMES_MAX = 1000;

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

/** Names of flavors that ask for devices of this alias, whatever the rules were when they were written. */
export async function flavorsNaming(tx: Tx, alias: string): Promise<string[]> {
  const rows = await tx.query<{ name: string; text: string }[]>(
    `SELECT name, extra_specs ->> '${ALIAS_KEY}' AS text FROM flavors
     WHERE strpos(extra_specs ->> '${ALIAS_KEY}', $1) > 0 ORDER BY name`,
    [alias],
  );
  return rows.filter(({ text }) => aliasesNamedIn(text).includes(alias)).map(({ name }) => name);
}
