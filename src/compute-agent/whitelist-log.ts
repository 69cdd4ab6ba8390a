import { COVERAGE_PAIRS_MAX, coverDeviceSpecs, findingsOf } from '../pci/device-spec/device-spec-coverage.js';
import type { DeviceSpec } from '../pci/device-spec/device-spec.js';
import type { ReportedDevice } from '../pci/device.js';
import type { AgentLog } from './agent-log.js';

const TOLD_MAX = 20;

/** Warns of whitelist entries that mean nothing on this host: of each when that becomes so, not at every scan. */
export class WhitelistLog {
  private known = new Set<string>();

  constructor(
    private readonly host: string,
    private readonly log: AgentLog,
  ) {}

  tell(specs: readonly DeviceSpec[], devices: readonly ReportedDevice[]): void {
    const now = problemsOf(specs, devices);
    const fresh = now.filter((problem) => !this.known.has(problem));
    this.known = new Set(now);
    for (const problem of fresh.slice(0, TOLD_MAX)) {
      this.log('warn', 'A device_spec entry has no effect', { host: this.host, problem });
    }
    const left = fresh.length - TOLD_MAX;
    if (left > 0) this.log('warn', 'More device_spec entries have no effect', { host: this.host, left });
  }
}

function problemsOf(specs: readonly DeviceSpec[], devices: readonly ReportedDevice[]): string[] {
  if (specs.length * devices.length > COVERAGE_PAIRS_MAX) {
    return [`${specs.length} entries and ${devices.length} devices are too many to look for entries without effect`];
  }
  return findingsOf(specs, coverDeviceSpecs(specs, devices)).map(({ message }) => message);
}
