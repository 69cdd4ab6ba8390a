import type { Inventory, Provider } from './provider-tree.js';

/** Where the face's resources are, on whatever host it is asked. */
export const PLACEMENT_PATH = '/placement';

/** Minor versions from which an answer has more in it. */
const SINCE = { aggregates: 1, traits: 6, allocations: 11, nesting: 14 } as const;

export function providerView(provider: Provider, minor: number): object {
  const { uuid, name, generation, parent, root } = provider;
  const path = `${PLACEMENT_PATH}/resource_providers/${uuid}`;
  const parts = [
    ...['inventories', 'usages'],
    ...(['aggregates', 'traits', 'allocations'] as const).filter((part) => minor >= SINCE[part]),
  ];
  return {
    ...{ uuid, name, generation },
    links: [{ rel: 'self', href: path }, ...parts.map((rel) => ({ rel, href: `${path}/${rel}` }))],
    ...(minor >= SINCE.nesting && { parent_provider_uuid: parent, root_provider_uuid: root }),
  };
}

export function inventoriesView({ generation, inventories }: Provider): object {
  return { resource_provider_generation: generation, inventories: Object.fromEntries(inventories) };
}

export function inventoryView({ generation }: Provider, inventory: Inventory): object {
  return { ...inventory, resource_provider_generation: generation };
}

export function usagesView({ generation, usages }: Provider): object {
  return { resource_provider_generation: generation, usages: Object.fromEntries(usages) };
}

export function classView(name: string): object {
  return { name, links: [{ rel: 'self', href: `${PLACEMENT_PATH}/resource_classes/${name}` }] };
}
