import { BerthError } from '../../../errors.js';
import { IMAGE_VISIBILITIES, type ImageEntity, type ImageVisibility } from '../../../store/entities/image.entities.js';
import type { ImageFields } from '../../../store/images.store.js';
import { DISK_GB_MAX, NAME_LENGTH_MAX, PLAIN_TEXT, RAM_MB_MAX, TEXT_MAP_MAX } from '../../fields.js';
import { type FieldError, invalidFields } from '../../request-validation.pipe.js';
import { imageWishes } from '../../servers/host-wishes.js';

/** What can be said of an image, flat, as Glance has it: properties stand beside what every image has. */
export type FlatImage = Readonly<Record<string, unknown>>;

const DISK_FORMATS = ['ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop'];
const CONTAINER_FORMATS = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed'];
/** What Glance finds out itself. Source: its image schema. */
const READ_ONLY: ReadonlySet<string> = new Set([
  ...['status', 'size', 'virtual_size', 'checksum', 'os_hash_algo', 'os_hash_value', 'created_at', 'updated_at'],
  ...['self', 'file', 'schema', 'direct_url', 'locations', 'stores', 'os_hidden', 'deleted', 'deleted_at', 'members'],
]);
const BASE = [
  ...['id', 'name', 'owner', 'visibility', 'protected', 'min_ram', 'min_disk'],
  ...['disk_format', 'container_format', 'tags'],
] as const;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether a field is one that every image has, and that is no property. */
export function isBaseField(name: string): boolean {
  return READ_ONLY.has(name) || (BASE as readonly string[]).includes(name);
}

/** @throws BerthError `image.read_only` */
export function assertWritable(name: string): void {
  if (READ_ONLY.has(name)) throw new BerthError('image.read_only', `Attribute '${name}' is read-only.`);
}

/** An image as its fields were said, without those that Glance finds out itself. */
export function flatImage(image: ImageEntity): FlatImage {
  return {
    ...image.properties,
    ...{ id: image.id, name: image.name, owner: image.owner_project_id, visibility: image.visibility },
    ...{ protected: image.protected, min_ram: image.min_ram_mb, min_disk: image.min_disk_gb, tags: image.tags },
    ...{ disk_format: image.disk_format, container_format: image.container_format },
  };
}

/**
 * Reads what was said of an image.
 *
 * @param fallback id and owner of one that names none
 * @throws BerthError `request.invalid` naming every wrong field; `image.read_only`
 */
export function readImage(
  said: FlatImage,
  fallback: Pick<ImageFields, 'id' | 'owner_project_id' | 'members'>,
): ImageFields {
  Object.keys(said).forEach(assertWritable);
  const problems: FieldError[] = [];
  const read = <T>(field: string, whenLeftOut: T, of: (value: unknown) => T | Problem): T => {
    const value = said[field];
    const found = value === undefined ? whenLeftOut : of(value);
    if (!(found instanceof Problem)) return found;
    problems.push({ field, problem: found.text });
    return whenLeftOut;
  };
  const fields: ImageFields = {
    id: read('id', fallback.id, idOf),
    name: read<string | null>('name', null, orNull(textOf)),
    owner_project_id: read('owner', fallback.owner_project_id, textOf),
    visibility: read<ImageVisibility>('visibility', 'shared', visibilityOf),
    members: fallback.members,
    protected: read<boolean>('protected', false, flagOf),
    min_ram_mb: read<number>('min_ram', 0, countUpTo(RAM_MB_MAX)),
    min_disk_gb: read<number>('min_disk', 0, countUpTo(DISK_GB_MAX)),
    disk_format: read<string | null>('disk_format', null, orNull(oneOf(DISK_FORMATS))),
    container_format: read<string | null>('container_format', null, orNull(oneOf(CONTAINER_FORMATS))),
    tags: read<string[]>('tags', [], tagsOf),
    properties: readProperties(said, problems),
  };
  if (problems.length > 0) throw invalidFields(problems);
  imageWishes(fields.properties); // what no server could be created with is refused here
  return fields;
}

/** What is wrong with a value. */
class Problem {
  constructor(readonly text: string) {}
}

function readProperties(said: FlatImage, problems: FieldError[]): Record<string, string> {
  const given = Object.entries(said).filter(([name]) => !isBaseField(name));
  if (given.length > TEXT_MAP_MAX) {
    problems.push({ field: '', problem: `an image has at most ${TEXT_MAP_MAX} properties, not ${given.length}` });
    return {};
  }
  const properties: [string, string][] = [];
  for (const [name, value] of given) {
    const isName = name.trim() !== '' && name.length <= NAME_LENGTH_MAX && PLAIN_TEXT.test(name);
    const text = isName ? textOf(value) : new Problem(`is no name of a property: 1 to ${NAME_LENGTH_MAX} characters`);
    if (text instanceof Problem) problems.push({ field: name.slice(0, NAME_LENGTH_MAX), problem: text.text });
    else properties.push([name, text]);
  }
  return Object.fromEntries(properties);
}

function idOf(value: unknown): string | Problem {
  return typeof value === 'string' && UUID.test(value) ? value.toLowerCase() : new Problem('has to be a UUID');
}

function textOf(value: unknown): string | Problem {
  if (typeof value !== 'string') return new Problem('has to be a text');
  if (value.length > NAME_LENGTH_MAX) return new Problem(`has more than ${NAME_LENGTH_MAX} characters`);
  return PLAIN_TEXT.test(value) ? value : new Problem('has a control character in it; remove it');
}

function orNull(of: (value: unknown) => string | Problem): (value: unknown) => string | Problem | null {
  return (value) => (value === null ? null : of(value));
}

function oneOf<W extends string>(words: readonly W[]): (value: unknown) => W | Problem {
  return (value) => words.find((word) => word === value) ?? new Problem(`has to be one of ${words.join(', ')}`);
}

const visibilityOf = oneOf(IMAGE_VISIBILITIES);

function flagOf(value: unknown): boolean | Problem {
  return typeof value === 'boolean' ? value : new Problem('has to be true or false, without quotes');
}

function countUpTo(max: number): (value: unknown) => number | Problem {
  return (value) =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max
      ? (value as number)
      : new Problem(`has to be a whole number from 0 to ${max}`);
}

function tagsOf(value: unknown): string[] | Problem {
  if (!Array.isArray(value) || value.length > TEXT_MAP_MAX) {
    return new Problem(`has to be a list of at most ${TEXT_MAP_MAX} texts`);
  }
  const texts = value.map(textOf);
  const wrong = texts.find((text) => text instanceof Problem);
  return wrong instanceof Problem ? wrong : [...new Set(texts as string[])];
}
