import type { AliasSpec } from './alias.js';
import { defaultResourceClass } from '../device-spec/device-spec-fields.js';
import type { DeviceType } from '../device.js';
import { selectorMisfit, selectorTakes, type SelectorSubject } from './selector.js';

/** What an alias looks at in a device. */
export type AliasCandidate = SelectorSubject;

/** Whether any of the specs takes the device. */
export function aliasMatches(specs: readonly AliasSpec[], device: AliasCandidate): boolean {
  return specs.some((spec) => deviceSatisfies(spec, device));
}

/**
 * Whether the spec takes the device. vDPA and remote-managed devices and PFs are given only to who asks for them
 * (rules: Nova's `nova/pci/stats.py`). `liveMigratable: false` wants a device that says no.
 */
export function deviceSatisfies(spec: AliasSpec, device: AliasCandidate): boolean {
  if (!isOfKind(spec, device) || isKeptBack(spec, device)) return false;
  // most specs say no more than their kind, and this is asked of every device of every host
  if (isPlain(spec)) return device.tags['remote_managed'] !== 'true';
  return CONDITIONS.every(({ holds }) => holds(spec, device));
}

/** Whether the device has the ids, the class and the type that the spec is about; the rest are conditions on top. */
export function isOfKind(
  spec: AliasSpec,
  device: Pick<AliasCandidate, 'vendorId' | 'productId' | 'deviceType' | 'resourceClass'>,
): boolean {
  return (
    (spec.vendorId === null || spec.vendorId === device.vendorId) &&
    (spec.productId === null || spec.productId === device.productId) &&
    takesType(spec.deviceType, device.deviceType) &&
    (spec.resourceClass === null || spec.resourceClass === (device.resourceClass ?? defaultResourceClass(device)))
  );
}

/** A condition that a device of the right kind does not meet, and what the device has instead. */
export interface Misfit {
  readonly condition: string;
  readonly verdict: 'is not met by' | 'is false for' | 'cannot be judged for';
  readonly because: string;
}

/**
 * The first condition of the spec that a device of its kind does not meet; null when it meets all. Exclusive tags are left
 * aside: they are conditions of the configuration.
 */
export function misfitOf(spec: AliasSpec, device: AliasCandidate): Misfit | null {
  for (const { holds, tell } of CONDITIONS) if (!holds(spec, device)) return tell(spec, device);
  return null;
}

/** Whether a device of the right kind may still not satisfy the spec. */
export function hasConditions(spec: AliasSpec): boolean {
  return !isPlain(spec) || spec.withoutTags.length > 0;
}

/** Whether a spec has no conditions on top of its kind, but for exclusive tags. */
function isPlain(spec: AliasSpec): boolean {
  for (const _name in spec.tags) return false;
  return (
    spec.selector === null &&
    spec.liveMigratable === null &&
    spec.traits.length + spec.forbiddenTraits.length + spec.anyTraits.length === 0
  );
}

interface Condition {
  readonly holds: (spec: AliasSpec, device: AliasCandidate) => boolean;
  readonly tell: (spec: AliasSpec, device: AliasCandidate) => Misfit;
}

/** In the order in which they are told; the selector last, because it costs most. */
const CONDITIONS: readonly Condition[] = [
  {
    holds: (spec, device) => device.tags['remote_managed'] !== 'true' || spec.tags['remote_managed'] === 'true',
    tell: () => unmet('remote_managed', 'it is for ports that ask for remote-managed devices'),
  },
  {
    holds: (spec, device) => unmetTag(spec, device) === null,
    tell: (spec, device) => {
      const name = unmetTag(spec, device) ?? '';
      const own = tagOf(device, name);
      const because = own === undefined ? `tag ${name} is not there` : `tag ${name} is ${own}`;
      return unmet(`tag ${name} = ${spec.tags[name]}`, because);
    },
  },
  {
    holds: (spec, { tags }) => spec.liveMigratable === null || tags['live_migratable'] === String(spec.liveMigratable),
    tell: (spec, { tags }) =>
      unmet(`live_migratable = ${spec.liveMigratable}`, `it says ${tags['live_migratable'] ?? 'nothing'}`),
  },
  {
    holds: (spec, { traits }) => spec.traits.every((trait) => traits.includes(trait)),
    tell: (spec, { traits }) =>
      unmet(`trait ${spec.traits.find((trait) => !traits.includes(trait))}`, traitText(traits)),
  },
  {
    holds: (spec, { traits }) => !spec.forbiddenTraits.some((trait) => traits.includes(trait)),
    tell: (spec, { traits }) =>
      unmet(`trait !${spec.forbiddenTraits.find((trait) => traits.includes(trait))}`, traitText(traits)),
  },
  {
    holds: (spec, { traits }) => spec.anyTraits.every((some) => some.some((trait) => traits.includes(trait))),
    tell: (spec, { traits }) => {
      const some = spec.anyTraits.find((names) => !names.some((trait) => traits.includes(trait))) ?? [];
      return unmet(`trait {${some.join('|')}}`, traitText(traits));
    },
  },
  {
    holds: (spec, device) => spec.selector === null || selectorTakes(spec.selector, device),
    tell: (spec, device) => {
      const misfit = spec.selector === null ? null : selectorMisfit(spec.selector, device);
      const verdict = misfit?.outcome === 'unknown' ? 'cannot be judged for' : 'is false for';
      return { condition: `selector: ${misfit?.clause}`, verdict, because: misfit?.because ?? '' };
    },
  },
];

function unmet(condition: string, because: string): Misfit {
  return { condition, verdict: 'is not met by', because };
}

function takesType(wanted: DeviceType | null, type: DeviceType): boolean {
  if (wanted === null) return type === 'type-PCI' || type === 'type-VF';
  return wanted === type;
}

/** Whether the device has an exclusive tag that the spec does not name. */
function isKeptBack(spec: AliasSpec, { tags }: AliasCandidate): boolean {
  return spec.withoutTags.some((name) => Object.hasOwn(tags, name));
}

/** The first tag of the spec that the device does not have, or has with another value. */
function unmetTag(spec: AliasSpec, device: AliasCandidate): string | null {
  for (const name in spec.tags) if (tagOf(device, name) !== spec.tags[name]) return name;
  return null;
}

/** `remote_managed` is false where nothing is said; undefined: there is no such tag. */
function tagOf(device: AliasCandidate, name: string): string | null | undefined {
  if (Object.hasOwn(device.tags, name)) return device.tags[name];
  return name === 'remote_managed' && device.deviceType !== 'type-PCI' ? 'false' : undefined;
}

function traitText(traits: readonly string[]): string {
  return traits.length === 0 ? 'it has none' : `it has ${traits.slice(0, 8).join(' ')}`;
}
