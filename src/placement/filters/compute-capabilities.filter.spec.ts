import { aServer, table } from '../../../test/support/filter-cases.js';
import type { HostWishes } from '../request.js';

const QEMU = {
  architecture: 'x86_64',
  hypervisorType: 'QEMU',
  hypervisorVersion: 8_002_001,
  cpuFeatures: ['aes', 'avx2'],
};

const UNKNOWN = { architecture: null, hypervisorType: null, hypervisorVersion: null, cpuFeatures: [] };

const can = (name: string, requirement: string): HostWishes => ({
  extraSpecs: { [`capabilities:${name}`]: requirement },
});

table('ComputeCapabilitiesFilter', [
  ['no extra specs', {}, {}, null],
  ['of another scope, or of no capability', {}, { extraSpecs: { 'hw:cpu_policy': 'x', ssd: 'true' } }, null],
  ['of another scope that is called as part of one', {}, { extraSpecs: { 'cpu_info:arch': 'x' } }, null],
  ['the hypervisor', { capabilities: QEMU }, can('hypervisor_type', 's== QEMU'), null],
  ['its version', { capabilities: QEMU }, can('hypervisor_version', '>= 8000000'), null],
  ['a CPU feature', { capabilities: QEMU }, can('cpu_info:features', '<all-in> aes avx2'), null],
  ['without scope', { servers: [aServer('a')] }, { extraSpecs: { num_instances: '<= 1' } }, null],
  ['free memory', {}, can('free_ram_mb', '>= 131072'), null],
  [
    'too little free memory',
    { reserved: { vcpus: 0, memoryMb: 1, diskGb: 0 } },
    can('free_ram_mb', '>= 131072'),
    'capability.other: capability free_ram_mb: ">= 131072" wanted, the host has "131071"',
  ],
  [
    'another hypervisor',
    { capabilities: QEMU },
    can('hypervisor_type', 'VMware'),
    'capability.other: capability hypervisor_type: "VMware" wanted, the host has "QEMU"',
  ],
  [
    'a missing feature',
    { capabilities: QEMU },
    can('cpu_info:features', '<in> avx'),
    'capability.other: capability cpu_info:features: "<in> avx" wanted, the host has 2 others',
  ],
  [
    'a host that does not say',
    { capabilities: UNKNOWN },
    can('cpu_info:features', '<in> avx'),
    'capability.unknown: capability cpu_info:features: "<in> avx" wanted, the host does not say',
  ],
  [
    'a name that nobody knows',
    { capabilities: QEMU },
    can('warp', '9'),
    'capability.unknown: capability warp: "9" wanted, no host has such a one',
  ],
  [
    'another host',
    {},
    can('host', 'node-7'),
    'capability.other: capability host: "node-7" wanted, the host has another',
  ],
  ['this host', {}, can('host', 'h'), null],
  [
    'failed builds',
    { failedBuilds: 2 },
    { extraSpecs: { failed_builds: '<= 1' } },
    'capability.other: capability failed_builds: "<= 1" wanted, the host has "2"',
  ],
]);
