import type { Reason } from '../decision.js';
import type { HostCapabilities, HostSnapshot } from '../snapshot.js';
import type { Filter, JudgedRequest } from './filter.js';

/** The host can run what the image says it is: architecture, type and version of the hypervisor, machine mode. */
export const imagePropertiesFilter: Filter = {
  name: 'ImagePropertiesFilter',
  passes: (host, { request }) => demandsOf(request).every((demand) => demand.isMet(host.capabilities)),
  explain: (host, { request }) =>
    demandsOf(request)
      .filter((demand) => !demand.isMet(host.capabilities))
      .map((demand) => unmet(demand, host)),
};

/** What one property asks of a host. */
interface Demand {
  readonly property: string;
  readonly wanted: string;
  readonly isMet: (host: HostCapabilities) => boolean;
  readonly found: (host: HostCapabilities) => string | null;
}

/** Current and old names of the properties, the current one first. */
const ARCHITECTURE = ['hw_architecture', 'architecture'];
const HYPERVISOR_TYPE = ['img_hv_type', 'hypervisor_type'];
const VM_MODE = ['hw_vm_mode', 'vm_mode'];
const HYPERVISOR_VERSION = ['img_hv_requested_version', 'hypervisor_version_requires'];

function demandsOf({ host }: JudgedRequest): Demand[] {
  const properties = host?.imageProperties;
  if (properties === undefined) return [];
  return [
    ...demand(properties, ARCHITECTURE, (wanted) => ({
      isMet: ({ architecture }) =>
        architecture !== null && canonicalArchitecture(architecture) === canonicalArchitecture(wanted),
      found: ({ architecture }) => architecture,
    })),
    ...demand(properties, HYPERVISOR_TYPE, (wanted) => ({
      isMet: (capabilities) => typesOf(capabilities).includes(canonicalType(wanted)),
      found: ({ hypervisorType }) => hypervisorType,
    })),
    ...demand(properties, VM_MODE, (wanted) => ({
      isMet: (capabilities) => modesOf(capabilities).includes(canonicalMode(wanted)),
      found: (capabilities) => modesOf(capabilities).join(' or ') || null,
    })),
    ...demand(properties, HYPERVISOR_VERSION, (wanted) => ({
      isMet: ({ hypervisorVersion }) => !hypervisorVersion || satisfies(versionText(hypervisorVersion), wanted),
      found: ({ hypervisorVersion }) => (hypervisorVersion === null ? null : versionText(hypervisorVersion)),
    })),
  ];
}

function demand(
  properties: Readonly<Record<string, string>>,
  names: readonly string[],
  rule: (wanted: string) => Pick<Demand, 'isMet' | 'found'>,
): Demand[] {
  const property = names.find((name) => Object.hasOwn(properties, name) && properties[name] !== '');
  if (property === undefined) return [];
  const wanted = properties[property] as string;
  return [{ property, wanted, ...rule(wanted) }];
}

function unmet({ property, wanted, found }: Demand, { capabilities }: HostSnapshot): Reason {
  const has = found(capabilities);
  const told = has === null ? 'the host does not say its own' : `the host has ${has}`;
  const message = `image property ${property}: "${wanted}" wanted, ${told}`;
  return { code: 'image.not_supported', message, details: { property, wanted, found: has } };
}

/** Source of the spellings: Nova, `nova/objects/fields.py`. */
function canonicalArchitecture(name: string): string {
  const lower = name.toLowerCase();
  if (/^(?:i[345]86|x86_32p?)$/.test(lower)) return 'i686';
  return lower === 'amd64' ? 'x86_64' : lower;
}

function canonicalType(name: string): string {
  const lower = name.toLowerCase();
  return lower === 'xapi' ? 'xen' : lower;
}

function canonicalMode(name: string): string {
  const lower = name.toLowerCase();
  if (lower === 'pv') return 'xen';
  return lower === 'hv' || lower === 'baremetal' ? 'hvm' : lower;
}

/** A host with KVM runs plain QEMU machines, too. */
function typesOf({ hypervisorType }: HostCapabilities): string[] {
  if (hypervisorType === null) return [];
  const type = canonicalType(hypervisorType);
  return type === 'kvm' ? ['kvm', 'qemu'] : [type];
}

const MODES: ReadonlyMap<string, readonly string[]> = new Map([
  ['xen', ['hvm', 'xen']],
  ['uml', ['uml']],
  ['vz', ['hvm', 'exe']],
  ['parallels', ['hvm', 'exe']],
  ...['lxc', 'lxd', 'docker', 'openvz'].map((type): [string, string[]] => [type, ['exe']]),
]);

/** What is no container and no paravirtualised machine is a full one. */
function modesOf({ hypervisorType }: HostCapabilities): readonly string[] {
  return hypervisorType === null ? [] : (MODES.get(canonicalType(hypervisorType)) ?? ['hvm']);
}

/** 8002001 is 8.2.1, as libvirt counts. */
function versionText(version: number): string {
  return [Math.floor(version / 1_000_000), Math.floor(version / 1000) % 1000, version % 1000].join('.');
}

const CLAUSE = /^\s*(<=|>=|<|>|!=|==)\s*(\d{1,9}(?:\.\d{1,9}){0,3})\s*$/;

/** Every clause of `>=6.0, <9`; what is not written so, no version satisfies. */
function satisfies(version: string, predicate: string): boolean {
  return predicate.split(',').every((clause) => {
    const [, operator, wanted] = CLAUSE.exec(clause) ?? [];
    if (operator === undefined || wanted === undefined) return false;
    const order = compareVersions(version, wanted);
    if (order === 0) return operator.includes('=') && operator !== '!=';
    return operator === '!=' || operator.startsWith(order < 0 ? '<' : '>');
  });
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
