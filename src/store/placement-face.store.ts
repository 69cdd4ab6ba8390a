import type { Tx } from './database.js';

/** What the placement face knows beside hosts and their devices: who has what under which name. */

/** What somebody has on one host, by one claim. */
export interface HeldRow {
  /** The consumer's id, as clients of the placement face know it. */
  readonly consumer_id: string;
  /** Of the server or placement. */
  readonly server_id: string;
  readonly kind: 'server' | 'placement';
  readonly project_id: string;
  /** null: not known. */
  readonly user_id: string | null;
  readonly consumer_type: string | null;
  readonly generation: number;
  readonly host_id: string;
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly disk_gb: number;
  readonly device_ids: readonly string[];
  /** Those of them that only came along with others of their IOMMU group. */
  readonly companion_ids: readonly string[];
}

/** What is being given back is nobody's any more. */
const HELD = `
  SELECT coalesce(k.consumer_id, s.id) AS consumer_id, s.id AS server_id, s.kind, s.project_id, coalesce(k.user_id, d.user_id) AS user_id, k.consumer_type,
         coalesce(k.generation, greatest(c.attempt, 1)) AS generation, c.host_id, c.vcpus, c.memory_mb, c.disk_gb,
         ARRAY(SELECT a.device_id FROM allocations a WHERE a.claim_id = c.id AND a.released_at IS NULL) AS device_ids,
         ARRAY(SELECT a.device_id FROM allocations a
                WHERE a.claim_id = c.id AND a.released_at IS NULL AND a.request_index IS NULL) AS companion_ids
    FROM claims c JOIN servers s ON s.id = c.server_id LEFT JOIN placement_consumers k ON k.placement_id = s.id
    LEFT JOIN server_details d ON d.server_id = s.id
   WHERE c.status IN ('claimed', 'allocated')`;
const IN_ORDER = `ORDER BY s.id, c.id`;

export function listHeldBy(tx: Tx, consumerIds: readonly string[]): Promise<HeldRow[]> {
  return tx.query(
    `${HELD} AND s.id IN (SELECT placement_id FROM placement_consumers WHERE consumer_id = ANY($1)
                          UNION SELECT unnest($1::uuid[])) AND coalesce(k.consumer_id, s.id) = ANY($1) ${IN_ORDER}`,
    [consumerIds],
  );
}

export function listHeldOn(tx: Tx, hostId: string): Promise<HeldRow[]> {
  return tx.query(`${HELD} AND c.host_id = $1 ${IN_ORDER}`, [hostId]);
}

/** At most `limit` claims of a project. */
export function listHeldIn(tx: Tx, projectId: string, limit: number): Promise<HeldRow[]> {
  return tx.query(`${HELD} AND s.project_id = $1 AND s.status <> 'DELETED' ${IN_ORDER} LIMIT $2`, [projectId, limit]);
}

/** Devices of claims that are being given back. */
export async function listLeavingDevices(tx: Tx): Promise<ReadonlySet<string>> {
  const rows = (await tx.query(
    `SELECT a.device_id FROM claims c JOIN allocations a ON a.claim_id = c.id AND a.released_at IS NULL
      WHERE c.status = 'releasing'`,
  )) as { device_id: string }[];
  return new Set(rows.map((row) => row.device_id));
}

/** Host id → ids of its aggregates. */
export async function readAggregateIds(tx: Tx): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = (await tx.query(
    `SELECT host_id, array_agg(aggregate_id::text ORDER BY aggregate_id) AS ids FROM aggregate_hosts GROUP BY host_id`,
  )) as { host_id: string; ids: string[] }[];
  return new Map(rows.map(({ host_id, ids }) => [host_id, ids]));
}

/** Names that an administrator has made up: of traits, or of resource classes. */
export type CustomNames = 'custom_traits' | 'custom_resource_classes';

export async function listCustomNames(tx: Tx, table: CustomNames): Promise<string[]> {
  const rows = (await tx.query(`SELECT name FROM ${table} ORDER BY name`)) as { name: string }[];
  return rows.map(({ name }) => name);
}

/**
 * @param max so many there are at most
 * @returns `full`: there are so many already
 */
