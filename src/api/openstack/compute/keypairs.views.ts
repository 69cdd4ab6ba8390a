import type { KeypairEntity } from '../../../store/entities/keypair.entities.js';
import { stamp } from './stamp.js';

/** A keypair in lists. */
export function keypairItem(keypair: KeypairEntity, minor: number): object {
  const { name, public_key, fingerprint } = keypair;
  return { keypair: { name, public_key, fingerprint, ...typeOf(keypair, minor) } };
}

/** A keypair that was just made; `privateKey` is null where the client had the key before. */
export function newKeypairView(keypair: KeypairEntity, privateKey: string | null, minor: number): object {
  const { name, public_key, fingerprint, user_id } = keypair;
  return {
    keypair: {
      ...{ name, public_key, fingerprint, user_id, ...typeOf(keypair, minor) },
      ...(privateKey === null ? {} : { private_key: privateKey }),
    },
  };
}

export function keypairView(keypair: KeypairEntity, minor: number): object {
  const { name, public_key, fingerprint, user_id, id, created_at } = keypair;
  return {
    keypair: {
      ...{ name, public_key, fingerprint, user_id, id, ...typeOf(keypair, minor) },
      ...{ created_at: stamp(created_at), updated_at: null, deleted: false, deleted_at: null },
    },
  };
}

function typeOf({ type }: KeypairEntity, minor: number): object {
  return minor >= 2 ? { type } : {};
}
