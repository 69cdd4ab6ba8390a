import { BerthError } from '../../errors.js';
import { NUMA_POLICIES } from '../../pci/alias/numa-policy.js';
import { didYouMean } from '../../pci/suggest.js';
import type { HostWishes, ServerGroupWish } from '../../placement/request.js';
import type { Tx } from '../../store/database.js';
import { holdServerGroup } from '../../store/server-groups.store.js';
import { invalidFields } from '../request-validation.pipe.js';
import type { ServerWishesBody } from './servers.dto.js';

const POLICY_PROPERTY = 'hw_pci_numa_affinity_policy';

/** Image properties, sorted out: the policy for devices, and what filters look at. */
export interface ImageWishes {
  readonly policy: string | null;
  /** In name order; empty when there are none. */
  readonly properties: Readonly<Record<string, string>>;
}

/** @throws BerthError `request.invalid` for a policy that is none, or that has a mistyped key */
export function imageWishes(given: Readonly<Record<string, string>>): ImageWishes {
  const { [POLICY_PROPERTY]: policy, ...others } = given;
  const typo = Object.keys(others).find((key) => didYouMean(key, [POLICY_PROPERTY]) !== null);
  if (typo !== undefined) throw refused(typo, `is not known here; did you mean "${POLICY_PROPERTY}"?`);
  if (policy !== undefined && !(NUMA_POLICIES as readonly string[]).includes(policy))
    throw refused(POLICY_PROPERTY, notOneOf(policy));
  const inOrder = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1));
  return { policy: policy ?? null, properties: Object.fromEntries(inOrder) };
}

function notOneOf(policy: string): string {
  if (policy === '') return `is empty; say one of ${NUMA_POLICIES.join(', ')}`;
  const meant = didYouMean(policy, NUMA_POLICIES);
  return `has to be one of ${NUMA_POLICIES.join(', ')}${meant === null ? '' : `; did you mean "${meant}"?`}`;
}

function refused(key: string, problem: string): BerthError {
  return invalidFields([{ field: `image_properties.${key}`, problem }]);
}

/**
 * What the body asks of a host: zone, hints and image. What it does not ask is left out.
 *
 * @throws BerthError `server_group.unknown`, also when it is another project's
 */
export async function hostWishes(
  tx: Tx,
  body: ServerWishesBody,
  image: ImageWishes,
  projectId: string,
): Promise<HostWishes> {
  const { group, same_host, different_host } = body.scheduler_hints ?? {};
  const zone = body.availability_zone ?? null;
  return {
    ...(zone === null ? {} : { availabilityZone: zone }),
    ...(same_host ? { sameHost: idsOf(same_host) } : {}),
    ...(different_host ? { differentHost: idsOf(different_host) } : {}),
    ...(group ? { group: await groupWish(tx, group.toLowerCase(), projectId) } : {}),
    ...(Object.keys(image.properties).length === 0 ? {} : { imageProperties: image.properties }),
  };
}

function idsOf(ids: readonly string[]): string[] {
  return [...new Set(ids.map((id) => id.toLowerCase()))].sort();
}

async function groupWish(tx: Tx, id: string, projectId: string): Promise<ServerGroupWish> {
  const group = await holdServerGroup(tx, id, projectId);
  if (group) return group;
  const field = 'scheduler_hints.group';
  const problem = `there is no server group with the id ${id}`;
  throw new BerthError('server_group.unknown', `${field}: ${problem}`, { details: { errors: [{ field, problem }] } });
}
