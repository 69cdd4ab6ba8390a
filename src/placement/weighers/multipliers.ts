import { aggregateNumber } from '../filters/aggregate-metadata.js';
import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';
import type { Weigher } from './weigher.js';

/**
 * How much a weigher counts for one host: what its aggregates say under the weigher's key (the least, if several do; passed
 * over, if one of them is not a number), else what the settings say, else its default.
 * Source: Nova, `get_weight_multiplier` of `nova/scheduler/utils.py`.
 */
export function multiplierOf(
  host: Pick<HostSnapshot, 'aggregates'>,
  { name, defaultMultiplier, metadataKey, subtracts = false }: Omit<Weigher, 'raw'>,
  { weigherMultipliers }: Pick<PlacementPolicy, 'weigherMultipliers'>,
): number {
  const ofAggregates = metadataKey === undefined ? null : aggregateNumber(host, metadataKey);
  const multiplier = ofAggregates ?? weigherMultipliers[name] ?? defaultMultiplier;
  return subtracts ? -multiplier : multiplier;
}
