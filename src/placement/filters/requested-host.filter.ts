import type { Filter } from './filter.js';

/** The host is the one that was asked for by name. In Nova the scheduler looks at no other host then. */
export const requestedHostFilter: Filter = {
  name: 'RequestedHostFilter',
  passes: ({ name }, { request }) => isRequested(name, request.host?.requestedHost),
  explain: ({ name }, { request }) => {
    if (isRequested(name, request.host?.requestedHost)) return [];
    return [{ code: 'host.not_requested', message: 'another host was asked for', details: {} }];
  },
};

function isRequested(name: string, requested: string | undefined): boolean {
  return requested === undefined || requested === name;
}
