import { BerthError } from '../../errors.js';
import type { Decision } from '../../placement/decision.js';
import type { PlacementRequest } from '../../placement/request.js';
import type { Tx } from '../../store/database.js';
import {
  type Amounts,
  amountsOfPlacement,
  amountsOfRequest,
  amountsOfWishes,
  excessMessage,
  type QuotaExcess,
  quotaRejection,
  times,
} from '../../store/quota-amounts.js';
import { previewQuotas, type QuotaWish } from '../../store/quotas.store.js';

/**
 * Early answers: what is certain to be above a quota is not even written down. The transaction that claims has the last word.
 *
 * @param count  so many have to fit
 * @param waits  whether they may wait until there is room: then only what would never fit is refused
 * @throws BerthError `quota.exceeded`
 */
export async function assertServersWithinQuota(
  tx: Tx,
  request: PlacementRequest,
  { count, waits }: { readonly count: number; readonly waits: boolean },
): Promise<void> {
  const wish = wishOf(request.projectId, times(amountsOfRequest(request), count), 'server');
  refuse(await firstExcess(tx, wish, waits));
}

/**
 * The same of a server that is to become another: only what it takes more.
 *
 * @throws BerthError `quota.exceeded`
 */
export async function assertGrowthWithinQuota(
  tx: Tx,
  before: PlacementRequest,
  after: PlacementRequest,
): Promise<void> {
  const had = amountsOfRequest(before);
  const more = [...amountsOfRequest(after)].map(
    ([resource, amount]) => [resource, amount - (had.get(resource) ?? 0)] as const,
  );
  const wish = wishOf(after.projectId, new Map(more.filter(([, amount]) => amount > 0)), 'attach');
  refuse(await firstExcess(tx, wish, false));
}

/** @throws BerthError `quota.exceeded` */
export async function assertDevicesWithinQuota(
  tx: Tx,
  { projectId, devices }: Pick<PlacementRequest, 'projectId' | 'devices'>,
): Promise<void> {
  refuse(await firstExcess(tx, wishOf(projectId, amountsOfWishes(devices), 'attach'), false));
}

/** The decision, or the quota's "no" when the project may not have that. */
export async function judgedByQuota(tx: Tx, request: PlacementRequest, decision: Decision): Promise<Decision> {
  const excess = await firstExcess(tx, wishOfDecision(request, decision), false);
  return excess ? quotaRejection(excess, decision) : decision;
}

function wishOfDecision(request: PlacementRequest, decision: Decision): QuotaWish {
  if (decision.outcome === 'rejected') return wishOf(request.projectId, amountsOfRequest(request), 'server');
  const deviceIds = decision.devices.map(({ deviceId }) => deviceId);
  return { ...wishOf(request.projectId, amountsOfPlacement(request, decision.devices), 'server'), deviceIds };
}

/** There is no server yet. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

function wishOf(projectId: string, amounts: Amounts, kind: QuotaWish['kind']): QuotaWish {
  return { serverId: NOBODY, projectId, kind, gang: null, amounts, deviceIds: [], takes: true };
}

async function firstExcess(tx: Tx, wish: QuotaWish, alone: boolean): Promise<QuotaExcess | null> {
  return (await previewQuotas(tx, [wish], { alone })).get(wish.serverId) ?? null;
}

function refuse(excess: QuotaExcess | null): void {
  if (excess) throw new BerthError('quota.exceeded', excessMessage(excess), { details: { ...excess } });
}
