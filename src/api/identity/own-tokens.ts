import { createHash, randomBytes } from 'node:crypto';
import type { IdentityTokenEntity } from '../../store/entities/identity.entities.js';
import { deleteIdentityToken, findIdentityToken, insertIdentityToken } from '../../store/identity-tokens.store.js';
import type { Ledger } from '../../store/ledger.js';

const TOKEN_BYTES = 32;
const TOKEN = /^[\w-]{43}$/;

/** A token of ours, as it is kept. */
export type OwnToken = Pick<IdentityTokenEntity, 'user_name' | 'credential_hash' | 'issued_at' | 'expires_at'>;

/** Tokens for users of the htpasswd file. They live in the ledger, so that any api process knows them, and a revoked one none. */
export class OwnTokens {
  /** @param ledger there once the process has opened it, which is before it is asked anything */
  constructor(
    private readonly ledger: () => Ledger,
    private readonly ttlMs: number,
  ) {}

  /** @param credential what makes the token void when it changes */
  async issue(user: string, credential: string): Promise<{ readonly text: string; readonly token: OwnToken }> {
    const text = randomBytes(TOKEN_BYTES).toString('base64url');
    const fields = { token_hash: hashOf(text), user_name: user, credential_hash: hashOf(credential) };
    return { text, token: await insertIdentityToken(this.ledger().pool, fields, this.ttlMs) };
  }

  /** @returns null for what is no token, not one of ours, over, or revoked */
  async find(text: string): Promise<OwnToken | null> {
    return TOKEN.test(text) ? findIdentityToken(this.ledger().pool, hashOf(text)) : null;
  }

  async revoke(text: string): Promise<void> {
    if (TOKEN.test(text)) await deleteIdentityToken(this.ledger().pool, hashOf(text));
  }
}

/** Of random texts, and of hashes: no salt is needed. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
