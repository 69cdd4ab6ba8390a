import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import type { Address } from '../pci/address.js';
import { DEVICE_TYPES, type ReportedDevice } from '../pci/device.js';
import type { AgentReport, WireConfiguration } from './bodies.js';
import type { WireBindingProblem, WireDevice } from './device-bodies.js';
import { contentHash } from './content-hash.js';
import { decodeEnvelope, encodeEnvelope, envelope } from './envelope.js';
import { fromWireDevice, toWireDevice } from './wire-device.js';

const BYTES_MAX = 64 * 1024 * 1024;
const ID = '5f2b0d9e-6a51-4a0b-9d6f-3f1c7b8a9e10';

const DEVICE: WireDevice = {
  address: '0000:83:00.0',
  vendor_id: '10de',
  product_id: '1bb0',
  class_code: '030000',
  subsystem_vendor_id: '10de',
  subsystem_product_id: '11b2',
  revision: 'a1',
  serial_number: 'MT2113X00123',
  device_type: 'type-PCI',
  parent_address: null,
  numa_node: 1,
  driver: 'nvidia',
  iommu_group: 42,
  sriov: { total_vfs: 16, num_vfs: 0 },
  netdevs: ['eth0'],
  pcie_path: ['pci0000:80', '0000:80:02.0'],
  acs_redirect: true,
  link: { current_speed: '8.0 GT/s PCIe', max_speed: '8.0 GT/s PCIe', current_width: 16, max_width: 16 },
  reset_methods: ['flr', 'bus'],
  offer: { entry: 0, tags: { physical_network: null, rack: 'b7' }, resource_class: 'PGPU', traits: ['HW_GPU'] },
  not_offered: null,
};

function aReport(devices: readonly unknown[]): AgentReport {
  return {
    host: 'node-1.example',
    epoch: 1_700_000_000_000,
    sequence: 7,
    hash: 'ab'.repeat(32),
    facts: {
      vcpus: 64,
      memory_mb: 524_288,
      disk_gb: 900,
      numa_cells: [{ id: 0, cpus: 32, memory_mb: 262_144, socket: null }],
      kernel: '6.1.0-18-amd64',
      kernel_kind: 'live',
      read_only: false,
      agent_version: '0.1.0',
    },
    devices: devices as WireDevice[],
    pools: [{ key: { vendor_id: '10de', numa_node: null, size: 2 }, count: 2 }],
  };
}

const CONFIGURATION: WireConfiguration = { loaded_at: '2026-03-01T12:00:00.250Z', problem: null, needs_restart: [] };

const DEVICE_CLAIM = {
  ...{ claim_id: ID, address: '0000:83:00.0' },
  devices: [{ address: '0000:83:00.0', vendor_id: '10de', product_id: '1bb0' }],
};
const DEVICE_CLAIM_TOLD = {
  ...{ claim_id: ID, ends: false, state: 'enabled', step: null, errno: null, held_by: null, message: null },
  devices: [{ address: '0000:83:00.0', driver: 'vfio-pci', original_driver: null }],
};
const WISH = { address: '0000:81:00.0', revision: 1, vendor_id: '8086', product_id: '1572', vf_count: 8 };
const VFS_TOLD = {
  ...{ address: '0000:81:00.0', source: 'file', vf_count: 8, state: 'applied', step: null, errno: null, message: null },
  vfs: [],
};
const ABLE = { architecture: 'x86_64', hypervisor_type: 'QEMU', hypervisor_version: null, cpu_features: ['vmx'] };

const NOT_RESTORED = { step: 'bind', errno: 'EIO', remedy: 'load nouveau' };
const BLOCKED: WireBindingProblem = {
  ...{ state: 'blocked', step: 'unbind', errno: null, held_by: 'qemu (process 1)', remedy: 'shut it down' },
  since: '2026-03-01T12:00:00.250Z',
};

function withConfiguration(configuration: unknown): AgentReport {
  const report = aReport([DEVICE]);
  return { ...report, facts: { ...report.facts, configuration: configuration as WireConfiguration } };
}

