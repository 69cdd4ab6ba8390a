import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import { loadSettings } from './load-settings.js';
import type { LoadedSettings } from './load-settings.js';
import type { Settings } from './settings.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'berth-settings-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

const NO_FILES = { caFile: null, certFile: null, keyFile: null };
const DEFAULTS: Settings = {
  database: { url: null, poolMax: 10, tls: { mode: null, ...NO_FILES } },
  bus: {
    ...{ url: null, messageBytesMax: 8_388_608, deliveryLimit: 5 },
    ...{ tls: NO_FILES, auth: 'plain', agentUsers: 'shared' },
  },
  http: {
    ...{ publicUrl: null, host: '127.0.0.1', port: 8790, bodyBytesMax: 1_048_576, pageSizeMax: 1000 },
    trustedProxies: [],
    tls: { certFile: null, keyFile: null },
    rate: { requestsPerCaller: 600_000, requestsPerAddress: 6_000, failedLoginsPerAddress: 30 },
  },
  auth: {
    strategy: 'none',
    usersFile: null,
    projects: {},
    roles: {},
    tokenTtlMs: 3_600_000,
    keystone: {
      ...{ url: null, username: null, password: null, project: null },
      ...{ userDomain: 'default', projectDomain: 'default', cacheMs: 10_000 },
    },
  },
  scheduler: {
    compat: 'strict',
    filters: [
      'ComputeFilter',
      'AvailabilityZoneFilter',
      'AggregateMultiTenancyIsolation',
      'AggregateInstanceExtraSpecsFilter',
      'ComputeCapabilitiesFilter',
      'ImagePropertiesFilter',
      'ServerGroupAntiAffinityFilter',
      'ServerGroupAffinityFilter',
      'DifferentHostFilter',
      'SameHostFilter',
      'CoreFilter',
      'RamFilter',
      'DiskFilter',
      'NUMATopologyFilter',
      'PciPassthroughFilter',
    ],
    weigherMultipliers: {},
    placementPolicies: { default: 'spread', aliases: {} },
    cpuAllocationRatio: 4,
    ramAllocationRatio: 1,
    diskAllocationRatio: 1,
    maxInstancesPerHost: 50,
    maxIoOpsPerHost: 8,
    tieBreak: 'auto',
    attemptsMax: 3,
    claimTimeoutMs: 60_000,
    hostSilentAfterMs: 60_000,
    sweepIntervalMs: 5000,
    batchSizeMax: 512,
    batchDelayMs: 6,
    relayIntervalMs: 100,
    reservationLeadMs: 3_600_000,
    drift: {},
    queue: { max: 1000, ageingPerMinute: 1, patienceMs: 600_000 },
    preemption: false,
    journal: { keepHours: 72, baseIntervalMs: 3_600_000 },
  },
  audit: { keepDays: 365 },
  agent: {
    host: null,
    sysfsRoot: '/sys',
    procRoot: '/proc',
    stateDir: '/var/lib/berth',
    kernel: 'live',
    readOnly: false,
    deviceSpecs: [],
    sriov: [],
    scanIntervalMs: 60_000,
    changeIntervalMs: 250,
    reset: 'release',
    cleaning: { programs: {}, timeoutMs: 3_600_000, attemptsMax: 3, pauseMs: 300_000 },
    heartbeatIntervalMs: 10_000,
    resources: { vcpus: null, memoryMb: null, diskGb: null },
    reserved: { vcpus: 0, memoryMb: 0, diskGb: 0 },
    hypervisor: { type: 'QEMU', version: null },
    computeDriver: 'attach-only',
    cdiDir: '/var/run/cdi',
    guests: {
      ...{ machine: 'q35', accel: 'auto', cpu: null, imageDir: null, image: null, kernel: null, initrd: null },
      ...{
        append: null,
        hotplugPorts: 4,
        vcpusMax: 1024,
        memoryMbMax: 16_777_216,
        startTimeoutMs: 60_000,
        stopTimeoutMs: 30_000,
      },
    },
    qemu: { program: 'qemu-system-x86_64', arguments: [] },
    libvirt: { uri: 'qemu:///system' },
  },
  pci: { exclusiveTags: ['physical_network'], aliasOrigin: null },
  aliases: [],
  compat: 'strict',
  logLevel: 'info',
  dataDir: '.berth',
};

