import { ANY_DEVICE } from '../alias/alias.js';
import { NUMA_POLICIES } from '../alias/numa-policy.js';
import type { AliasDefinition, AliasSpec } from '../alias/alias.js';
import type { AliasRequest } from '../alias/alias-request.js';
import type { NumaPolicy } from '../alias/numa-policy.js';
import { clip, isObject, kindOf } from '../device-spec/device-spec-fields.js';
import { novaError } from '../dialect.js';
import type { NovaException } from '../dialect.js';
import type { DeviceType } from '../device.js';
import { novaInteger, novaStrip } from './nova-values.js';

const NAME_LENGTH_MAX = 256;
const DEVICE_TYPES: readonly DeviceType[] = ['type-PCI', 'type-PF', 'type-VF'];
const TAG = 'capability_type';

interface NovaAlias {
  readonly name: string;
  readonly numaPolicy: NumaPolicy;
  readonly spec: AliasSpec;
}

/**
 * Reads `[pci] alias` as Nova 26.2 does (`nova/pci/request.py`): a closed schema; those of one name are alternatives, if
 * each says the same device type and policy. Ids keep the case that they are written in; they match in either.
 *
 * `capability_type` becomes a tag: no device has it, so such an alias matches nothing, as in Nova.
 *
 * @throws BerthError `alias.invalid`
 */
export function parseNovaAliases(entries: readonly unknown[]): AliasDefinition[] {
  const byName = new Map<string, [NovaAlias, ...NovaAlias[]]>();
  for (const entry of entries) {
    const alias = readAlias(entry);
    const earlier = byName.get(alias.name);
    if (!earlier) byName.set(alias.name, [alias]);
    else earlier.push(agreeing(earlier[0], alias));
  }
  return [...byName.values()].map((all) => ({
    name: all[0].name,
    numaPolicy: all[0].numaPolicy,
    specs: all.map(({ spec }) => spec),
  }));
}

/** What a pool has to have, in Nova's flat form: a property that the spec does not name is left out. */
export function novaSpecOf({ vendorId, productId, deviceType, tags }: AliasSpec): Record<string, unknown> {
  const named = { vendor_id: vendorId, product_id: productId, dev_type: deviceType };
  return { ...Object.fromEntries(Object.entries(named).filter(([, value]) => value !== null)), ...tags };
}

/** Whether a spec asks for something that Nova 26.2 has no word for. */
export function saysMoreThanNova(spec: AliasSpec): boolean {
  return (
    spec.resourceClass !== null ||
    spec.liveMigratable !== null ||
    spec.selector !== null ||
    spec.group !== null ||
    spec.utility !== 0 ||
    [spec.traits, spec.forbiddenTraits, spec.anyTraits, spec.withoutTags].some((list) => list.length > 0)
  );
}

/**
 * Reads `gpu:2,nic:1` as Nova does: counts are what Python reads as an integer, also 0 and below.
 *
 * @param isKnown whether there is an alias of this name
 * @throws BerthError `alias.unknown`; `request.invalid` for what Nova breaks off at
 */
export function parseNovaAliasRequest(text: string, isKnown: (name: string) => boolean): AliasRequest[] {
  return text.split(',').map((item) => {
    const [name, digits, ...more] = item.split(':');
    if (name === undefined || digits === undefined || more.length > 0) {
      throw novaError(
        'request.invalid',
        null,
        `pci_passthrough:alias: "${clip(item)}": write name:count, like "gpu:1"`,
      );
    }
    const alias = novaStrip(name);
    if (!isKnown(alias)) {
      throw novaError('alias.unknown', 'PciRequestAliasNotDefined', `There is no alias "${clip(alias)}"`);
    }
    const count = novaInteger(digits, 10);
    if (count === null) {
      throw novaError(
        'request.invalid',
        null,
        `pci_passthrough:alias: "${clip(item)}": the count has to be a whole number`,
      );
    }
    return { alias, count };
  });
}

