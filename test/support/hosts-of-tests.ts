import { onTestFinished } from 'vitest';
import { scanHost, type HostScan, type ScanSettings } from '../../src/compute-agent/sysfs-scanner.js';
import { temporaryHost, type HostOnDisk } from './hosts.js';

/** A host that is gone when the test is over. */
export async function onDisk(host: Parameters<typeof temporaryHost>[0]): Promise<HostOnDisk> {
  const [written, remove] = await temporaryHost(host);
  onTestFinished(remove);
  return written;
}

/** What an agent without a whitelist sees there. */
export function scan(host: HostOnDisk, more: Partial<ScanSettings> = {}): Promise<HostScan> {
  return scanHost({
    ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory },
    ...{ kernel: 'simulated', readOnly: false, deviceSpecs: [] },
    resources: { vcpus: null, memoryMb: null, diskGb: null },
    ...more,
  });
}
