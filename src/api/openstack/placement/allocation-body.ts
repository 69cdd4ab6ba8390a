import { BerthError } from '../../../errors.js';
import { AMOUNT_MAX, clip, dashed } from './query.js';
import type { Wanted } from './judge.js';

/** What somebody wants a consumer to have. */
export interface ConsumerWish {
  readonly consumer: string;
  /** Empty: nothing any more. */
  readonly wanted: Wanted;
  /** null: versions before 1.8 do not say whose it is. */
  readonly projectId: string | null;
  readonly userId: string | null;
  /** null: versions before 1.38 do not say. */
  readonly type: string | null;
  /** The generation that was seen; null: there was nothing. undefined: versions before 1.28 do not say. */
  readonly generation: number | null | undefined;
}

/** Minor versions from which more is said. */
const SINCE = { owner: 8, byProvider: 12, providerGeneration: 12, generation: 28, mappings: 34, type: 38 } as const;
export const CONSUMERS_MAX = 100;
const PROVIDERS_MAX = 256;
const CLASSES_MAX = 64;

const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;
const CLASS = /^[A-Z0-9_]{1,255}$/;
const PLAIN_ID = /^[^\p{Cc}\p{Cs}]{1,255}$/u;

type Json = Readonly<Record<string, unknown>>;

/** The body of `PUT /allocations/{consumer}`. @throws BerthError `request.invalid` */
export function consumerWish(consumer: string, body: unknown, minor: number): ConsumerWish {
  if (!UUID.test(consumer)) throw new BerthError('request.invalid', `Malformed consumer_uuid: ${clip(consumer)}`);
  const wish = wishOf(dashed(consumer), body, minor, '');
  if (wish.wanted.size === 0 && minor < SINCE.generation) throw malformed('allocations: is empty');
  return wish;
}

/** The body of `POST /allocations`. @throws BerthError `request.invalid` */
export function consumerWishes(body: unknown, minor: number): ConsumerWish[] {
  const entries = Object.entries(objectIn(body, 'the body'));
  if (entries.length === 0 || entries.length > CONSUMERS_MAX) {
    throw malformed(`the body has to have 1 to ${CONSUMERS_MAX} consumers`);
  }
  const wishes = entries.map(([consumer, one]) => {
    if (!UUID.test(consumer)) throw malformed(`'${clip(consumer)}' is no consumer's uuid`);
    return wishOf(dashed(consumer), one, minor, `${consumer}: `);
  });
  if (new Set(wishes.map(({ consumer }) => consumer)).size < wishes.length)
    throw malformed('a consumer is there twice');
  return wishes;
}

function wishOf(consumer: string, value: unknown, minor: number, where: string): ConsumerWish {
  const body = objectIn(value, `${where}the body`);
  const fields = fieldsIn(minor);
  const stray = Object.keys(body).find((field) => !fields.includes(field));
  if (stray !== undefined)
    throw malformed(`${where}Additional properties are not allowed ('${clip(stray)}' was unexpected)`);
  const missing = fields.find((field) => !(field in body) && field !== 'mappings');
  if (missing !== undefined) throw malformed(`${where}'${missing}' is a required property`);
  const {
    allocations,
    project_id: project,
    user_id: user,
    consumer_type: type,
    consumer_generation: generation,
  } = body;
  if (minor >= SINCE.mappings && body['mappings'] !== undefined) objectIn(body['mappings'], `${where}mappings`);
  return {
    consumer,
    wanted: minor >= SINCE.byProvider ? wantedByProvider(allocations, where) : wantedInList(allocations, where),
    projectId: project === undefined ? null : idIn(project, `${where}project_id`),
    userId: user === undefined ? null : idIn(user, `${where}user_id`),
    type: type === undefined ? null : typeIn(type, where),
    generation: minor >= SINCE.generation ? generationIn(generation, where) : undefined,
  };
}

