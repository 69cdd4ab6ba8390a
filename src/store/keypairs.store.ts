import type { Tx } from './database.js';
import type { KeypairEntity } from './entities/keypair.entities.js';

export type NewKeypair = Pick<KeypairEntity, 'user_id' | 'name' | 'type' | 'public_key' | 'fingerprint'>;

/** @param after the name after which to begin; null: at the beginning */
export async function listKeypairs(
  tx: Tx,
  userId: string,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<KeypairEntity[]> {
  return tx.query(
    `SELECT * FROM keypairs WHERE user_id = $1 AND ($2::text IS NULL OR name > $2) ORDER BY name LIMIT $3`,
    [userId, after, limit],
  );
}

export async function findKeypair(tx: Tx, userId: string, name: string): Promise<KeypairEntity | null> {
  const rows = await tx.query<KeypairEntity[]>(`SELECT * FROM keypairs WHERE user_id = $1 AND name = $2`, [
    userId,
    name,
  ]);
  return rows[0] ?? null;
}

/** How many a user has, while nobody else counts them. */
export async function countKeypairs(tx: Tx, userId: string): Promise<number> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [`keypairs ${userId}`]);
  const rows = await tx.query<{ count: number }[]>(
    `SELECT count(*)::integer AS count FROM keypairs WHERE user_id = $1`,
    [userId],
  );
  return rows[0]?.count ?? 0;
}

/** @returns null when the user has one of this name */
export async function insertKeypair(tx: Tx, key: NewKeypair): Promise<KeypairEntity | null> {
  const rows = await tx.query<KeypairEntity[]>(
    `INSERT INTO keypairs (user_id, name, type, public_key, fingerprint) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT DO NOTHING RETURNING *`,
    [key.user_id, key.name, key.type, key.public_key, key.fingerprint],
  );
  return rows[0] ?? null;
}

/** @returns false when the user has none of this name */
export async function deleteKeypair(tx: Tx, userId: string, name: string): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `WITH gone AS (DELETE FROM keypairs WHERE user_id = $1 AND name = $2 RETURNING 1) SELECT 1 FROM gone`,
    [userId, name],
  );
  return rows.length > 0;
}
