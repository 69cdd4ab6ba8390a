import { type DefragmentGoal, fewestMoves, type Potential, Worth } from './defragment-goal.js';
import { Leavings, type LeavingSet } from './defragment-leavings.js';
import { type Move, type MoveRules, type StayReason, Yard } from './defragment-moves.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';
import type { Steps } from './steps.js';

/** How many moves a plan has at most. */
export const MOVES_MAX = 1_000;
/** Less than this is no gain: sums of fractions differ by their order. */
const TINY = 1e-9;

export interface DefragmentOptions extends MoveRules {
  readonly goal: DefragmentGoal;
  /** At most {@link MOVES_MAX}. */
  readonly movesMax: number;
}

/** Moves in the order in which they can be carried out, and what they are good for. Nothing is carried out. */
export interface DefragmentPlan {
  /** `reached`: without a number to reach, when nothing is unusable any more. */
  readonly outcome: 'nothing_to_do' | 'reached' | 'improved' | 'no_gain';
  /** Copies that fit, or free devices that the next server is expected not to be able to use. */
  readonly before: number;
  readonly after: number;
  readonly moves: readonly Move[];
  readonly cost: { readonly moves: number; readonly devices: number; readonly memoryMb: number };
  /** No plan that reaches the goal has fewer moves; null: not known, or there is none within the most moves. */
  readonly movesAtLeast: number | null;
  readonly trials: number;
  /** Whether the search was given up at `trialsMax`: there may be a better plan. */
  readonly isCutShort: boolean;
  /** Servers that were left where they are. */
  readonly staying: Readonly<Record<StayReason, number>>;
}

/**
 * Looks for few, cheap moves that serve the goal. Each is checked with the scheduler's own function on the state that the
 * moves before it leave, with the server still on its old host: first the new devices are had, then the old ones given back.
 *
 * A bounded search, not the best plan there is: again and again the servers leave a host whose going helps most for each
 * move; steps that turn out to be unnecessary are taken out in the end. It is never worse than no plan, and the same
 * question has the same plan.
 */
export function* planDefragmentation(snapshot: Snapshot, options: DefragmentOptions): Steps<DefragmentPlan> {
  const worth = new Worth(options.goal, snapshot.policy);
  for (const host of snapshot.hosts) {
    worth.of(host);
    yield;
  }
  const yard = new Yard(snapshot, worth, options);
  const leavings = new Leavings(yard);
  const before = yard.total;
  const potentials = yield* surveyed(yard, leavings);
  const steps: Move[][] = [];
  while (yard.total < worth.wanted - TINY && yard.moves.length < options.movesMax && !yard.isSpent) {
    const sets = yield* leavingSets(yard, leavings);
    const step = yield* nextStep(yard, sets, options.movesMax - yard.moves.length);
    if (!step) break;
    steps.push(step);
  }
  const { total: after, moves } = yield* withoutNeedless(snapshot, yard, steps);
  const need = worth.wanted - before;
  const found = after > worth.wanted - TINY ? moves.length : options.movesMax;
  const isCounted = options.goal.kind === 'fit' && potentials !== null;
  return {
    outcome: outcomeOf(before, after, worth.wanted),
    before: Math.abs(before),
    after: Math.abs(after),
    moves,
    cost: costOf(moves),
    movesAtLeast: isCounted ? fewestMoves(potentials, need, found) : null,
    trials: yard.trials,
    isCutShort: yard.isSpent,
    staying: stayingOn(yard, snapshot.hosts),
  };
}

function outcomeOf(before: number, after: number, wanted: number): DefragmentPlan['outcome'] {
  if (before > wanted - TINY) return 'nothing_to_do';
  if (after > wanted - TINY) return 'reached';
  return after > before + TINY ? 'improved' : 'no_gain';
}

function costOf(moves: readonly Move[]): DefragmentPlan['cost'] {
  const sum = (of: (move: Move) => number): number => moves.reduce((total, move) => total + of(move), 0);
  return { moves: moves.length, devices: sum(({ takes }) => takes.length), memoryMb: sum(({ memoryMb }) => memoryMb) };
}

function stayingOn(yard: Yard, hosts: readonly HostSnapshot[]): Record<StayReason, number> {
  const counts = { not_settled: 0, kept: 0, request_unknown: 0, affinity: 0 };
  for (const server of hosts.flatMap(({ servers }) => servers)) {
    const reason = yard.staysFor(server);
    if (reason) counts[reason]++;
  }
  return counts;
}

