import { BerthError } from '../../errors.js';
import type { PlacementRequest } from '../../placement/request.js';
import type { Tx } from '../../store/database.js';
import type { ActingServer } from '../../store/guest-orders.store.js';
import type { Caller } from '../identity/caller.js';
import { assertGrowthWithinQuota } from '../quotas/quota-check.js';
import type { RequestRules } from '../request-rules.js';
import { deviceWishes } from './placement-request.js';
import { type ResolvedRequest, resolveRequest, wisherOf } from './resolve-request.js';

/**
 * What a server asks for once it has another flavor: size and devices are the flavor's; zone, hints and image stay.
 *
 * @param flavor id or name
 * @throws BerthError `flavor.unknown`, `alias.unknown`, `quota.exceeded`; `server.not_supported` when it has devices that its flavor did not
 * ask for: nobody could say which of them it is to keep
 */
export async function resized(
  tx: Tx,
  caller: Caller,
  server: ActingServer,
  flavor: string,
  rules: RequestRules,
): Promise<ResolvedRequest> {
  const { request: before } = server;
  const wisher = { ...wisherOf(caller, server.name), projectId: server.projectId };
  const properties = before.host?.imageProperties;
  const body = { flavor, ...(properties ? { image_properties: properties } : {}) };
  const next = await resolveRequest(tx, wisher, body, rules);
  assertDevicesAreTheFlavors(server, rules);
  const request = { ...next.request, ...kept(before, next.request) };
  await assertGrowthWithinQuota(tx, before, request);
  return { flavor: next.flavor, request };
}

/** What was asked for beside the flavor. */
function kept(before: PlacementRequest, { host }: PlacementRequest): Partial<PlacementRequest> {
  const { availabilityZone, sameHost, differentHost, group } = before.host ?? {};
  return {
    host: {
      ...host,
      ...(availabilityZone === undefined ? {} : { availabilityZone }),
      ...(sameHost ? { sameHost } : {}),
      ...(differentHost ? { differentHost } : {}),
      ...(group ? { group } : {}),
    },
    ...(before.reservation === undefined ? {} : { reservation: before.reservation }),
  };
}

function assertDevicesAreTheFlavors({ id, name, projectId, flavor, request }: ActingServer, rules: RequestRules): void {
  const wishes = { name, projectId, flavor, devices: [], ports: [], size: { vcpus: 0, ramMb: 0, diskGb: 0 } };
  const rest = { imagePolicy: null, host: {}, topology: null, cpuPolicy: null, priority: null, preemptible: null };
  const own = deviceWishes({ ...wishes, ...rest }, rules.dialect).map(({ alias, count }) => `${alias}:${count}`);
  const has = request.devices.map(({ alias, count }) => `${alias}:${count}`);
  if (own.join() === has.join()) return;
  throw new BerthError(
    'server.not_supported',
    `Instance ${id} has devices that its flavor does not ask for; detach them, or create another server`,
  );
}
