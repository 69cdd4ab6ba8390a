import { BerthError } from '../../errors.js';

const KEY_SHOWN_MAX = 255;

/** A flavor that is not valid, for one of its extra specs. */
export function invalid(key: string, problem: string): BerthError {
  return fieldError('flavor.invalid', key, problem);
}

/** @param key empty: the extra specs as a whole */
export function fieldError(
  code: 'flavor.invalid' | 'numa_policy.invalid',
  key: string,
  problem: string,
  cause?: unknown,
): BerthError {
  const field = key === '' ? 'extra_specs' : `extra_specs.${key.slice(0, KEY_SHOWN_MAX)}`;
  return new BerthError(code, `${field}: ${problem}`, { cause, details: { errors: [{ field, problem }] } });
}
