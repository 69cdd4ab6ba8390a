import { type AliasDefinition, parseAliases } from '../../pci/alias.js';
import { invalidFields } from '../request-validation.pipe.js';
import type { AliasChangeBody, AliasSpecBody } from './aliases.dto.js';

const SPEC_KEYS = ['vendor_id', 'product_id', 'device_type', 'resource_class', 'traits', 'live_migratable'] as const;

/**
 * The alias that a body describes, read by the grammar of the files.
 *
 * @throws BerthError `alias.invalid` (names the field), `request.invalid` when both forms are mixed
 */
export function aliasDefinition(name: string, body: AliasChangeBody): AliasDefinition {
  const beside = SPEC_KEYS.filter((key) => body[key] !== undefined && body[key] !== null);
  if (body.specs && beside.length > 0) {
    throw invalidFields(
      beside.map((field) => ({ field, problem: 'stands next to `specs`; put it into a spec, or leave `specs` out' })),
    );
  }
  const specs = body.specs ?? [body];
  const entries = specs.map((spec, index) => ({
    value: { name, numa_policy: body.numa_policy ?? 'legacy', ...givenKeys(spec) },
    where: body.specs ? `specs[${index}]` : 'body',
  }));
  const [definition] = parseAliases(entries, { requireDeviceType: true });
  return definition as AliasDefinition;
}

function givenKeys(spec: AliasSpecBody): Record<string, unknown> {
  const given = SPEC_KEYS.filter((key) => spec[key] !== undefined && spec[key] !== null);
  return Object.fromEntries(given.map((key) => [key, spec[key]]));
}
