import { BerthError } from '../errors.js';

/** The paths that are served, to tell "no such path" from "not with this method". */
export class KnownPaths {
  private readonly paths = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();

  /** @param url as routes have it: `/v1/servers/:id` */
  add(method: string | readonly string[], url: string): void {
    const known = this.paths.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() };
    for (const one of [method].flat()) known.methods.add(one);
    this.paths.set(url, known);
  }

  /** The error of a request that no route takes. */
  refusal(method: string, url: string): BerthError {
    const path = url.split('?', 1)[0] ?? '';
    const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    const methods = [...this.paths.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap((known) => [...known.methods]);
    if (methods.length === 0) return new BerthError('request.not_found', `There is no path ${shown}`);
    const allow = [...new Set(methods)].sort().join(', ');
    return new BerthError('request.method_not_allowed', `${shown} takes ${allow}, not ${method}`, {
      details: { allow },
    });
  }
}

function patternOf(url: string): RegExp {
  const escaped = url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[a-z_]+/g, '[^/]+');
  return new RegExp(`^${escaped}/?$`);
}
