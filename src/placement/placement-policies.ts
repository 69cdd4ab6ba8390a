import type { DeviceRequest } from './request.js';

/**
 * Ways of choosing among the hosts that could serve:
 *
 * - `spread`: Nova's weighers with their multipliers.
 * - `best-fit`: the host with the least left.
 * - `fragmentation`: the host that loses the least of what typical requests could use (FGD).
 * - `scarcity`: the same with an eye on what is scarce, and on vCPUs that idle devices will need.
 *
 * Weighers that say what somebody wished (alternatives, server groups) or fears (failed builds) belong to all of them.
 */
export const PLACEMENT_POLICIES = ['spread', 'best-fit', 'fragmentation', 'scarcity'] as const;
export type PlacementPolicyName = (typeof PLACEMENT_POLICIES)[number];

export interface PlacementPolicies {
  readonly default: PlacementPolicyName;
  /** By alias. */
  readonly aliases: Readonly<Record<string, PlacementPolicyName>>;
}

/** The policy for a request: that of its first alias that has one, else the default. */
export function policyNameOf(
  devices: readonly Pick<DeviceRequest, 'alias'>[],
  policies: PlacementPolicies | undefined,
): PlacementPolicyName {
  if (!policies) return 'spread';
  for (const { alias } of devices) {
    if (alias !== null && Object.hasOwn(policies.aliases, alias)) return policies.aliases[alias] as PlacementPolicyName;
  }
  return policies.default;
}

/** Whether any request would be decided by what is typically asked for. */
export function needsMix({ default: usual, aliases }: PlacementPolicies): boolean {
  return [usual, ...Object.values(aliases)].some((name) => name === 'fragmentation' || name === 'scarcity');
}
