import { Environment } from '@marcbachmann/cel-js';
import type { DeviceAttributes } from '../device-attributes.js';
import { clip, defaultResourceClass, FieldProblem, kindOf } from '../device-spec/device-spec-fields.js';
import type { DeviceType, Tags } from '../device.js';
import { linearMatch, position, splitClauses } from './selector-text.js';
import {
  ATTRIBUTE_TYPES,
  type AttributeName,
  attributePaths,
  checkTree,
  growingPart,
  renameMatches,
  type SelectorTree,
} from './selector-tree.js';

/** What a selector looks at. */
export interface SelectorSubject {
  readonly vendorId: string;
  readonly productId: string;
  readonly deviceType: DeviceType;
  readonly numaNode: number | null;
  readonly tags: Tags;
  readonly traits: readonly string[];
  readonly resourceClass: string | null;
  readonly attributes: DeviceAttributes;
}

/** Why a selector does not take a device. */
export interface SelectorMisfit {
  /** The first of the clauses, joined by `&&` at the top, that is not true. */
  readonly clause: string;
  /** `false`, or `unknown`: it cannot be judged. */
  readonly outcome: 'false' | 'unknown';
  /** What it looked at: `link_width is 8`. */
  readonly because: string;
}

const TEXT_LENGTH_MAX = 2000;
const LIMITS = { maxAstNodes: 256, maxDepth: 24, maxListElements: 64, maxMapEntries: 8, maxCallArguments: 4 };
/** Compiled selectors kept; one that was dropped is compiled again. */
const COMPILED_MAX = 1000;
/** Verdicts kept for each; what was dropped is judged again. */
const FACTS_MAX = 1000;
/** How many attributes one reason names. */
const NAMED_MAX = 4;

/** The `device` of an expression. What is not known is left out, so that `has(device.numa_node)` is false. */
class Device {
  constructor(values: Readonly<Record<string, unknown>>) {
    Object.assign(this, values);
  }
}

const environment = new Environment({ limits: LIMITS })
  .registerType('Device', { ctor: Device, fields: { ...ATTRIBUTE_TYPES } })
  .registerVariable('device', 'Device')
  .registerFunction('string.matchesLinear(string): bool', linearMatch);

interface Compiled {
  readonly judge: (device: Device) => unknown;
  readonly tree: SelectorTree;
}

/** What a selector says of a device; shared by all devices of which the same is known. */
interface Verdict {
  readonly takes: boolean;
  /** Found out when somebody asks. */
  misfit: SelectorMisfit | null;
}

/** A selector that was asked for before, and what it said. Errors cost much, and fleets have many equal devices. */
interface Known {
  readonly compiled: Compiled | FieldProblem;
  readonly byDevice: WeakMap<SelectorSubject, Verdict>;
  /** By all that a selector can look at. */
  readonly byFacts: Map<string, Verdict>;
}

const known = new Map<string, Known>();

/**
 * Reads a selector: a CEL expression over `device` that is true or false.
 *
 * @throws FieldProblem with the position of what is wrong
 */
export function readSelector(value: unknown): string {
  if (typeof value !== 'string') throw new FieldProblem(`has to be a CEL expression in quotes, not ${kindOf(value)}`);
  const text = value.trim();
  if (text === '') throw new FieldProblem('is empty; give an expression, or leave the key out');
  if (text.length > TEXT_LENGTH_MAX) {
    throw new FieldProblem(`has ${text.length} characters; at most ${TEXT_LENGTH_MAX}`);
  }
  const { compiled } = lookUp(text);
  if (compiled instanceof FieldProblem) throw compiled;
  return text;
}

/** Whether the selector is true of the device. An error, like a tag that is not there, means no. */
export function selectorTakes(text: string, subject: SelectorSubject): boolean {
  return verdictOn(lookUp(text), subject).takes;
}

/** Which clause of the selector does not take the device, and why; null when it takes it. */
export function selectorMisfit(text: string, subject: SelectorSubject): SelectorMisfit | null {
  const verdict = verdictOn(lookUp(text), subject);
  if (!verdict.takes) verdict.misfit ??= findMisfit(text, viewOf(subject));
  return verdict.misfit;
}

function verdictOn({ compiled, byDevice, byFacts }: Known, subject: SelectorSubject): Verdict {
  const remembered = byDevice.get(subject);
  if (remembered) return remembered;
  const facts = factsOf(subject);
  let verdict = byFacts.get(facts);
  if (!verdict) {
    const takes = !(compiled instanceof FieldProblem) && outcomeOf(compiled, viewOf(subject)) === true;
    verdict = { takes, misfit: null };
    if (byFacts.size >= FACTS_MAX) byFacts.clear();
    byFacts.set(facts, verdict);
  }
  byDevice.set(subject, verdict);
  return verdict;
}

function factsOf({
  vendorId,
  productId,
  deviceType,
  numaNode,
  resourceClass,
  traits,
  tags,
  attributes,
}: SelectorSubject): string {
  return JSON.stringify([vendorId, productId, deviceType, numaNode, resourceClass, attributes.key, traits, tags]);
}

