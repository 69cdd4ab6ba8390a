import { BerthError } from '../../errors.js';
import { type AliasDefinition, parseAliases } from '../../pci/alias/alias.js';
import type { Dialect } from '../../pci/dialect.js';
import { saysMoreThanNova } from '../../pci/nova/nova-alias.js';
import { invalidFields } from '../request-validation.pipe.js';
import type { AliasChangeBody, AliasSpecBody } from './aliases.dto.js';

/** Keys of a spec that are those of the files. */
const FILE_KEYS = [
  ...(['vendor_id', 'product_id', 'device_type', 'resource_class', 'traits', 'live_migratable'] as const),
  ...(['tags', 'physical_network', 'selector', 'utility', 'group'] as const),
] as const;

/** Keys that views have and files write into `traits`: taken back, so that what was read can be written. */
const VIEW_KEYS = ['forbidden_traits', 'any_traits'] as const;

const SPEC_KEYS = [...FILE_KEYS, ...VIEW_KEYS];

/**
 * The alias that a body describes, read by the strict grammar of the files; in the nova dialect no more than Nova knows.
 *
 * @throws BerthError `alias.invalid` (names the field), `request.invalid` when both forms are mixed
 */
export function aliasDefinition(name: string, body: AliasChangeBody, dialect: Dialect): AliasDefinition {
  const beside = SPEC_KEYS.filter((key) => isGiven(body[key]));
  if (body.specs && beside.length > 0) {
    throw invalidFields(
      beside.map((field) => ({ field, problem: 'stands next to `specs`; put it into a spec, or leave `specs` out' })),
    );
  }
  const specs = body.specs ?? [body];
  const entries = specs.map((spec, index) => ({
    value: {
      name,
      numa_policy: body.numa_policy ?? 'legacy',
      ...fileForm(spec, body.specs ? `specs[${index}].` : ''),
    },
    where: body.specs ? `specs[${index}]` : 'body',
  }));
  const [definition] = parseAliases(entries, { requireDeviceType: true });
  const foreign = dialect === 'nova' ? definition?.specs.find(saysMoreThanNova) : undefined;
  if (foreign) {
    throw new BerthError(
      'alias.invalid',
      `alias ${name}: Nova 26.2 knows ids, device_type and numa_policy alone; leave the rest out, or set compat to strict`,
    );
  }
  return definition as AliasDefinition;
}

/** The spec as a file would have it. What is null in a view is left out of a file. */
function fileForm(spec: AliasSpecBody, place: string): Record<string, unknown> {
  // null is a value of this one alone
  const given = FILE_KEYS.filter((key) => isGiven(spec[key]) || (key === 'physical_network' && spec[key] === null));
  const form: Record<string, unknown> = Object.fromEntries(given.map((key) => [key, spec[key]]));
  const extra = [
    ...listOf(spec.forbidden_traits, isName, `${place}forbidden_traits`, 'a list of names').map((name) => `!${name}`),
    ...listOf(spec.any_traits, isNames, `${place}any_traits`, 'a list of lists of names').map(
      (names) => `{${names.join('|')}}`,
    ),
  ];
  if (extra.length > 0) form['traits'] = [...traitItems(form['traits']), ...extra];
  return form;
}

function listOf<T>(value: unknown, fits: (item: unknown) => item is T, field: string, shape: string): readonly T[] {
  if (!isGiven(value)) return [];
  if (Array.isArray(value) && value.every(fits)) return value;
  throw invalidFields([{ field, problem: `has to be ${shape}` }]);
}

/** No signs of the grammar that the name is put into. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[^!{}|,]+$/.test(value);
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isName);
}

function traitItems(traits: unknown): readonly unknown[] {
  if (!isGiven(traits)) return [];
  if (typeof traits === 'string') return traits.split(',');
  return Array.isArray(traits) ? traits : [traits];
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