describe('envelope', () => {
  it('checks the stamp of a report whose content it has seen, and content that differs, all the same', () => {
    const seen = aReport([{ ...DEVICE, revision: '5e' }]);
    const read = (body: object) => () =>
      decodeEnvelope(Buffer.from(JSON.stringify({ ...envelope('agent.report', seen), body })), 1_000_000);
    const first = read(seen)();
    expect(read({ ...seen, epoch: 4, host: 'node-2' })().body).toMatchObject({ host: 'node-2', epoch: 4 });
    expect(read(seen)().body).toEqual(first.body);
    for (const [wrong, told] of [
      [{ ...seen, epoch: 0 }, 'agent.report: epoch'],
      [{ ...seen, host: '../x' }, 'agent.report: host'],
      [{ ...seen, more: 1 }, 'agent.report: more'],
      [{ ...seen, pools: [{ key: {}, count: -1 }] }, 'agent.report: pools.0.count'],
      [{ ...seen, devices: [{ ...DEVICE, revision: 5 }] }, 'agent.report: devices.0.revision'],
      [{ ...seen, facts: { ...seen.facts, ip_address: 'localhost' } }, 'agent.report: facts.ip_address'],
      [{ ...seen, facts: { ...seen.facts, booted_at: 'yesterday' } }, 'agent.report: facts.booted_at'],
    ] as const) {
      expect(read(wrong)).toThrow(told);
    }
  });

  it('brings every field of every message type back', () => {
    const claim = { claim_id: ID, server_id: ID };
    const agent = { host: 'node-1', epoch: 3 };
    const messages = [
      envelope('server.requested', { server_id: ID }),
      envelope('server.deleted', { server_id: ID }),
      envelope('agent.report', aReport([DEVICE])),
      envelope('agent.heartbeat', { ...agent, sequence: 0, hash: '0'.repeat(64) }),
      envelope('devices.prepare', {
        ...claim,
        devices: [{ address: '0000:83:00.0', vendor_id: '10de', product_id: '1bb0' }],
      }),
      envelope('devices.release', claim),
      envelope('devices.release', { ...claim, split_from: { claim_id: ID, addresses: ['0000:83:00.0'] } }),
      envelope('report.request', {}),
      envelope('report.request', { reason: 'a sweep' }),
      envelope('agent.reload', {}),
      envelope('agent.reload', { reason: 'asked for' }),
      envelope('journal.request', { asked_at: '2026-03-01T12:00:00.250Z' }),
      envelope('sriov.set', { revision: 1, wishes: [] }),
      envelope('sriov.set', { revision: 1_764_300_000_000, wishes: [{ ...WISH, autoprobe: null, vfs: null }] }),
      envelope('sriov.set', { revision: 2, wishes: [{ ...WISH, autoprobe: true, vfs: { '*': { trust: true } } }] }),
      envelope('device_claims.set', { revision: 1, claims: [] }),
      envelope('device_claims.set', { revision: 2, claims: [DEVICE_CLAIM, { ...DEVICE_CLAIM, ends: true }] }),
      envelope('agent.journal', { ...agent, asked_at: '2026-03-01T12:00:00.250Z', claims: [] }),
      envelope('agent.journal', {
        ...agent,
        asked_at: '2026-03-01T12:00:00.250Z',
        claims: [{ ...claim, state: 'releasing', addresses: ['0000:83:00.0'] }],
      }),
      envelope('agent.report', withConfiguration(CONFIGURATION)),
      envelope(
        'agent.report',
        withConfiguration({ ...CONFIGURATION, problem: 'nova.conf:3: …', needs_restart: ['a'] }),
      ),
      envelope('agent.report', withConfiguration(null)),
      envelope('devices.prepared', {
        ...agent,
        ...claim,
        bindings: [{ address: '0000:83:00.0', driver: 'vfio-pci', original_driver: null, iommu_group: null }],
      }),
      envelope('devices.prepare_failed', {
        ...agent,
        ...claim,
        code: 'binding.failed',
        message: 'Ünïcode, and "quotes"',
        address: null,
        step: 'unbind',
        errno: 'EBUSY',
      }),
      envelope('devices.released', {
        ...agent,
        ...claim,
        devices: [{ address: '0000:83:00.0', outcome: 'driverless', driver: null }],
      }),
      envelope('devices.released', {
        ...agent,
        ...claim,
        devices: [{ address: '0000:83:00.0', outcome: 'driverless', driver: null, ...NOT_RESTORED }],
      }),
      envelope('devices.prepare', { ...claim, devices: [], adopt: true }),
      envelope('agent.report', aReport([{ ...DEVICE, binding_problem: BLOCKED }])),
    ];
    for (const message of messages) {
      expect(decodeEnvelope(encodeEnvelope(message, BYTES_MAX), BYTES_MAX)).toEqual(message);
    }
  });

  it('keeps the hash of facts without a configuration: older agents have none', () => {
    const report = aReport([DEVICE]);
    const bytes = encodeEnvelope(envelope('agent.report', report), BYTES_MAX);
    const { facts } = decodeEnvelope(bytes, BYTES_MAX).body as AgentReport;
    expect(contentHash(facts)).toBe(contentHash(report.facts));
    expect(contentHash(withConfiguration(CONFIGURATION).facts)).not.toBe(contentHash(report.facts));
  });

  it('stamps a new id and the time', () => {
    const at = new Date('2026-03-01T12:00:00.250Z');
    const [one, two] = [envelope('report.request', {}, at), envelope('report.request', {}, at)];
    expect(one.sent_at).toBe('2026-03-01T12:00:00.250Z');
    expect(one.id).not.toBe(two.id);
  });

  it('brings a report of 2,000 devices back', () => {
    const devices = Array.from({ length: 2_000 }, (_, index) => ({ ...DEVICE, iommu_group: index }));
    const bytes = encodeEnvelope(envelope('agent.report', aReport(devices)), BYTES_MAX);
    expect(bytes.length).toBeGreaterThan(1_000_000);
    const { body } = decodeEnvelope(bytes, BYTES_MAX);
    expect((body as AgentReport).devices).toEqual(devices);
  });

  it('takes a message of exactly the limit and none that is a byte longer', () => {
    const bytes = encodeEnvelope(envelope('report.request', { reason: 'ü' }), BYTES_MAX);
    expect(decodeEnvelope(bytes, bytes.length)).toMatchObject({ body: { reason: 'ü' } });
    const tooLarge = {
      code: 'message.too_large',
      message: `A message of ${bytes.length} bytes is above the limit of ${bytes.length - 1}`,
    };
    expect(thrownBy(() => decodeEnvelope(bytes, bytes.length - 1))).toMatchObject(tooLarge);
    const same = decodeEnvelope(bytes, bytes.length);
    expect(thrownBy(() => encodeEnvelope(same, bytes.length - 1))).toMatchObject(tooLarge);
  });

  it('does not let a sender send what no receiver takes', () => {
    const message = envelope('server.requested', { server_id: 'mine' });
    expect(thrownBy(() => encodeEnvelope(message, BYTES_MAX))).toMatchObject({
      code: 'message.invalid',
      message: 'server.requested: server_id: server_id must be a UUID',
    });
  });

  it('takes a message with a field of a later version beside the body', () => {
    const bytes = Buffer.from(JSON.stringify({ ...envelope('report.request', {}), trace: 'abc' }));
    expect(decodeEnvelope(bytes, BYTES_MAX)).not.toHaveProperty('trace');
  });
});