function findMisfit(text: string, view: Device): SelectorMisfit {
  const clauses = splitClauses(text).map((clause) => ({ clause, compiled: lookUp(clause).compiled }));
  // a clause that does not stand alone was not split well: the whole is told then
  const whole = clauses.some(({ compiled }) => compiled instanceof FieldProblem);
  for (const { clause, compiled } of whole ? [] : clauses) {
    if (compiled instanceof FieldProblem) continue;
    const outcome = outcomeOf(compiled, view);
    if (outcome === true) continue;
    return misfit(clause, outcome, becauseOf(compiled.tree, view));
  }
  const { compiled } = lookUp(text);
  if (compiled instanceof FieldProblem) return misfit(text, compiled, compiled.message);
  return misfit(text, outcomeOf(compiled, view), becauseOf(compiled.tree, view));
}

function misfit(clause: string, outcome: unknown, because: string): SelectorMisfit {
  return { clause, outcome: outcome instanceof Error ? 'unknown' : 'false', because };
}

function lookUp(text: string): Known {
  const found = known.get(text);
  if (found) return found;
  const made: Known = { compiled: compiledOrProblem(text), byDevice: new WeakMap(), byFacts: new Map() };
  const [oldest] = known.keys();
  if (known.size >= COMPILED_MAX && oldest !== undefined) known.delete(oldest);
  known.set(text, made);
  return made;
}

function compiledOrProblem(text: string): Compiled | FieldProblem {
  try {
    return compile(text);
  } catch (error) {
    return error instanceof FieldProblem ? error : problemAt(text, error);
  }
}

function compile(text: string): Compiled {
  const parsed = environment.parse(text);
  const tree = parsed.ast as unknown as SelectorTree;
  checkTree(tree, text);
  renameMatches(tree);
  const { valid, type, error } = parsed.check();
  if (!valid) throw error ?? new Error('it does not fit together');
  if (type !== 'bool') throw new FieldProblem(`has to be true or false, and is of type ${type}`);
  const growing = growingPart(tree);
  if (growing) throw new FieldProblem(`only numbers can be added ${position(text, growing.start)}`);
  return { judge: (device) => parsed({ device }) as unknown, tree };
}

/** The library's errors say where: `range` counts characters from 0. */
function problemAt(text: string, error: unknown): FieldProblem {
  const { summary, message, range } = error as { summary?: string; message: string; range?: { start: number } };
  const what = (summary ?? message).replaceAll('matchesLinear', 'matches');
  const hint = /double [=!]= int|int [=!]= double/.test(what) ? '; write numbers of this attribute like 16.0' : '';
  return new FieldProblem(`${what}${hint}${range ? ` ${position(text, range.start)}` : ''}`);
}

/** true, false, or the error that came up. */
function outcomeOf({ judge }: Compiled, view: Device): unknown {
  try {
    return judge(view);
  } catch (error) {
    return error;
  }
}

function viewOf({ attributes, ...subject }: SelectorSubject): Device {
  const values: Readonly<Record<AttributeName, unknown>> = {
    vendor_id: subject.vendorId,
    product_id: subject.productId,
    device_type: subject.deviceType,
    class_code: attributes.classCode,
    subsystem_vendor_id: attributes.subsystemVendorId,
    subsystem_product_id: attributes.subsystemProductId,
    numa_node: integer(subject.numaNode),
    resource_class: subject.resourceClass ?? defaultResourceClass(subject),
    traits: subject.traits,
    tags: subject.tags,
    link_width: integer(attributes.linkWidth),
    max_link_width: integer(attributes.maxLinkWidth),
    max_link_speed_gts: attributes.maxLinkSpeedGts,
    total_vfs: integer(attributes.totalVfs),
  };
  return new Device(Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)));
}

/** CEL's integers are not the language's numbers. */
function integer(value: number | null): bigint | null {
  return value === null ? null : BigInt(value);
}

/** What the clause looked at: `link_width is 8, tag rack is not there`. */
function becauseOf(tree: SelectorTree, view: Device): string {
  const values = view as Readonly<Record<string, unknown>>;
  return attributePaths(tree)
    .slice(0, NAMED_MAX)
    .map((path) =>
      path.startsWith('tags.') ? tagText(values['tags'] as Tags, path.slice(5)) : text(path, values[path]),
    )
    .join(', ');
}

function tagText(tags: Tags, name: string): string {
  return Object.hasOwn(tags, name) ? `tag ${name} is ${tags[name]}` : `tag ${name} is not there`;
}

function text(name: string, value: unknown): string {
  if (value === undefined) return `${name} is not known`;
  if (Array.isArray(value)) return `${name} are ${value.length === 0 ? 'none' : clip(value.join(' '))}`;
  if (typeof value === 'object') return `${name} are ${clip(Object.keys(value as object).join(' ')) || 'none'}`;
  return `${name} is ${clip(String(value))}`;
}
