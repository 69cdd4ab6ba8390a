import { applyPlacement } from './apply-placement.js';
import type { Decision, Placement, Rejection } from './decision.js';
import { Fork } from './fork.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import type { Owner, Snapshot } from './snapshot.js';

/** One server of several that are asked for in one call. */
export interface Member {
  readonly owner: Owner;
  readonly request: PlacementRequest;
  readonly excluded: readonly ExcludedHost[];
}

/** So many other hosts are tried for the first member of a gang that has to stay together. */
const FIRST_HOSTS_MAX = 16;

/**
 * Decides servers that are to be placed together, or not at all: each on the hosts as they are once those before it are
 * placed, so that group wishes see them.
 *
 * Placed are either at least `countMin` members, and then as many more as fit; or none. What is said to fit does fit, for
 * each decision is `place`'s own. The search is not exhaustive: members are taken in their order, each where it scores best.
 * Only where they have to be on one host (an affinity group) and there is no room for all of them on the best one, up to
 * 16 other hosts are tried for the first.
 *
 * @returns a decision for each member, in their order; when too few fit, the reasons of the first that did not for all
 */
export function placeTogether(snapshot: Snapshot, members: readonly Member[], countMin: number): Decision[] {
  const first = inOrder(snapshot, members, []);
  const triedMax = hasToStayTogether(members) ? FIRST_HOSTS_MAX : 0;
  const tried: ExcludedHost[] = [];
  let latest = first;
  while (placedCount(latest) < countMin && tried.length < triedMax) {
    const start = latest[0];
    if (start?.outcome !== 'placed') break;
    tried.push({ hostId: start.hostId, reason: 'no room there for all servers of the call', kept: true });
    latest = inOrder(snapshot, members, tried);
  }
  return placedCount(latest) >= countMin ? latest : noneOf(first, countMin);
}

function hasToStayTogether(members: readonly Member[]): boolean {
  return members.some(({ request }) => request.host?.group?.policy === 'affinity');
}

/** @param notFirst hosts that the first member is not to be on */
function inOrder(snapshot: Snapshot, members: readonly Member[], notFirst: readonly ExcludedHost[]): Decision[] {
  const fork = new Fork(snapshot);
  const decisions: Decision[] = [];
  // once a request fits nowhere, the same request does not fit with more servers placed: the answer is taken over
  const refused = new Map<string, Rejection>();
  for (const [index, { owner, request, excluded: own }] of members.entries()) {
    const excluded = index === 0 ? [...own, ...notFirst] : own;
    const kind = JSON.stringify([{ ...request, serverName: '' }, excluded]);
    const decision = refused.get(kind) ?? fork.decide(request, excluded);
    decisions.push(decision);
    if (decision.outcome === 'rejected') refused.set(kind, decision);
    else placeOn(fork, decision, request, owner);
  }
  return decisions;
}

function placeOn(fork: Fork, placement: Placement, request: PlacementRequest, owner: Owner): void {
  const host = fork.get(placement.hostId);
  if (host) fork.put(applyPlacement(host, placement, request, owner));
}

function placedCount(decisions: readonly Decision[]): number {
  return decisions.filter(({ outcome }) => outcome === 'placed').length;
}

function noneOf(decisions: readonly Decision[], countMin: number): Rejection[] {
  const refused = decisions.find((decision): decision is Rejection => decision.outcome === 'rejected') as Rejection;
  const fitting = `${placedCount(decisions)} of at least ${countMin} servers would fit, so none is placed.`;
  return decisions.map(() => ({ ...refused, message: `${fitting} ${refused.message}` }));
}