const GOOD = { id: ID, type: 'server.requested', sent_at: '2026-03-01T12:00:00Z', body: { server_id: ID } };
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
const withDevice = (change: object) => ({
  ...GOOD,
  type: 'agent.report',
  body: aReport([DEVICE, { ...DEVICE, ...change }]),
});
const withFacts = (change: object) => ({
  ...GOOD,
  type: 'agent.report',
  body: { ...aReport([]), facts: { ...aReport([]).facts, ...change } },
});
const withReport = (change: object) => ({ ...GOOD, type: 'agent.report', body: { ...aReport([]), ...change } });

const withJournal = (change: object) => ({
  ...GOOD,
  type: 'agent.journal',
  body: { host: 'node-1', epoch: 1, asked_at: '2026-03-01T12:00:00Z', claims: [], ...change },
});

describe('a malformed message', () => {
  it.each<[string, Buffer | string | object, string]>([
    ['nothing', '', 'A message is not JSON in UTF-8'],
    ['no JSON', '{"id":', 'A message is not JSON in UTF-8'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), 'A message is not JSON in UTF-8'],
    ['null', 'null', 'a message is a JSON object'],
    ['an array', [GOOD], 'a message is a JSON object'],
    ['a text', '"hello"', 'a message is a JSON object'],
    ['no id', { ...GOOD, id: undefined }, 'id: a UUID is needed'],
    ['an id of dashes', { ...GOOD, id: '-'.repeat(36) }, 'id: a UUID is needed'],
    ['no type', { ...GOOD, type: undefined }, 'type: undefined is not a message type'],
    ['an unknown type', { ...GOOD, type: 'server.exploded' }, 'type: "server.exploded" is not a message type'],
    ['a type that objects inherit', { ...GOOD, type: 'constructor' }, 'type: "constructor" is not a message type'],
    [
      'a type that is no text',
      { ...GOOD, type: ['server.requested'] },
      'type: ["server.requested"] is not a message type',
    ],
    [
      'a device that hangs in no known way',
      {
        ...{ ...GOOD, type: 'agent.report' },
        body: aReport([{ ...DEVICE, binding_problem: { ...BLOCKED, state: 'lost' } as never }]),
      },
      'agent.report: devices.0.binding_problem.state',
    ],
    [
      'a remedy as long as a book',
      {
        ...{ ...GOOD, type: 'devices.released' },
        body: {
          ...{ host: 'node-1', epoch: 3, claim_id: ID, server_id: ID },
          devices: [{ address: '0000:83:00.0', outcome: 'driverless', driver: null, remedy: 'x'.repeat(1001) }],
        },
      },
      'devices.released: devices.0.remedy',
    ],
    [
      'a part of no claim',
      { ...GOOD, type: 'devices.release', body: { claim_id: ID, server_id: ID, split_from: { addresses: [] } } },
      'devices.release: split_from.claim_id: claim_id must be a UUID',
    ],
    [
      'a question of no time',
      { ...GOOD, type: 'journal.request', body: { asked_at: 'now' } },
      'journal.request: asked_at: asked_at must be a valid ISO 8601 date string',
    ],
    ['a journal of no host', withJournal({ host: 'a/b' }), 'agent.journal: host: host must match '],
    ['a journal of no life', withJournal({ epoch: 0 }), 'agent.journal: epoch: epoch must not be less than 1'],
    [
      'a journal with a claim in no state',
      withJournal({ claims: [{ claim_id: ID, server_id: ID, state: 'lost', addresses: [] }] }),
      'agent.journal: claims.0.state: state must be one of ',
    ],
    [
      'a journal with a path for an address',
      withJournal({ claims: [{ claim_id: ID, server_id: ID, state: 'prepared', addresses: ['../../etc'] }] }),
      'agent.journal: claims.0.addresses: each value in addresses must match ',
    ],
    [
      'a journal of too many claims',
      withJournal({
        claims: Array.from({ length: 16_385 }, () => {
          return { claim_id: ID, server_id: ID, state: 'prepared', addresses: [] };
        }),
      }),
      'agent.journal: claims: claims must contain no more than 16384 elements',
    ],
    ['no time', { ...GOOD, sent_at: undefined }, 'sent_at: an ISO 8601 time is needed'],
    ['a time in words', { ...GOOD, sent_at: 'March 1' }, 'sent_at: an ISO 8601 time is needed'],
    ['a 13th month', { ...GOOD, sent_at: '2026-13-01T00:00:00Z' }, 'sent_at: an ISO 8601 time is needed'],
    ['no body', { ...GOOD, body: null }, 'body: an object is needed'],
    ['a list as body', { ...GOOD, body: [] }, 'body: an object is needed'],
    ['an empty body', { ...GOOD, body: {} }, 'server.requested: server_id: server_id must be a UUID'],
    [
      'an unknown field',
      { ...GOOD, body: { server_id: ID, owner: 1 } },
      'server.requested: owner: property owner should not exist',
    ],
    [
      'a body without end',
      `{"id":"${ID}","type":"server.requested","sent_at":"2026-03-01T12:00:00Z","body":${deep(100_000)}}`,
      'server.requested: the body cannot be read; is it nested too deeply?',
    ],
    ['a host that names another queue', withReport({ host: 'a.#' }), 'agent.report: host: host must match'],
    ['an epoch of zero', withReport({ epoch: 0 }), 'agent.report: epoch: epoch must not be less than 1'],
    ['a hash of another length', withReport({ hash: 'ab' }), 'agent.report: hash: hash must match'],
    ['facts left out', withReport({ facts: undefined }), 'agent.report: facts: facts must be an object'],
    ['a link left out', withDevice({ link: undefined }), 'agent.report: devices.1.link: link must be an object'],
    ['an offer that is a list', withDevice({ offer: [] }), 'agent.report: devices.1.offer: offer must be an object'],
    ['devices as an object', withReport({ devices: {} }), 'agent.report: devices: devices must '],
    [
      'too many devices',
      withReport({ devices: Array.from({ length: 16_385 }, () => null) }),
      'agent.report: devices: devices must contain no more than 16384 elements',
    ],
    ['null for a device', withReport({ devices: [null] }), 'agent.report: devices.0: each value'],
    [
      'an address in capitals',
      withDevice({ address: '0000:AF:00.0' }),
      'agent.report: devices.1.address: address must match',
    ],
    ['a number for an id', withDevice({ vendor_id: 4318 }), 'agent.report: devices.1.vendor_id: vendor_id must match'],
    [
      'an unknown device type',
      withDevice({ device_type: 'type-X' }),
      'agent.report: devices.1.device_type: device_type must be one of',
    ],
    [
      'the kernel’s -1 for a NUMA node',
      withDevice({ numa_node: -1 }),
      'agent.report: devices.1.numa_node: numa_node must not be less than 0',
    ],
    ['a long serial number', withDevice({ serial_number: 'x'.repeat(256) }), 'devices.1.serial_number: '],
    ['ACS that says perhaps', withDevice({ acs_redirect: 'perhaps' }), 'devices.1.acs_redirect: '],
    ['an original without interfaces', withDevice({ original: { driver: null } }), 'devices.1.original.netdevs: '],
    [
      'a CPU with a long feature',
      withFacts({ capabilities: { ...ABLE, cpu_features: ['x'.repeat(65)] } }),
      'cpu_features',
    ],
    [
      'too many features',
      withFacts({ capabilities: { ...ABLE, cpu_features: Array(1025).fill('x') } }),
      'cpu_features',
    ],
    [
      'a hypervisor version as text',
      withFacts({ capabilities: { ...ABLE, hypervisor_version: '8' } }),
      'hypervisor_version',
    ],
    [
      'capabilities without architecture',
      withFacts({ capabilities: { cpu_features: [] } }),
      'capabilities.architecture',
    ],
    ['less than nothing reserved', withFacts({ reserved: { vcpus: -1, memory_mb: 0, disk_gb: 0 } }), 'reserved.vcpus'],
    ['half of what is reserved', withFacts({ reserved: { vcpus: 1, memory_mb: 0 } }), 'reserved.disk_gb'],
    [
      'a configuration read at no time',
      withFacts({ configuration: { ...CONFIGURATION, loaded_at: 'yesterday' } }),
      'agent.report: facts.configuration.loaded_at: loaded_at must be a valid ISO 8601 date string',
    ],
    [
      'a configuration with too long a problem',
      withFacts({ configuration: { ...CONFIGURATION, problem: 'x'.repeat(2001) } }),
      'agent.report: facts.configuration.problem: problem must be shorter than or equal to 2000 characters',
    ],
    [
      'a configuration that does not say what needs a restart',
      withFacts({ configuration: { ...CONFIGURATION, needs_restart: undefined } }),
      'agent.report: facts.configuration.needs_restart: ',
    ],
    [
      'a reload for a long reason',
      { ...GOOD, type: 'agent.reload', body: { reason: 'x'.repeat(501) } },
      'agent.reload: ',
    ],
    [
      'VFs of no PF',
      { ...GOOD, type: 'sriov.set', body: { revision: 1, wishes: [{ ...WISH, address: '../x' }] } },
      'sriov.set: wishes.0.address: address must match ',
    ],
    [
      'too many VFs',
      { ...GOOD, type: 'sriov.set', body: { revision: 1, wishes: [{ ...WISH, vf_count: 65_536 }] } },
      'sriov.set: wishes.0.vf_count: vf_count must not be greater than 65535',
    ],
    [
      'a wish of no number',
      { ...GOOD, type: 'sriov.set', body: { wishes: [] } },
      'sriov.set: revision: revision must ',
    ],
    [
      'VFs in an unknown state',
      withFacts({ sriov: [{ ...VFS_TOLD, state: 'applying' }] }),
      'agent.report: facts.sriov.0.state: state must be one of ',
    ],
    [
      'a device claim on a path',
      {
        ...GOOD,
        type: 'device_claims.set',
        body: {
          revision: 1,
          claims: [{ ...DEVICE_CLAIM, devices: [{ ...DEVICE_CLAIM.devices[0], address: '../x' }] }],
        },
      },
      'device_claims.set: claims.0.devices.0.address: address must match ',
    ],
    [
      'a device claim on nothing',
      { ...GOOD, type: 'device_claims.set', body: { revision: 1, claims: [{ ...DEVICE_CLAIM, devices: [] }] } },
      'device_claims.set: claims.0.devices: devices must contain at least 1 elements',
    ],
    [
      'a device claim in an unknown state',
      withFacts({ device_claims: [{ ...DEVICE_CLAIM_TOLD, state: 'pending' }] }),
      'agent.report: facts.device_claims.0.state: state must be one of ',
    ],
    ['a field left out', withDevice({ driver: undefined }), 'agent.report: devices.1.driver: driver must be'],
    [
      'a wrong field two levels down',
      withDevice({ link: { ...DEVICE.link, max_width: 1.5 } }),
      'agent.report: devices.1.link.max_width: max_width must be an integer number',
    ],
  ])('%s: says what is wrong', (_what, message, problem) => {
    const bytes = Buffer.isBuffer(message)
      ? message
      : Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
    const error = thrownBy(() => decodeEnvelope(bytes, BYTES_MAX));
    expect(error).toBeInstanceOf(BerthError);
    expect(error).toMatchObject({ code: 'message.invalid', message: expect.stringContaining(problem) });
    expect((error as Error).message.length).toBeLessThan(400);
  });

  it('never throws anything but a BerthError, whatever the bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array().map((array) => Buffer.from(array)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .record({ type: fc.constantFrom('agent.report', 'devices.prepare', 'devices.released'), body: fc.jsonValue() })
        .map((part) => Buffer.from(JSON.stringify({ ...GOOD, ...part }))),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        expect(thrownBy(() => decodeEnvelope(input, BYTES_MAX))).toBeInstanceOf(BerthError);
      }),
    );
  });
});

