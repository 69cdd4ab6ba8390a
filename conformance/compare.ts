import { isDeepStrictEqual } from 'node:util';
import type { Case } from './case.js';

/** Fields of `expected` that say how Nova got there, not what it answered. */
const NOT_COMPARED = new Set(['parsed']);

/** Whether the answer is Nova's; where Nova breaks off with an error of Python's, any typed refusal will do. */
export function agrees({ area, expected, quirks }: Case, answer: unknown): boolean {
  if (area === 'filter' && quirks.includes('fit-cache-wrong-answer'))
    return isDeepStrictEqual(...filterMended(expected, answer));
  return same(expected, answer);
}

function same(expected: unknown, answer: unknown): boolean {
  if (Array.isArray(expected)) {
    return (
      Array.isArray(answer) && expected.length === answer.length && expected.every((item, at) => same(item, answer[at]))
    );
  }
  if (!isRecord(expected)) return Object.is(expected, answer) || expected === answer;
  if (!isRecord(answer)) return false;
  if (expected['kind'] === 'crash') return answer['kind'] === 'crash' && expected['stage'] === answer['stage'];
  const keys = (value: object): string[] => Object.keys(value).filter((key) => !NOT_COMPARED.has(key));
  return (
    keys(expected).length === keys(answer).length &&
    keys(expected).every((key) => Object.hasOwn(answer, key) && same(expected[key], answer[key]))
  );
}

/**
 * Nova's search for host cells has a cache with a wrong key: it refuses hosts that fit, and takes some that do not. Berth
 * does not copy that: what counts is whether a choice of cells exists, and NUMATopologyFilter follows from it.
 */
function filterMended(expected: unknown, answer: unknown): [unknown, unknown] {
  const view = (value: unknown): unknown => {
    if (!isRecord(value)) return value;
    const { fit_exists, PciPassthroughFilter } = value;
    return { fit_exists, PciPassthroughFilter };
  };
  return [view(expected), view(answer)];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
