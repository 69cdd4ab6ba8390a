import { BerthError } from '../../../errors.js';

/** A query of the placement face, not checked yet: a parameter that comes twice is a list. */
export type RawQuery = Readonly<Record<string, string | string[] | undefined>>;

/** Traits that a provider has to have, of each list one at least, and those that it must not have. */
export interface TraitWishes {
  readonly required: readonly string[];
  readonly anyOf: readonly (readonly string[])[];
  readonly forbidden: readonly string[];
}

/** Aggregates, of each list one at least, and those that it must not be in. */
export interface AggregateWishes {
  readonly anyOf: readonly (readonly string[])[];
  readonly forbidden: readonly string[];
}

export const NO_TRAITS: TraitWishes = { required: [], anyOf: [], forbidden: [] };

/** Names in one parameter. */
const NAMES_MAX = 200;
/** Placement's integers are 32 bits. */
export const AMOUNT_MAX = 2_147_483_647;
const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;
const SHOWN_MAX = 100;

/** Minor versions from which the query says more. */
const SINCE = { forbiddenTraits: 22, manyMemberOf: 24, forbiddenAggregates: 32, anyTraits: 39 } as const;

/**
 * Refuses parameters that the version does not know.
 *
 * @param known the names, or the beginnings of names that a suffix may follow
 */
export function assertKnown(query: RawQuery, isKnown: (name: string) => boolean): void {
  const stray = Object.keys(query).find((name) => !isKnown(name));
  if (stray === undefined) return;
  throw invalid(`Additional properties are not allowed ('${clip(stray)}' was unexpected)`);
}

/** The parameter, which comes once at most; undefined: not at all. */
export function single(query: RawQuery, name: string): string | undefined {
  const values = [query[name] ?? []].flat();
  if (values.length > 1) throw invalid(`'${clip(name)}' is there more than once`);
  return values[0];
}

export function every(query: RawQuery, name: string): string[] {
  return [query[name] ?? []].flat();
}

/** `VCPU:2,MEMORY_MB:1024`. */
export function resourcesIn(text: string): ReadonlyMap<string, number> {
  const parts = text.split(',');
  if (text.trim() === '') throw badResources('empty string');
  if (parts.length > NAMES_MAX) throw badResources(`${parts.length} resources; at most ${NAMES_MAX}`);
  const resources = new Map<string, number>();
  for (const part of parts) {
    const [name = '', amount, more] = part.split(':');
    if (amount === undefined || more !== undefined || name === '') throw badResources(clip(part));
    if (!/^\d{1,12}$/.test(amount) || Number(amount) < 1 || Number(amount) > AMOUNT_MAX) {
      throw invalid(
        `Requested resource ${clip(name)} needs a whole amount from 1 to ${AMOUNT_MAX}. Got: ${clip(amount)}`,
      );
    }
    resources.set(name, Number(amount));
  }
  return resources;
}

/** `HW_CPU_X86_VMX,!CUSTOM_MAGIC`, and from 1.39 on `in:A,B` and several of them. */
export function traitsIn(values: readonly string[], name: string, minor: number): TraitWishes {
  if (values.length > 1 && minor < SINCE.anyTraits) throw invalid(`'${clip(name)}' is there more than once`);
  const required: string[] = [];
  const forbidden: string[] = [];
  const anyOf: string[][] = [];
  for (const value of values) {
    if (value.startsWith('in:') && minor >= SINCE.anyTraits) {
      anyOf.push(namesIn(value.slice(3), value, minor).map((one) => plain(one, value, minor)));
      continue;
    }
    for (const one of namesIn(value, value, minor)) {
      if (one.startsWith('!'))
        forbidden.push(plain(one.slice(1), value, minor >= SINCE.forbiddenTraits ? minor : null));
      else required.push(one);
    }
  }
  const both = required.find((one) => forbidden.includes(one));
  if (both !== undefined) {
    throw invalid(
      `Conflicting required and forbidden traits found in the following traits keys: ${clip(name)}: (${both})`,
    );
  }
  return { required, anyOf, forbidden };
}

function namesIn(text: string, value: string, minor: number): string[] {
  const names = text.split(',').map((one) => one.trim());
  if (names.length > NAMES_MAX || names.some((one) => one === '')) throw badTraits(value, minor);
  return names;
}

/** @param minor null: this version has no such sign */
function plain(name: string, value: string, minor: number | null): string {
  if (minor === null || name === '' || name.startsWith('!')) throw badTraits(value, minor ?? 0);
  return name;
}

/** An id, or `in:` and several; from 1.32 on with `!` before it. */
export function aggregatesIn(values: readonly string[], name: string, minor: number): AggregateWishes {
  if (values.length > 1 && minor < SINCE.manyMemberOf) {
    throw invalid(`Multiple ${clip(name)} parameters are not supported`);
  }
  if (values.length > NAMES_MAX) throw invalid(`'${clip(name)}' is there more than ${NAMES_MAX} times`);
  const anyOf: string[][] = [];
  const forbidden: string[] = [];
  for (const value of values) {
    const isForbidden = value.startsWith('!') && minor >= SINCE.forbiddenAggregates;
    const ids = idsIn(isForbidden ? value.slice(1) : value);
    if (isForbidden) forbidden.push(...ids);
    else anyOf.push(ids);
  }
  return { anyOf, forbidden };
}

function idsIn(value: string): string[] {
  const isList = value.startsWith('in:');
  if (!isList && value.includes(',')) {
    throw invalid(`Multiple values for 'member_of' must be prefixed with the 'in:' keyword. Got: ${clip(value)}`);
  }
  const ids = (isList ? value.slice(3) : value).split(',');
  const wrong = ids.length > NAMES_MAX ? value : ids.find((id) => !UUID.test(id));
  if (wrong === undefined) return ids.map(dashed);
  throw invalid(`Expected 'member_of' parameter to contain valid UUID(s). Got: ${clip(wrong)}`);
}

/** A uuid of the query, in the usual form. */
export function uuidIn(text: string, name: string): string {
  if (UUID.test(text)) return dashed(text);
  throw invalid(`Expected '${clip(name)}' to be a UUID. Got: ${clip(text)}`);
}

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** With its dashes, in lower case. */
export function dashed(uuid: string): string {
  const hex = uuid.replaceAll('-', '').toLowerCase();
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export function invalid(text: string): BerthError {
  return new BerthError('request.invalid', `Invalid query string parameters: ${text}.`);
}

function badResources(got: string): BerthError {
  return invalid(
    `Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got: ${got}`,
  );
}

function badTraits(value: string, minor: number): BerthError {
  const form = minor >= SINCE.forbiddenTraits ? 'HW_CPU_X86_VMX,!CUSTOM_MAGIC' : 'HW_CPU_X86_VMX,CUSTOM_MAGIC';
  return invalid(`Expected 'required' parameter value of the form: ${form}. Got: ${clip(value)}`);
}

/** What a client has sent, as far as an answer repeats it. */
export function clip(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}
