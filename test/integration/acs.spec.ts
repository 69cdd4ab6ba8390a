import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { PCI_DEVICES } from '../../src/compute-agent/device-reader.js';
import { readPort } from '../../src/compute-agent/port-config.js';
import { scanHost } from '../../src/compute-agent/sysfs-scanner.js';
import { isBridge } from '../../src/pci/device.js';
import { eightGpuHost, randomHost, temporaryHost, type HostOnDisk } from '../support/hosts.js';
import { needLspci } from '../support/pciutils.js';
import { run } from '../support/processes.js';

beforeAll(needLspci, 600_000);

/** What lspci, written by others, reads of a port: `[is it one of the two kinds, does it redirect]`. */
async function toldByLspci(host: HostOnDisk, address: string): Promise<[kind: string, redirects: boolean]> {
  const access = ['-A', 'linux-sysfs', '-O', `sysfs.path=${host.sysfs}/bus/pci`];
  const { stdout } = await run('lspci', [...access, '-vvn', '-s', address]);
  const [, type] = /Express \(v\d\) (Root Port|Downstream Port)/.exec(stdout) ?? [];
  const kind = type === undefined ? 'other' : type === 'Root Port' ? 'root' : 'downstream';
  return [kind, kind !== 'other' && /ACSCtl:.*(?:ReqRedir|CmpltRedir)\+/.test(stdout)];
}

describe('ACS of ports', () => {
  const trees = ['small', 'full', 'accel', 'legacy', 'noiommu', eightGpuHost('eight-gpus'), randomHost(3)];

  it.each(trees.map((tree) => [typeof tree === 'string' ? tree : tree.name, tree] as const))(
    'of %s is what lspci says',
    async (_name, tree) => {
      const [host, remove] = await temporaryHost(tree);
      try {
        const { devices } = await scanHost({
          ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory, kernel: 'simulated' },
          ...{ readOnly: false, deviceSpecs: [], resources: { vcpus: 1, memoryMb: 1, diskGb: 1 } },
        });
        const bridges = devices.filter((device) => isBridge(device)).map(({ address }) => address);
        expect(bridges.length).toBeGreaterThan(2);
        for (const address of bridges) {
          const bytes = await readFile(join(host.sysfs, PCI_DEVICES, address, 'config'));
          const port = readPort((offset, length) => bytes.subarray(offset, offset + length));
          expect([address, port?.kind, port?.redirects]).toEqual([address, ...(await toldByLspci(host, address))]);
        }
      } finally {
        await remove();
      }
    },
  );
});