describe('settings', () => {
  it('have defaults, in every field and no other', () => {
    const whitelist = { entries: [], freeTags: [] };
    const all = { settings: DEFAULTS, whitelist, warnings: [] };
    expect(loadSettings({ files: [], env: {} })).toEqual(all);
    expect(loadSettings({ files: ['config/berth.yaml'], env: {} })).toEqual(all);
    expect(loadSettings({ files: ['config/agent.yaml'], env: {} }).settings).toEqual(DEFAULTS);
  });

  it('may have what config/agent.yaml shows in its comments', () => {
    const shown = readFileSync('config/agent.yaml', 'utf8').match(/(?<=^ {2}# {3})- .*$/gm) ?? [];
    const { settings } = load('shown.yaml', `agent:\n  device_spec:\n${shown.map((line) => `    ${line}\n`).join('')}`);
    expect(settings.agent.deviceSpecs).toHaveLength(6);
  });

  it('have declared VFs, with the place of each entry and of each fault', () => {
    const { settings } = load(
      'a.yaml',
      'agent:\n  sriov:\n    - { devname: ens1f0, vf_count: 8 }\n    - \'{"vendor_id": "8086", "vf_count": 2}\'\n',
    );
    expect(settings.agent.sriov).toMatchObject([
      { vfCount: 8, where: expect.stringMatching(/a\.yaml:3$/) as string },
      { vfCount: 2, where: expect.stringMatching(/a\.yaml:4$/) as string },
    ]);
    const bad = 'agent:\n  sriov:\n    - devname: ens1f0\n      vf_count: many\n';
    expect(() => load('b.yaml', bad)).toThrow(/b\.yaml:4: vf_count: has to be a whole number/);
  });

  it('are frozen through and through', () => {
    const { settings } = load('a.yaml', 'agent: { device_spec: [{ address: { bus: "0." } }] }');
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(settings)).toBe(true);
  });

  it('come from files, then the environment, then the command line', () => {
    const first = file('one.yaml', 'http: { port: 1000, host: ::1 }\nlog_level: warn\nagent: { host: a }');
    const second = file('two.yaml', 'http: { port: 2000 }\nagent: { host: b, resources: { vcpus: 8 } }');
    const env = { BERTH_HTTP_PORT: '3000', BERTH_HOST: 'c', BERTH_READ_ONLY: 'yes', BERTH_LOG_LEVEL: '', HOME: '/x' };
    const { settings } = loadSettings({
      files: [first, second],
      env,
      overrides: { 'http.port': 0, 'agent.kernel': 'simulated' },
    });
    expect(settings.http).toMatchObject({ host: '::1', port: 0 });
    expect(settings.logLevel).toBe('warn');
    expect(settings.agent).toMatchObject({
      host: 'c',
      readOnly: true,
      kernel: 'simulated',
      resources: { vcpus: 8, diskGb: null },
    });
  });

  it('take the documented variables', () => {
    const env = {
      DATABASE_URL: 'postgres://u:p@h/d',
      AMQP_URL: 'amqp://h',
      BERTH_SYSFS_ROOT: '/a',
      BERTH_PROC_ROOT: '/b',
      BERTH_STATE_DIR: '/c',
      BERTH_DATA_DIR: '/d',
      BERTH_KERNEL: 'simulated',
      BERTH_HTTP_HOST: '0.0.0.0',
      BERTH_SCHEDULER_FILTERS: 'A, B',
      BERTH_SCHEDULER_WEIGHER_MULTIPLIERS: 'PCIWeigher=2.5,RAMWeigher=-1',
      BERTH_SCHEDULER_PLACEMENT_POLICIES_ALIASES: 'gpu=scarcity, nic=best-fit',
      BERTH_SCHEDULER_CPU_ALLOCATION_RATIO: '1.5',
      BERTH_AGENT_RESOURCES_MEMORY_MB: '4096',
      BERTH_TEST_ANYTHING: 'x',
    };
    const { settings } = loadSettings({ files: [], env, overrides: {} });
    expect([settings.database.url, settings.bus.url, settings.dataDir]).toEqual([
      'postgres://u:p@h/d',
      'amqp://h',
      '/d',
    ]);
    expect(settings.agent).toMatchObject({
      sysfsRoot: '/a',
      procRoot: '/b',
      stateDir: '/c',
      resources: { memoryMb: 4096 },
    });
    expect(settings.scheduler).toMatchObject({
      filters: ['A', 'B'],
      weigherMultipliers: { PCIWeigher: 2.5, RAMWeigher: -1 },
      placementPolicies: { default: 'spread', aliases: { gpu: 'scarcity', nic: 'best-fit' } },
      cpuAllocationRatio: 1.5,
    });
  });

  it('in YAML have a whitelist and aliases, with the place of each entry', () => {
    const { settings } = load(
      'pci.yaml',
      `
agent:
  device_spec:
    - vendor_id: '10de'
      product_id: 1bb0
    - { address: ':0a:00.', rack: r1 }
    - '[{"vendor_id": "8086"}]'
pci:
  free_tags: [rack]
  alias:
    - { name: gpu, vendor_id: '10de', product_id: 1bb0, device_type: type-PCI, traits: [big] }
aliases:
  name: nic
  vendor_id: "8086"
  device_type: type-VF
`,
    );
    expect(
      settings.agent.deviceSpecs.map(({ vendorId, where, tags }) => [vendorId, where.replace(FOLDER, ''), tags]),
    ).toEqual([
      ['10de', '/pci.yaml:4', {}],
      [null, '/pci.yaml:6', { rack: 'r1' }],
      ['8086', '/pci.yaml:7', {}],
    ]);
    expect(settings.aliases.map(({ name, numaPolicy }) => [name, numaPolicy])).toEqual([
      ['gpu', 'legacy'],
      ['nic', 'legacy'],
    ]);
  });
});

describe('nova.conf and zun.conf', () => {
  it('are read as they are: the samples', () => {
    const nova = loadSettings({ files: ['config/samples/nova.conf'], env: {} });
    expect(nova.warnings).toEqual([]);
    expect(nova.settings.agent.deviceSpecs.map(({ vendorId, tags, where }) => [vendorId, tags, where])).toEqual([
      ['10de', {}, 'config/samples/nova.conf:19'],
      [null, { physical_network: 'physnet1' }, 'config/samples/nova.conf:21'],
      [null, {}, 'config/samples/nova.conf:22'],
      ['8086', {}, 'config/samples/nova.conf:23'],
    ]);
    expect(
      nova.settings.aliases.map(({ name, numaPolicy, specs }) => [name, numaPolicy, specs[0]?.deviceType]),
    ).toEqual([
      ['gpu', 'legacy', 'type-PCI'],
      ['nic', 'preferred', 'type-VF'],
    ]);
    expect(nova.settings.scheduler).toMatchObject({
      weigherMultipliers: { PCIWeigher: 2 },
      cpuAllocationRatio: 2,
      ramAllocationRatio: 0.98,
      diskAllocationRatio: 1,
    });
    expect(nova.settings.scheduler.filters).toHaveLength(10);
    expect(nova.settings.scheduler.filters.at(-1)).toBe('PciPassthroughFilter');

    const zun = loadSettings({ files: ['config/samples/zun.conf'], env: {} });
    expect(zun.settings.agent.deviceSpecs).toHaveLength(2);
    expect(zun.settings.aliases).toMatchObject([{ name: 'QuickAssist', specs: [{ deviceType: null }] }]);
    expect(zun.warnings).toEqual([
      'config/samples/zun.conf:12: alias QuickAssist: without device_type it takes type-PCI and type-VF; say which',
    ]);
  });

  it('may have all three names of the whitelist; the current one is asked first, with a warning', () => {
    const old = file(
      'old.conf',
      '[DEFAULT]\npci_passthrough_whitelist = {"vendor_id":"9999"}\n[pci]\npassthrough_whitelist=[{"vendor_id":"3333"}]\n' +
        'device_spec = {"vendor_id":"1111"}\n',
    );
    const yaml = file(
      'mix.yaml',
      'agent:\n  device_spec: { vendor_id: "2222" }\n  pci_passthrough_whitelist: { vendor_id: "8888" }',
    );
    const { settings, warnings } = loadSettings({ files: [old, yaml], env: {} });
    expect(settings.agent.deviceSpecs.map(({ vendorId }) => vendorId)).toEqual([
      '1111',
      '2222',
      '3333',
      '9999',
      '8888',
    ]);
    expect(warnings).toEqual([
      'the whitelist has more than one name; entries are asked in this order: ' +
        `device_spec (${old}:5), then passthrough_whitelist (${old}:4), then pci_passthrough_whitelist (${old}:2)`,
    ]);
  });

  it('may have the old names of everything else', () => {
    const { settings } = load(
      'older.conf',
      '[DEFAULT]\npci_alias = {"name":"a","vendor_id":"8086","product_id":"0443","device_type":"type-PCI"}\n' +
        'scheduler_default_filters = RamFilter, PciPassthroughFilter\nram_weight_multiplier = -1.0\n' +
        'cpu_allocation_ratio = 0.0\n[filter_scheduler]\ncpu_weight_multiplier = 3\n',
    );
    expect(settings.aliases).toMatchObject([{ name: 'a' }]);
    expect(settings.scheduler).toMatchObject({
      filters: ['RamFilter', 'PciPassthroughFilter'],
      weigherMultipliers: { RAMWeigher: -1, CPUWeigher: 3 },
      cpuAllocationRatio: 4,
    });
  });

  it('say in a nova.conf what is kept for the host; a part of a GiB takes all of it', () => {
    const { settings } = load(
      'nova.conf',
      '[DEFAULT]\nreserved_host_cpus = 2\nreserved_host_memory_mb = 4096\nreserved_host_disk_mb = 1025\n',
    );
    expect(settings.agent.reserved).toEqual({ vcpus: 2, memoryMb: 4096, diskGb: 2 });
  });

  it('are known by their content when the name does not say it', () => {
    expect(load('nova', '# c\n[PCI]\ndevice_spec = {"vendor_id": "8086"}\n').settings.agent.deviceSpecs).toHaveLength(
      1,
    );
    expect(load('berth', '# c\nhttp:\n  port: 1\n').settings.http.port).toBe(1);
  });

  it('may have options of Nova that are not known here; one in [pci] is mentioned', () => {
    const { warnings } = load('many.conf', '[pci]\nreport_in_placement = True\nsomething_new = 1\n[api]\nx = y\n');
    expect(warnings).toEqual([`${join(FOLDER, 'many.conf')}:3: [pci] something_new: unknown option, passed over`]);
  });
});

describe('malformed settings are told with file, line, key and fix', () => {
  it.each<[string, string, string]>([
    ['a mistyped section', 'htpp:\n  port: 1', ':1: htpp: unknown key; did you mean "http"?'],
    ['a mistyped key', 'http:\n  prot: 1', ':2: http.prot: unknown key; did you mean "port"?'],
    [
      'an unknown key',
      'http:\n  ssl: true',
      ':2: http.ssl: unknown key; the keys here are host, port, public_url, body_bytes_max, page_size_max, trusted_proxies, tls',
    ],
    ['a deep key', 'agent:\n  resources:\n    vcpu: 1', ':3: agent.resources.vcpu: unknown key; did you mean "vcpus"?'],
    ['__proto__', '__proto__:\n  x: 1', ':1: __proto__: unknown key'],
    ['a merge key', 'http:\n  <<: { port: 1 }', ':2: http.<<: unknown key'],
    ['a port as text', 'http:\n  port: "80"', ':2: http.port: has to be a whole number without quotes, not "80"'],
    ['a port too high', 'http:\n  port: 65536', ':2: http.port: 65536 is not between 0 and 65535'],
    ['half a port', 'http:\n  port: 1.5', ':2: http.port: has to be a whole number'],
    ['no port', 'http:\n  port:', ':2: http.port: has to be a whole number without quotes, not null'],
    ['a section that is none', 'http: 5', ':1: http: has to hold "key: value" lines'],
    ['a list for a file', '- a', ':1: the file: has to hold "key: value" lines'],
    ['an empty host', 'http:\n  host: ""', ':2: http.host: is empty'],
    ['a number for a host', 'http:\n  host: 5', ':2: http.host: has to be a text, not the number 5'],
    ['a mistyped word', 'log_level: warning', ':1: log_level: has to be debug or info or warn or error, not "warning"'],
    [
      'a near word',
      'agent:\n  kernel: simulatd',
      ':2: agent.kernel: has to be live or simulated, not "simulatd"; did you mean "simulated"?',
    ],
    ['a doubtful boolean', 'agent:\n  read_only: maybe', ':2: agent.read_only: "maybe" is neither yes nor no'],
    [
      'a filter list in a text',
      'scheduler:\n  filters: A,B',
      ':2: scheduler.filters: has to be a list of names, not "A,B"',
    ],
    [
      'a filter that is a number',
      'scheduler:\n  filters: [1]',
      ':2: scheduler.filters: has to be a text, not the number 1',
    ],
    [
      'a ratio of nothing',
      'scheduler:\n  cpu_allocation_ratio: 0',
      ':2: scheduler.cpu_allocation_ratio: 0 is not above 0',
    ],
    ['an infinite ratio', 'scheduler:\n  cpu_allocation_ratio: .inf', 'has to be a number without quotes'],
    [
      'a weigher with a text',
      'scheduler:\n  weigher_multipliers: { PCIWeigher: high }',
      ':2: scheduler.weigher_multipliers: has to be a number',
    ],
    [
      'a weigher named oddly',
      'scheduler:\n  weigher_multipliers: { pci-weigher: 1 }',
      '"pci-weigher" is not the name of a weigher',
    ],
    [
      'a policy that there is not',
      'scheduler:\n  placement_policies: { default: scarce }',
      ':2: scheduler.placement_policies.default: has to be spread or best-fit or fragmentation or scarcity, not "scarce"',
    ],
    [
      'the same of an alias',
      'scheduler:\n  placement_policies: { aliases: { gpu: 1 } }',
      ':2: scheduler.placement_policies.aliases: "gpu" has to be spread or',
    ],
    [
      'a policy where aliases go',
      'scheduler:\n  placement_policies: { aliases: scarcity }',
      ':2: scheduler.placement_policies.aliases: has to map aliases to values',
    ],
    ['a URL that is none', 'database:\n  url: localhost', ':2: database.url: has to be a URL like postgres://'],
    ['a URL of another kind', 'database:\n  url: mysql://h/d', ':2: database.url: has to begin with postgres://'],
    ['a key twice', 'http:\n  port: 1\n  port: 2', ':3: Map keys must be unique'],
    ['no YAML', 'http: [1', ':1: '],
    ['two documents', 'http:\n---\nhttp:', 'Source contains multiple documents'],
    ['an unknown tag', 'log_level: !!js/function x', ':1: Unresolved tag'],
    ['a missing anchor', 'log_level: *nowhere', ':1: '],
    ['a number for a key', '5: x', ':1: a key has to be a plain word'],
    [
      'a vendor in digits',
      'agent:\n  device_spec:\n    - {}\n    - product_id: x\n      vendor_id: 8086',
      ':5: vendor_id: a number; write "8086" in quotes',
    ],
    [
      'an address part',
      'agent:\n  device_spec:\n    - address:\n        bus: "*"',
      ':4: address.bus: "*" is not a regex',
    ],
    ['JSON in YAML', "agent:\n  device_spec: |\n    [{\n    'a': 1}]", ':4: device_spec: not JSON: single quotes'],
    ['an undeclared tag', 'agent:\n  device_spec: { rack: a }', ':2: rack: unknown key'],
    ['a reserved tag', 'pci:\n  free_tags: [address]', ':2: pci.free_tags: "address" has a meaning of its own'],
    ['an odd tag', 'pci:\n  free_tags: [a b]', ':2: pci.free_tags: "a b" is not a name'],
    ['tags in a text', 'pci:\n  free_tags: rack', ':2: pci.free_tags: has to be a list of names'],
    [
      'an alias without device_type',
      'pci:\n  alias:\n    - { name: a,\n        vendor_id: "8086" }',
      ':3: alias a: device_type: say type-PCI',
    ],
    [
      'a mistyped alias key',
      'pci:\n  alias:\n    - name: a\n      vender_id: "8086"',
      ':4: alias a: vender_id: unknown key; did you mean "vendor_id"?',
    ],
  ])('YAML: %s', (_, text, expected) => {
    const path = file('bad.yaml', text);
    expect(problemsOf([path]).join('\n')).toContain(expected.startsWith(':') ? `${path}${expected}` : expected);
  });

  it.each<[string, string, string]>([
    [
      'a mistyped option',
      '[pci]\npasthrough_whitelist = {}',
      ':2: [pci] pasthrough_whitelist: unknown option; did you mean "passthrough_whitelist"?',
    ],
    [
      'a mistyped old option',
      'pci_passthru_whitelist = {}\npci_pasthrough_whitelist = {}',
      ':2: [DEFAULT] pci_pasthrough_whitelist: unknown option; did you mean "pci_passthrough_whitelist"?',
    ],
    [
      'the old name in the new section',
      '[pci]\npci_alias = {}',
      ':2: [pci] pci_alias: unknown option; did you mean "[pci] alias"?',
    ],
    ['the new name in the old section', '[DEFAULT]\ndevice_spec = {}', 'did you mean "[pci] device_spec"?'],
    ['the name of a guide', '[pci]\ndev_spec = {}', 'did you mean "[pci] device_spec"?'],
    ['single quotes', "[pci]\ndevice_spec = {'vendor_id': '8086'}", ':2: [pci] device_spec: not JSON: single quotes'],
    [
      'a fault in a later line',
      '[pci]\ndevice_spec = [\n  {"vendor_id": "8086"}\n  {"vendor_id": "10de"}]',
      ':4: [pci] device_spec: not JSON: "," or the end is missing before {',
    ],
    [
      'a wrong key in a later line',
      '[pci]\ndevice_spec = {"vendor_id": "8086",\n  "prodct_id": "1"}',
      ':3: prodct_id: unknown key; did you mean "product_id"?',
    ],
    ['a key twice', '[pci]\nalias = {"name": "a",\n "name": "b"}', ':3: [pci] alias: the same key comes twice'],
    ['no value', '[pci]\nalias =', ':2: [pci] alias: is empty; give a value, or remove the line'],
    ['a text', '[pci]\ndevice_spec = "8086"', 'device_spec: an entry has to be an object'],
    [
      'an alias list',
      '[pci]\nalias = [{"name": "a"}]',
      ':2: alias: has to be one object, not a list; write one object for each line',
    ],
    [
      'a policy conflict',
      '[pci]\nalias = {"name":"a","vendor_id":"8086"}\nalias = {"name":"a","vendor_id":"8086","numa_policy":"socket"}',
      ':3: alias a: numa_policy: is socket here and legacy at ',
    ],
    [
      'less than nothing for the host',
      'reserved_host_disk_mb = -2048',
      ':1: [DEFAULT] reserved_host_disk_mb: agent.reserved.disk_gb: -2 is not between',
    ],
    [
      'a ratio in words',
      'cpu_allocation_ratio = lots',
      ':1: [DEFAULT] cpu_allocation_ratio: scheduler.cpu_allocation_ratio: has to be a number',
    ],
    [
      'a weight in words',
      '[filter_scheduler]\npci_weight_multiplier = x',
      ':2: [filter_scheduler] pci_weight_multiplier: scheduler.weigher_multipliers: has to be a number',
    ],
    ['a broken section', '[pci\nalias = 1', ':1: a section has to look like [pci]'],
    ['a line out of place', '[pci]\nhello', ':2: neither a section nor "key = value"'],
  ])('conf: %s', (_, text, expected) => {
    const path = file('bad.conf', text);
    expect(problemsOf([path]).join('\n')).toContain(expected.startsWith(':') ? `${path}${expected}` : expected);
  });

  it.each<[string, NodeJS.ProcessEnv, string]>([
    [
      'a mistyped variable',
      { BERTH_HTTP_PROT: '1' },
      'environment variable BERTH_HTTP_PROT: unknown; did you mean "BERTH_HTTP_PORT"?',
    ],
    ['an unknown variable', { BERTH_COLOUR: '1' }, 'environment variable BERTH_COLOUR: unknown; see config/README.md'],
    [
      'a wrong number',
      { BERTH_HTTP_PORT: '0x50' },
      'environment variable BERTH_HTTP_PORT: http.port: has to be a whole number',
    ],
    ['a wrong word', { BERTH_KERNEL: 'real' }, 'BERTH_KERNEL: agent.kernel: has to be live or simulated, not "real"'],
    [
      'both names',
      { BERTH_HOST: 'a', BERTH_AGENT_HOST: 'b' },
      'BERTH_HOST: BERTH_AGENT_HOST says the same setting; keep one of them',
    ],
    [
      'a wrong multiplier',
      { BERTH_SCHEDULER_WEIGHER_MULTIPLIERS: 'PCIWeigher' },
      'has to be a number without quotes, not ""',
    ],
    [
      'a reserved tag',
      { BERTH_PCI_FREE_TAGS: 'rack,vendor_id' },
      'BERTH_PCI_FREE_TAGS: pci.free_tags: "vendor_id" has a meaning',
    ],
  ])('environment: %s', (_, env, expected) => {
    expect(problemsOf([], env).join('\n')).toContain(expected);
  });

  it('command line: an unknown setting', () => {
    const load = (): unknown => loadSettings({ files: [], env: {}, overrides: { 'http.prt': 1 } });
    expect(load).toThrow('command line: http.prt: unknown setting; did you mean "http.port"?');
  });

  it('never show a password', () => {
    expect(problemsOf([], { DATABASE_URL: 'mysql://root:hunter2@h/d', AMQP_URL: 'hunter2' }).join('\n')).not.toContain(
      'hunter2',
    );
  });

  it('files that cannot be read', () => {
    const latin = join(FOLDER, 'latin.yaml');
    writeFileSync(latin, Buffer.from([0x61, 0xff]));
    const big = file('big.yaml', '#'.repeat(1024 * 1024 + 1));
    const problems = problemsOf([join(FOLDER, 'none.yaml'), FOLDER, latin, big]);
    expect(problems[0]).toMatch(/none\.yaml: cannot be read: ENOENT/);
    expect(problems[1]).toMatch(/cannot be read: EISDIR/);
    expect(problems[2]).toMatch(/latin\.yaml: cannot be read: it is not UTF-8 text/);
    expect(problems[3]).toMatch(/big\.yaml: cannot be read: it has 1048577 bytes; at most 1048576/);
  });

  it('all of all sources at once', () => {
    const yaml = file('x.yaml', 'http: { prt: 1 }\nagent: { device_spec: [{ vendor_id: 1 }], kernel: no }');
    const conf = file('x.conf', '[pci]\nalias = {\ndevice_spec = {"x": 1}');
    const problems = problemsOf([yaml, conf], { BERTH_X: '1' });
    expect(problems).toHaveLength(6);
  });

  it('and nothing but a BerthError, whatever the text', () => {
    const line = fc.oneof(
      fc.constantFrom(
        '[pci]',
        'alias = {',
        'device_spec = [',
        '  }',
        'http:',
        '  port: 1',
        'agent:',
        '  device_spec:',
        '  - a: &x',
        '*x',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('f.yaml', 'f.conf', 'f'), (lines, name) => {
        try {
          load(name, lines.join('\n'));
        } catch (error) {
          expect(error).toBeInstanceOf(BerthError);
        }
      }),
      { numRuns: 500 },
    );
    for (const deep of ['['.repeat(50_000), '{a: '.repeat(20_000), `agent: {device_spec: ${'['.repeat(50_000)}`]) {
      expect(() => load('deep.yaml', deep)).toThrow(BerthError);
      expect(() => load('deep.conf', `[pci]\nalias = ${deep}`)).toThrow(BerthError);
    }
    const nested = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    expect(() => load('deep.conf', `[pci]\nalias = ${nested}`)).toThrow(BerthError);
    expect(() => load('deep.yaml', `agent: { device_spec: ${nested} }`)).toThrow(BerthError);
  });

  it('no bomb of anchors', () => {
    const rows = Array.from(
      { length: 30 },
      (_, n) => `- &a${n} [${n === 0 ? 'x' : `*a${n - 1}, *a${n - 1}, *a${n - 1}`}]`,
    );
    expect(() => load('bomb.yaml', `agent:\n  device_spec:\n${rows.map((row) => `    ${row}`).join('\n')}`)).toThrow(
      BerthError,
    );
  });
});

function file(name: string, text: string): string {
  const path = join(FOLDER, name);
  writeFileSync(path, text);
  return path;
}

function load(name: string, text: string): LoadedSettings {
  return loadSettings({ files: [file(name, text)], env: {} });
}

function problemsOf(files: string[], env: NodeJS.ProcessEnv = {}): string[] {
  try {
    loadSettings({ files, env });
  } catch (error) {
    const { code, message, details } = error as BerthError;
    expect(code).toBe('settings.invalid');
    expect(message).toBe((details['problems'] as string[]).join('\n'));
    return details['problems'] as string[];
  }
  return [];
}
