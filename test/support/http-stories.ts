import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { Agent } from 'supertest';
import { parse } from 'yaml';

/**
 * Stories of plain HTTP, written in YAML: a list of steps, each a request and what its answer has to be.
 *
 *     defaults: { headers: { openstack-api-version: placement 1.39 } }
 *     steps:
 *       - name: what is asked, in a sentence
 *         GET: /traits?name=startswith:${prefix}     # or POST, PUT, DELETE
 *         as: bob                                    # another user than the default one
 *         headers: { accept: application/json }
 *         body: { name: CUSTOM_X }
 *         status: 200                                # 200 when left out
 *         answer:
 *           headers: { location: /traits/, content-type: null }   # a text between slashes is a pattern; null: is not there
 *           json: { $.traits.length: 2, "$.traits[0]": /^CUSTOM/ }
 *           text: [words of the body]
 *         keep: { first: "$.traits[0]" }             # from here on ${first}
 *
 * `${name}` is what was given to the story, or kept by a step before.
 */
export interface StoryStep {
  readonly name: string;
  readonly method: Method;
  readonly path: string;
  readonly as?: string;
  readonly act?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number;
  readonly answer: Answer;
  readonly keep: Readonly<Record<string, string>>;
}

interface Answer {
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly json?: Readonly<Record<string, unknown>>;
  readonly text?: readonly string[];
}

const METHODS = ['get', 'post', 'put', 'delete'] as const;
type Method = (typeof METHODS)[number];

const FIELDS = new Set([
  'name',
  'as',
  'act',
  'headers',
  'body',
  'status',
  'answer',
  'keep',
  'GET',
  'POST',
  'PUT',
  'DELETE',
]);

/** @throws Error naming the step that is not well formed: a story with a slip of the pen must not pass */
export function readStory(text: string): StoryStep[] {
  const { defaults = {}, steps } = parse(text) as { defaults?: { headers?: object }; steps: Record<string, unknown>[] };
  return steps.map((step, index) => {
    const place = `step ${index + 1} (${String(step['name'])})`;
    const stray = Object.keys(step).find((key) => !FIELDS.has(key));
    if (stray !== undefined) throw new Error(`${place}: ${stray} is no field of a step`);
    const method = METHODS.find((one) => step[one.toUpperCase()] !== undefined);
    if (!method) throw new Error(`${place}: asks nothing`);
    const answer = (step['answer'] ?? {}) as object;
    const strayAnswer = Object.keys(answer).find((key) => !['headers', 'json', 'text'].includes(key));
    if (strayAnswer !== undefined) throw new Error(`${place}: answer.${strayAnswer} is not looked at`);
    return {
      ...(step as { name: string }),
      ...{ method, path: step[method.toUpperCase()] as string, answer },
      headers: { ...defaults.headers, ...(step['headers'] as object | undefined) },
      status: (step['status'] as number | undefined) ?? 200,
      keep: (step['keep'] ?? {}) as Record<string, string>,
    };
  });
}

export interface StoryTeller {
  readonly http: Agent;
  /** What requests of a user carry; of nobody in particular for undefined. */
  readonly authorization: (user: string | undefined) => string;
  readonly prefix: string;
  /** What `${…}` means; steps add to it. */
  readonly words: Record<string, string>;
}

/** Asks, and compares the answer. */
export async function tellStep(step: StoryStep, { http, authorization, prefix, words }: StoryTeller): Promise<void> {
  const path = prefix + (fill(step.path, words) as string);
  const request = http[step.method](path).set('authorization', authorization(step.as));
  for (const [name, value] of Object.entries(step.headers)) void request.set(name, fill(value, words) as string);
  if (step.body !== undefined) void request.send(fill(step.body, words) as object);
  const answer = await request;
  expect({ status: answer.status, body: answer.status === step.status ? undefined : answer.text }).toEqual({
    status: step.status,
  });
  for (const [name, wanted] of Object.entries(step.answer.headers ?? {})) {
    const found = (answer.headers as Record<string, string | undefined>)[name];
    compare(`header ${name}`, found ?? null, fill(wanted, words));
  }
  for (const [where, wanted] of Object.entries(step.answer.json ?? {})) {
    const at = fill(where, words) as string;
    compare(at, valueAt(answer.body, at) ?? null, fill(wanted, words));
  }
  for (const text of step.answer.text ?? []) expect(answer.text).toContain(fill(text, words));
  for (const [name, where] of Object.entries(step.keep)) {
    const kept = valueAt(answer.body, fill(where, words) as string);
    if (kept === undefined) throw new Error(`${where}: there is nothing to keep as ${name}`);
    words[name] = String(kept);
  }
}

function compare(what: string, found: unknown, wanted: unknown): void {
  const pattern = typeof wanted === 'string' ? /^\/(.+)\/$/s.exec(wanted)?.[1] : undefined;
  if (pattern !== undefined) expect(String(found), what).toMatch(new RegExp(pattern));
  else if (!isDeepStrictEqual(found, wanted)) expect(found, what).toEqual(wanted);
}

/** Texts in keys and values, whatever they are in. A text that is nothing but `${n}` of a number is that number. */
function fill(value: unknown, words: Readonly<Record<string, string>>): unknown {
  if (Array.isArray(value)) return value.map((one) => fill(one, words));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [fill(key, words) as string, fill(one, words)]),
    );
  }
  if (typeof value !== 'string') return value;
  const alone = /^\$\{([\w-]+):int\}$/.exec(value)?.[1];
  if (alone !== undefined) return Number(wordOf(alone, words));
  return value.replace(/\$\{([\w-]+)\}/g, (_whole, name: string) => wordOf(name, words));
}

function wordOf(name: string, words: Readonly<Record<string, string>>): string {
  const word = words[name];
  if (word === undefined) throw new Error(`\${${name}} was never said`);
  return word;
}

/** `$.a["b c"][0].length`; undefined: there is nothing. */
function valueAt(body: unknown, path: string): unknown {
  const steps = [...path.replace(/^\$/, '').matchAll(/\.([\w-]+)|\[(\d+)\]|\["([^"]*)"\]/g)];
  if (steps.map(([whole]) => whole).join('') !== path.slice(1)) throw new Error(`${path} is no path`);
  return steps.reduce<unknown>((value, [, name, index, quoted]) => {
    if (typeof value !== 'object' || value === null) return undefined;
    const key = name ?? quoted ?? Number(index);
    if (key === 'length' && !Array.isArray(value)) return Object.keys(value).length;
    return (value as Record<string | number, unknown>)[key];
  }, body);
}
