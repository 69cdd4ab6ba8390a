import { describe, expect, it } from 'vitest';
import { answerOf, table } from '../../../test/support/filter-cases.js';
import type { HostWishes } from '../request.js';

const QEMU = {
  architecture: 'x86_64',
  hypervisorType: 'QEMU',
  hypervisorVersion: 8_002_001,
  cpuFeatures: [],
};

const UNKNOWN = { architecture: null, hypervisorType: null, hypervisorVersion: null, cpuFeatures: [] };

const image = (imageProperties: Record<string, string>): HostWishes => ({ imageProperties });

const kvm = { capabilities: { ...QEMU, hypervisorType: 'kvm' } };

table('ImagePropertiesFilter', [
  ['no properties', { capabilities: UNKNOWN }, image({}), null],
  ['of something else', { capabilities: UNKNOWN }, image({ hw_disk_bus: 'scsi' }), null],
  [
    'all that a host has',
    kvm,
    image({
      hw_architecture: 'x86_64',
      img_hv_type: 'kvm',
      hw_vm_mode: 'hvm',
      img_hv_requested_version: '>=8.2, <9, !=8.2.0',
    }),
    null,
  ],
  ['QEMU machines on KVM', kvm, image({ img_hv_type: 'QEMU' }), null],
  ['other spellings', kvm, image({ hw_architecture: 'AMD64', hw_vm_mode: 'HV' }), null],
  [
    'old names',
    kvm,
    image({ architecture: 'aarch64' }),
    'image.not_supported: image property architecture: "aarch64" wanted, the host has x86_64',
  ],
  [
    'KVM machines on plain QEMU',
    { capabilities: QEMU },
    image({ img_hv_type: 'kvm' }),
    'image.not_supported: image property img_hv_type: "kvm" wanted, the host has QEMU',
  ],
  [
    'a paravirtualised machine',
    kvm,
    image({ hw_vm_mode: 'pv' }),
    'image.not_supported: image property hw_vm_mode: "pv" wanted, the host has hvm',
  ],
  ['a container', { capabilities: { ...QEMU, hypervisorType: 'lxc' } }, image({ hw_vm_mode: 'exe' }), null],
  ['i586 is i686', { capabilities: { ...QEMU, architecture: 'i686' } }, image({ hw_architecture: 'i586' }), null],
  [
    'an older hypervisor',
    kvm,
    image({ img_hv_requested_version: '>=9.0' }),
    'image.not_supported: image property img_hv_requested_version: ">=9.0" wanted, the host has 8.2.1',
  ],
  [
    'a version that is not one',
    kvm,
    image({ img_hv_requested_version: 'new' }),
    'image.not_supported: image property img_hv_requested_version: "new" wanted, the host has 8.2.1',
  ],
  [
    'a version, of a host that does not say',
    { capabilities: UNKNOWN },
    image({ img_hv_requested_version: '>=9.0' }),
    null,
  ],
  [
    'an architecture, of a host that does not say',
    { capabilities: UNKNOWN },
    image({ hw_architecture: 'x86_64' }),
    'image.not_supported: image property hw_architecture: "x86_64" wanted, the host does not say its own',
  ],
]);

describe('ImagePropertiesFilter', () => {
  it.each([
    ['<8.2.1', false],
    ['<=8.2.1', true],
    ['==8.2.1', true],
    ['==8.2', false],
    ['>8.2', true],
    ['>8.2.1', false],
    ['!=8.2.1', false],
    ['!=8.2', true],
    ['>= 6 , < 8.3', true],
    ['>=6,<8', false],
    ['', true],
    ['=>8', false],
  ])('version 8.2.1 for "%s": %s', (wanted, passes) => {
    const answer = answerOf('ImagePropertiesFilter', kvm, { host: image({ img_hv_requested_version: wanted }) });
    expect(answer === null).toBe(passes);
  });
});