/** What hosts could be worth more; null when there were not trials enough to look at all. */
function* surveyed(yard: Yard, leavings: Leavings): Steps<Potential[] | null> {
  const potentials: Potential[] = [];
  for (const host of yard.fork.hosts) {
    if (yard.isSpent) return null;
    const { potential } = leavings.of(host);
    if (potential[2] > 0) potentials.push(potential);
    yield;
  }
  return potentials;
}

function* leavingSets(yard: Yard, leavings: Leavings): Steps<LeavingSet[]> {
  const sets: LeavingSet[] = [];
  for (const host of yard.fork.hosts) {
    if (yard.isSpent) break;
    sets.push(...leavings.of(host).sets);
    yield;
  }
  const need = yard.worth.wanted - yard.total;
  return sets.sort((a, b) => bestFirst(a, b, need));
}

/** More gain for each move, then fewer moves, devices and memory, then the order of hosts. */
function bestFirst(a: LeavingSet, b: LeavingSet, need: number): number {
  const [gainA, gainB] = [Math.min(a.gain, need), Math.min(b.gain, need)];
  return (
    gainB * a.servers.length - gainA * b.servers.length ||
    a.servers.length - b.servers.length ||
    a.devices - b.devices ||
    a.memoryMb - b.memoryMb
  );
}

/** Carries out the first of the sets that gains more than its servers cost elsewhere; null when none does. */
function* nextStep(yard: Yard, sets: readonly LeavingSet[], movesMax: number): Steps<Move[] | null> {
  for (const set of sets) {
    if (yard.isSpent) return null;
    if (set.servers.length > movesMax) continue;
    const { mark, total } = yard;
    for (const closedOf of [noHosts, hostsOfWorth]) {
      const isDone = allMoveAway(yard, set, closedOf(yard));
      if (isDone && yard.total > total + TINY && yard.moves.length - mark.moves <= movesMax) {
        return yard.moves.slice(mark.moves);
      }
      yard.back(mark);
      yield;
    }
  }
  return null;
}

function allMoveAway(yard: Yard, { host, servers }: LeavingSet, closed: ReadonlySet<string>): boolean {
  return servers.every((server) => yard.moveAway(server, yard.fork.get(host.id) as HostSnapshot, closed));
}

/** So many hosts are kept free of those that move, if they serve the goal as they are. */
const SPARED_MAX = 200;

function noHosts(): ReadonlySet<string> {
  return new Set();
}

function hostsOfWorth({ fork, worth }: Yard): ReadonlySet<string> {
  const ids = fork.hosts.filter((host) => worth.of(host) > 0).map(({ id }) => id);
  return new Set(ids.slice(0, SPARED_MAX));
}

/** More steps than this are left as they are. */
const REVIEWED_MAX = 64;

/** Takes out steps without which the others can be carried out all the same and are as good; the dearest first. */
function* withoutNeedless(
  snapshot: Snapshot,
  yard: Yard,
  steps: readonly Move[][],
): Steps<{ readonly total: number; readonly moves: readonly Move[] }> {
  let best: { readonly total: number; readonly moves: readonly Move[] } = { total: yard.total, moves: yard.moves };
  if (steps.length < 2 || steps.length > REVIEWED_MAX) return best;
  const enough = Math.min(yard.total, yard.worth.wanted) - TINY;
  let kept: readonly Move[][] = steps;
  for (const step of [...steps].sort((a, b) => b.length - a.length)) {
    const rest = kept.filter((other) => other !== step);
    const tried = replayed(snapshot, yard, rest.flat());
    yield;
    if (!tried || tried.total < enough) continue;
    kept = rest;
    best = tried;
  }
  return best;
}

/** The moves carried out from the start; null when one of them cannot be. */
function replayed(snapshot: Snapshot, { worth, rules }: Yard, moves: readonly Move[]): Yard | null {
  const yard = new Yard(snapshot, worth, rules);
  for (const { serverId, fromId, toId } of moves) {
    const [from, to] = [yard.fork.get(fromId), yard.fork.get(toId)] as [HostSnapshot, HostSnapshot];
    const server = from.servers.find(({ id }) => id === serverId);
    if (!server || !yard.move(server, from, to)) return null;
  }
  return yard;
}
