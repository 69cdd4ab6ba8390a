import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cdiDeviceName, cdiSpec } from '../../src/pci/container/cdi-spec.js';
import { cdiRunArguments, runArguments } from '../../src/pci/container/run-arguments.js';
import { ip } from '../support/netdevs.js';
import { openPodman, podmanMissing, type Podman } from '../support/podman.js';

const OTHER = '5b1f7a3e-4c52-4a57-9d0e-2f6f7f0c9a12';
const SERVER = '0b1f7a3e-4c52-4a57-9d0e-2f6f7f0c9a11';
/** Of an interface there is one for each test run; its name has at most 15 characters. */
const NETDEV = `btp${process.pid % 1_000_000}`;
const DEVICES = [
  { address: '0000:0a:10.2', vfioGroup: 7 },
  { address: '0000:83:00.0', vfioGroup: 25 },
  { address: '0000:83:00.1', vfioGroup: 25 },
];
/** What a container sees of its devices. */
const LOOK = 'ls /dev/vfio | sort; env | grep ^PCIDEVICE_ | sort';

const missing = await podmanMissing();
if (missing !== null) process.stderr.write(`Containers are not tried: ${missing}\n`);

describe.skipIf(missing !== null)('podman', () => {
  let podman: Podman;
  beforeAll(async () => {
    podman = await openPodman(['vfio', '7', '25', '99']);
    await writeFile(join(podman.cdi, `berth-${SERVER}.json`), JSON.stringify(cdiSpec(SERVER, DEVICES)));
  });
  afterAll(() => podman?.close());

  const lines = (text: string): string[] => text.trim().split('\n');

  it('gives a container all devices of a server by its name', async () => {
    const seen = await podman.runShell([`--device=${cdiDeviceName(SERVER)}`], LOOK);
    const addresses = '0000:0a:10.2,0000:83:00.0,0000:83:00.1';
    expect(lines(seen)).toEqual(['25', '7', 'vfio', `PCIDEVICE_BERTH_DEV_PCI=${addresses}`]);
  });

  it('gives a container single devices by their addresses, and not the others', async () => {
    const one = await podman.runShell([`--device=${cdiDeviceName('0000:0a:10.2')}`], LOOK);
    expect(lines(one)).toEqual(['7', 'vfio', 'PCIDEVICE_BERTH_DEV_PCI_0000_0A_10_2=0000:0a:10.2']);
    const both = ['0000:0a:10.2', '0000:83:00.1'].map((address) => `--device=${cdiDeviceName(address)}`);
    expect(lines(await podman.runShell(both, LOOK))).toEqual([
      ...['25', '7', 'vfio'],
      'PCIDEVICE_BERTH_DEV_PCI_0000_0A_10_2=0000:0a:10.2',
      'PCIDEVICE_BERTH_DEV_PCI_0000_83_00_1=0000:83:00.1',
    ]);
  });

  it('refuses what no file names', async () => {
    const other = podman.runShell([`--device=${cdiDeviceName('0000:84:00.0')}`], LOOK);
    await expect(other).rejects.toMatchObject({ stderr: expect.stringContaining('unresolvable CDI devices') });
  });

  it('has the interface of a device taken into the container, before its program starts', async () => {
    const nic = { address: '0000:21:00.0', vfioGroup: null, netdev: NETDEV };
    await writeFile(join(podman.cdi, `berth-${OTHER}.json`), JSON.stringify(cdiSpec(OTHER, [nic])));
    await ip(`link add ${NETDEV} type veth peer name ${NETDEV}b`);
    try {
      // Annotations are in what the hook reads, before and behind the number that it wants.
      const words = [
        `--device=${cdiDeviceName(OTHER)}`,
        ...['a', 'z'].map((key) => `--annotation="${key}=""pid"": 1"`),
      ];
      const seen = await podman.runShell(words, 'cat /proc/net/dev; ls /dev/vfio 2>&1 || true');
      expect(seen).toContain(`${NETDEV}:`);
      expect(seen).toContain('No such file');
    } finally {
      await ip(`link del ${NETDEV}b`).catch(() => undefined);
    }
    const gone = podman.runShell([`--device=${cdiDeviceName(OTHER)}`], 'true');
    await expect(gone).rejects.toMatchObject({ stderr: expect.stringContaining('hook') });
  });

  it('takes the arguments for runtimes without CDI, and the limit of both kinds', async () => {
    for (const words of [runArguments(DEVICES), cdiRunArguments(SERVER, DEVICES)]) {
      const id = (await podman.call('create', '--network=none', ...words, '--rootfs', '/', 'true')).trim();
      const [{ HostConfig: made }] = JSON.parse(await podman.call('inspect', id)) as [{ HostConfig: object }];
      expect(made).toMatchObject({
        Ulimits: expect.arrayContaining([{ Name: 'RLIMIT_MEMLOCK', Soft: -1, Hard: -1 }]),
      });
      await podman.call('rm', id);
    }
    // A limit that this process may not raise would keep the container from starting.
    const files = runArguments(DEVICES).filter((word) => !word.startsWith('--ulimit'));
    const addresses = '0000:0a:10.2,0000:83:00.0,0000:83:00.1';
    expect(lines(await podman.runShell(files, LOOK))).toEqual([
      ...['25', '7', 'vfio'],
      `PCIDEVICE_BERTH_DEV_PCI=${addresses}`,
    ]);
  });
});
