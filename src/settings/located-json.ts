import { isMap, isPair, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Path } from '../pci/device-spec-fields.js';

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
  // JSON is YAML, and the YAML parser keeps places.
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const repeated = document.errors.find((error) => error.code === 'DUPLICATE_KEY');
  if (repeated) return { problem: 'the same key comes twice in one object; remove one', line: lineAt(repeated.pos[0]) };
  return { value, lineOf: (path) => lineAt(offsetOfPath(document.contents, path)), problem: null };
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

const TOKEN =
  /[ \t\r\n]*(?:([{}[\]:,])|("(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")|((?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])))/y;

/** The first place at which the text cannot go on as JSON: engines word this differently, and some leave the place out. */
function findJsonFault(text: string): { offset: number; problem: string } {
  const open: string[] = [];
  let expected: Expected = 'value';
  let mayClose = false;
  let last = '';
  const token = new RegExp(TOKEN);
  for (;;) {
    const from = token.lastIndex;
    const match = token.exec(text);
    if (!match) return faultAt(text, from, expected);
    const [whole, sign, word, literal] = match;
    const fault = {
      offset: from + whole.trimStart().length * 0 + (whole.length - whole.trimStart().length),
      problem: '',
    };
    if (open.length === 0 && expected === 'comma')
      return { ...fault, problem: 'there is more after the value; remove it' };
    if (sign === '}' || sign === ']') {
      if (open.pop() !== sign || (expected !== 'comma' && !mayClose))
        return { ...fault, problem: closingFault(sign, last) };
      expected = 'comma';
    } else if (sign === '{' || sign === '[') {
      if (expected !== 'value') return { ...fault, problem: `${wanted(expected)} is missing before "${sign}"` };
      open.push(sign === '{' ? '}' : ']');
      expected = sign === '{' ? 'key' : 'value';
    } else if (sign === ':' || sign === ',') {
      if (expected !== (sign === ':' ? 'colon' : 'comma'))
        return { ...fault, problem: `"${sign}" where ${wanted(expected)} should be` };
      expected = sign === ',' && open.at(-1) === '}' ? 'key' : 'value';
    } else {
      const fits = expected === 'value' || (expected === 'key' && word !== undefined);
      if (!fits)
        return { ...fault, problem: `${wanted(expected)} is missing before ${(word ?? literal ?? '').slice(0, 40)}` };
      expected = expected === 'key' ? 'colon' : 'comma';
    }
    mayClose = sign === '{' || sign === '[';
    last = sign ?? '';
  }
}

function faultAt(text: string, from: number, expected: Expected): { offset: number; problem: string } {
  const rest = text.slice(from);
  const offset = from + (rest.length - rest.trimStart().length);
  const at = text[offset];
  if (at === undefined)
    return { offset: text.trimEnd().length, problem: `the text ends where ${wanted(expected)} should be` };
  if (at === "'") return { offset, problem: 'single quotes; JSON wants double quotes (")' };
  if (at === '"') return { offset, problem: 'a text in quotes that does not end, or has a wrong \\ in it' };
  const word = /^[^\s,:{}[\]"']{1,40}/.exec(text.slice(offset, offset + 40))?.[0] ?? at;
  return { offset, problem: `${word} where ${wanted(expected)} should be; texts stand in double quotes` };
}

function closingFault(sign: string, last: string): string {
  return last === ',' ? `a comma too many before "${sign}"` : `"${sign}" does not close what is open here`;
}

function wanted(expected: Expected): string {
  const words = {
    value: 'a value',
    key: 'a key in double quotes',
    colon: '":" after the key',
    comma: '"," or the end',
  };
  return words[expected];
}
