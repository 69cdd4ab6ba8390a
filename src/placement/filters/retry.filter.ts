import type { Filter } from './filter.js';

/** The server was not tried there already. */
export const retryFilter: Filter = {
  name: 'RetryFilter',
  passes: (host, { excluded }) => !excluded.some((entry) => entry.hostId === host.id),
  explain: (host, { excluded }) =>
    excluded
      .filter((entry) => entry.hostId === host.id)
      .map((entry) => ({ code: 'host.tried', message: `tried before: ${entry.reason}`, details: {} })),
};
