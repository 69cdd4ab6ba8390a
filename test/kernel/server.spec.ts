import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Fleet } from '../support/fleet.js';
import { eventually } from '../support/rest-client.js';
import { kernelDevices, type KernelDevice } from './devices.js';
import { STATE_FOLDER, type GuestAgent } from './guest-agent.js';
import { bootMachine, type Machine } from './machine.js';
import { agentOf, HOST, listedDevices, PATIENCE_MS, placed, startService } from './service.js';
import { server } from './topologies.js';

/** Addresses in the topology `server`. */
const NIC = '0000:21:00.0';
const NVME_OF_VFS = '0000:22:00.0';
const VF = '0000:22:00.1';
const SLOT = ['0000:23:00.0', '0000:23:00.1'] as const;
const NVME = '0000:61:00.0';
const PLUGGED = '0000:01:00.0';
const SERVICE_NIC = '0000:00:02.0';
const BOOT_DISK = '0000:00:03.0';

/** What QEMU's own NVMe traces when the guest's kernel resets it. */
const FUNCTION_LEVEL_RESET = 'pci_nvme_pci_reset';

const ROUNDS = 20;

const ALIASES = `[pci]
alias = {"vendor_id": "8086", "product_id": "10d3", "device_type": "type-PCI", "name": "nic"}
alias = {"vendor_id": "1b36", "product_id": "0010", "device_type": "type-PF", "name": "nvme"}
alias = {"vendor_id": "1b36", "product_id": "0010", "device_type": "type-VF", "name": "nvme-vf"}
`;

