import type { Filter } from './filter.js';

/** The host is up and enabled. */
export const computeFilter: Filter = {
  name: 'ComputeFilter',
  passes: (host) => host.status === 'up' && host.enabled,
  explain: (host) =>
    host.status === 'up'
      ? [
          {
            code: 'host.disabled',
            message: `the host is disabled${host.disabledReason === null ? '' : `: ${host.disabledReason}`}`,
            details: {},
          },
        ]
      : [{ code: 'host.silent', message: 'the agent of the host does not report', details: {} }],
};
