import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AliasDefinition } from '../pci/alias/alias.js';
import type { AddressPattern, ComponentPattern } from '../pci/device-spec/device-spec-address.js';
import type { DeviceSpec } from '../pci/device-spec/device-spec.js';
import { loadSettings } from './load-settings.js';
import type { Settings } from './settings.js';

const FOLDER = 'test/fixtures/conf';

interface Reading {
  readonly specs: readonly string[];
  readonly aliases: readonly string[];
  readonly warnings: readonly string[];
}

interface Sample extends Reading {
  readonly file: string;
  /** What Nova 26.2 makes of it where that is something else; `refused`: what it says instead of loading. */
  readonly nova?: Partial<Reading> & { readonly refused?: string };
  readonly scheduler?: Partial<Settings['scheduler']>;
  /** How many filters the file names. */
  readonly filters?: number;
}

const SAMPLES: readonly Sample[] = [
  {
    file: 'nova-admin-guide.conf',
    specs: [
      '20: *:* 0000:41:00.0',
      '21: 8086:154d',
      '22: *:* eth3 {"physical_network":"physnet2"}',
      '23: *:* *:07:10.* {"physical_network":"physnet2"}',
      '24: 15b3:101e {"physical_network":null,"remote_managed":"true"}',
      '25: 15b3:101e 0000:06:00.2 {"physical_network":"tenant"}',
    ],
    aliases: ['a1 preferred: 8086:154d type-PF'],
    warnings: [],
    filters: 6,
  },
  {
    file: 'nova-charm-controller.conf',
    specs: [],
    aliases: ['gpu legacy: 10de:1bb0 any type', 'QuickAssist legacy: 8086:0443 type-VF'],
    warnings: ['nova-charm-controller.conf:6: alias gpu: without device_type it takes type-PCI and type-VF; say which'],
    scheduler: { weigherMultipliers: { RAMWeigher: 1 }, cpuAllocationRatio: 4 },
    filters: 14,
    nova: { warnings: [] },
  },
  {
    file: 'nova-charm-mitaka.conf',
    specs: ['26: 1137:0071 *:0a:00.* {"physical_network":"physnet1"}'],
    aliases: [],
    warnings: [],
    scheduler: { cpuAllocationRatio: 16, ramAllocationRatio: 1.5, diskAllocationRatio: 1 },
  },
  {
    file: 'nova-charm-zed.conf',
    specs: [
      '24: 10de:1bb0',
      '25: *:* *:03:*.* {"physical_network":null}',
      '26: 10de:10f0',
      '26: *:* enp3s0f0 {"physical_network":"physnet1"}',
    ],
    aliases: ['gpu legacy: 10de:1bb0 any type', 'nic legacy: 15b3:1018 type-VF | 15b3:101e type-VF'],
    warnings: [
      'the whitelist has more than one name; entries are asked in this order: device_spec (nova-charm-zed.conf:24), then passthrough_whitelist (nova-charm-zed.conf:26)',
      'nova-charm-zed.conf:29: alias gpu: without device_type it takes type-PCI and type-VF; say which',
    ],
    scheduler: { cpuAllocationRatio: 2, ramAllocationRatio: 0.98, diskAllocationRatio: 1 },
    nova: {
      specs: [
        '26: 10de:10f0',
        '26: *:* enp3s0f0 {"physical_network":"physnet1"}',
        '24: 10de:1bb0',
        '25: *:* *:03:*.* {"physical_network":null}',
      ],
      warnings: [
        'the whitelist has more than one name; entries are asked in this order: passthrough_whitelist (nova-charm-zed.conf:26), then device_spec (nova-charm-zed.conf:24)',
      ],
    },
  },
  {
    file: 'nova-devstack.conf',
    specs: ['8: *:* *:81:00.* {"physical_network":"null"}', '9: 10de:102d'],
    aliases: ['K80 legacy: 10de:102d type-PCI'],
    warnings: [],
    filters: 9,
  },
  {
    file: 'nova-kolla.conf',
    specs: [
      '24: *:* *:a3:00.0',
      '24: *:* *:c3:00.0',
      '25: 10de:26b9',
      '26: 8086:1889 {"physical_network":"physnet1","trusted":"true"}',
    ],
    aliases: ['l40s preferred: 10de:26b9 type-PCI'],
    warnings: [],
    scheduler: { weigherMultipliers: { PCIWeigher: 3.5 } },
    filters: 5,
    nova: {
      specs: [
        '24: *:* *:a3:00.0',
        '24: *:* *:c3:00.0',
        '25: 10de:26b9',
        '26: 8086:1889 {"physical_network":"physnet1","trusted":"True"}',
      ],
    },
  },
  {
    file: 'nova-names-mixed.conf',
    specs: [
      '12: 10de:1db4',
      '29: *:* 0000:5e:00.0 {"physical_network":null}',
      '13: 10de:1eb8',
      '6: 8086:10ca',
      '21: *:* ens2f0 {"physical_network":"physnet1"}',
      '22: *:* ens2f1 {"physical_network":"physnet2"}',
    ],
    aliases: [
      'old legacy: 8086:10ca type-VF | 8086:10ca type-VF',
      'v100 legacy: 10de:1db4 type-PCI',
      't4 preferred: 10de:1eb8 type-PCI',
    ],
    warnings: [
      'the whitelist has more than one name; entries are asked in this order: device_spec (nova-names-mixed.conf:12), then passthrough_whitelist (nova-names-mixed.conf:13), then pci_passthrough_whitelist (nova-names-mixed.conf:6)',
    ],
    scheduler: { filters: ['RamFilter', 'ComputeFilter', 'PciPassthroughFilter'] },
    nova: {
      specs: [
        '6: 8086:10ca',
        '21: *:* ens2f0 {"physical_network":"physnet1"}',
        '22: *:* ens2f1 {"physical_network":"physnet2"}',
        '13: 10de:1eb8',
        '12: 10de:1db4',
        '29: *:* 0000:5e:00.0 {"physical_network":null}',
      ],
      warnings: [
        'the whitelist has more than one name; entries are asked in this order: pci_passthrough_whitelist (nova-names-mixed.conf:6), then passthrough_whitelist (nova-names-mixed.conf:13), then device_spec (nova-names-mixed.conf:12)',
      ],
    },
  },
  {
    file: 'nova-option-reference.conf',
    specs: [
      '6: *:* eth0 {"physical_network":"physnet"}',
      '8: *:* *:0b:00.*',
      '9: *:* *:0c:00.* {"physical_network":"physnet1"}',
      '11: 1137:0071',
      '13: 1137:0072 0000:0d:00.1 {"physical_network":"physnet1"}',
      '17: *:* *:02:01./[2-7]/ {"physical_network":"physnet1"}',
      '21: *:* *:03:/0[1-2]/.* {"physical_network":"physnet2"}',
      '25: *:* eth1 {"physical_network":"physnet1","trusted":"true"}',
      '27: 15b3:a2d6 {"remote_managed":"true"}',
      '30: 1002:6929 0000:82:00.0 PGPU HW_GPU_API_VULKAN,CUSTOM_QUIET_GPU',
      '35: 8086:0001',
      '36: 8086:0002',
    ],
    aliases: ['QuickAssist-1 required: 8086:0443 type-PCI', 'QuickAssist-2 socket: 8086:0444 type-PCI'],
    warnings: [],
    nova: {
      specs: [
        '6: *:* eth0 {"physical_network":"physnet"}',
        '8: *:* *:0b:00.*',
        '9: *:* *:0c:00.* {"physical_network":"physnet1"}',
        '11: 1137:0071',
        '13: 1137:0072 0000:0d:00.1 {"physical_network":"physnet1"}',
        '17: *:* /.*/:/02/:/01/./[2-7]/ {"physical_network":"physnet1"}',
        '21: *:* /.*/:/03/:/0[1-2]/./.*/ {"physical_network":"physnet2"}',
        '25: *:* eth1 {"physical_network":"physnet1","trusted":"true"}',
        '27: 15b3:a2d6 {"remote_managed":"true"}',
        '30: 1002:6929 0000:82:00.0 {"resource_class":"PGPU","traits":"HW_GPU_API_VULKAN,quiet-gpu"}',
        '35: 8086:0001',
        '36: 8086:0002',
      ],
    },
  },
  {
    file: 'nova-placement.conf',
    specs: [
      '4: 10de:25b6 0000:25:00.4 {"managed":"false"} CUSTOM_A16_16A',
      '5: 10de:25b6 0000:25:00.5 {"managed":"false","live_migratable":"true"} CUSTOM_A16_8A',
      '6: 8086:0a54 {"one_time_use":"true"} CUSTOM_NVME',
      '7: 10de:20b5 0000:84:00.0 CUSTOM_NVIDIA_A100_40GB CUSTOM_GPU_PASSTHROUGH,CUSTOM_BIG',
    ],
    aliases: [
      'A16_16A legacy: *:* type-VF CUSTOM_A16_16A',
      'A16_8A legacy: *:* type-VF CUSTOM_A16_8A live_migratable true',
      'a100 legacy: *:* type-PCI CUSTOM_NVIDIA_A100_40GB CUSTOM_BIG',
    ],
    warnings: [],
    nova: {
      // classes in aliases came with Nova 27
      refused: 'nova-placement.conf:11: alias: unknown key resource_class',
    },
  },
  {
    file: 'zun-design.conf',
    specs: ['9: 8086:0443 *:0a:00.*'],
    aliases: ['QuickAssist legacy: 8086:0443 type-PCI'],
    warnings: ['zun-design.conf:12: device_type: says nothing here, passed over'],
    nova: { specs: ['9: 8086:0443 *:0a:00.* {"device_type":"type-PCI"}'], warnings: [] },
  },
  {
    file: 'zun-option-reference.conf',
    specs: [
      '10: *:* eth0 {"physical_network":"physnet"}',
      '12: *:* *:0a:00.*',
      '13: *:* *:0b:00.* {"physical_network":"physnet1"}',
      '15: *:* *:02:01./[2-7]/ {"physical_network":"physnet1"}',
      '19: 8086:0001',
      '20: 8086:0002',
    ],
    aliases: [
      'QuickAssist legacy: 8086:0443 type-PCI',
      'nic legacy: 8086:10ed type-VF',
      'port legacy: 8086:10fb type-PF',
    ],
    warnings: [
      'zun-option-reference.conf:25: alias QuickAssist: device_type: "PCI" means type-PCI',
      'zun-option-reference.conf:27: alias nic: device_type: "VF" means type-VF',
      'zun-option-reference.conf:28: alias port: device_type: "PF" means type-PF',
    ],
    nova: {
      specs: [
        '10: *:* eth0 {"physical_network":"physnet"}',
        '12: *:* *:0a:00.*',
        '13: *:* *:0b:00.* {"physical_network":"physnet1"}',
        '15: *:* /.*/:/02/:/01/./[2-7]/ {"physical_network":"physnet1"}',
        '19: 8086:0001',
        '20: 8086:0002',
      ],
    },
  },
];

