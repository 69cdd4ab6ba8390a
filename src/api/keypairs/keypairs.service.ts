import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import type { KeypairEntity, KeypairType } from '../../store/entities/keypair.entities.js';
import type { Tx } from '../../store/database.js';
import * as keypairs from '../../store/keypairs.store.js';
import { Ledger } from '../../store/ledger.js';
import { KEPT_PREFIX, readQuotaLimits } from '../../store/quota-limits.store.js';
import { UNLIMITED } from '../../store/quotas.store.js';
import { type Caller, isAdmin } from '../identity/caller.js';
import { certificateFingerprint, generateSshKey, sshFingerprint } from './ssh-key.js';

/** So many a user has where the quotas say nothing, and so many whatever they say. */
export const KEYPAIRS_DEFAULT = 100;
const KEYPAIRS_MAX = 1000;
/** Under this name quotas keep the limit. */
export const KEYPAIRS_RESOURCE = `${KEPT_PREFIX}key_pairs`;

export interface WantedKeypair {
  /** null: of whoever asks. */
  readonly userId: string | null;
  readonly name: string;
  readonly type: KeypairType;
  /** null: one is to be made. */
  readonly publicKey: string | null;
}

/** Public keys of users: kept for their clients, and never put anywhere. */
@Injectable()
export class KeypairsService {
  constructor(private readonly ledger: Ledger) {}

  /** @param of another user, whom only an administrator names; null: whoever asks */
  list(
    caller: Caller,
    of: string | null,
    page: { readonly after: string | null; readonly limit: number },
  ): Promise<KeypairEntity[]> {
    return keypairs.listKeypairs(this.ledger.pool, userOf(caller, of), page);
  }

  /** @throws BerthError `keypair.unknown` */
  async show(caller: Caller, of: string | null, name: string): Promise<KeypairEntity> {
    const found = await keypairs.findKeypair(this.ledger.pool, userOf(caller, of), name);
    if (!found) throw unknownKeypair(name);
    return found;
  }

  /**
   * Keeps a public key, or makes a pair of which it keeps the public half.
   *
   * @returns `privateKey` is nowhere else; null: the key was there before
   * @throws BerthError `keypair.invalid`, `keypair.exists`, `keypair.too_many`
   */
  async create(
    caller: Caller,
    wanted: WantedKeypair,
  ): Promise<{ readonly keypair: KeypairEntity; readonly privateKey: string | null }> {
    const userId = userOf(caller, wanted.userId);
    const { publicKey, privateKey } = await keyOf(wanted);
    const fingerprint = wanted.type === 'ssh' ? sshFingerprint(publicKey) : certificateFingerprint(publicKey);
    return this.ledger.transaction(async (tx) => {
      const most = await limitOf(tx, caller.projectId);
      if ((await keypairs.countKeypairs(tx, userId)) >= most) {
        throw new BerthError('keypair.too_many', `A user has at most ${most} keypairs; delete one first`);
      }
      const { name, type } = wanted;
      const made = { user_id: userId, name, type, public_key: publicKey, fingerprint };
      const keypair = await keypairs.insertKeypair(tx, made);
      if (!keypair) throw new BerthError('keypair.exists', `There is a keypair "${name}" already`);
      return { keypair, privateKey };
    });
  }

  /** @throws BerthError `keypair.unknown` */
  async remove(caller: Caller, of: string | null, name: string): Promise<void> {
    if (!(await keypairs.deleteKeypair(this.ledger.pool, userOf(caller, of), name))) throw unknownKeypair(name);
  }
}

async function limitOf(tx: Tx, projectId: string): Promise<number> {
  const { own, defaults } = await readQuotaLimits(tx, projectId);
  const limit = own.get(KEYPAIRS_RESOURCE) ?? defaults.get(KEYPAIRS_RESOURCE) ?? KEYPAIRS_DEFAULT;
  return limit === UNLIMITED ? KEYPAIRS_MAX : Math.min(limit, KEYPAIRS_MAX);
}

async function keyOf({ publicKey, type }: WantedKeypair): Promise<{ publicKey: string; privateKey: string | null }> {
  if (publicKey !== null) return { publicKey, privateKey: null };
  if (type === 'ssh') return generateSshKey();
  throw new BerthError('keypair.invalid', 'public_key: is missing; certificates are not made here');
}

/** @throws BerthError `auth.forbidden` for another's */
function userOf(caller: Caller, of: string | null): string {
  if (of === null || of === caller.userId || isAdmin(caller)) return of ?? caller.userId;
  throw new BerthError('auth.forbidden', 'user_id: only an administrator sees and changes the keypairs of others');
}

function unknownKeypair(name: string): BerthError {
  return new BerthError('keypair.unknown', `There is no keypair "${name}"`);
}
