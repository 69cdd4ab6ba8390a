import { constraintText } from '../../placement/constraint-text.js';
import type { Decision, HostScore, Placement } from '../../placement/decision.js';
import type { PlacementRequest } from '../../placement/request.js';
import type { DecisionEntity } from '../../store/entities/workload.entities.js';
import type { ServerRow } from '../../store/servers.store.js';
import { type Audience, type DecisionView, decisionView, type HostRejectionView } from '../placements/decision.view.js';
import type { SmallestChangesView, SmallestChangeView } from './explanation-changes.js';
import type {
  ComparedPart,
  ComparedScoreView,
  ExplainedConstraintView,
  ExplanationView,
  FilterCountView,
} from './explanation.dto.js';

/** How many groups of hosts the sentences tell; the structure has all. */
const GROUPS_TOLD = 5;
/** Totals that differ by less are equal but for rounding. */
const ROUNDING = 1e-9;

/** @param record null: nothing was decided about the server yet */
export function explanationView(
  server: ServerRow,
  record: DecisionEntity | null,
  audience: Audience,
  changes: SmallestChangesView | null,
): ExplanationView {
  const head = { server_id: server.id, server_name: server.name, status: server.status, view: audience.view };
  if (!record) return { ...head, ...UNDECIDED };
  const decision = record.record as unknown as Decision;
  const { outcome, host, hosts_considered, rejections, spread, constraints, message } = decisionView(
    decision,
    audience,
  );
  const facts = {
    ...{ outcome, host, hosts_considered, rejections, spread, changes },
    filters: filterCounts(rejections),
    scores: decision.outcome === 'placed' ? comparedScores(decision, audience) : [],
    constraints: explainedConstraints(server.request, constraints),
  };
  return {
    ...head,
    ...{ decision_id: record.id, attempt: record.attempt, decided_at: record.created_at },
    ...facts,
    sentences: sentencesOf(server.name, message, facts),
  };
}

const UNDECIDED = {
  ...{ decision_id: null, attempt: null, decided_at: null, outcome: null, host: null, hosts_considered: 0 },
  ...{ filters: [], rejections: [], scores: [], spread: null, constraints: [], changes: null },
  sentences: ['Nothing was decided about this server yet.'],
};

function filterCounts(rejections: readonly HostRejectionView[]): FilterCountView[] {
  const counts = new Map<string, number>();
  for (const { filter, host_count } of rejections) counts.set(filter, (counts.get(filter) ?? 0) + host_count);
  return [...counts]
    .map(([filter, host_count]) => ({ filter, host_count }))
    .sort((a, b) => b.host_count - a.host_count || (a.filter < b.filter ? -1 : 1));
}

/** Each host held against the winner: how far behind it is, and through which weigher most. */
function comparedScores({ scores }: Placement, { view }: Audience): ComparedScoreView[] {
  const [winner] = scores;
  if (!winner) return [];
  const isAdmin = view === 'admin';
  return scores.map((score, at) => {
    const parts = comparedParts(winner, score, isAdmin);
    const farthest = Object.entries(parts).sort(([, a], [, b]) => b.delta - a.delta)[0];
    const decides = at > 0 && farthest !== undefined && farthest[1].delta > ROUNDING;
    return {
      rank: at + 1,
      host: isAdmin ? score.host : null,
      total: score.total,
      delta: winner.total - score.total,
      decided_by: decides && winner.total - score.total > ROUNDING ? farthest[0] : null,
      parts,
    };
  });
}

function comparedParts(winner: HostScore, score: HostScore, isAdmin: boolean): Record<string, ComparedPart> {
  const parts = Object.entries(score.parts).map(([weigher, { raw, normalized, weighted }]): [string, ComparedPart] => {
    const ahead = (winner.parts[weigher]?.weighted ?? 0) - weighted;
    return [weigher, { raw: isAdmin ? raw : null, normalized, weighted, delta: ahead }];
  });
  return Object.fromEntries(parts);
}

function explainedConstraints(
  { constraints = [], devices }: PlacementRequest,
  outcomes: DecisionView['constraints'],
): ExplainedConstraintView[] {
  return outcomes.map((outcome) => {
    const constraint = constraints[outcome.constraint];
    const text = constraint ? constraintText(constraint, devices) : `constraint ${outcome.constraint}`;
    return { ...outcome, text };
  });
}

type Facts = Pick<
  ExplanationView,
  'outcome' | 'host' | 'hosts_considered' | 'rejections' | 'scores' | 'spread' | 'constraints' | 'changes'
>;

function sentencesOf(server: string, message: string | null, facts: Facts): string[] {
  const told =
    facts.outcome === 'placed' ? placedSentences(server, facts) : [`${server} was placed nowhere. ${message}`];
  return [...told, ...groupSentences(facts.rejections), ...changeSentences(facts.changes)];
}

function placedSentences(server: string, { host, hosts_considered, rejections, scores, ...more }: Facts): string[] {
  const turnedDown = rejections.reduce((sum, { host_count }) => sum + host_count, 0);
  const where = host === null ? 'a host' : `host ${host}`;
  const could = `${hosts_considered - turnedDown} of ${counted(hosts_considered, 'host')} could serve`;
  const [, second] = scores;
  return [
    `${server} was placed on ${where}: ${could}.`,
    ...(second ? [runnerUpSentence(second)] : []),
    ...(more.spread === null ? [] : [`Its devices are at most ${more.spread} apart.`]),
    ...more.constraints.map(
      ({ text, met, distance }) => `"${text}" is ${met ? 'met' : 'not met'}: at most ${distance} apart.`,
    ),
  ];
}

function runnerUpSentence({ host, delta, decided_by: weigher, parts }: ComparedScoreView): string {
  const next = host === null ? 'The next best host' : `Host ${host}, the next best,`;
  if (weigher === null) return `${next} is as good; the order of names decided.`;
  return `${next} is ${rounded(delta)} behind; ${weigher} made the difference (${rounded(parts[weigher]?.delta ?? 0)}).`;
}

function groupSentences(rejections: readonly HostRejectionView[]): string[] {
  const told = rejections.slice(0, GROUPS_TOLD).map(({ filter, hosts, host_count, reasons }) => {
    const [first, ...others] = hosts;
    const named = first === undefined ? '' : ` (${first}${others.length > 0 ? ', …' : ''})`;
    const why = reasons.map(({ message }) => message).join('; ') || 'turned down';
    if (host_count === 0) return `${why} [${filter}].`;
    return `${counted(host_count, 'host')}${named}: ${why} [${filter}].`;
  });
  const rest = rejections.slice(GROUPS_TOLD).reduce((sum, { host_count }) => sum + host_count, 0);
  return rest === 0 ? told : [...told, `${counted(rest, 'more host')} for other reasons.`];
}

function changeSentences(changes: SmallestChangesView | null): string[] {
  if (!changes) return [];
  const when = `As of ${changes.computed_at.toISOString()}`;
  if (changes.fits_now) return [`${when} it fits${changes.fits_on === null ? '' : ` on host ${changes.fits_on}`}.`];
  const [cheapest] = changes.changes;
  const more = changes.complete ? '' : ' (not everything could be tried)';
  if (!cheapest) return [`${when} no one or two changes make it fit${more}.`];
  return [`${when} it would fit with this change: ${changeText(cheapest)}${more}.`];
}

function changeText({ steps, equal_hosts: equal }: SmallestChangeView): string {
  const others = equal === null || equal < 2 ? '' : ` (or the same on one of ${counted(equal - 1, 'equal host')})`;
  return `${steps.map(({ sentence }) => sentence).join(', and ')}${others}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function rounded(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}
