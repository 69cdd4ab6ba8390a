import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost, sriovNicHost } from '../support/hosts.js';

/** What Nova takes without a word: a key that is not known, an alias without type, one with a policy that means nothing here. */
const GPU_CONF = `[pci]
passthrough_whitelist = {"vendor_id": "10de", "product_id": "1bb0", "rak": "a"}
alias = {"name": "any", "vendor_id": "10DE"}
alias = {"name": "near", "vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "numa_policy": "required"}
`;

/** The address of a PF stands for its VFs; an untyped alias takes them. */
const NIC_CONF = `[pci]
device_spec = {"address": "0000:81:00.0", "physical_network": "physnet1"}
alias = {"name": "vf", "vendor_id": "8086"}
`;

describe('compat: nova, each role a process', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: [
        { name: 'gpu-1', tree: charmsGuideHost('gpu-1'), config: { 'nova.conf': GPU_CONF } },
        { name: 'nic-1', tree: sriovNicHost('nic-1', 2), config: { 'nova.conf': NIC_CONF } },
      ],
      apiConfig: { 'gpu.conf': GPU_CONF, 'nic.conf': NIC_CONF },
      env: { BERTH_COMPAT: 'nova' },
    });
  });
  afterAll(() => fleet?.close());

  it('takes the last device of a pool, and binds it', async () => {
    const server = await fleet.rest.place({ name: 'one', devices: 'any:1' });
    expect(server, fleet.tails()).toMatchObject({ status: 'ACTIVE', host: 'gpu-1' });
    expect(server.devices).toMatchObject([{ address: '0000:84:00.0', driver: 'vfio-pci' }]);
    await fleet.rest.remove(server.id);
  });

  it('lets a policy mean nothing to a guest without NUMA cells', async () => {
    const server = await fleet.rest.place({ name: 'two', devices: 'near:2' });
    expect(server).toMatchObject({ status: 'ACTIVE', devices: [{}, {}] });
    await fleet.rest.remove(server.id);
  });

  it('gives a VF of a network to an alias, for Nova has no exclusive tags', async () => {
    const server = await fleet.rest.place({ name: 'three', devices: 'vf:1' });
    expect(server).toMatchObject({ status: 'ACTIVE', host: 'nic-1' });
    expect(server.devices[0]?.address).toMatch(/^0000:81:(02|10)\.\d$/);
    await fleet.rest.remove(server.id);
  });

  it('takes counts of nothing, and says who has the devices when it says no', async () => {
    const none = await fleet.rest.place({ name: 'none', devices: 'any:0' });
    expect(none).toMatchObject({ status: 'ACTIVE', devices: [] });
    const all = await fleet.rest.place({ name: 'all', devices: 'any:2' });
    const refused = await fleet.rest.place({ name: 'more', devices: 'any:1' });
    expect(refused.status).toBe('ERROR');
    expect(JSON.stringify(refused.fault)).toContain('both in use by all');
    for (const { id } of [none, all, refused]) await fleet.rest.remove(id);
  });
});
