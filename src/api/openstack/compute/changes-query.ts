import { invalidFields } from '../../request-validation.pipe.js';
import { parameter, type RawQuery } from './paging.js';

/** Between which times something has changed; null: any. */
export interface Changes {
  readonly changesSince: Date | null;
  readonly changesBefore: Date | null;
}

/** @throws BerthError `request.invalid` */
export function changesOf(query: RawQuery): Changes {
  const changesSince = timeOf(query, 'changes-since');
  const changesBefore = timeOf(query, 'changes-before');
  if (changesSince && changesBefore && changesBefore < changesSince) {
    const problem = 'The value of changes-since must be less than or equal to changes-before.';
    throw invalidFields([{ field: '', problem }]);
  }
  return { changesSince, changesBefore };
}

const ISO_TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;

/** Without a zone it is UTC. */
function timeOf(query: RawQuery, name: string): Date | null {
  const text = parameter(query, name);
  if (text === undefined) return null;
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(text) || !/[T ]/.test(text) ? text : `${text}Z`;
  const time = new Date(zoned.replace(',', '.'));
  if (ISO_TIME.test(text) && !Number.isNaN(time.getTime())) return time;
  throw invalidFields([{ field: name, problem: 'has to be a time like 2026-11-22T00:00:00Z' }]);
}