describe('a server with two NUMA nodes, SR-IOV and a slot to plug into', () => {
  let machine: Machine;
  let service: Fleet;
  let agent: GuestAgent;

  beforeAll(async () => {
    [machine, service] = await Promise.all([bootMachine(server), startService(inject('databaseUrl'), ALIASES)]);
    await machine.exec(`cd /sys/bus/pci/devices/${NVME_OF_VFS}; echo 0 >sriov_drivers_autoprobe; echo 2 >sriov_numvfs`);
    const offered = [NIC, ...SLOT, NVME, VF, PLUGGED, SERVICE_NIC, BOOT_DISK].map(
      (address) => `{"address": "${address}"}`,
    );
    agent = await machine.startAgent(agentOf(service, offered));
    await service.rest.createFlavor('one-nic', { 'pci_passthrough:alias': 'nic:1' });
    await service.rest.createFlavor('one-nvme', { 'pci_passthrough:alias': 'nvme:1' });
    await service.rest.createFlavor('three-nics', { 'pci_passthrough:alias': 'nic:3' });
    await service.rest.createFlavor('all', { 'pci_passthrough:alias': 'nic:3,nvme:1,nvme-vf:1' });
  });

  afterAll(async () => {
    await service?.close();
    await machine?.stop();
  });

  /** What people need when an answer is not the expected one. */
  const seen = async (): Promise<string> => `${await agent.tail()}\n${machine.tail()}\n${service.tails()}`;

  const devicesAt = async (addresses: readonly string[]): Promise<(KernelDevice | undefined)[]> => {
    const devices = await kernelDevices(machine);
    return addresses.map((address) => devices.get(address));
  };

  it('lists its devices with the IOMMU groups and NUMA nodes that the kernel has', async () => {
    const inKernel = await kernelDevices(machine);
    const listed = await eventually(PATIENCE_MS, async () => {
      const devices = await listedDevices(service);
      expect(devices.size).toBeGreaterThan(0);
      return devices;
    });
    for (const device of listed.values()) {
      const real = inKernel.get(device.address);
      expect(real, device.address).toMatchObject({
        ids: `${device.vendor_id}:${device.product_id}`,
        driver: device.driver,
        iommuGroup: device.iommu_group,
        numaNode: device.numa_node,
      });
    }
    expect([...listed.keys()].toSorted()).toEqual([...inKernel.keys()].toSorted());
    expect(new Set(SLOT.map((address) => listed.get(address)?.iommu_group)).size).toBe(1);
    expect(listed.get(NIC)).toMatchObject({ driver: 'e1000e', numa_node: 0, offered: true });
    expect(listed.get(NVME)).toMatchObject({ driver: 'nvme', numa_node: 1, offered: true });
    expect(listed.get(VF)).toMatchObject({ driver: null, parent_address: NVME_OF_VFS, offered: true });
  });

  it('keeps what the machine itself needs, although the whitelist has it', async () => {
    const listed = await listedDevices(service);
    const ofNic = ['default_route', 'broker_connection'].map((code) => expect.objectContaining({ code }));
    expect(listed.get(SERVICE_NIC)).toMatchObject({
      offered: false,
      protection: { reasons: ofNic, overridden: false },
    });
    expect(listed.get(BOOT_DISK)).toMatchObject({
      ...{ driver: 'nvme', offered: false },
      protection: { reasons: [expect.objectContaining({ code: 'system_disk' })] },
    });
  });

  it(`gives a NIC, a slot of two functions, an NVMe and a VF to servers and has them back, ${ROUNDS} times over`, async () => {
    const addresses = [NIC, ...SLOT, NVME, VF];
    const before = await devicesAt(addresses);
    expect(before.map((device) => device?.driver)).toEqual(['e1000e', 'e1000e', 'e1000e', 'nvme', null]);
    for (let round = 1; round <= ROUNDS; round += 1) {
      const server = await placed(service, 'all');
      expect(server, await seen()).toMatchObject({ status: 'ACTIVE', host: HOST });
      expect(server.devices.map(({ address }) => address).toSorted()).toEqual(addresses.toSorted());
      const bound = await devicesAt(addresses);
      for (const device of bound) expect(device).toMatchObject({ driver: 'vfio-pci', override: 'vfio-pci', macs: [] });
      await machine.exec(`ls ${bound.map((device) => `/dev/vfio/${device?.iommuGroup}`).join(' ')}`);
      await service.rest.remove(server.id, PATIENCE_MS);
      expect(await devicesAt(addresses), `round ${round}`).toEqual(before);
    }
    expect(await machine.exec('ls /dev/vfio')).toBe('vfio');
  }, 900_000);

  it('resets what a server gives back as the kernel says that it can, and its driver goes on with it', async () => {
    const methods = `/sys/bus/pci/devices/${NVME}/reset_method`;
    expect((await listedDevices(service)).get(NVME)?.reset_methods).toEqual((await machine.read(methods)).split(' '));
    expect(await machine.read(methods)).toMatch(/\bflr\b/);
    await machine.qmp('trace-event-set-state', { name: FUNCTION_LEVEL_RESET, enable: true });
    const traced = (): number => machine.tail().split(FUNCTION_LEVEL_RESET).length - 1;
    const useIt = async (): Promise<void> => {
      const server = await placed(service, 'one-nvme');
      expect(server.devices, await seen()).toMatchObject([{ address: NVME }]);
      await service.rest.remove(server.id, PATIENCE_MS);
      await eventually(PATIENCE_MS, async () => {
        expect(await machine.exec(`cat /sys/bus/pci/devices/${NVME}/nvme/nvme*/state`)).toBe('live');
        expect((await listedDevices(service)).get(NVME)).toMatchObject({ driver: 'nvme', status: 'available' });
      });
    };
    await useIt();
    expect(traced(), machine.tail()).toBe(1);
    // an administrator who wrote no method wants no reset
    await machine.exec(`echo >${methods}`);
    await useIt();
    expect(traced()).toBe(1);
    await machine.exec(`echo default >${methods}`);
    await useIt();
    expect(traced()).toBe(2);
  });

  it('keeps a slot bound ahead of use, and gives it back at the end, though the agent dies in between', async () => {
    const path = `/v1/hosts/${HOST}/device-claims`;
    const before = await devicesAt(SLOT);
    const [first, second] = SLOT;
    const kept = await service.rest.send('POST', path, { address: SERVICE_NIC });
    expect([kept.status, JSON.stringify(kept.body)]).toEqual([409, expect.stringContaining('default route')]);
    const made = await service.rest.send<{ id: string }>('POST', path, { address: first, companions: [second] });
    expect(made.status, JSON.stringify(made.body)).toBe(202);
    const claim = `${path}/${made.body.id}`;
    await eventually(PATIENCE_MS, async () => {
      expect(await service.rest.get(claim), await seen()).toMatchObject({ state: 'enabled' });
    });
    const bound = await devicesAt(SLOT);
    for (const device of bound) expect(device).toMatchObject({ driver: 'vfio-pci', override: 'vfio-pci', macs: [] });
    const server = await placed(service, 'all');
    expect(server, await seen()).toMatchObject({ status: 'ACTIVE', host: HOST });
    await service.rest.remove(server.id, PATIENCE_MS);
    expect(await devicesAt(SLOT)).toEqual(bound);
    await machine.write('/run/dying', 'kernel 2');
    expect((await service.rest.send('DELETE', claim)).status).toBe(202);
    await afterDeath('driver_override');
    await eventually(PATIENCE_MS, async () => expect((await service.rest.send('GET', claim)).status).toBe(404));
    expect(await devicesAt(SLOT), await seen()).toEqual(before);
    const journal = JSON.parse(await machine.read(`${STATE_FOLDER}/device-claims/journal.json`)) as object;
    expect(journal).toMatchObject({ claims: [] });
    await nothingIsLeft();
  }, 400_000);

  it('offers a card within five seconds of its being plugged, and takes it back when it is pulled', async () => {
    await machine.qmp('device_add', {
      driver: 'e1000e',
      id: 'plugged',
      bus: 'empty',
      mac: '52:54:00:00:50:01',
      romfile: '',
    });
    await eventually(PATIENCE_MS, () => machine.exec(`[ -e /sys/bus/pci/devices/${PLUGGED} ]`));
    const seenAt = Date.now();
    await eventually(PATIENCE_MS, async () => {
      expect((await listedDevices(service)).get(PLUGGED)).toMatchObject({ offered: true, status: 'available' });
    });
    expect(Date.now() - seenAt).toBeLessThan(5_000);
    await machine.qmp('device_del', { id: 'plugged' });
    await eventually(PATIENCE_MS, () => machine.exec(`[ ! -e /sys/bus/pci/devices/${PLUGGED} ]`));
    await eventually(PATIENCE_MS, async () => {
      expect((await listedDevices(service)).get(PLUGGED)).toMatchObject({ status: 'removed' });
    });
  }, 400_000);

  /** After which the agent dies, counted from the command on, and what it did last; see guest/dying.mjs. */
  it.each([
    ['the claim was noted', 'kernel 0', 'nothing'],
    ['the override was written', 'kernel 1', 'driver_override'],
    ['the driver let go', 'kernel 2', 'unbind'],
    ['vfio-pci took it', 'kernel 3', 'drivers_probe'],
    ['the claim was noted as done', 'journal 2', 'journal.json'],
  ])(
    'binds a device though the agent is killed once %s',
    async (_what, moment, last) => {
      const before = await devicesAt([NIC, ...SLOT]);
      await machine.write('/run/dying', moment);
      const id = await service.rest.createServer({ name: moment, flavor: 'one-nic' });
      await afterDeath(last);
      const server = await service.rest.whenSettled(id, PATIENCE_MS);
      expect(server, await seen()).toMatchObject({ status: 'ACTIVE' });
      const address = server.devices[0]?.address ?? '';
      expect((await devicesAt([address]))[0]).toMatchObject({ driver: 'vfio-pci', override: 'vfio-pci' });
      await service.rest.remove(id, PATIENCE_MS);
      expect(await devicesAt([NIC, ...SLOT])).toEqual(before);
      await nothingIsLeft();
    },
    400_000,
  );

  it.each([
    ['the release was noted', 'kernel 0', 'nothing'],
    ['vfio-pci let go', 'kernel 1', 'unbind'],
    ['the override was cleared', 'kernel 2', 'driver_override'],
    ['it was reset', 'kernel 3', 'reset'],
    ['its driver took it', 'kernel 4', 'drivers_probe'],
    ['the release was noted as done', 'journal 2', 'journal.json'],
  ])(
    'gives a device back though the agent is killed once %s',
    async (_what, moment, last) => {
      const before = await devicesAt([NIC, ...SLOT]);
      const server = await placed(service, 'one-nic');
      await machine.write('/run/dying', moment);
      await service.rest.send('DELETE', `/v1/servers/${server.id}`);
      await afterDeath(last);
      await eventually(PATIENCE_MS, async () => {
        expect((await service.rest.send('GET', `/v1/servers/${server.id}`)).status).toBe(404);
      });
      expect(await devicesAt([NIC, ...SLOT]), await seen()).toEqual(before);
      await nothingIsLeft();
    },
    400_000,
  );

  it('binds a slot whole though the agent is killed once one function of it is bound', async () => {
    const before = await devicesAt([NIC, ...SLOT]);
    // three writes for the NIC, three for the first function
    await machine.write('/run/dying', 'kernel 6');
    const id = await service.rest.createServer({ name: 'three', flavor: 'three-nics' });
    await afterDeath('drivers_probe');
    const server = await service.rest.whenSettled(id, PATIENCE_MS);
    expect(server, await seen()).toMatchObject({ status: 'ACTIVE' });
    const bound = await devicesAt([NIC, ...SLOT]);
    for (const device of bound) expect(device).toMatchObject({ driver: 'vfio-pci', override: 'vfio-pci' });
    await service.rest.remove(id, PATIENCE_MS);
    expect(await devicesAt([NIC, ...SLOT]), await seen()).toEqual(before);
    await nothingIsLeft();
  }, 400_000);

  const afterDeath = async (last: string): Promise<void> => {
    await eventually(PATIENCE_MS, async () => expect(await agent.isRunning()).toBe(false));
    const died = await machine.read('/run/died');
    await agent.start();
    expect(died.split('/').at(-1)).toBe(last);
  };

  /** No claim in the journal, no device node of a group, none marked as in use. */
  const nothingIsLeft = async (): Promise<void> => {
    expect(JSON.parse(await machine.read(`${STATE_FOLDER}/journal.json`))).toMatchObject({ claims: [] });
    expect(await machine.exec('ls /dev/vfio')).toBe('vfio');
    const devices = [...(await listedDevices(service)).values()];
    expect(devices.filter(({ owner, status }) => owner !== null || status === 'allocated')).toEqual([]);
  };
});