/**
 * The policy that flavor or image give; null: the alias's counts.
 *
 * @throws BerthError `numa_policy.invalid`, `numa_policy.conflict`
 */
export function novaNumaPolicy(flavor: string | null, image: string | null): NumaPolicy | null {
  if (image !== null && !isPolicy(image)) {
    throw policyError('InvalidRequest', `image property hw_pci_numa_affinity_policy: "${clip(image)}"`);
  }
  if (flavor === null || flavor === '') return image;
  if (image !== null && image !== flavor) {
    throw novaError(
      'numa_policy.conflict',
      'ImagePCINUMAPolicyForbidden',
      `the flavor says hw:pci_numa_affinity_policy "${clip(flavor)}", the image says "${image}"; make them agree`,
    );
  }
  if (!isPolicy(flavor)) {
    throw policyError('InvalidPCINUMAAffinity', `extra spec hw:pci_numa_affinity_policy: "${clip(flavor)}"`);
  }
  return flavor;
}

/** Each key of the schema, and whether a value of it is fine (rules: Nova's `nova/pci/request.py`). */
const KEYS: Readonly<Record<string, (value: unknown) => boolean>> = {
  name: (value) => typeof value === 'string' && value !== '' && [...value].length <= NAME_LENGTH_MAX,
  capability_type: (value) => value === 'pci',
  vendor_id: isId,
  product_id: isId,
  device_type: (value) => DEVICE_TYPES.some((type) => type === value),
  numa_policy: isPolicy,
};

function readAlias(entry: unknown): NovaAlias {
  if (!isObject(entry)) throw invalid(`an alias has to be one object, not ${kindOf(entry)}`);
  for (const [key, value] of Object.entries(entry)) {
    if (!Object.hasOwn(KEYS, key))
      throw invalid(`unknown key ${clip(key)}; the keys are ${Object.keys(KEYS).join(', ')}`);
    if (!KEYS[key]?.(value)) throw invalid(`${key}: ${clip(JSON.stringify(value) ?? '')} is not allowed`);
  }
  if (typeof entry['name'] !== 'string') throw invalid('name: is missing; give the alias a name');
  return {
    name: novaStrip(entry['name']),
    numaPolicy: (entry['numa_policy'] as NumaPolicy | undefined) ?? 'legacy',
    spec: {
      ...ANY_DEVICE,
      vendorId: (entry['vendor_id'] as string | undefined) ?? null,
      productId: (entry['product_id'] as string | undefined) ?? null,
      deviceType: (entry['device_type'] as DeviceType | undefined) ?? null,
      tags: entry[TAG] === undefined ? {} : { [TAG]: 'pci' },
    },
  };
}

function agreeing(first: NovaAlias, second: NovaAlias): NovaAlias {
  if (first.numaPolicy !== second.numaPolicy) {
    throw invalid(
      `alias ${clip(first.name)}: numa_policy is ${first.numaPolicy} and ${second.numaPolicy}; make them agree`,
    );
  }
  if (first.spec.deviceType === null || first.spec.deviceType !== second.spec.deviceType) {
    throw invalid(`alias ${clip(first.name)}: each line of a repeated name has to say the same device_type`);
  }
  return second;
}

/** JSON Schema's `^[\da-fA-F]{4}$` in Python: digits of any script, and a line feed may follow. */
function isId(value: unknown): boolean {
  return typeof value === 'string' && /^[\p{Nd}a-fA-F]{4}\n?$/u.test(value);
}

function isPolicy(value: unknown): value is NumaPolicy {
  return NUMA_POLICIES.some((policy) => policy === value);
}

function policyError(exception: NovaException, what: string): Error {
  return novaError('numa_policy.invalid', exception, `${what} is none of ${NUMA_POLICIES.join(', ')}`);
}

function invalid(message: string): Error {
  return novaError('alias.invalid', 'PciInvalidAlias', message);
}