describe('wire device', () => {
  it('is the same device after its journey', () => {
    fc.assert(
      fc.property(fc.array(devices, { minLength: 1, maxLength: 3 }), (sent) => {
        const message = envelope('agent.report', aReport(sent.map(toWireDevice)));
        const { body } = decodeEnvelope(encodeEnvelope(message, BYTES_MAX), BYTES_MAX);
        expect((body as AgentReport).devices.map(fromWireDevice)).toEqual(sent);
      }),
    );
  });

  it('of an agent that knows no serial numbers and no ACS is taken, and its hash stays that of what was sent', () => {
    const { serial_number: _none, acs_redirect: _neither, ...old } = DEVICE;
    const bytes = Buffer.from(JSON.stringify(envelope('agent.report', aReport([old]))));
    const { devices: taken } = decodeEnvelope(bytes, BYTES_MAX).body as AgentReport;
    expect(contentHash(taken)).toBe(contentHash([old]));
    expect(taken.map(fromWireDevice)).toMatchObject([{ serialNumber: null, acsRedirect: null }]);
    expect(taken.map(fromWireDevice)[0]).not.toHaveProperty('original');
  });

  it.each([
    ['a number', { rack: 7 }, 'device 0000:83:00.0: tag "rack" is not a short text or null'],
    ['an object', { rack: {} }, 'device 0000:83:00.0: tag "rack" is not a short text or null'],
    ['a long text', { rack: 'x'.repeat(256) }, 'device 0000:83:00.0: tag "rack" is not a short text or null'],
    [
      'a long name',
      { ['x'.repeat(256)]: 'y' },
      `device 0000:83:00.0: tag "${'x'.repeat(60)}" is not a short text or null`,
    ],
    [
      'too many',
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`t${i}`, 'y'])),
      'device 0000:83:00.0: more than 64 tags',
    ],
  ])('refuses tags with %s', (_what, tags, message) => {
    const wire = { ...DEVICE, offer: { ...DEVICE.offer, tags } } as WireDevice;
    expect(thrownBy(() => fromWireDevice(wire))).toMatchObject({ code: 'message.invalid', message });
  });
});

