import { suggestion } from '../../pci/suggest.js';
import { PLAIN_RESOURCES } from '../../store/quota-amounts.js';
import { NAME_LENGTH_MAX, PLAIN_TEXT } from '../fields.js';

/** So many limits a project has at most. */
export const RESOURCES_MAX = 256;
export const HARD_LIMIT_MAX = 1_000_000_000_000;

const CLASS = /^class:(?:[A-Z][A-Z0-9_]*|[0-9a-f]{4}:[0-9a-f]{4})$/;
const WORDS = [...PLAIN_RESOURCES, 'alias:NAME', 'class:RESOURCE_CLASS', 'class:VENDOR:PRODUCT'];

/**
 * What is wrong with limits by resource; null: nothing.
 *
 * @param removable whether null may stand for a limit to remove
 */
export function limitsProblem(value: unknown, removable: boolean): string | null {
  if (typeof value !== 'object' || value === null) return 'has to be an object of limits by resource';
  const entries = Object.entries(value) as [string, unknown][];
  if (entries.length > RESOURCES_MAX) return `has ${entries.length} resources; at most ${RESOURCES_MAX}`;
  for (const [resource, limit] of entries) {
    const problem = resourceProblem(resource) ?? limitProblem(limit, removable);
    if (problem !== null) return `${PLAIN_TEXT.test(resource) ? resource.slice(0, 60) : '?'}: ${problem}`;
  }
  return null;
}

function resourceProblem(resource: string): string | null {
  if (PLAIN_RESOURCES.some((name) => name === resource)) return null;
  const [kind, ...rest] = resource.split(':');
  const name = rest.join(':');
  if (kind === 'alias' && name.trim() !== '' && name.length <= NAME_LENGTH_MAX && PLAIN_TEXT.test(name)) return null;
  if (CLASS.test(resource) && resource.length <= NAME_LENGTH_MAX) return null;
  if (kind === 'alias') return `has to name an alias, in 1 to ${NAME_LENGTH_MAX} characters`;
  if (kind === 'class') {
    return 'has to name a resource class in capitals, like class:CUSTOM_GPU, or two ids of four lower-case hex digits, like class:10de:20b0';
  }
  return `is no resource; say one of ${WORDS.join(', ')}${suggestion(resource.slice(0, 60), PLAIN_RESOURCES)}`;
}

function limitProblem(limit: unknown, removable: boolean): string | null {
  if (removable && limit === null) return null;
  if (Number.isInteger(limit) && Number(limit) >= -1 && Number(limit) <= HARD_LIMIT_MAX) return null;
  return `has to be a whole number from -1 (no limit) to ${HARD_LIMIT_MAX}${removable ? ', or null to remove it' : ''}`;
}
