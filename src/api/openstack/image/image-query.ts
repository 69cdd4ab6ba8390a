import { BerthError } from '../../../errors.js';
import { IMAGE_VISIBILITIES, type ImageVisibility } from '../../../store/entities/image.entities.js';
import { IMAGE_SORT_KEYS, type ImageFilter, type ImagePage } from '../../../store/images.store.js';
import { NAME_LENGTH_MAX } from '../../fields.js';
import { invalidFields } from '../../request-validation.pipe.js';

/** Parameters of a list of images, as they came. */
export type ImageQuery = Readonly<Record<string, unknown>>;

/** A list of images as it was asked for. */
export interface AskedImages {
  readonly filter: ImageFilter;
  readonly page: Omit<ImagePage, 'limit' | 'after'>;
  /** null: as many as a page has. */
  readonly limit: number | null;
  readonly marker: string | null;
}

const WORDS_MAX = 100;
const PROPERTY_FILTERS_MAX = 20;
const KNOWN = new Set([
  ...[
    'name',
    'id',
    'visibility',
    'owner',
    'tag',
    'status',
    'disk_format',
    'container_format',
    'protected',
    'os_hidden',
  ],
  ...['limit', 'marker', 'sort_key', 'sort_dir', 'sort', 'member_status'],
]);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Reads the parameters of a list in Glance's manner: a name that is none of the list's own is a property that images have to have.
 *
 * @throws BerthError `request.invalid` naming the parameter
 */
export function readImageQuery(query: ImageQuery): AskedImages {
  const one = (name: string): string | null => textOf(query, name);
  const ids = wordsOf(one('id'))?.filter((id) => UUID.test(id)) ?? null;
  const [key, direction] = sortOf(query);
  return {
    filter: {
      names: wordsOf(one('name')),
      // Berth's images are active, always, and none is hidden.
      ids: (one('status') ?? 'active') === 'active' && one('os_hidden') !== 'true' ? ids : [],
      visibility: choice('visibility', one('visibility'), IMAGE_VISIBILITIES) as ImageVisibility | null,
      owner: one('owner'),
      tags: [query['tag'] ?? []].flat().map((tag) => textOf({ tag }, 'tag') ?? ''),
      ...{ diskFormat: one('disk_format'), containerFormat: one('container_format') },
      protected: flagOf(choice('protected', one('protected')?.toLowerCase() ?? null, ['true', 'false'])),
      properties: propertiesOf(query),
    },
    page: {
      sortKey: (choice('sort_key', key, IMAGE_SORT_KEYS) ?? 'created_at') as ImagePage['sortKey'],
      descending: (choice('sort_dir', direction, ['asc', 'desc']) ?? 'desc') === 'desc',
    },
    limit: limitOf(one('limit')),
    marker: one('marker'),
  };
}

function textOf(query: ImageQuery, name: string): string | null {
  const value = query[name];
  if (value === undefined) return null;
  if (typeof value === 'string' && value.length <= NAME_LENGTH_MAX * 40 && !value.includes('\0')) return value;
  throw refused(name, Array.isArray(value) ? 'is given more than once' : 'is too long, or no text');
}

/** One word, or `in:one,"another, with a comma"`. */
function wordsOf(text: string | null): string[] | null {
  if (text === null) return null;
  if (!text.startsWith('in:')) return [text];
  const words = [...text.slice(3).matchAll(/"([^"]*)"|([^,]+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
  if (words.length <= WORDS_MAX) return words;
  throw refused('in:', `takes at most ${WORDS_MAX} words`);
}

function propertiesOf(query: ImageQuery): Record<string, string> {
  const names = Object.keys(query).filter((name) => !KNOWN.has(name));
  if (names.length > PROPERTY_FILTERS_MAX)
    throw refused('', `at most ${PROPERTY_FILTERS_MAX} properties can be asked for`);
  return Object.fromEntries(names.map((name) => [name, textOf(query, name) ?? '']));
}

/** `sort=name:asc`, or the two parameters that were there before it. */
function sortOf(query: ImageQuery): [key: string | null, direction: string | null] {
  const [key, direction] = textOf(query, 'sort')?.split(':', 2) ?? [];
  return [key ?? textOf(query, 'sort_key'), direction ?? textOf(query, 'sort_dir')];
}

function choice(name: string, given: string | null, words: readonly string[]): string | null {
  if (given === null || words.includes(given)) return given;
  throw refused(name, `has to be one of ${words.join(', ')}`);
}

function flagOf(word: string | null): boolean | null {
  return word === null ? null : word === 'true';
}

function limitOf(text: string | null): number | null {
  if (text === null) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw refused('limit', 'has to be a whole number');
}

function refused(field: string, problem: string): BerthError {
  return invalidFields([{ field, problem }]);
}
