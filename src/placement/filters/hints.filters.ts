import type { HostSnapshot } from '../snapshot.js';
import type { Filter } from './filter.js';

/** None of the servers of the hint `different_host` is here. */
export const differentHostFilter: Filter = {
  name: 'DifferentHostFilter',
  passes: (host, { request }) => presentOf(host, request.host?.differentHost) === 0,
  explain: (host, { request }) => {
    const found = presentOf(host, request.host?.differentHost);
    if (found === 0) return [];
    const of = request.host?.differentHost?.length ?? 0;
    const message = `${found} of the ${of} server(s) of the hint different_host here, none wanted`;
    return [{ code: 'hint.different_host', message, details: { servers: of, found } }];
  },
};

/** At least one of the servers of the hint `same_host` is here. */
export const sameHostFilter: Filter = {
  name: 'SameHostFilter',
  passes: (host, { request }) => !request.host?.sameHost?.length || presentOf(host, request.host.sameHost) > 0,
  explain: (host, { request }) => {
    const wanted = request.host?.sameHost ?? [];
    if (wanted.length === 0 || presentOf(host, wanted) > 0) return [];
    const message = `none of the ${wanted.length} server(s) of the hint same_host here, one wanted`;
    return [{ code: 'hint.same_host', message, details: { servers: wanted.length, found: 0 } }];
  },
};

function presentOf({ servers }: HostSnapshot, ids: readonly string[] = []): number {
  return ids.length === 0 ? 0 : servers.filter(({ id }) => ids.includes(id)).length;
}
