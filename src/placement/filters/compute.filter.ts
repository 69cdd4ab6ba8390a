import type { Reason } from '../decision.js';
import type { HostSnapshot } from '../snapshot.js';
import type { Filter } from './filter.js';

/** The host is up and enabled, and its agent may bind devices. */
export const computeFilter: Filter = {
  name: 'ComputeFilter',
  passes: (host) => host.status === 'up' && host.enabled && !host.readOnly,
  explain: reasonsOf,
};

function reasonsOf(host: HostSnapshot): Reason[] {
  if (host.status !== 'up') {
    return [{ code: 'host.silent', message: 'the agent of the host does not report', details: {} }];
  }
  if (host.readOnly) {
    return [{ code: 'host.read_only', message: 'the agent of the host only looks (read_only)', details: {} }];
  }
  if (host.enabled) return [];
  const message = 'the host is disabled';
  const { name, disabledReason: why } = host;
  const names = why === null ? {} : { names: [{ host: name, message: `${message}: ${why}`, details: {} }] };
  return [{ code: 'host.disabled', message, details: {}, ...names }];
}