const hex = (digits: number) =>
  fc.integer({ min: 0, max: 16 ** digits - 1 }).map((value) => value.toString(16).padStart(digits, '0'));
const orNull = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: null });
const text = fc.string({ maxLength: 32, unit: 'grapheme-ascii' });
const whole = (max: number) => fc.integer({ min: 0, max });
const addresses = fc
  .tuple(hex(4), hex(2), whole(31), whole(7))
  .map(([domain, bus, slot, fn]) => `${domain}:${bus}:${slot.toString(16).padStart(2, '0')}.${fn}` as Address);
const facts = fc.record({
  address: addresses,
  vendorId: hex(4),
  productId: hex(4),
  classCode: hex(6),
  subsystemVendorId: orNull(hex(4)),
  subsystemProductId: orNull(hex(4)),
  revision: orNull(hex(2)),
  serialNumber: orNull(text),
  deviceType: fc.constantFrom(...DEVICE_TYPES),
  parentAddress: orNull(addresses),
  numaNode: orNull(whole(65_535)),
  driver: orNull(text),
  iommuGroup: orNull(whole(1_000_000)),
  sriov: orNull(fc.record({ totalVfs: whole(65_535), numVfs: whole(65_535) })),
  netdevs: fc.array(text, { maxLength: 4 }),
  pciePath: fc.array(text, { maxLength: 4 }),
  acsRedirect: orNull(fc.boolean()),
  link: orNull(
    fc.record({
      currentSpeed: orNull(text),
      maxSpeed: orNull(text),
      currentWidth: orNull(whole(32)),
      maxWidth: orNull(whole(32)),
    }),
  ),
  resetMethods: fc.array(text, { maxLength: 4 }),
  offer: orNull(
    fc.record({
      entry: whole(100),
      tags: fc.dictionary(hex(6), orNull(text), { maxKeys: 5, noNullPrototype: true }),
      resourceClass: orNull(text),
      traits: fc.array(text, { maxLength: 4 }),
    }),
  ),
  notOffered: orNull(text),
});
const originals = fc.record({ driver: orNull(text), netdevs: fc.array(text, { maxLength: 4 }) });
const devices: fc.Arbitrary<ReportedDevice> = fc
  .tuple(facts, fc.option(originals, { nil: undefined }))
  .map(([device, original]) => (original ? { ...device, original } : device));

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
