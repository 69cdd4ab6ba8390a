import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node, Pair } from 'yaml';
import type { Path, Where } from '../pci/device-spec/device-spec-fields.js';
import { suggestion } from '../pci/suggest.js';
import { definitionOf, giveFreeTags, giveSetting, WHITELIST_NAMES } from './gathered.js';
import type { Gathered } from './gathered.js';
import { offsetOfPath, readLocatedJson } from './located-json.js';
import { SETTINGS } from './settings-table.js';

interface YamlFile {
  readonly name: string;
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
  readonly gathered: Gathered;
}

type Take = (file: YamlFile, node: Node) => void;

/** Keys with readers of their own; all others are plain settings. */
const LISTS: ReadonlyMap<string, Take> = new Map<string, Take>([
  ...WHITELIST_NAMES.map((name): [string, Take] => [
    `agent.${name}`,
    (file, node) =>
      forEachEntry(file, node, name, (value, where) =>
        file.gathered.whitelist.push({ name, file: file.name, value, where }),
      ),
  ]),
  ...['pci.alias', 'pci.aliases', 'aliases'].map((key): [string, Take] => [
    key,
    (file, node) =>
      forEachEntry(file, node, key, (value, where) =>
        file.gathered.aliases.push({ value, where, requireDeviceType: true }),
      ),
  ]),
  [
    'agent.sriov',
    (file, node) => forEachEntry(file, node, 'sriov', (value, where) => file.gathered.sriov.push({ value, where })),
  ],
  ['pci.free_tags', (file, node) => giveFreeTags(file.gathered, plain(file, node), placeOfNode(file, node))],
]);

const KEYS: readonly string[] = [...SETTINGS.map(({ key }) => key), ...LISTS.keys()];

/** Reads a YAML file; every wrong key and value becomes a problem with its line. */
export function gatherYaml(name: string, text: string, gathered: Gathered): void {
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  } catch {
    gathered.problems.push(`${name}:1: cannot be read as YAML: it is nested too deeply`);
    return;
  }
  const file: YamlFile = { name, document, lines, gathered };
  for (const error of [...document.errors, ...document.warnings]) {
    gathered.problems.push(`${name}:${lines.linePos(error.pos[0]).line}: ${error.message.replace(/\s+/g, ' ')}`);
  }
  if (document.errors.length > 0 || document.contents === null) return;
  gatherSection(file, document.contents, '');
}

function gatherSection(file: YamlFile, node: Node, prefix: string): void {
  if (isScalar(node) && node.value === null) return;
  if (!isMap(node)) {
    const what = prefix === '' ? 'the file' : prefix.slice(0, -1);
    return problem(file, node, `${what}: has to hold "key: value" lines`);
  }
  for (const pair of node.items as Pair<Node, Node | null>[]) gatherPair(file, pair, prefix);
}

function gatherPair(file: YamlFile, pair: Pair<Node, Node | null>, prefix: string): void {
  if (!isScalar(pair.key) || typeof pair.key.value !== 'string') {
    return problem(file, pair.key, 'a key has to be a plain word');
  }
  const key = `${prefix}${pair.key.value}`;
  // "key:" with nothing after it is null at the key's own place.
  const value: Node = pair.value ?? nullAt(file, pair.key);
  const definition = definitionOf(key);
  if (definition) giveSetting(file.gathered, definition, plain(file, value), placeOfNode(file, pair.key));
  else if (LISTS.has(key)) LISTS.get(key)?.(file, value);
  else if (KEYS.some((known) => known.startsWith(`${key}.`))) gatherSection(file, value, `${key}.`);
  else problem(file, pair.key, `${key}: unknown key${siblingHint(key, prefix)}`);
}

function siblingHint(key: string, prefix: string): string {
  const below = KEYS.filter((known) => known.startsWith(prefix)).map((known) => known.slice(prefix.length));
  const names = [...new Set(below.map((known) => known.split('.')[0] as string))];
  return suggestion(key.slice(prefix.length), names) || `; the keys here are ${names.join(', ')}`;
}

/** Calls `take` for each entry of a list, or for a lone entry. An entry may be JSON text, as a charm writes it. */
function forEachEntry(file: YamlFile, node: Node, key: string, take: (value: unknown, where: Where) => void): void {
  if (isScalar(node) && node.value === null) return;
  for (const item of isSeq(node) ? (node.items as Node[]) : [node]) {
    if (isScalar(item) && typeof item.value === 'string') takeJson(file, item, key, item.value, take);
    else take(plain(file, item), (path) => `${file.name}:${lineOf(file, offsetOfPath(item, path))}`);
  }
}

function takeJson(
  file: YamlFile,
  node: Node,
  key: string,
  text: string,
  take: (value: unknown, where: Where) => void,
): void {
  const block = isScalar(node) && node.type?.startsWith('BLOCK') ? 1 : 0;
  const place = (line: number): string => `${file.name}:${lineOf(file, offsetOfPath(node, [])) + block + line}`;
  const json = readLocatedJson(text);
  if (json.problem !== null) file.gathered.problems.push(`${place(json.line)}: ${key}: ${json.problem}`);
  else take(json.value, (path: Path) => place(json.lineOf(path)));
}

function plain(file: YamlFile, node: Node): unknown {
  try {
    return (isAlias(node) ? (node.resolve(file.document) ?? node) : node).toJS(file.document, { maxAliasCount: 100 });
  } catch (error) {
    problem(file, node, `cannot be read: ${(error as Error).message}`);
    return null;
  }
}

function nullAt(file: YamlFile, key: Node): Node {
  const node = file.document.createNode(null) as Node;
  node.range = key.range ?? null;
  return node;
}

function problem(file: YamlFile, node: Node, text: string): void {
  file.gathered.problems.push(`${placeOfNode(file, node)}: ${text}`);
}

function placeOfNode(file: YamlFile, node: Node): string {
  return `${file.name}:${lineOf(file, offsetOfPath(node, []))}`;
}

function lineOf(file: YamlFile, offset: number): number {
  return file.lines.linePos(offset).line;
}