describe('files in the forms of the OpenStack documents load unchanged', () => {
  it.each(SAMPLES)('$file', ({ file, specs, aliases, warnings, scheduler = {}, filters }) => {
    const { settings, reading } = load(file, 'strict');
    expect(reading).toEqual({ specs, aliases, warnings });
    expect(settings.scheduler).toMatchObject(scheduler);
    if (filters !== undefined) expect(settings.scheduler.filters).toHaveLength(filters);
  });

  it.each(SAMPLES)('$file, as Nova reads it', ({ file, specs, aliases, warnings, nova = {} }) => {
    const { refused, ...differing } = nova;
    if (refused !== undefined) expect(() => load(file, 'nova')).toThrow(refused);
    else expect(load(file, 'nova').reading).toEqual({ specs, aliases, warnings, ...differing });
  });

  it('has a sample for every file', () => {
    expect(SAMPLES.map(({ file }) => file)).toEqual(readdirSync(FOLDER).toSorted());
  });

  it('load together, the files of all services of a host', () => {
    const files = ['nova-charm-controller.conf', 'nova-charm-zed.conf', 'zun-option-reference.conf'];
    const refused = (): unknown => loadSettings({ files: files.map((file) => `${FOLDER}/${file}`), env: {} });
    // the two QuickAssist say different device types: one of the files has to give way
    expect(refused).toThrow('alias QuickAssist: device_type: is type-PCI here and type-VF at');
  });
});