export async function insertCustomName(
  tx: Tx,
  table: CustomNames,
  name: string,
  max: number,
): Promise<'made' | 'known' | 'full'> {
  const made = (await tx.query(
    `INSERT INTO ${table} (name) SELECT $1 WHERE (SELECT count(*) FROM ${table}) < $2
     ON CONFLICT (name) DO NOTHING RETURNING name`,
    [name, max],
  )) as unknown[];
  if (made.length > 0) return 'made';
  const known = (await tx.query(`SELECT 1 FROM ${table} WHERE name = $1`, [name])) as unknown[];
  return known.length > 0 ? 'known' : 'full';
}

/** @returns whether there was one */
export async function deleteCustomName(tx: Tx, table: CustomNames, name: string): Promise<boolean> {
  const [, count] = (await tx.query(`DELETE FROM ${table} WHERE name = $1`, [name])) as [unknown, number];
  return count > 0;
}

/** A consumer as a transaction that changes it finds it. */
export interface LockedConsumer {
  readonly consumer_id: string;
  /** Of the server or placement. */
  readonly server_id: string;
  readonly kind: 'server' | 'placement';
  readonly generation: number;
  /** Whether it was given something through the placement face. */
  readonly is_own: boolean;
}

/**
 * Has others who change these consumers wait: these locks come before all others. Who has nothing (any more) is left out; a server is there
 * whatever it has.
 */
export async function lockConsumers(tx: Tx, consumerIds: readonly string[]): Promise<LockedConsumer[]> {
  await tx.query(
    `SELECT pg_advisory_xact_lock(hashtextextended('berth.consumer.' || c.id, 0))
       FROM (SELECT unnest($1::uuid[])::text AS id ORDER BY 1) c`,
    [consumerIds],
  );
  return tx.query(
    `SELECT coalesce(k.consumer_id, s.id) AS consumer_id, s.id AS server_id, s.kind, k.consumer_id IS NOT NULL AS is_own,
            coalesce(k.generation, greatest(s.attempts, 1)) AS generation
       FROM servers s LEFT JOIN placement_consumers k ON k.placement_id = s.id
      WHERE s.id IN (SELECT placement_id FROM placement_consumers WHERE consumer_id = ANY($1) UNION SELECT unnest($1::uuid[]))
        AND coalesce(k.consumer_id, s.id) = ANY($1)
        AND (s.kind = 'server' OR EXISTS (SELECT 1 FROM claims c WHERE c.server_id = s.id AND c.status IN ('claimed', 'allocated')))
      ORDER BY s.id`,
    [consumerIds],
  );
}

/** Locks what the placements hold, in the ledger's order: servers, then hosts; those of `hostIds` among them. */
export async function lockForReplacement(
  tx: Tx,
  placementIds: readonly string[],
  hostIds: readonly string[],
): Promise<void> {
  await tx.query(`SELECT 1 FROM servers WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, [placementIds]);
  await tx.query(
    `SELECT 1 FROM hosts WHERE id = ANY($2)
        OR id IN (SELECT host_id FROM claims WHERE server_id = ANY($1) AND status <> 'released') ORDER BY id FOR UPDATE`,
    [placementIds, hostIds],
  );
}

export interface NewConsumer {
  readonly consumerId: string;
  readonly placementId: string;
  readonly userId: string;
  readonly type: string | null;
}

/** Consumers whose placements are written; one that had something before has another placement now. */
export async function writeConsumers(tx: Tx, consumers: readonly NewConsumer[]): Promise<void> {
  await tx.query(
    `INSERT INTO placement_consumers (consumer_id, placement_id, user_id, consumer_type)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
     ON CONFLICT (consumer_id) DO UPDATE SET placement_id = excluded.placement_id, user_id = excluded.user_id,
       consumer_type = excluded.consumer_type, generation = 1`,
    [
      consumers.map(({ consumerId }) => consumerId),
      consumers.map(({ placementId }) => placementId),
      consumers.map(({ userId }) => userId),
      consumers.map(({ type }) => type),
    ],
  );
}

/** What it has stays; who it is may be another. `null`: nobody says. */
export async function touchConsumer(
  tx: Tx,
  { consumerId, userId, type }: { consumerId: string; userId: string | null; type: string | null },
): Promise<void> {
  await tx.query(
    `UPDATE placement_consumers SET generation = generation + 1, user_id = coalesce($2, user_id),
            consumer_type = coalesce($3, consumer_type) WHERE consumer_id = $1`,
    [consumerId, userId, type],
  );
}

export async function forgetConsumers(tx: Tx, consumerIds: readonly string[]): Promise<void> {
  await tx.query(`DELETE FROM placement_consumers WHERE consumer_id = ANY($1)`, [consumerIds]);
}
