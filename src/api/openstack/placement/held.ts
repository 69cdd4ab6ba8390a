import type { HeldRow } from '../../../store/placement-face.store.js';
import { classOf, type Provider } from './provider-tree.js';
import type { Providers } from './providers.js';

/** Class → amount. */
export type Amounts = Readonly<Record<string, number>>;

/** What one consumer has of one provider. */
export interface Allocation {
  readonly provider: Provider;
  readonly resources: Amounts;
}

/** Minor versions from which an answer has more in it. */
const SINCE = { owner: 12, generation: 28, type: 38 } as const;

/** Who consumes, where nobody has said. Source: Placement's default of `incomplete_consumer_user_id`. */
export const UNKNOWN_USER = '00000000-0000-0000-0000-000000000000';
const UNKNOWN_TYPE = 'unknown';

/** What claims hold, by provider. Devices that Placement is not told of are left out. */
export function allocationsOf(rows: readonly HeldRow[], providers: Providers): Allocation[] {
  const found = new Map<string, { provider: Provider; resources: Record<string, number> }>();
  const add = (provider: Provider, name: string, amount: number): void => {
    const resources = found.get(provider.uuid)?.resources ?? {};
    resources[name] = (resources[name] ?? 0) + amount;
    found.set(provider.uuid, { provider, resources });
  };
  for (const row of rows) {
    const host = providers.hosts.find(({ id }) => id === row.host_id);
    const [root, ...children] = host ? providers.tree(host) : [];
    if (!root) continue; // its host was removed meanwhile
    for (const [name, amount] of plainAmounts(row)) add(root, name, amount);
    const own = new Set(row.device_ids);
    for (const child of children) {
      for (const device of child.devices) if (own.has(device.id)) add(child, classOf(device), 1);
    }
  }
  return [...found.values()];
}

function plainAmounts({ vcpus, memory_mb, disk_gb }: HeldRow): [string, number][] {
  const amounts: [string, number][] = [
    ['VCPU', vcpus],
    ['MEMORY_MB', memory_mb],
    ['DISK_GB', disk_gb],
  ];
  return amounts.filter(([, amount]) => amount > 0);
}

export function consumerTypeOf({ kind, consumer_type }: HeldRow): string {
  return consumer_type ?? (kind === 'server' ? 'INSTANCE' : UNKNOWN_TYPE);
}

export function userOf({ user_id }: HeldRow): string {
  return user_id ?? UNKNOWN_USER;
}

/** What a consumer has, all of whose claims are `rows`. */
export function consumerView(rows: readonly HeldRow[], providers: Providers, minor: number): object {
  const [first] = rows;
  const allocations = allocationsOf(rows, providers).map(
    ({ provider, resources }) => [provider.uuid, { resources, generation: provider.generation }] as const,
  );
  return {
    allocations: Object.fromEntries(allocations),
    ...(first && minor >= SINCE.owner && { project_id: first.project_id, user_id: userOf(first) }),
    ...(first && minor >= SINCE.generation && { consumer_generation: first.generation }),
    ...(first && minor >= SINCE.type && { consumer_type: consumerTypeOf(first) }),
  };
}

/** Who has what of a provider; `rows` are the claims on its host. */
export function holdersView(provider: Provider, rows: readonly HeldRow[], providers: Providers, minor: number): object {
  const holders = [...byConsumer(rows)].flatMap(([id, own]) => {
    const held = allocationsOf(own, providers).find((one) => one.provider.uuid === provider.uuid);
    const generation = minor >= SINCE.generation ? { consumer_generation: own[0]?.generation } : {};
    return held ? [[id, { resources: held.resources, ...generation }] as const] : [];
  });
  return { allocations: Object.fromEntries(holders), resource_provider_generation: provider.generation };
}

/** The sum of what claims hold; by type of consumer from version 1.38 on. */
export function totalsView(rows: readonly HeldRow[], providers: Providers, types: 'none' | 'all' | 'each'): object {
  if (types === 'none') return { usages: sumOf(rows, providers) };
  const byType = new Map<string, HeldRow[]>();
  for (const row of rows) {
    const type = types === 'all' ? 'all' : consumerTypeOf(row);
    byType.set(type, [...(byType.get(type) ?? []), row]);
  }
  const usages = [...byType].map(([type, own]) => {
    const consumers = new Set(own.map(({ consumer_id }) => consumer_id)).size;
    return [type, { ...sumOf(own, providers), consumer_count: consumers }] as const;
  });
  return { usages: Object.fromEntries(usages) };
}

function sumOf(rows: readonly HeldRow[], providers: Providers): Amounts {
  const sum: Record<string, number> = {};
  for (const { resources } of allocationsOf(rows, providers)) {
    for (const [name, amount] of Object.entries(resources)) sum[name] = (sum[name] ?? 0) + amount;
  }
  return sum;
}

export function byConsumer(rows: readonly HeldRow[]): Map<string, HeldRow[]> {
  const groups = new Map<string, HeldRow[]>();
  for (const row of rows) {
    const own = groups.get(row.consumer_id);
    if (own) own.push(row);
    else groups.set(row.consumer_id, [row]);
  }
  return groups;
}