function load(file: string, compat: string): { readonly settings: Settings; readonly reading: Reading } {
  const path = `${FOLDER}/${file}`;
  const { settings, warnings } = loadSettings({ files: [path], env: { BERTH_COMPAT: compat } });
  const reading: Reading = {
    specs: settings.agent.deviceSpecs.map(specText),
    aliases: settings.aliases.map(aliasText),
    warnings: warnings.map((text) => text.replaceAll(path, basename(path))),
  };
  return { settings, reading };
}

/** `7: 8086:10ca 0000:0a:00.* eth0 {"trusted":"true"} PGPU A,B`: the line, and what the entry says. */
function specText(spec: DeviceSpec): string {
  const { where, vendorId, productId, address, devname, tags, resourceClass, traits } = spec;
  const said = [
    `${where.split(':').at(-1)}:`,
    `${vendorId ?? '*'}:${productId ?? '*'}`,
    address && addressText(address),
    devname,
    Object.keys(tags).length > 0 && JSON.stringify(tags),
    resourceClass,
    traits.join(','),
  ];
  return said.filter((part) => part).join(' ');
}

/** Empty when any address will do. */
function addressText({ domain, bus, slot, function: fn }: AddressPattern): string {
  if ([domain, bus, slot, fn].every(({ kind }) => kind === 'any')) return '';
  return `${part(domain)}:${part(bus)}:${part(slot)}.${part(fn)}`;
}

function part(pattern: ComponentPattern): string {
  if (pattern.kind === 'any') return '*';
  return pattern.kind === 'exact' ? pattern.digits : `/${pattern.source}/`;
}

/** `gpu preferred: 10de:1bb0 type-PCI | 10de:1db4 type-PCI`. */
function aliasText({ name, numaPolicy, specs }: AliasDefinition): string {
  const texts = specs.map(({ vendorId, productId, deviceType, resourceClass, traits, liveMigratable }) => {
    const live = liveMigratable === null ? null : `live_migratable ${liveMigratable}`;
    const ids = `${vendorId ?? '*'}:${productId ?? '*'}`;
    return [ids, deviceType ?? 'any type', resourceClass, traits.join(','), live].filter((said) => said).join(' ');
  });
  return `${name} ${numaPolicy}: ${texts.join(' | ')}`;
}
