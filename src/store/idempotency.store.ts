import type { Tx } from './database.js';

export interface KeyedRequest {
  readonly projectId: string;
  readonly key: string;
  /** Of the path and the body: tells a repetition from another request. */
  readonly requestHash: string;
  /** What this request is about to create. */
  readonly resourceId: string;
}

/**
 * Takes the key for this request. Waits while another transaction holds the same key undecided.
 *
 * @returns null when the key was free, else what the earlier request was and made
 */
export async function takeIdempotencyKey(
  tx: Tx,
  request: KeyedRequest,
): Promise<{ readonly requestHash: string; readonly resourceId: string } | null> {
  const taken = await tx.query<unknown[]>(
    `INSERT INTO idempotency_keys (project_id, key, request_hash, resource_id) VALUES ($1, $2, $3, $4)
     ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO NOTHING RETURNING key`,
    [request.projectId, request.key, request.requestHash, request.resourceId],
  );
  if (taken.length > 0) return null;
  const [earlier] = await tx.query<{ request_hash: string; resource_id: string }[]>(
    `SELECT request_hash, resource_id FROM idempotency_keys WHERE project_id = $1 AND key = $2`,
    [request.projectId, request.key],
  );
  return earlier ? { requestHash: earlier.request_hash, resourceId: earlier.resource_id } : null;
}
