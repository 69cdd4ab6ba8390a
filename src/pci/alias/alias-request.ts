import { BerthError } from '../../errors.js';
import { NAME_LENGTH_MAX } from './alias-fields.js';
import { clip } from '../device-spec/device-spec-fields.js';

/** `gpu:2` of a flavor or an ad-hoc request. */
export interface AliasRequest {
  readonly alias: string;
  readonly count: number;
}

export const REQUEST_ITEMS_MAX = 32;
export const REQUEST_COUNT_MAX = 256;
export const REQUEST_LENGTH_MAX = 16_384;

/**
 * Reads `gpu:2,nic:1`, the value of `pci_passthrough:alias` and of ad-hoc requests (rules: Nova's `nova/pci/request.py`; counts from 1 on).
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
  if (!/^-?\d+$/.test(digits)) throw invalidRequest(`${shown}: the count has to be a whole number`);
  if (Number(digits) < 1) throw invalidRequest(`${shown}: the count must be 1 or more`);
  if (Number(digits) > REQUEST_COUNT_MAX)
    throw invalidRequest(`${shown}: the count must be ${REQUEST_COUNT_MAX} or less`);
  return { alias: name, count: Number(digits) };
}

function invalidRequest(message: string): BerthError {
  return new BerthError('request.invalid', `pci_passthrough:alias: ${message}`);
}
