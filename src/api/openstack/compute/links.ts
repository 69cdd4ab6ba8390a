import { COMPUTE_PATH } from './url.js';

export interface Link {
  readonly rel: string;
  readonly href: string;
}

/**
 * The links of a thing, as Nova gives them.
 *
 * @param base where this process is: `http://berth.example:8790`
 * @param path below `/v2.1/`: `flavors/1`
 */
export function linksOf(base: string, path: string): Link[] {
  return [
    { rel: 'self', href: `${base}/${COMPUTE_PATH}/${path}` },
    { rel: 'bookmark', href: `${base}/compute/${path}` },
  ];
}
