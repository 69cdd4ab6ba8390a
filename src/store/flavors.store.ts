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
  readonly ephemeralGb: number;
  readonly swapMb: number;
  readonly rxtxFactor: number;
  readonly isPublic: boolean;
  readonly description: string | null;
  readonly extraSpecs: Readonly<Record<string, string>>;
}

/** Which flavor is meant, and who means it. */
export interface FlavorRef {
  readonly id: string;
  /** Whether a flavor of this name will do where none has this id. */
  readonly orName: boolean;
  /** It has to be public, or this project needs access to it; null: any. */
  readonly projectId: string | null;
}

const FLAVOR_COLUMNS =
  'id, name, vcpus, ram_mb, disk_gb, ephemeral_gb, swap_mb, rxtx_factor, is_public, description, extra_specs, created_at';
const NAMES_MAX = 1000;

/** A condition: the flavor is there for the project of a parameter. */
export function isThereFor(parameter: string): string {
  return `(${parameter}::text IS NULL OR is_public
           OR id IN (SELECT flavor_id FROM flavor_access WHERE project_id = ${parameter}))`;
}

/** @param projectId only those that are there for it; null: all */
export async function listFlavors(tx: Tx, page: NamePage, projectId: string | null): Promise<FlavorEntity[]> {
  return tx.query(
    `SELECT ${FLAVOR_COLUMNS} FROM flavors WHERE ($1::text IS NULL OR name > $1) AND ${isThereFor('$3')}
     ORDER BY name LIMIT $2`,
    [page.after, page.limit, projectId],
  );
}

const ONE = `SELECT ${FLAVOR_COLUMNS} FROM flavors WHERE (id = $1 OR (name = $1 AND $2)) AND ${isThereFor('$3')}
             ORDER BY (id = $1) DESC LIMIT 1`;

export async function findFlavor(tx: Tx, { id, orName, projectId }: FlavorRef): Promise<FlavorEntity | null> {
  return (await tx.query<FlavorEntity[]>(ONE, [id, orName, projectId]))[0] ?? null;
}

/** As {@link findFlavor}; other writers of it wait. */
export async function lockFlavor(tx: Tx, { id, orName, projectId }: FlavorRef): Promise<FlavorEntity | null> {
  return (await tx.query<FlavorEntity[]>(`${ONE} FOR UPDATE`, [id, orName, projectId]))[0] ?? null;
}

/**
 * For suggestions.
 *
 * @param projectId only those that are there for it; null: all
 */
export async function flavorNames(tx: Tx, projectId: string | null): Promise<string[]> {
  const rows = await tx.query<{ name: string }[]>(
    `SELECT name FROM flavors WHERE ${isThereFor('$1')} ORDER BY name LIMIT ${NAMES_MAX}`,
    [projectId],
  );
  return rows.map((row) => row.name);
}

/** @returns false when there is a flavor of this name or id already */
export async function insertFlavor(tx: Tx, flavor: FlavorFields): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `INSERT INTO flavors (id, name, vcpus, ram_mb, disk_gb, ephemeral_gb, swap_mb, rxtx_factor, is_public, description,
                          extra_specs)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb) ON CONFLICT DO NOTHING RETURNING id`,
    [
      ...[flavor.id, flavor.name, flavor.vcpus, flavor.ramMb, flavor.diskGb, flavor.ephemeralGb, flavor.swapMb],
      ...[flavor.rxtxFactor, flavor.isPublic, flavor.description, JSON.stringify(flavor.extraSpecs)],
    ],
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

export async function updateDescription(tx: Tx, id: string, description: string | null): Promise<void> {
  await tx.query(`UPDATE flavors SET description = $2 WHERE id = $1`, [id, description]);
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
