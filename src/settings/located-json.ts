import { isMap, isPair, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import type { Path } from '../pci/device-spec/device-spec-fields.js';

/** JSON text that was read, with the line (from 0 on) of any part of it; or what is wrong, and in which line. */
export type LocatedJson =
  | { readonly value: unknown; readonly lineOf: (path: Path) => number; readonly problem: null }
  | { readonly problem: string; readonly line: number };

/** Reads JSON as the standard has it; in addition no key may come twice in one object. */
export function readLocatedJson(text: string): LocatedJson {
  const lineAt = (offset: number): number => text.slice(0, offset).split('\n').length - 1;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const { offset, problem } = findJsonFault(text);
    return { problem: `not JSON: ${problem}`, line: lineAt(offset) };
  }
  const places = placesIn(text);
  const repeated = places?.errors.find((error) => error.code === 'DUPLICATE_KEY');
  if (repeated) return { problem: 'the same key comes twice in one object; remove one', line: lineAt(repeated.pos[0]) };
  return { value, lineOf: (path) => lineAt(offsetOfPath(places?.contents, path)), problem: null };
}

/** JSON is YAML, and the YAML parser keeps places; null where it gives up (thousands of lists in each other). */
function placesIn(text: string): Document.Parsed | null {
  try {
    return parseDocument(text, { prettyErrors: false });
  } catch {
    return null;
  }
}

/** Where in the text the part begins: its key, if it has one. As far as the path can be followed. */
export function offsetOfPath(root: unknown, path: Path): number {
  let node: unknown = root;
  let offset = startOf(root);
  for (const step of path) {
    const found: unknown = isMap(node)
      ? node.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === step)
      : isSeq(node)
        ? node.items[Number(step)]
        : undefined;
    if (found === undefined) break;
    offset = startOf(isPair(found) ? found.key : found, offset);
    node = isPair(found) ? found.value : found;
  }
  return offset;
}

function startOf(node: unknown, otherwise = 0): number {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0] ?? otherwise;
}

type Expected = 'value' | 'key' | 'colon' | 'comma';

const WANTED: Readonly<Record<Expected, string>> = {
  value: 'a value',
  key: 'a key in double quotes',
  colon: '":" after the key',
  comma: '"," or the end',
};

const TOKEN =
  /[ \t\r\n]*([{}[\]:,]|"(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.]))/y;

interface JsonState {
  /** What closes the objects and lists that are open, outermost first. */
  readonly open: string[];
  expected: Expected;
  last: string;
}

/** The first place at which the text cannot go on as JSON: engines word this differently, and some leave the place out. */
function findJsonFault(text: string): { offset: number; problem: string } {
  const state: JsonState = { open: [], expected: 'value', last: '' };
  const pattern = new RegExp(TOKEN);
  for (;;) {
    const from = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) return faultAt(text, from, state.expected);
    const [whole, token = ''] = match;
    const problem = takeToken(state, token);
    if (problem !== null) return { offset: from + whole.length - token.length, problem };
    state.last = token;
  }
}

function takeToken(state: JsonState, token: string): string | null {
  const { open, expected, last } = state;
  if (open.length === 0 && expected === 'comma') return 'there is more after the value; remove it';
  if (token === '}' || token === ']') {
    const empty = last === '{' || last === '[';
    if (open.pop() !== token) return `"${token}" does not close what is open here`;
    if (expected !== 'comma' && !empty) return `${WANTED[expected]} is missing between "${last}" and "${token}"`;
    state.expected = 'comma';
  } else if (token === ':' || token === ',') {
    if (expected !== (token === ':' ? 'colon' : 'comma')) return `"${token}" where ${WANTED[expected]} should be`;
    state.expected = token === ',' && open.at(-1) === '}' ? 'key' : 'value';
  } else {
    const fits = expected === 'value' || (expected === 'key' && token.startsWith('"'));
    if (!fits) return `${WANTED[expected]} is missing before ${token.slice(0, 40)}`;
    if (token === '{' || token === '[') open.push(token === '{' ? '}' : ']');
    state.expected = token === '{' ? 'key' : token === '[' ? 'value' : expected === 'key' ? 'colon' : 'comma';
  }
  return null;
}

function faultAt(text: string, from: number, expected: Expected): { offset: number; problem: string } {
  const offset = text.length - text.slice(from).trimStart().length;
  const at = text[offset];
  if (at === undefined) {
    return { offset: text.trimEnd().length, problem: `the text ends where ${WANTED[expected]} should be` };
  }
  if (at === "'") return { offset, problem: 'single quotes; JSON wants double quotes (")' };
  if (at === '"') return { offset, problem: 'a text in quotes that does not end, or has a wrong \\ in it' };
  const word = /^[^\s,:{}[\]"']{1,40}/.exec(text.slice(offset, offset + 40))?.[0] ?? at;
  return { offset, problem: `${word} where ${WANTED[expected]} should be; texts stand in double quotes` };
}
