import { BerthError } from '../../errors.js';
import { NAME_LENGTH_MAX } from './alias-fields.js';
import { clip } from '../device-spec/device-spec-fields.js';

/** `gpu:2` or `gpu:1..4` of a flavor or an ad-hoc request. */
export interface AliasRequest {
  readonly alias: string;
  readonly count: number;
  /** Of a range: so many are taken where there are as many; more than `count`. */
  readonly countMax?: number;
}

export const REQUEST_ITEMS_MAX = 32;
export const REQUEST_COUNT_MAX = 256;
export const REQUEST_LENGTH_MAX = 16_384;

/**
 * Reads `gpu:2,nic:1`, the value of `pci_passthrough:alias` and of ad-hoc requests (rules: Nova's `nova/pci/request.py`; counts from 1 on).
 * Beyond Nova, a count may be a range: `gpu:1..4` takes as many as there are, one at least and four at most; `gpu:2..2` is `gpu:2`.
 * One alias named twice makes two requests.
 *
 * @throws BerthError `request.invalid`
 */
export function parseAliasRequest(text: string): AliasRequest[] {
  if (text.length > REQUEST_LENGTH_MAX) {
    throw invalidRequest(`the text has ${text.length} characters; at most ${REQUEST_LENGTH_MAX}`);
  }
  if (text.trim() === '') throw invalidRequest('the text is empty; write name:count, like "gpu:1"');
  const items = text.split(',');
  if (items.length > REQUEST_ITEMS_MAX) {
    throw invalidRequest(`${items.length} items; at most ${REQUEST_ITEMS_MAX} in one request`);
  }
  return items.map((item, index) => parseRequestItem(item, items.length > 1 ? `item ${index + 1}, ` : ''));
}

/** The aliases that a request names, in either dialect and whatever else is wrong with it. */
export function aliasesNamedIn(text: string): string[] {
  return text.split(',').map((item) => (item.split(':', 1)[0] ?? '').trim());
}

function parseRequestItem(item: string, position: string): AliasRequest {
  const shown = `${position}"${clip(item.trim())}"`;
  const [name, digits, ...more] = item.split(':').map((part) => part.trim());
  if (item.trim() === '') throw invalidRequest(`${position}there is nothing; remove the comma too many`);
  if (name === undefined || digits === undefined || more.length > 0) {
    throw invalidRequest(`${shown}: write name:count, like "gpu:1"`);
  }
  if (name === '') throw invalidRequest(`${shown}: the alias name before ":" is missing`);
  if (name.length > NAME_LENGTH_MAX)
    throw invalidRequest(`${shown}: the name is longer than ${NAME_LENGTH_MAX} characters`);
  return { alias: name, ...countsOf(digits, shown) };
}

function countsOf(text: string, shown: string): Pick<AliasRequest, 'count' | 'countMax'> {
  const range = /^(.*?)\s*\.\.\s*(.*)$/.exec(text);
  if (!range) return { count: countOf(text, 'the count', shown) };
  const [least, most] = range.slice(1) as [string, string];
  const count = countOf(least, 'the least count of a range', shown);
  const countMax = countOf(most, 'the greatest count of a range', shown);
  if (countMax < count) throw invalidRequest(`${shown}: the range is empty; write "${countMax}..${count}"`);
  return countMax === count ? { count } : { count, countMax };
}

function countOf(digits: string, what: string, shown: string): number {
  if (!/^-?\d+$/.test(digits)) throw invalidRequest(`${shown}: ${what} has to be a whole number`);
  if (Number(digits) < 1) throw invalidRequest(`${shown}: ${what} must be 1 or more`);
  if (Number(digits) > REQUEST_COUNT_MAX) {
    throw invalidRequest(`${shown}: ${what} must be ${REQUEST_COUNT_MAX} or less`);
  }
  return Number(digits);
}

function invalidRequest(message: string): BerthError {
  return new BerthError('request.invalid', `pci_passthrough:alias: ${message}`);
}
