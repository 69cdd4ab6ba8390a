import { COVERAGE_PAIRS_MAX, coverDeviceSpecs, findingsOf } from '../../pci/device-spec/device-spec-coverage.js';
import type { DeviceSpec } from '../../pci/device-spec/device-spec.js';
import type { ReportedDevice } from '../../pci/device.js';
import { someOf, type HostFinding } from './finding.js';

/** What the whitelist makes of this host. */
export function whitelistFindings(specs: readonly DeviceSpec[], devices: readonly ReportedDevice[]): HostFinding[] {
  if (specs.length === 0) {
    return [
      {
        level: 'warning',
        code: 'whitelist.empty',
        subject: null,
        read: 'the configuration has no device_spec entry',
        why: 'this host offers no device, and groups, drivers and displays cannot be judged',
        remedy: 'name the agent\'s configuration with --config; an entry is like device_spec: [{vendor_id: "10de"}]',
      },
    ];
  }
  return [offers(specs, devices), ...oddEntries(specs, devices)];
}

function offers(specs: readonly DeviceSpec[], devices: readonly ReportedDevice[]): HostFinding {
  const offered = devices.filter(({ offer }) => offer !== null).map(({ address }) => address);
  return {
    level: offered.length > 0 ? 'ok' : 'warning',
    code: offered.length > 0 ? 'whitelist.offers' : 'whitelist.offers_nothing',
    subject: null,
    read: `${specs.length} entries, ${devices.length} devices, ${offered.length} offered${offered.length > 0 ? `: ${someOf(offered)}` : ''}`,
    why: 'only what device_spec names is offered to servers',
    remedy: offered.length > 0 ? null : 'compare the ids and addresses of device_spec with lspci -nn',
  };
}

function oddEntries(specs: readonly DeviceSpec[], devices: readonly ReportedDevice[]): HostFinding[] {
  if (specs.length * devices.length > COVERAGE_PAIRS_MAX) return [];
  return findingsOf(specs, coverDeviceSpecs(specs, devices)).map(({ kind, entry, message }) => ({
    level: 'warning',
    code: `whitelist.${kind}`,
    subject: `entry ${entry + 1}`,
    read: message,
    why: 'the entry has no effect on this host',
    remedy:
      kind === 'dead'
        ? 'correct it, or remove it if no host of this configuration has such a device'
        : 'move it forward, or remove it',
  }));
}
