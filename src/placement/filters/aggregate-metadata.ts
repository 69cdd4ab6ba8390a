import type { HostSnapshot } from '../snapshot.js';

type Host = Pick<HostSnapshot, 'aggregates'>;

/** What the host's aggregates say under a key, each value as it stands; in the order of the aggregates' names. */
function aggregateTexts({ aggregates }: Host, key: string): string[] {
  const texts: string[] = [];
  for (const { metadata } of aggregates) if (Object.hasOwn(metadata, key)) texts.push(metadata[key] as string);
  return texts;
}

/** The same, read as lists: Nova takes `a,b` in one aggregate, and `a` and `b` in two, for the same. */
export function aggregateValues(host: Host, key: string): string[] {
  const values = new Set<string>();
  for (const text of aggregateTexts(host, key)) for (const item of text.split(',')) values.add(item.trim());
  return [...values];
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
  let least: number | null = null;
  for (const { metadata } of host.aggregates) {
    if (!Object.hasOwn(metadata, key)) continue;
    const text = (metadata[key] as string).trim();
    if (!form.test(text)) return null;
    least = Math.min(least ?? Infinity, Number(text));
  }
  return least;
}

const NUMBER = /^[+-]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:e[+-]?\d{1,2})?$/i;
export const WHOLE_NUMBER = /^[+-]?\d{1,15}$/;
