import type { ComputeHostRow } from '../../../store/compute-hosts.store.js';
import { hostIdOf } from './hypervisors.views.js';
import { stamp } from './stamp.js';

/** The name of the service that runs on hosts. Of what else runs, processes of Berth, the ledger knows nothing. */
export const COMPUTE_BINARY = 'nova-compute';

/** The agent of a host, as Nova shows its compute services. */
export function serviceView(host: ComputeHostRow, minor: number): object {
  return {
    binary: COMPUTE_BINARY,
    host: host.name,
    id: hostIdOf(host, minor),
    zone: host.zone,
    status: host.enabled ? 'enabled' : 'disabled',
    state: host.status,
    updated_at: stamp(host.last_seen_at),
    disabled_reason: host.disabled_reason,
    ...(minor >= 11 ? { forced_down: host.forced_down } : {}),
  };
}