/** In the order in which they are missed. */
function fieldsIn(minor: number): string[] {
  return [
    'allocations',
    ...(minor >= SINCE.owner ? ['project_id', 'user_id'] : []),
    ...(minor >= SINCE.generation ? ['consumer_generation'] : []),
    ...(minor >= SINCE.mappings ? ['mappings'] : []),
    ...(minor >= SINCE.type ? ['consumer_type'] : []),
  ];
}

function wantedByProvider(value: unknown, where: string): Wanted {
  const entries = Object.entries(objectIn(value, `${where}allocations`));
  return wantedOf(
    entries.map(([uuid, one]) => {
      const { resources, generation, ...stray } = objectIn(one, `${where}allocations.${clip(uuid)}`);
      if (generation !== undefined && !Number.isSafeInteger(generation))
        throw malformed(`${where}generation: is no whole number`);
      return { uuid, resources, stray };
    }),
    where,
  );
}

function wantedInList(value: unknown, where: string): Wanted {
  if (!Array.isArray(value)) throw malformed(`${where}allocations: has to be a list`);
  return wantedOf(
    value.map((one) => {
      const { resource_provider: provider, resources, ...stray } = objectIn(one, `${where}allocations`);
      const { uuid, ...others } = objectIn(provider, `${where}resource_provider`);
      return { uuid, resources, stray: { ...stray, ...others } };
    }),
    where,
  );
}

interface Part {
  readonly uuid: unknown;
  readonly resources: unknown;
  readonly stray: Json;
}

function wantedOf(parts: readonly Part[], where: string): Wanted {
  if (parts.length > PROVIDERS_MAX) throw malformed(`${where}allocations: names more than ${PROVIDERS_MAX} providers`);
  const wanted = new Map<string, ReadonlyMap<string, number>>();
  for (const { uuid, resources, stray } of parts) {
    if (typeof uuid !== 'string' || !UUID.test(uuid))
      throw malformed(`${where}'${clip(String(uuid))}' is no provider's uuid`);
    const unknown = Object.keys(stray)[0];
    if (unknown !== undefined)
      throw malformed(`${where}Additional properties are not allowed ('${clip(unknown)}' was unexpected)`);
    if (wanted.has(dashed(uuid))) throw malformed(`${where}provider ${uuid} is there twice`);
    wanted.set(dashed(uuid), amountsIn(resources, `${where}resources`));
  }
  return wanted;
}

function amountsIn(value: unknown, where: string): ReadonlyMap<string, number> {
  const entries = Object.entries(objectIn(value, where));
  if (entries.length === 0 || entries.length > CLASSES_MAX)
    throw malformed(`${where}: has to have 1 to ${CLASSES_MAX} classes`);
  return new Map(
    entries.map(([name, amount]) => {
      if (!CLASS.test(name)) throw malformed(`${where}: '${clip(name)}' is no resource class`);
      if (!Number.isInteger(amount) || (amount as number) < 1 || (amount as number) > AMOUNT_MAX) {
        throw malformed(`${where}: ${name}: has to be a whole number from 1 to ${AMOUNT_MAX}`);
      }
      return [name, amount as number] as const;
    }),
  );
}

function idIn(value: unknown, where: string): string {
  if (typeof value === 'string' && PLAIN_ID.test(value)) return value;
  throw malformed(`${where}: has to be a text of 1 to 255 characters`);
}

function typeIn(value: unknown, where: string): string {
  if (typeof value === 'string' && CLASS.test(value)) return value;
  throw malformed(`${where}consumer_type: has to be 1 to 255 of A-Z, 0-9 and _`);
}

function generationIn(value: unknown, where: string): number | null {
  if (value === null || (Number.isSafeInteger(value) && (value as number) >= 0)) return value as number | null;
  throw malformed(`${where}consumer_generation: has to be a whole number, or null`);
}

function objectIn(value: unknown, where: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw malformed(`${where}: has to be an object`);
}

function malformed(text: string): BerthError {
  return new BerthError('request.invalid', `JSON does not validate: ${text}`);
}
