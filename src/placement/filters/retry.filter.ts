import type { Filter } from './filter.js';

/** The server was not tried there already. */
export const retryFilter: Filter = {
  name: 'RetryFilter',
  passes: (host, { excluded }) => !excluded.some((entry) => entry.hostId === host.id),
  explain: (host, { excluded }) =>
    excluded
      .filter((entry) => entry.hostId === host.id)
      .map(({ reason, kept = false }) => {
        if (kept) return { code: 'host.kept', message: reason, details: {} };
        return {
          code: 'host.tried',
          message: 'tried before, and failed there',
          details: {},
          names: [{ host: host.name, message: `tried before: ${reason}`, details: {} }],
        };
      }),
};
