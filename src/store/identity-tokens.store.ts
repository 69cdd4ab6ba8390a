import type { Tx } from './database.js';
import type { IdentityTokenEntity } from './entities/identity.entities.js';

export type NewIdentityToken = Pick<IdentityTokenEntity, 'token_hash' | 'user_name' | 'credential_hash'>;

/** Writes a token that is good for so long; on the way, some that are over are forgotten. */
export async function insertIdentityToken(
  tx: Tx,
  token: NewIdentityToken,
  ttlMs: number,
): Promise<IdentityTokenEntity> {
  await tx.query(
    `DELETE FROM identity_tokens WHERE token_hash IN
       (SELECT token_hash FROM identity_tokens WHERE expires_at < now() ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)`,
  );
  const [row] = await tx.query<IdentityTokenEntity[]>(
    `INSERT INTO identity_tokens (token_hash, user_name, credential_hash, expires_at)
     VALUES ($1, $2, $3, now() + $4::int * interval '1 millisecond')
     RETURNING token_hash, user_name, credential_hash, issued_at, expires_at`,
    [token.token_hash, token.user_name, token.credential_hash, ttlMs],
  );
  return row as IdentityTokenEntity;
}

/** null: there is none, or it is over. */
export async function findIdentityToken(tx: Tx, hash: string): Promise<IdentityTokenEntity | null> {
  const [row] = await tx.query<IdentityTokenEntity[]>(
    `SELECT token_hash, user_name, credential_hash, issued_at, expires_at FROM identity_tokens
      WHERE token_hash = $1 AND expires_at > now()`,
    [hash],
  );
  return row ?? null;
}

export async function deleteIdentityToken(tx: Tx, hash: string): Promise<void> {
  await tx.query(`DELETE FROM identity_tokens WHERE token_hash = $1`, [hash]);
}
