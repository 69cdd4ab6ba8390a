import { BerthError } from '../../../errors.js';
import type { Provider } from './provider-tree.js';

/** What there is instead of what is refused. */
export const HARDWARE = {
  forget: 'DELETE /v1/hosts/{host} forgets a host',
  reserve: 'PATCH /v1/hosts/{host} says what is reserved of a host, and POST /v1/devices/{id}/reserve holds a device',
  aggregates:
    'Aggregates of a provider cannot be set here: the host joins and leaves them with the aggregate’s own paths',
} as const;

/** @throws BerthError `provider.read_only`, always */
export function refuseHardware(what: string, instead = ''): never {
  throw new BerthError(
    'provider.read_only',
    `${what}: hosts and devices are what Berth's agents find and report${instead}`,
  );
}

/**
 * Whoever changes a provider says which generation he has seen.
 *
 * @throws BerthError `request.invalid`, `provider.conflict`
 */
export function assertGeneration({ uuid, generation }: Provider, body: object): void {
  const { resource_provider_generation: seen } = body as { resource_provider_generation?: unknown };
  if (!Number.isSafeInteger(seen)) {
    throw new BerthError(
      'request.invalid',
      'JSON does not validate: resource_provider_generation: has to be a whole number',
    );
  }
  if (seen === generation) return;
  throw new BerthError(
    'provider.conflict',
    `resource provider generation conflict: ${uuid} is at ${generation}, not ${String(seen)}; read it again and retry`,
  );
}
