import { BerthError } from '../src/errors.js';
import type { ErrorAnswer } from './case.js';

/** A refusal of Berth's in the form of the vectors. What is not a BerthError is a bug of ours, and goes on its way. */
export function errorAnswer(error: unknown, stage?: string): ErrorAnswer {
  if (!(error instanceof BerthError)) throw error;
  const name = error.details['exception'];
  return {
    error: typeof name === 'string' ? name : error.code,
    kind: typeof name === 'string' ? 'nova' : 'crash',
    ...(stage === undefined ? {} : { stage }),
  };
}

/** The answer, or Berth's refusal of it. */
export function answerOrError<T>(answer: () => T, stage?: string): T | ErrorAnswer {
  try {
    return answer();
  } catch (error) {
    return errorAnswer(error, stage);
  }
}

export function isErrorAnswer(value: unknown): value is ErrorAnswer {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'error');
}
