import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Fleet } from '../support/fleet.js';
import { eventually } from '../support/rest-client.js';
import { kernelDevices, type KernelDevice } from './devices.js';
import type { GuestAgent } from './guest-agent.js';
import { bootMachine, type Machine } from './machine.js';
import { agentOf, HOST, listedDevices, PATIENCE_MS, placed, startService } from './service.js';
import { legacy } from './topologies.js';

/** Addresses in the topology `legacy`. */
const SERVICE_NIC = '0000:01:00.0';
const NIC_BESIDE_IT = '0000:02:00.0';
const OUTER_NIC = '0000:06:02.0';
const INNER_NIC = '0000:07:01.0';

const ALIASES = `[pci]
alias = {"vendor_id": "8086", "product_id": "10d3", "name": "nic"}
alias = {"vendor_id": "8086", "product_id": "100e", "name": "old-nic"}
`;

describe('old hardware, whose IOMMU groups are large', () => {
  let machine: Machine;
  let service: Fleet;
  let agent: GuestAgent;

  beforeAll(async () => {
    [machine, service] = await Promise.all([bootMachine(legacy), startService(inject('databaseUrl'), ALIASES)]);
    const offered = [NIC_BESIDE_IT, OUTER_NIC, INNER_NIC].map((address) => `{"address": "${address}"}`);
    agent = await machine.startAgent(agentOf(service, offered));
    await service.rest.createFlavor('nic', { 'pci_passthrough:alias': 'nic:1' });
    await service.rest.createFlavor('old-nic', { 'pci_passthrough:alias': 'old-nic:1' });
    await eventually(PATIENCE_MS, async () => expect((await listedDevices(service)).size).toBeGreaterThan(0));
  });

  afterAll(async () => {
    await service?.close();
    await machine?.stop();
  });

  const seen = async (): Promise<string> => `${await agent.tail()}\n${machine.tail()}\n${service.tails()}`;

  const driversOf = async (group: KernelDevice): Promise<Record<string, string | null>> => {
    const members = [...(await kernelDevices(machine)).values()].filter((one) => one.iommuGroup === group.iommuGroup);
    return Object.fromEntries(members.map(({ address, driver }) => [address, driver]));
  };

  it('lists the groups as the kernel has them', async () => {
    const inKernel = await kernelDevices(machine);
    const listed = [...(await listedDevices(service)).values()];
    const groups = listed.map(({ address, iommu_group }) => [address, iommu_group]);
    expect(groups.toSorted()).toEqual([...inKernel.values()].map((one) => [one.address, one.iommuGroup]).toSorted());
    expect(inKernel.get(NIC_BESIDE_IT)?.iommuGroup).toBe(inKernel.get(SERVICE_NIC)?.iommuGroup);
    expect(inKernel.get(INNER_NIC)?.iommuGroup).toBe(inKernel.get(OUTER_NIC)?.iommuGroup);
  });

  it('hands over nothing of the group in which the NIC is that the host itself uses', async () => {
    const group = (await kernelDevices(machine)).get(NIC_BESIDE_IT)!;
    const before = await driversOf(group);
    expect(before).toMatchObject({ [SERVICE_NIC]: 'virtio-pci', [NIC_BESIDE_IT]: 'e1000e' });
    const server = await placed(service, 'nic');
    expect(server, await seen()).toMatchObject({ status: 'ERROR', host: null });
    expect((await listedDevices(service)).get(NIC_BESIDE_IT)).toMatchObject({
      offered: false,
      protection: { reasons: [expect.objectContaining({ code: 'iommu_group' })] },
    });
    expect(await driversOf(group)).toEqual(before);
    await service.rest.remove(server.id, PATIENCE_MS);
  });

  it('hands over a group behind bridges whole, bridges aside, and has it back', async () => {
    const group = (await kernelDevices(machine)).get(OUTER_NIC)!;
    const before = await driversOf(group);
    const server = await placed(service, 'old-nic');
    expect(server, await seen()).toMatchObject({ status: 'ACTIVE', host: HOST });
    const expected = { ...before, [OUTER_NIC]: 'vfio-pci', [INNER_NIC]: 'vfio-pci' };
    expect(await driversOf(group)).toEqual(expected);
    await service.rest.remove(server.id, PATIENCE_MS);
    expect(await driversOf(group)).toEqual(before);
    expect([...(await kernelDevices(machine)).values()].flatMap(({ override }) => override ?? [])).toEqual([]);
  });
});
