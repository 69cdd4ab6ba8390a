import { clip } from '../pci/device-spec/device-spec-fields.js';
import { suggestion } from '../pci/suggest.js';
import type { Level } from '../pci/topology.js';
import {
  CONSTRAINTS_MAX,
  requestLabel,
  SOFT_CONSTRAINTS_MAX,
  type DeviceRequest,
  type TopologyAttribute,
  type TopologyConstraint,
} from './request.js';
import { clauseText, nameText, readClause, type TopologyName, type TopologyWish } from './topology-text-clause.js';
import { invalid, splitClauses, tokensOf } from './topology-text-tokens.js';

export type { TopologyWish } from './topology-text-clause.js';

export const TOPOLOGY_LENGTH_MAX = 4096;

/**
 * Reads how the devices of a server have to lie to each other: clauses, separated by `;`.
 *
 *     NAMES within LEVEL               all devices in one neighbourhood         gpu,nic within PXB
 *     NAMES same ATTRIBUTE             all devices have it in common            gpu same numa_node
 *     NAMES distinct ATTRIBUTE         no two devices have it in common         nic distinct pf
 *     pair MANY:ONE K:1 within LEVEL   each of MANY has one of ONE near it,     pair gpu:nic 2:1 within PIX
 *                                      and one serves K of MANY at most
 *
 * `K:1` is 1:1 when left out. Each clause has to be met, unless it ends in `prefer` or `prefer WEIGHT` (1 to 100, 50 when left
 * out). LEVEL is PIX, PXB, PHB or NODE; ATTRIBUTE one of `TOPOLOGY_ATTRIBUTES`. NAMES, separated by commas, are aliases and
 * `port NAME`; a name with blanks, quotes or one of `, : ;` in it, and an alias called pair or port, stands in double quotes,
 * in which `\` goes before a quote. The language's own words are read in any case, names as they are.
 *
 * @throws BerthError `topology.invalid`; the message names the clause
 */
export function parseTopology(text: string): TopologyWish[] {
  if (text.length > TOPOLOGY_LENGTH_MAX) {
    throw invalid(`the text has ${text.length} characters; at most ${TOPOLOGY_LENGTH_MAX}`);
  }
  if (text.trim() === '') throw invalid('the text is empty; leave it out, or write for example "gpu,nic within PXB"');
  const clauses = splitClauses(tokensOf(text), text);
  const wishes = clauses.map((clause, index) => {
    const position = clauses.length > 1 ? `clause ${index + 1}, ` : '';
    if (clause.tokens.length === 0) throw invalid(`${position}there is nothing; remove the semicolon too many`);
    return readClause(clause.tokens, `${position}"${clip(clause.text)}"`);
  });
  assertFew(wishes);
  return wishes;
}

/** The text that {@link parseTopology} reads as these wishes. */
export function topologyText(wishes: readonly TopologyWish[]): string {
  return wishes.map(clauseText).join('; ');
}

/**
 * Looks the names of wishes up among the requests of a server. A name that several requests have means all of them.
 *
 * @throws BerthError `topology.invalid` for a name that no request has, a pair that is not of two requests, and for what
 *   cannot be met by any host: a pair of which there are too few, devices that are to be together and apart
 */
export function resolveTopology(
  wishes: readonly TopologyWish[],
  requests: readonly DeviceRequest[],
): TopologyConstraint[] {
  assertFew(wishes);
  const shown = wishes.map((wish, index) => {
    return `${wishes.length > 1 ? `clause ${index + 1}, ` : ''}"${clip(clauseText(wish))}"`;
  });
  const constraints = wishes.map((wish, index) => constraintOf(wish, requests, shown[index] ?? ''));
  assertTogetherOrApart(constraints, requests, shown);
  return constraints;
}

