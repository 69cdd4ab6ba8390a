import type { Reason } from '../decision.js';
import type { HostSnapshot } from '../snapshot.js';
import { meetsExtraSpec } from './extra-spec-operators.js';
import type { Filter, JudgedRequest } from './filter.js';
import { ioOpsOf } from './host-load.filters.js';

type Capability = (host: HostSnapshot) => string | number | readonly string[] | null;

/**
 * What a host can be asked for by `capabilities:NAME`, in the words of Nova's `HostState`; null: it does not say.
 * Without the prefix, too, as in Nova.
 */
const CAPABILITIES: ReadonlyMap<string, Capability> = new Map<string, Capability>([
  ['host', ({ name }) => name],
  ['hypervisor_hostname', ({ name }) => name],
  ['hypervisor_type', ({ capabilities }) => capabilities.hypervisorType],
  ['hypervisor_version', ({ capabilities }) => capabilities.hypervisorVersion],
  ['cpu_info:arch', ({ capabilities }) => capabilities.architecture],
  ['cpu_info:features', ({ capabilities }) => featuresOf(capabilities)],
  ['vcpus_total', ({ capacity }) => capacity.vcpus],
  ['vcpus_used', ({ used }) => used.vcpus],
  ['total_usable_ram_mb', ({ capacity }) => capacity.memoryMb],
  ['free_ram_mb', ({ capacity, reserved, used }) => capacity.memoryMb - reserved.memoryMb - used.memoryMb],
  ['total_usable_disk_gb', ({ capacity }) => capacity.diskGb],
  ['free_disk_mb', ({ capacity, reserved, used }) => (capacity.diskGb - reserved.diskGb - used.diskGb) * 1024],
  ['num_instances', ({ servers }) => servers.length],
  ['num_io_ops', ioOpsOf],
  ['failed_builds', ({ failedBuilds }) => failedBuilds],
]);

const SCOPE = 'capabilities:';

/** The host is as the extra specs `capabilities:…` ask. */
export const computeCapabilitiesFilter: Filter = {
  name: 'ComputeCapabilitiesFilter',
  passes: (host, { request }) => demandsOf(request).every((demand) => isMet(host, demand)),
  explain: (host, { request }) =>
    demandsOf(request)
      .filter((demand) => !isMet(host, demand))
      .map((demand) => unmet(host, demand)),
};

interface Demand {
  readonly name: string;
  readonly requirement: string;
}

/** A name without prefix that no host has is for another filter; one with the prefix no host satisfies. */
function demandsOf({ host }: JudgedRequest): Demand[] {
  if (host?.extraSpecs === undefined) return [];
  return Object.entries(host.extraSpecs).flatMap(([key, requirement]) => {
    if (key.startsWith(SCOPE)) return [{ name: key.slice(SCOPE.length), requirement }];
    return !key.includes(':') && CAPABILITIES.has(key) ? [{ name: key, requirement }] : [];
  });
}

function isMet(host: HostSnapshot, { name, requirement }: Demand): boolean {
  const found = foundOn(host, name);
  return found !== null && meetsExtraSpec(found, requirement);
}

function foundOn(host: HostSnapshot, name: string): string | readonly string[] | null {
  const found = CAPABILITIES.get(name)?.(host) ?? null;
  return typeof found === 'number' ? String(found) : found;
}

function featuresOf({ cpuFeatures }: HostSnapshot['capabilities']): readonly string[] | null {
  return cpuFeatures.length > 0 ? cpuFeatures : null;
}

function unmet(host: HostSnapshot, { name, requirement: wanted }: Demand): Reason {
  const found = foundOn(host, name);
  const reason = (what: string, more: string): Reason => ({
    code: `capability.${what}`,
    message: `capability ${name}: "${wanted}" wanted, ${more}`,
    details: { name, wanted },
  });
  if (found === null)
    return reason('unknown', CAPABILITIES.has(name) ? 'the host does not say' : 'no host has such a one');
  if (typeof found !== 'string') return reason('other', `the host has ${found.length} others`);
  // names of hosts are for administrators
  return reason('other', found === host.name ? 'the host has another' : `the host has "${found}"`);
}
