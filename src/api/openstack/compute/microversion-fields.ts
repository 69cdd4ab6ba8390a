import { invalidFields } from '../../request-validation.pipe.js';

/**
 * Refuses fields that only a later version knows: a client that would not be told would take them for set.
 *
 * @param minor of the version that was agreed on
 * @param body  checked already; fields that were not sent are undefined
 * @param since the first minor version of each field: `{ description: 55 }`
 * @param path  where the fields are in the body: `flavor`
 * @throws BerthError `request.invalid`
 */
export function refuseBefore(
  minor: number,
  body: object,
  since: Readonly<Record<string, number>>,
  path: string | null = null,
): void {
  const sent = body as Readonly<Record<string, unknown>>;
  const errors = Object.entries(since)
    .filter(([field, first]) => minor < first && sent[field] !== undefined)
    .map(([field, first]) => ({
      field: path === null ? field : `${path}.${field}`,
      problem: `is known from 2.${first} on, and the request is of 2.${minor}`,
    }));
  if (errors.length > 0) throw invalidFields(errors);
}

/**
 * Refuses query parameters that are not known, as Nova does from some version on (mostly 2.75).
 *
 * @throws BerthError `request.invalid`
 */
export function refuseUnknown(query: object, known: readonly string[]): void {
  const errors = Object.keys(query)
    .filter((name) => !known.includes(name))
    .map((field) => ({ field, problem: `is not known here; known are ${known.join(', ')}` }));
  if (errors.length > 0) throw invalidFields(errors);
}