function assertFew(wishes: readonly TopologyWish[]): void {
  if (wishes.length > CONSTRAINTS_MAX) throw invalid(`${wishes.length} clauses; at most ${CONSTRAINTS_MAX}`);
  const preferred = wishes.filter(({ weight }) => weight !== null).length;
  if (preferred > SOFT_CONSTRAINTS_MAX) {
    throw invalid(`${preferred} clauses are preferred; at most ${SOFT_CONSTRAINTS_MAX} of them can be`);
  }
}

function constraintOf(wish: TopologyWish, requests: readonly DeviceRequest[], shown: string): TopologyConstraint {
  const { names, ...rule } = wish;
  const found = names.map((name) => indexesOf(name, requests, shown));
  if (rule.kind !== 'pair') return { ...rule, requests: found.flat().sort((a, b) => a - b) };
  const [many = [], one = []] = found;
  const [a, b] = [requests[many[0] ?? -1], requests[one[0] ?? -1]];
  const several = names.find((_, at) => (found[at] ?? []).length > 1);
  if (several || !a || !b) {
    const name = several ? nameText(several) : '';
    throw invalid(`${shown}: a pair is of two requests, and ${name} is in several; ask for all of ${name} in one`);
  }
  const needed = Math.ceil(a.count / rule.per);
  const most = b.countMax ?? b.count;
  if (needed <= most) return { ...rule, requests: [...many, ...one] };
  throw invalid(
    `${shown}: ${a.count} to ${rule.per} for one take ${needed}, and ${requestLabel(b)} is all that is asked for`,
  );
}

function indexesOf(name: TopologyName, requests: readonly DeviceRequest[], shown: string): number[] {
  const indexes = requests.flatMap((request, index) => (isOf(request, name) ? [index] : []));
  if (indexes.length > 0) return indexes;
  const known = [...new Set(requests.map((request) => nameText(nameOfRequest(request))))];
  const meant = known.includes(`port ${name.name}`)
    ? `; did you mean "port ${name.name}"?`
    : suggestion(nameText(name), known);
  throw invalid(`${shown}: the server asks for no ${nameText(name)}${meant}`);
}

function isOf({ alias, port }: DeviceRequest, { kind, name }: TopologyName): boolean {
  return kind === 'port' ? port?.name === name : port === undefined && alias === name;
}

function nameOfRequest({ alias, port }: DeviceRequest): TopologyName {
  return port ? { kind: 'port', name: port.name } : { kind: 'alias', name: alias ?? '' };
}

/** What is in one neighbourhood of these is in one of every later one, whatever is known of the host. */
const NESTED: readonly (Level | undefined)[] = ['PIX', 'PXB', 'PHB'];
const LEVEL_OF: Partial<Record<TopologyAttribute, Level>> = { switch: 'PIX', root_port: 'PXB', pcie_root: 'PHB' };

/** Two devices at least that have to be together and apart: no host can do that. */
function assertTogetherOrApart(
  constraints: readonly TopologyConstraint[],
  requests: readonly DeviceRequest[],
  shown: readonly string[],
): void {
  for (const [at, apart] of constraints.entries()) {
    if (apart.kind !== 'distinct' || apart.weight !== null) continue;
    const together = constraints.findIndex((other) => {
      if (other.weight !== null || !excludes(other, apart.attribute)) return false;
      const both = apart.requests.filter((index) => other.requests.includes(index));
      return both.reduce((sum, index) => sum + (requests[index]?.count ?? 0), 0) > 1;
    });
    if (together < 0) continue;
    throw invalid(`${shown[at]}: this contradicts ${shown[together]}: the same devices cannot be together and apart`);
  }
}

/** Whether devices that keep to the constraint have the same value of the attribute. */
function excludes(constraint: TopologyConstraint, attribute: TopologyAttribute): boolean {
  if (constraint.kind === 'same' && constraint.attribute === attribute) return true;
  if (constraint.kind !== 'same' && constraint.kind !== 'within') return false;
  const near = NESTED.indexOf(constraint.kind === 'within' ? constraint.level : LEVEL_OF[constraint.attribute]);
  return near >= 0 && near <= NESTED.indexOf(LEVEL_OF[attribute]);
}
