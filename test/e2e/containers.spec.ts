import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost, sriovNicHost } from '../support/hosts.js';
import { eventually } from '../support/rest-client.js';

const NIC = '0000:81:00.0';
const PATIENCE_MS = 30_000;

interface Shown {
  readonly devices: readonly { address: string; driver: string; netdev: string | null; vfio: string | null }[];
  readonly container: { cdi_spec: object; cdi_run_args: string[]; run_args: string[] } | null;
}

describe('servers whose devices go into containers', () => {
  let fleet: Fleet;
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-cdi-'));
    const agent = (host: string, spec: string): string =>
      `agent:\n  compute_driver: cdi\n  cdi_dir: ${join(directory, host)}\n  device_spec:\n    - ${spec}\n`;
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: [
        {
          ...{ name: 'gpu-1', tree: charmsGuideHost('gpu-1') },
          config: { 'agent.yaml': agent('gpu-1', `{ vendor_id: '10de', product_id: '1bb0' }`) },
        },
        {
          ...{ name: 'nic-1', tree: sriovNicHost('nic-1', 0) },
          config: {
            'agent.yaml': agent('nic-1', `{ address: '${NIC}', physical_network: physnet1, handover: netdev }`),
          },
        },
      ],
      apiConfig: {
        'api.conf': `[pci]\nalias = {"vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "name": "gpu"}\n`,
      },
    });
  });
  afterAll(async () => {
    await fleet?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const files = (host: string): Promise<string[]> => readdir(join(directory, host));
  const shown = (id: string): Promise<Shown> => fleet.rest.get(`/v1/servers/${id}`);

  it('finds what REST tells of a server in the file that the runtime reads, until the server goes', async () => {
    const { id, status } = await fleet.rest.place({ name: 'training', devices: 'gpu:2' });
    expect(status, fleet.tails()).toBe('ACTIVE');
    const { container } = await shown(id);
    expect(await files('gpu-1')).toEqual([`berth-${id}.json`]);
    expect(JSON.parse(await readFile(join(directory, 'gpu-1', `berth-${id}.json`), 'utf8'))).toEqual(
      container?.cdi_spec,
    );
    expect(container?.cdi_run_args[0]).toBe(`--device=berth.dev/pci=${id}`);
    await fleet.rest.remove(id);
    expect(await files('gpu-1')).toEqual([]);
    expect(fleet.agent('gpu-1').bound()).toEqual([]);
  });

  it('has the file again when the agent starts after a boot', async () => {
    const { id } = await fleet.rest.place({ name: 'training', devices: 'gpu:1' });
    const agent = fleet.agent('gpu-1');
    await agent.process.stop();
    await rm(join(directory, 'gpu-1'), { recursive: true });
    await agent.process.start();
    await eventually(PATIENCE_MS, async () => expect(await files('gpu-1')).toEqual([`berth-${id}.json`]));
    await fleet.rest.remove(id);
  });

  it('leaves a NIC to its driver, and names its interface', async () => {
    const before = fleet.agent('nic-1').devices()[NIC];
    const ports = [{ name: 'uplink', vnic_type: 'direct-physical', physical_network: 'physnet1' }];
    const { id, status, fault } = await fleet.rest.place({ name: 'router', ports });
    expect(status, `${JSON.stringify(fault)}\n${fleet.tails()}`).toBe('ACTIVE');
    expect(fleet.agent('nic-1').devices()[NIC]).toEqual(before);
    const { devices, container } = await shown(id);
    expect(devices).toMatchObject([{ address: NIC, driver: before?.driver, netdev: expect.any(String), vfio: null }]);
    expect(container?.run_args).toEqual([`--env=PCIDEVICE_BERTH_DEV_PCI=${NIC}`]);
    expect(await files('nic-1')).toEqual([`berth-${id}.json`]);
    await fleet.rest.remove(id);
    expect(await files('nic-1')).toEqual([]);
    expect(fleet.agent('nic-1').claims()).toEqual([]);
  });
});
