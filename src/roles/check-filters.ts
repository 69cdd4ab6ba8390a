import { didYouMean } from '../pci/suggest.js';
import { BerthError } from '../errors.js';
import { FILTER_NAMES } from '../placement/filters/filters.js';
import { WEIGHER_NAMES } from '../placement/weighers/weighers.js';
import type { Settings } from '../settings/settings.js';

/**
 * Checks the names of filters and weighers, which the settings room does not know.
 *
 * @returns warnings: multipliers of weighers that there are not
 * @throws BerthError `settings.invalid`
 */
export function checkFilters({ scheduler }: Settings): string[] {
  const problems = scheduler.filters
    .filter((name) => !FILTER_NAMES.includes(name))
    .map((name) => `scheduler.filters: "${name}" is not a filter${suggested(name, FILTER_NAMES)}`);
  if (problems.length > 0) throw new BerthError('settings.invalid', problems.join('\n'), { details: { problems } });
  const unknown = Object.keys(scheduler.weigherMultipliers).filter((name) => !WEIGHER_NAMES.includes(name));
  return unknown.map((name) => `scheduler.weigher_multipliers: ${name} has no effect: there is no such weigher`);
}

function suggested(name: string, known: readonly string[]): string {
  const better = didYouMean(name, known);
  return better === null ? '' : `; did you mean ${better}?`;
}
