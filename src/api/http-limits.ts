import { invalidFields } from './request-validation.pipe.js';

const PAGE_SIZE_DEFAULT = 100;

/** Limits of this REST face; also the token they are injected by. */
export class HttpLimits {
  constructor(
    readonly bodyBytesMax: number,
    readonly pageSizeMax: number,
  ) {}

  /** @throws BerthError `request.invalid` when more is asked for than a page may have */
  pageSize(limit: number | undefined): number {
    if (limit === undefined) return Math.min(PAGE_SIZE_DEFAULT, this.pageSizeMax);
    if (limit > this.pageSizeMax) {
      throw invalidFields([{ field: 'limit', problem: `a page has at most ${this.pageSizeMax}` }]);
    }
    return limit;
  }
}
