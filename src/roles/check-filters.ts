import { didYouMean } from '../pci/suggest.js';
import { BerthError } from '../errors.js';
import { FILTER_NAMES, IDLE_FILTERS } from '../placement/filters/filters.js';
import { WEIGHER_NAMES } from '../placement/weighers/weighers.js';
import type { Settings } from '../settings/settings.js';

/**
 * Checks the names of filters and weighers, which the settings room does not know.
 *
 * @returns warnings: names of Nova's that have nothing to judge in Berth yet
 * @throws BerthError `settings.invalid`
 */
export function checkFilters({ scheduler }: Settings): string[] {
  const known = [...FILTER_NAMES, ...IDLE_FILTERS];
  const problems = scheduler.filters
    .filter((name) => !known.includes(name))
    .map((name) => `scheduler.filters: "${name}" is not a filter${suggested(name, known)}`);
  if (problems.length > 0) throw new BerthError('settings.invalid', problems.join('\n'), { details: { problems } });
  const idle = scheduler.filters.filter((name) => IDLE_FILTERS.includes(name));
  const unknown = Object.keys(scheduler.weigherMultipliers).filter((name) => !WEIGHER_NAMES.includes(name));
  return [
    ...idle.map((name) => `scheduler.filters: ${name} lets every host pass: there is nothing it could judge yet`),
    ...unknown.map((name) => `scheduler.weigher_multipliers: ${name} has no effect: there is no such weigher yet`),
  ];
}

function suggested(name: string, known: readonly string[]): string {
  const better = didYouMean(name, known);
  return better === null ? '' : `; did you mean ${better}?`;
}
