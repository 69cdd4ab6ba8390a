import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { BerthError } from '../errors.js';
import { contentHash } from '../messages/content-hash.js';
import type { Tx } from '../store/database.js';
import { takeIdempotencyKey } from '../store/idempotency.store.js';
import { callerOf } from './identity/caller.js';
import type { Reply } from './reply.js';
import { invalidFields } from './request-validation.pipe.js';

const HEADER = 'idempotency-key';
const KEY = /^[\x21-\x7e]{1,255}$/;

/** A key as a project gave it; other projects' keys are others. */
export interface GivenKey {
  readonly projectId: string;
  readonly text: string;
}

/** The request's idempotency key; null when it has none. */
export const IdempotencyKey = createParamDecorator((_data: unknown, context: ExecutionContext): GivenKey | null => {
  const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string | string[] | undefined> }>();
  const key = headers[HEADER];
  if (key === undefined) return null;
  if (typeof key === 'string' && KEY.test(key)) return { projectId: callerOf(context).projectId, text: key };
  throw invalidFields([{ field: 'Idempotency-Key', problem: 'has to be 1 to 255 visible ASCII characters' }]);
});

/** OpenAPI's word of the header. */
export const ApiIdempotencyKey = (): MethodDecorator =>
  applyDecorators(
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      description:
        'The same key with the same request answers the resource that was made the first time, with the header ' +
        '`Idempotency-Replayed: true`; with another request it is an error.',
      schema: { type: 'string', minLength: 1, maxLength: 255 },
    }),
  );

/** What was created, now or the first time. */
export interface Created {
  readonly id: string;
  readonly replayed: boolean;
}

/**
 * Creates something once. With a key, `create` runs only if the key is new; key and resource come to be, or not, in
 * the same transaction, so a request that failed can be sent again.
 *
 * @param request `path` and `body` tell a repetition from another request
 * @throws BerthError `idempotency.key_reused`, and whatever `create` throws
 */
export async function createOnce(
  tx: Tx,
  request: { readonly key: GivenKey | null; readonly path: string; readonly body: object },
  resourceId: string,
  create: () => Promise<void>,
): Promise<Created> {
  const { key } = request;
  if (key !== null) {
    const requestHash = contentHash({ path: request.path, body: request.body });
    const { projectId, text } = key;
    const earlier = await takeIdempotencyKey(tx, { projectId, key: text, requestHash, resourceId });
    if (earlier) {
      assertSameRequest(earlier.requestHash, requestHash);
      return { id: earlier.resourceId, replayed: true };
    }
  }
  await create();
  return { id: resourceId, replayed: false };
}

/** Says in the answer where the resource is and whether it was there before. */
export function announce(reply: Reply, created: Created, path: string): void {
  reply.header('location', `${path}/${encodeURIComponent(created.id)}`);
  if (created.replayed) reply.header('idempotency-replayed', 'true');
}

function assertSameRequest(earlierHash: string, hash: string): void {
  if (earlierHash === hash) return;
  throw new BerthError(
    'idempotency.key_reused',
    'Idempotency-Key was used before with another request; use a new key for a new request',
  );
}
