import type { ChosenDevice } from '../placement/decision.js';
import type { Tx } from './database.js';
import type { DecidedServer } from './decided-server.js';
import {
  amountsOfDevices,
  amountsOfPlacement,
  amountsOfRequest,
  type QuotaExcess,
  quotaFault,
  quotaRejection,
} from './quota-amounts.js';
import { checkQuotas, type QuotaWish } from './quotas.store.js';

export interface QuotaVerdict {
  /** As they were decided, in their order. */
  readonly within: readonly DecidedServer[];
  /** Those whose project would have too much, turned down. */
  readonly over: readonly DecidedServer[];
  /** Ids of hosts where those over the quota were put ahead. */
  readonly hosts: readonly string[];
}

/**
 * Parts decided servers by the quotas of their projects, which stay locked until the transaction ends. Who would send others away, or have
 * a host kept, is asked as well. Of servers that are placed together as many are placed as fit, or none when these are too few.
 */
export async function withinQuotas(tx: Tx, decided: readonly DecidedServer[]): Promise<QuotaVerdict> {
  const sizes = gangSizes(decided);
  const excesses = await checkQuotas(
    tx,
    decided.flatMap((entry) => wishOf(entry, sizes)),
  );
  if (excesses.size === 0) return { within: decided, over: [], hosts: [] };
  const byGang = lostGangs(decided, excesses);
  const excessFor = ({ server }: DecidedServer): QuotaExcess | undefined =>
    excesses.get(server.id) ?? byGang.get(server.gang?.id ?? '');
  const refused = decided.filter((entry) => excessFor(entry) !== undefined);
  return {
    within: decided.filter((entry) => excessFor(entry) === undefined),
    over: refused.map((entry) => turnedDown(entry, excessFor(entry) as QuotaExcess)),
    hosts: refused.flatMap(({ decision }) => (decision.outcome === 'placed' ? [decision.hostId] : [])),
  };
}

/** What the devices of a decision would be too much of for the server's project; null: nothing. */
export async function attachExcess(
  tx: Tx,
  server: { readonly id: string; readonly projectId: string },
  devices: readonly ChosenDevice[],
): Promise<QuotaExcess | null> {
  const wish = {
    ...{ serverId: server.id, projectId: server.projectId, gang: null, takes: true },
    kind: 'attach' as const,
    amounts: amountsOfDevices(devices),
    deviceIds: devices.map(({ deviceId }) => deviceId),
  };
  return (await checkQuotas(tx, [wish])).get(server.id) ?? null;
}

function wishOf({ server, decision, fate }: DecidedServer, sizes: ReadonlyMap<string, number>): QuotaWish[] {
  const { id, request, gang } = server;
  const wish = {
    serverId: id,
    projectId: request.projectId,
    kind: 'server' as const,
    // who was deleted meanwhile is not missed
    gang: gang && { id: gang.id, countMin: Math.min(gang.countMin, sizes.get(gang.id) ?? 0) },
  };
  if (decision.outcome === 'placed') {
    const { devices } = decision;
    const amounts = amountsOfPlacement(request, devices);
    return [{ ...wish, amounts, deviceIds: devices.map(({ deviceId }) => deviceId), takes: true }];
  }
  const keepsHost = fate?.kind === 'preempt' || (fate?.kind === 'wait' && fate.nominated !== null);
  if (!keepsHost) return [];
  return [{ ...wish, amounts: amountsOfRequest(request), deviceIds: [], takes: false }];
}

function gangSizes(decided: readonly DecidedServer[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { gang } of decided.map(({ server }) => server)) {
    if (gang) sizes.set(gang.id, (sizes.get(gang.id) ?? 0) + 1);
  }
  return sizes;
}

/** Gangs of which nobody is placed any more: the members that found no host share the fate of the others. */
function lostGangs(
  decided: readonly DecidedServer[],
  excesses: ReadonlyMap<string, QuotaExcess>,
): Map<string, QuotaExcess> {
  const placed = decided.filter(({ decision }) => decision.outcome === 'placed');
  const kept = new Set(placed.flatMap(({ server }) => (excesses.has(server.id) ? [] : (server.gang?.id ?? []))));
  return new Map(
    placed.flatMap(({ server: { id, gang } }) => {
      const excess = excesses.get(id);
      return gang && excess && !kept.has(gang.id) ? [[gang.id, excess] as const] : [];
    }),
  );
}

function turnedDown({ server, decision }: DecidedServer, excess: QuotaExcess): DecidedServer {
  return {
    server,
    decision: quotaRejection(excess, decision),
    fate: server.waits ? { kind: 'wait', nominated: null } : { kind: 'error' },
    fault: quotaFault(excess),
  };
}
