import type { HostSnapshot } from '../snapshot.js';

type Host = Pick<HostSnapshot, 'aggregates'>;

/** What the host's aggregates say under a key, each value as it stands; in the order of the aggregates' names. */
export function aggregateTexts({ aggregates }: Host, key: string): string[] {
  return aggregates.flatMap(({ metadata }) => (Object.hasOwn(metadata, key) ? [metadata[key] as string] : []));
}

/** The same, read as lists: Nova takes `a,b` in one aggregate, and `a` and `b` in two, for the same. */
export function aggregateValues(host: Host, key: string): string[] {
  const items = aggregateTexts(host, key).flatMap((text) => text.split(',').map((item) => item.trim()));
  return [...new Set(items)];
}

/** Every key that an aggregate of the host has, each once. */
export function aggregateKeys({ aggregates }: Host): string[] {
  return [...new Set(aggregates.flatMap(({ metadata }) => Object.keys(metadata)))];
}

/**
 * The least number that the host's aggregates say under a key; null where none says one, or one of them says something
 * else: then what holds everywhere holds here. Source: Nova, `validate_num_values` of `nova/scheduler/filters/utils.py`.
 */
export function aggregateNumber(host: Host, key: string, form: RegExp = NUMBER): number | null {
  if (host.aggregates.length === 0) return null;
  const texts = aggregateTexts(host, key).map((text) => text.trim());
  if (texts.length === 0 || !texts.every((text) => form.test(text))) return null;
  return Math.min(...texts.map(Number));
}

const NUMBER = /^[+-]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:e[+-]?\d{1,2})?$/i;
export const WHOLE_NUMBER = /^[+-]?\d{1,15}$/;
