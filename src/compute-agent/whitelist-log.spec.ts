import { afterAll, beforeAll, expect, it } from 'vitest';
import { sriovNicHost, temporaryHost, type HostOnDisk } from '../../test/support/hosts.js';
import { type DeviceSpec } from '../pci/device-spec/device-spec.js';
import { parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import type { ReportedDevice } from '../pci/device.js';
import { scanHost } from './sysfs-scanner.js';
import { WhitelistLog } from './whitelist-log.js';

let host: HostOnDisk;
let remove: () => Promise<void>;
let devices: readonly ReportedDevice[];

beforeAll(async () => {
  [host, remove] = await temporaryHost(sriovNicHost('nic'));
  const scan = await scanHost({
    ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory },
    ...{ kernel: 'simulated', readOnly: false, deviceSpecs: [] },
    resources: { vcpus: 1, memoryMb: 1, diskGb: 1 },
  });
  devices = scan.devices;
});
afterAll(() => remove());

function parse(...entries: object[]): DeviceSpec[] {
  return parseDeviceSpecs(entries, 'agent.yaml', { freeTags: [] });
}

function aLog(): { readonly log: WhitelistLog; readonly lines: string[] } {
  const lines: string[] = [];
  const log = new WhitelistLog('nic', (level, message, fields) => {
    lines.push(`${level} ${message}: ${String(fields?.['problem'] ?? fields?.['left'])}`);
  });
  return { log, lines };
}

it('warns of an entry without effect once, and again after it had one', () => {
  const { log, lines } = aLog();
  const specs = parse({ vendor_id: '8086' }, { vendor_id: '1002' }, { vendor_id: '8086', product_id: '154c' });
  for (let scan = 0; scan < 3; scan++) log.tell(specs, devices);
  const dead = 'warn A device_spec entry has no effect: entry 2 (agent.yaml) matches no device of this host';
  expect(lines).toEqual([dead, expect.stringContaining('entry 3 (agent.yaml) never decides: entry 1') as string]);
  log.tell(specs, [...devices, { ...(devices.at(-1) as ReportedDevice), address: '0000:ff:00.0', vendorId: '1002' }]);
  expect(lines).toHaveLength(2);
  log.tell(specs, devices);
  expect(lines.slice(2)).toEqual([dead]);
});

it('says nothing of a whitelist that is sound', () => {
  const { log, lines } = aLog();
  log.tell(parse({ vendor_id: '8086' }), devices);
  log.tell([], devices);
  expect(lines).toEqual([]);
});

it('tells twenty, and how many more', () => {
  const { log, lines } = aLog();
  log.tell(parse(...Array.from({ length: 25 }, (_, at) => ({ vendor_id: '1002', product_id: String(at) }))), devices);
  expect(lines).toHaveLength(21);
  expect(lines.at(-1)).toBe('warn More device_spec entries have no effect: 5');
});

it('does not look through what would take long', () => {
  const { log, lines } = aLog();
  const [entry] = parse({}) as [DeviceSpec];
  const many = Array.from({ length: 10_000 }, () => devices[0] as ReportedDevice);
  log.tell(Array<DeviceSpec>(10_000).fill(entry), many);
  expect(lines).toEqual([expect.stringContaining('10000 entries and 10000 devices are too many') as string]);
});
