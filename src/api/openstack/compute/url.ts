import { BerthError } from '../../../errors.js';
import type { Caller } from '../../identity/caller.js';

/** Paths of the compute face: where it is, and under which other names it is found. */

export const COMPUTE_PATH = 'compute/v2.1';

/** Segments after `/v2.1/` that are resources, and no project's id. */
const RESOURCES = /^(?:os-[a-z-]+|flavors|servers|limits|extensions|images)$/;

/**
 * The path that serves a request: `/v2.1/servers` is `/compute/v2.1/servers`, and so are `/v2.1/{project_id}/servers`, which old
 * catalogs have, and `/v2/servers`, for clients of a version that knew no versions.
 */
export function computeUrl(url: string): string {
  const below = /^\/v2(?:\.1)?(?=[/?]|$)/.test(url) ? `/compute${url}` : url;
  const inPlace = below.replace(/^\/compute\/v2\/(?=[^?])/, `/${COMPUTE_PATH}/`);
  const project = projectInPath(inPlace);
  return project === null ? inPlace : inPlace.replace(`/${project}`, '');
}

/** The project that an old catalog's path names, as it stands there; null: none. */
export function projectInPath(url: string): string | null {
  const [, segment, next] = /^(?:\/compute)?\/v2(?:\.1)?\/([^/?]+)\/([^/?]+)/.exec(url) ?? [];
  return segment === undefined || RESOURCES.test(segment) || !RESOURCES.test(next ?? '') ? null : segment;
}

/**
 * Refuses a path that names another project than the caller's: Nova does so, too.
 *
 * @param url as the client sent it
 * @throws BerthError `request.invalid`
 */
export function assertOwnPath({ projectId }: Pick<Caller, 'projectId'>, url: string): void {
  const project = projectInPath(url);
  if (project === null || project === projectId) return;
  throw new BerthError('request.invalid', "Malformed request URL: its project is not the token's");
}
