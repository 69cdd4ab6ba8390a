import type { BerthError } from '../errors.js';
import { REQUEST_COUNT_MAX } from '../pci/alias/alias-request.js';
import { clip } from '../pci/device-spec/device-spec-fields.js';
import { suggestion } from '../pci/suggest.js';
import { LEVELS } from '../pci/topology.js';
import { TOPOLOGY_ATTRIBUTES, type TopologyRule } from './request.js';
import { END, invalid, isMark, isName, isWord, type Token } from './topology-text-tokens.js';

/** Of an alias, or of a port of the server. */
export interface TopologyName {
  readonly kind: 'alias' | 'port';
  readonly name: string;
}

/** A constraint whose names are not looked up yet. */
export type TopologyWish = TopologyRule & {
  /** Exactly two, the many first, for a pair. */
  readonly names: readonly TopologyName[];
  /** null: has to be met. 1 to 100: is preferred. */
  readonly weight: number | null;
};

const WEIGHT_DEFAULT = 50;
const WEIGHT_MAX = 100;
const RULE_WORDS = ['within', 'same', 'distinct'] as const;
const OWN_WORDS = ['pair', 'port'];

/**
 * Reads one clause; the grammar is in `topology-text.ts`.
 *
 * @param shown the clause as messages name it
 * @throws BerthError `topology.invalid`
 */
export function readClause(tokens: readonly Token[], shown: string): TopologyWish {
  return wishOf({ tokens, at: 0, shown });
}

/** A clause while it is read. */
interface Clause {
  readonly tokens: readonly Token[];
  at: number;
  readonly shown: string;
}

function wishOf(clause: Clause): TopologyWish {
  const wish = isWord(peek(clause), 'pair') ? pairOf(clause) : ruleOf(clause);
  const twice = wish.names.find((name, at) =>
    wish.names.slice(0, at).some((other) => nameText(other) === nameText(name)),
  );
  if (twice) throw wrong(clause, `${nameText(twice)} is named twice`);
  return { ...wish, weight: weightOf(clause) };
}

type Unweighted = TopologyRule & { readonly names: readonly TopologyName[] };

function pairOf(clause: Clause): Unweighted {
  next(clause);
  const many = nameOf(clause);
  if (!isMark(next(clause), ':')) throw wrong(clause, 'a pair is of two: write "pair gpu:nic"');
  const names = [many, nameOf(clause)];
  const per = isWord(peek(clause), 'within') ? 1 : ratioOf(clause);
  if (!isWord(next(clause), 'within')) throw wrong(clause, 'say how near, like "pair gpu:nic 2:1 within PIX"');
  return { kind: 'pair', names, per, level: levelOf(clause) };
}

function ratioOf(clause: Clause): number {
  const [many, mark, one] = [next(clause), next(clause), next(clause)];
  if (many.kind !== 'word' || !/^\d+$/.test(many.text) || !isMark(mark, ':') || !isWord(one, '1')) {
    throw wrong(clause, 'the ratio of a pair is K:1, so many of the first for one of the second, like "2:1"');
  }
  const per = Number(many.text);
  if (per >= 1 && per <= REQUEST_COUNT_MAX) return per;
  throw wrong(clause, `the ratio is ${clip(many.text)}:1; it goes from 1:1 to ${REQUEST_COUNT_MAX}:1`);
}

function ruleOf(clause: Clause): Unweighted {
  const names = [nameOf(clause)];
  while (isMark(peek(clause), ',')) {
    next(clause);
    names.push(nameOf(clause));
  }
  const word = next(clause);
  const kind = RULE_WORDS.find((known) => isWord(word, known));
  if (kind === 'within') return { kind, names, level: levelOf(clause) };
  if (kind) return { kind, names, attribute: attributeOf(clause) };
  const goesOn = 'after the names say "within LEVEL", "same ATTRIBUTE" or "distinct ATTRIBUTE"';
  if (word.kind === 'end') throw wrong(clause, goesOn);
  throw wrong(clause, `${goesOn}, not "${clip(word.text)}"${suggestion(word.text, RULE_WORDS)}`);
}

function nameOf(clause: Clause): TopologyName {
  const token = next(clause);
  if (isWord(token, 'port') && isName(peek(clause))) return { kind: 'port', name: next(clause).text };
  if (isName(token)) return { kind: 'alias', name: token.text };
  const instead = token.kind === 'end' ? '' : `, not "${token.text}"`;
  throw wrong(clause, `say an alias or "port NAME"${instead}`);
}

function levelOf(clause: Clause): (typeof LEVELS)[number] {
  const token = next(clause);
  return LEVELS.find((known) => isWord(token, known)) ?? notOneOf(clause, 'a level', token, LEVELS);
}

function attributeOf(clause: Clause): (typeof TOPOLOGY_ATTRIBUTES)[number] {
  const token = next(clause);
  const found = TOPOLOGY_ATTRIBUTES.find((known) => isWord(token, known));
  return found ?? notOneOf(clause, 'an attribute', token, TOPOLOGY_ATTRIBUTES);
}

function notOneOf(clause: Clause, what: string, { kind, text }: Token, words: readonly string[]): never {
  const fault = kind === 'end' ? `${what} is missing` : `"${clip(text)}" is not ${what}`;
  throw wrong(clause, `${fault}; say one of ${words.join(', ')}${suggestion(text, words)}`);
}

function weightOf(clause: Clause): number | null {
  const word = next(clause);
  if (word.kind === 'end') return null;
  if (!isWord(word, 'prefer')) {
    const hint = suggestion(word.text, ['prefer']);
    throw wrong(clause, `"${clip(word.text)}" is too much; only "prefer" may follow${hint}`);
  }
  const number = next(clause);
  if (number.kind === 'end') return WEIGHT_DEFAULT;
  if (number.kind !== 'word' || !/^\d+$/.test(number.text)) {
    throw wrong(clause, `"${clip(number.text)}" is not a weight; write a whole number, like "prefer 50"`);
  }
  const weight = Number(number.text);
  if (weight < 1 || weight > WEIGHT_MAX) throw wrong(clause, `the weight has to be from 1 to ${WEIGHT_MAX}`);
  if (peek(clause).kind !== 'end') throw wrong(clause, `"${clip(peek(clause).text)}" is too much; nothing may follow`);
  return weight;
}

function peek(clause: Clause): Token {
  return clause.tokens[clause.at] ?? END;
}

function next(clause: Clause): Token {
  return clause.tokens[clause.at++] ?? END;
}

function wrong({ shown }: Clause, problem: string): BerthError {
  return invalid(`${shown}: ${problem}`);
}

/** The text that is read as this wish. */
export function clauseText(wish: TopologyWish): string {
  const weight = wish.weight === null ? '' : ` prefer ${wish.weight}`;
  const names = wish.names.map(nameText);
  switch (wish.kind) {
    case 'pair':
      return `pair ${names.join(':')} ${wish.per}:1 within ${wish.level}${weight}`;
    case 'within':
      return `${names.join(',')} within ${wish.level}${weight}`;
    default:
      return `${names.join(',')} ${wish.kind} ${wish.attribute}${weight}`;
  }
}

/** `gpu`, `port eth0`, `"my gpu"`. */
export function nameText({ kind, name }: TopologyName): string {
  const plain = /^[^\s",:;]+$/.test(name) && !(kind === 'alias' && OWN_WORDS.includes(name.toLowerCase()));
  const text = plain ? name : `"${name.replace(/["\\]/g, '\\$&')}"`;
  return kind === 'port' ? `port ${text}` : text;
}
