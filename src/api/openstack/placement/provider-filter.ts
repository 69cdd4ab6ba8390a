import { capacityOf, type Provider } from './provider-tree.js';
import {
  type AggregateWishes,
  aggregatesIn,
  assertKnown,
  every,
  type RawQuery,
  resourcesIn,
  single,
  type TraitWishes,
  traitsIn,
  uuidIn,
} from './query.js';

/** Which providers a list is about; what is null is not asked. */
export interface ProviderFilter {
  readonly name: string | null;
  readonly uuid: string | null;
  /** Any provider of the tree. */
  readonly inTree: string | null;
  readonly resources: ReadonlyMap<string, number>;
  readonly traits: TraitWishes;
  readonly aggregates: AggregateWishes;
}

/** Parameter → the minor version from which it is known. */
const PARAMETERS: Readonly<Record<string, number>> = {
  ...{ name: 0, uuid: 0, member_of: 3, resources: 4, in_tree: 14, required: 18 },
};

/** @throws BerthError `request.invalid` */
export function providerFilter(query: RawQuery, minor: number): ProviderFilter {
  assertKnown(query, (name) => minor >= (PARAMETERS[name] ?? Infinity));
  const [uuid, inTree, resources] = ['uuid', 'in_tree', 'resources'].map((name) => single(query, name));
  return {
    name: single(query, 'name') ?? null,
    uuid: uuid === undefined ? null : uuidIn(uuid, 'uuid'),
    inTree: inTree === undefined ? null : uuidIn(inTree, 'in_tree'),
    resources: resources === undefined ? new Map() : resourcesIn(resources),
    traits: traitsIn(every(query, 'required'), 'required', minor),
    aggregates: aggregatesIn(every(query, 'member_of'), 'member_of', minor),
  };
}

/** @param tree the root of the tree that is asked for; null: any, or none is asked for */
export function isWanted(provider: Provider, filter: ProviderFilter, tree: string | null): boolean {
  return (
    (filter.name === null || provider.name === filter.name) &&
    (filter.uuid === null || provider.uuid === filter.uuid) &&
    (filter.inTree === null || provider.root === tree) &&
    hasTraits(provider.traits, filter.traits) &&
    isMember(provider.aggregates, filter.aggregates) &&
    hasRoom(provider, filter.resources)
  );
}

export function hasTraits(traits: readonly string[], { required, anyOf, forbidden }: TraitWishes): boolean {
  return (
    required.every((trait) => traits.includes(trait)) &&
    anyOf.every((some) => some.some((trait) => traits.includes(trait))) &&
    !forbidden.some((trait) => traits.includes(trait))
  );
}

export function isMember(aggregates: readonly string[], { anyOf, forbidden }: AggregateWishes): boolean {
  return (
    anyOf.every((some) => some.some((id) => aggregates.includes(id))) &&
    !forbidden.some((id) => aggregates.includes(id))
  );
}

/** Whether the provider has so much left of each. */
export function hasRoom(provider: Provider, resources: ReadonlyMap<string, number>): boolean {
  return [...resources].every(([name, amount]) => amount <= leftOf(provider, name));
}

/** How much of a class one consumer can have. */
export function leftOf({ inventories, usages }: Provider, name: string): number {
  const inventory = inventories.get(name);
  if (!inventory) return 0;
  return Math.min(inventory.max_unit, capacityOf(inventory) - (usages.get(name) ?? 0));
}
