import { FieldProblem } from '../device-spec/device-spec-fields.js';
import { compiledPattern, position } from './selector-text.js';
import { suggestion } from '../suggest.js';

/** A node of a parsed CEL expression, as far as it is looked at here. */
export interface SelectorTree {
  readonly op: string;
  readonly args: unknown;
  readonly start: number;
  /** Once the expression has been checked. */
  readonly checkedType?: { readonly name: string };
}

/** The attributes of `device`, and their CEL types. */
export const ATTRIBUTE_TYPES = {
  vendor_id: 'string',
  product_id: 'string',
  device_type: 'string',
  class_code: 'string',
  subsystem_vendor_id: 'string',
  subsystem_product_id: 'string',
  numa_node: 'int',
  resource_class: 'string',
  traits: 'list<string>',
  // values are texts or null
  tags: 'map<string, dyn>',
  link_width: 'int',
  max_link_width: 'int',
  max_link_speed_gts: 'double',
  total_vfs: 'int',
} as const;

export type AttributeName = keyof typeof ATTRIBUTE_TYPES;

const ATTRIBUTE_NAMES = Object.keys(ATTRIBUTE_TYPES);

/** What can be called; the rest of CEL's functions build texts and lists, or are about times and bytes. */
const FUNCTIONS: readonly string[] = ['has', 'size', 'int', 'double', 'string'];
const METHODS: readonly string[] = [
  ...['startsWith', 'endsWith', 'contains', 'matches', 'size', 'lowerAscii', 'upperAscii'],
  ...['exists', 'all', 'exists_one', 'filter'],
];
const LOOPS: readonly string[] = ['exists', 'all', 'exists_one', 'filter'];
const LITERALS: readonly string[] = ['value', 'list'];
const OPERATORS: readonly string[] = [
  ...['id', '.', '[]', '?:', '||', '&&', '!_', '-_'],
  ...['!=', '==', 'in', '+', '-', '*', '/', '%', '<', '<=', '>', '>='],
];
const PATTERN_LENGTH_MAX = 200;

/**
 * Holds an expression to what is cheap: known attributes, functions that make nothing grow, no loop within a loop, regexes
 * that are written out.
 *
 * @throws FieldProblem
 */
export function checkTree(tree: SelectorTree, text: string, inLoop = false): void {
  const refuse = (what: string): never => {
    throw new FieldProblem(`${what} ${position(text, tree.start)}`);
  };
  const problem = problemOf(tree, inLoop);
  if (problem !== null) refuse(problem);
  const within = inLoop || LOOPS.includes(methodOf(tree) ?? '');
  for (const child of childrenOf(tree)) checkTree(child, text, within);
}

/** The library runs `matches` on the language's own regexes, which may need exponential time: ours takes its place. */
export function renameMatches(tree: SelectorTree): void {
  if (methodOf(tree) === 'matches') (tree.args as unknown[])[0] = 'matchesLinear';
  childrenOf(tree).forEach(renameMatches);
}

/** Whether texts or lists are put together: only numbers are added, so that nothing grows. Of a checked expression. */
export function growingPart(tree: SelectorTree): SelectorTree | null {
  if (tree.op === '+' && !['int', 'double'].includes(tree.checkedType?.name ?? '')) return tree;
  for (const child of childrenOf(tree)) {
    const found = growingPart(child);
    if (found) return found;
  }
  return null;
}

/** What an expression looks at: names of attributes, and for single tags `tags.name`; each once. */
export function attributePaths(tree: SelectorTree): string[] {
  const own = pathOf(tree);
  if (own !== null) return [own];
  return [...new Set(childrenOf(tree).flatMap(attributePaths))];
}

function problemOf(tree: SelectorTree, inLoop: boolean): string | null {
  const { op, args } = tree;
  if (op === 'call') return FUNCTIONS.includes(nameOf(args)) ? null : unknownFunction(nameOf(args), FUNCTIONS);
  if (op === 'rcall') return problemOfMethod(args as MethodArgs, inLoop);
  if (op === 'map') return 'a map cannot be written in a selector';
  if (op === 'value' && args instanceof Uint8Array) return 'bytes cannot be written in a selector';
  if (op === '.' && isDevice(firstOf(args)) && !ATTRIBUTE_NAMES.includes(secondOf(args) as string)) {
    const name = String(secondOf(args));
    const hint = suggestion(name, ATTRIBUTE_NAMES) || `; the attributes are ${ATTRIBUTE_NAMES.join(', ')}`;
    return `a device has no attribute "${name}"${hint}`;
  }
  return OPERATORS.includes(op) || LITERALS.includes(op) ? null : `"${op}" cannot be used in a selector`;
}

type MethodArgs = readonly [string, SelectorTree, readonly SelectorTree[]];

function problemOfMethod([name, , args]: MethodArgs, inLoop: boolean): string | null {
  if (!METHODS.includes(name)) return unknownFunction(name, METHODS);
  if (LOOPS.includes(name) && inLoop) return `${name}() stands within another loop; one is the limit`;
  if (LOOPS.includes(name) && args[0] && isDevice(args[0])) return 'take another name than "device" in a loop';
  return name === 'matches' ? problemOfPattern(args[0]) : null;
}

function problemOfPattern(pattern: SelectorTree | undefined): string | null {
  if (pattern?.op !== 'value' || typeof pattern.args !== 'string') return 'matches() wants a regex in quotes';
  if (pattern.args.length > PATTERN_LENGTH_MAX) {
    return `the regex has ${pattern.args.length} characters; at most ${PATTERN_LENGTH_MAX}`;
  }
  try {
    compiledPattern(pattern.args);
    return null;
  } catch (error) {
    return `not a regex: ${(error as Error).message.replace(/^error parsing regexp: /, '')}`;
  }
}

function unknownFunction(name: string, there: readonly string[]): string {
  return `${name}() is not there for selectors${suggestion(name, there) || `; there are ${there.join(', ')}`}`;
}

/** `device.x` → `x`, `device.tags.x` and `device.tags["x"]` → `tags.x`. */
function pathOf({ op, args }: SelectorTree): string | null {
  if (op !== '.' && op !== '[]') return null;
  const of = firstOf(args);
  const key = secondOf(args);
  const name = op === '.' ? key : isTree(key) && key.op === 'value' ? key.args : null;
  if (typeof name !== 'string' || !of) return null;
  if (isDevice(of)) return name;
  return pathOf(of) === 'tags' ? `tags.${name}` : null;
}

function isDevice(tree: SelectorTree | null): boolean {
  return tree?.op === 'id' && tree.args === 'device';
}

function methodOf({ op, args }: SelectorTree): string | null {
  return op === 'rcall' ? nameOf(args) : null;
}

function nameOf(args: unknown): string {
  return String(Array.isArray(args) ? args[0] : args);
}

function firstOf(args: unknown): SelectorTree | null {
  const first: unknown = Array.isArray(args) ? args[0] : null;
  return isTree(first) ? first : null;
}

function secondOf(args: unknown): unknown {
  return Array.isArray(args) ? args[1] : null;
}

function childrenOf({ args }: SelectorTree): SelectorTree[] {
  return [args].flat(2).filter(isTree);
}

function isTree(value: unknown): value is SelectorTree {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}
