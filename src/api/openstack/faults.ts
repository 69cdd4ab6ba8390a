import { STATUS_CODES } from 'node:http';

/** What an error is, whatever the face. */
export interface FaceFault {
  readonly status: number;
  readonly detail: string;
}

/**
 * The body of an error as the clients of an OpenStack face read it; null: the path is none of an OpenStack face.
 *
 * @param url of the request, with or without a query
 */
export function openStackFault(url: string, { status, detail }: FaceFault): object | null {
  if (/^\/identity(?:[/?]|$)/.test(url)) {
    return { error: { code: status, title: STATUS_CODES[status] ?? '', message: detail } };
  }
  return null;
}
