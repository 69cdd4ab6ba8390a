import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { device, type HostDescription, type SlotDescription } from '../../src/recorded-hosts/description.js';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost, eightGpuHost, quickAssistHost, sriovNicHost } from '../support/hosts.js';
import { eventually, type ShownRejection } from '../support/rest-client.js';

const P5000_SPEC = '{"vendor_id":"10de","product_id":"1bb0"}';

/** As Nova's own files have it: all that Berth has no use for is passed over. */
const NOVA_CONF = `[DEFAULT]
compute_driver = libvirt.LibvirtDriver
transport_url = rabbit://nova:secret@10.5.0.9:5672/openstack

[pci]
passthrough_whitelist = ${P5000_SPEC}
alias = {"vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "name": "gpu"}
`;

const ZUN_CONF = `[DEFAULT]
state_path = /var/lib/zun

[pci]
passthrough_whitelist = {"vendor_id": "8086", "product_id": "0443", "address": ":0a:00."}
alias = {"vendor_id": "8086", "product_id": "0443", "name": "QuickAssist"}
`;

const NIC_CONF = `[pci]
device_spec = {"address": "0000:81:00.0", "physical_network": "physnet1"}
alias = {"vendor_id": "8086", "product_id": "154c", "device_type": "type-VF", "name": "any-vf"}
`;

/** What a nova.conf has no word for: an alias of a network's devices. */
const NIC_YAML = `pci:
  alias:
    - { name: vf, vendor_id: '8086', product_id: 154c, device_type: type-VF, physical_network: physnet1 }
`;

/** The whole NIC, for a port. */
const PF = { ports: [{ name: 'uplink', vnic_type: 'direct-physical', physical_network: 'physnet1' }] };

const BOARD_YAML = `agent:
  device_spec:
    - { vendor_id: '10de', product_id: '20b0' }
pci:
  alias:
    - { name: a100, vendor_id: '10de', product_id: '20b0', device_type: type-PCI }
`;

const NONE = { driver: null, override: null };

describe('one service, five hosts, each role a process', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: [
        { name: 'gpu-1', tree: charmsGuideHost('gpu-1'), config: { 'nova.conf': NOVA_CONF } },
        { name: 'gpu-2', tree: withDrivers('gpu-2', ['nvidia', null]), config: { 'nova.conf': NOVA_CONF } },
        { name: 'zun-1', tree: quickAssistHost('zun-1', 3), config: { 'zun.conf': ZUN_CONF } },
        { name: 'nic-1', tree: sriovNicHost('nic-1', 2), config: { 'nova.conf': NIC_CONF } },
        { name: 'board-1', tree: eightGpuHost('board-1'), config: { 'agent.yaml': BOARD_YAML } },
      ],
      apiConfig: {
        'nova.conf': NOVA_CONF,
        'zun.conf': ZUN_CONF,
        'nic.conf': NIC_CONF,
        'nic.yaml': NIC_YAML,
        'board.yaml': BOARD_YAML,
      },
    });
    await fleet.rest.createFlavor('m1.gpu', { 'pci_passthrough:alias': 'gpu:1' });
    await fleet.rest.createFlavor('m1.plain');
  });
  afterAll(() => fleet?.close());

  describe('the charms guide', () => {
    const gpuVms: string[] = [];

    it('places servers with and without a GPU', async () => {
      const plain = await fleet.rest.place({ name: 'plain', flavor: 'm1.plain' });
      expect(plain).toMatchObject({ status: 'ACTIVE', devices: [], fault: null });
      for (const name of ['gpu-vm-1', 'gpu-vm-2', 'gpu-vm-3', 'gpu-vm-4']) {
        const server = await fleet.rest.place({ name, flavor: 'm1.gpu' });
        expect(server, fleet.tails()).toMatchObject({ status: 'ACTIVE', simulated: true, attempts: 1 });
        gpuVms.push(server.id);
      }
      await fleet.rest.remove(plain.id);
    });

    it('shows each device as a hypervisor takes it, and the host has it on vfio-pci', async () => {
      const taken: string[] = [];
      for (const id of gpuVms) {
        const { host, devices } = await fleet.rest.server(id);
        const [gpu] = devices;
        const bus = gpu?.address.slice(5, 7);
        expect(devices).toEqual([
          expect.objectContaining({
            address: `0000:${bus}:00.0`,
            alias: 'gpu',
            driver: 'vfio-pci',
            vfio: `/dev/vfio/${gpu?.iommu_group}`,
            libvirt_hostdev_xml:
              '<hostdev mode="subsystem" type="pci" managed="no"><driver name="vfio"/><source>' +
              `<address domain="0x0000" bus="0x${bus}" slot="0x00" function="0x0"/></source></hostdev>`,
            qemu_args: ['-device', `vfio-pci,host=0000:${bus}:00.0`],
          }),
        ]);
        expect(gpu?.iommu_group).toEqual(expect.any(Number));
        expect(fleet.agent(host ?? '').devices()[gpu?.address ?? '']).toEqual({
          driver: 'vfio-pci',
          override: 'vfio-pci',
        });
        taken.push(`${host} ${gpu?.address}`);
      }
      expect(taken.toSorted()).toEqual(
        ['gpu-1', 'gpu-2'].flatMap((host) => [`${host} 0000:83:00.0`, `${host} 0000:84:00.0`]),
      );
    });

    it('refuses one more, and says who has the GPUs', async () => {
      const server = await fleet.rest.place({ name: 'gpu-vm-5', flavor: 'm1.gpu' });
      expect(server).toMatchObject({ status: 'ERROR', host: null, fault: { code: 'placement.no_valid_host' } });
      const rejections = server.fault?.details.rejections;
      const owners = await Promise.all(gpuVms.map((id) => fleet.rest.server(id)));
      for (const name of ['gpu-1', 'gpu-2']) {
        expect(reasonsOf(rejections, name)).toEqual(['2 devices of alias gpu, both in use']);
      }
      // hosts with equal reasons are one group, and the first of them is told with names
      const named = rejections?.flatMap(({ reasons }) => reasons.flatMap((reason) => reason.named));
      const names = owners.filter(({ host }) => host === 'gpu-1').map((owner) => owner.name);
      expect(named).toContainEqual(
        expect.objectContaining({
          host: 'gpu-1',
          message: `2 devices of alias gpu, both in use by ${names.join(' and ')}`,
        }),
      );
      expect(reasonsOf(rejections, 'zun-1')).toEqual(['no device of alias gpu']);
    });

    it('gives the GPUs back to the drivers that they had', async () => {
      for (const id of gpuVms) await fleet.rest.remove(id);
      const nouveau = { driver: 'nouveau', override: null };
      expect(fleet.agent('gpu-1').devices()).toMatchObject({ '0000:83:00.0': nouveau, '0000:84:00.0': nouveau });
      expect(fleet.agent('gpu-2').devices()).toMatchObject({
        '0000:83:00.0': { driver: 'nvidia', override: null },
        '0000:84:00.0': NONE,
      });
      expect(await fleet.rest.devices('alias=gpu&status=available')).toHaveLength(4);
      expect((await fleet.rest.place({ name: 'gpu-vm-6', flavor: 'm1.gpu' })).status).toBe('ACTIVE');
    });
  });

  it("Zun's: two QuickAssist functions for one request, then too few are left", async () => {
    const server = await fleet.rest.place({ name: 'capsule', devices: 'QuickAssist:2' });
    expect(server, fleet.tails()).toMatchObject({ status: 'ACTIVE', host: 'zun-1' });
    expect(server.devices.map((one) => [one.alias, one.address.slice(0, 11)])).toEqual([
      ['QuickAssist', '0000:0a:00.'],
      ['QuickAssist', '0000:0a:00.'],
    ]);
    const refused = await fleet.rest.place({ name: 'capsule-2', devices: 'QuickAssist:2' });
    expect(reasonsOf(refused.fault?.details.rejections, 'zun-1')).toEqual([
      '3 devices of alias QuickAssist: 2 wanted, 1 free; 2 in use by capsule',
    ]);
    await fleet.rest.remove(server.id);
    const drivers = Object.entries(fleet.agent('zun-1').devices()).filter(([address]) =>
      /:0a:00\.[1-3]$/.test(address),
    );
    expect(drivers.map(([, one]) => one)).toEqual(Array(3).fill({ driver: 'dh895xccvf', override: null }));
  });

  it('an SR-IOV NIC: its PF is refused while a VF is out', async () => {
    const offers = await fleet.rest.devices('host=nic-1&offered=true');
    expect(offers.map((one) => one.parent_address)).toEqual([null, '0000:81:00.0', '0000:81:00.0']);
    const one = await fleet.rest.place({ name: 'vf-vm', devices: 'vf:1' });
    expect(one, fleet.tails()).toMatchObject({ status: 'ACTIVE', host: 'nic-1' });
    const refused = await fleet.rest.place({ name: 'pf-vm', ...PF });
    expect(reasonsOf(refused.fault?.details.rejections, 'nic-1')).toEqual([
      '1 device for port uplink (direct-physical, physnet1), blocked: 1 of its VFs is in use by vf-vm',
    ]);
    const other = await fleet.rest.place({ name: 'vf-vm-2', devices: 'vf:1' });
    expect(other.status).toBe('ACTIVE');
    await fleet.rest.remove(one.id);
    await fleet.rest.remove(other.id);
  });

  it('an SR-IOV NIC: ports get its VFs, an alias of a nova.conf does not, and is told why', async () => {
    const refused = await fleet.rest.place({ name: 'eater', devices: 'any-vf:1' });
    expect(reasonsOf(refused.fault?.details.rejections, 'nic-1')).toEqual([
      expect.stringMatching(/any-vf.*physical_network.*port/),
    ]);
    const direct = { vnic_type: 'direct', physical_network: 'physnet1' };
    const router = await fleet.rest.place({ name: 'router', ports: [direct, { ...direct, vnic_type: 'macvtap' }] });
    expect(router, fleet.tails()).toMatchObject({ status: 'ACTIVE', host: 'nic-1' });
    expect(router).toMatchObject({
      ports: ['0000:81:02.0', '0000:81:02.1'].map((address, vf_num) => ({
        ...{ name: `port${vf_num}`, address, pf_address: '0000:81:00.0' },
        binding_profile: {
          ...{ pci_vendor_info: '8086:154c', pci_slot: address, physical_network: 'physnet1', vf_num },
        },
      })),
    });
    await fleet.rest.remove(router.id);
  });

  it('an SR-IOV NIC: a PF with idle VFs is handed over without them; they are refused meanwhile, and come back', async () => {
    const before = fleet.agent('nic-1').devices();
    expect(virtualFunctions(before)).toEqual(['0000:81:02.0', '0000:81:02.1']);
    const nic = fleet.agent('nic-1').process;
    // While the agent is away the claim stands: the ledger alone has to keep the VFs from being given out.
    await nic.kill9();
    const pf = await fleet.rest.createServer({ name: 'pf-vm', ...PF });
    await eventually(5_000, async () => expect((await fleet.rest.server(pf)).task_state).toBe('preparing'));
    await expectVfsBlockedBy('pf-vm');
    await nic.start();
    const placed = await fleet.rest.whenSettled(pf);
    expect(placed, nic.tail()).toMatchObject({ status: 'ACTIVE', attempts: 1, host: 'nic-1' });
    expect(placed.devices).toEqual([expect.objectContaining({ address: '0000:81:00.0', driver: 'vfio-pci' })]);
    const bound = fleet.agent('nic-1').devices();
    expect(bound['0000:81:00.0']).toEqual({ driver: 'vfio-pci', override: 'vfio-pci' });
    expect(virtualFunctions(bound)).toEqual([]);
    await eventually(10_000, async () => {
      const removed = await fleet.rest.devices('host=nic-1&status=removed');
      expect(removed.map((one) => one.address)).toEqual(virtualFunctions(before)); // the report without them has come
    });
    await expectVfsBlockedBy('pf-vm');

    await fleet.rest.remove(pf);
    expect(fleet.agent('nic-1').devices()).toEqual(before);
    await eventually(10_000, async () => {
      expect(await fleet.rest.devices('host=nic-1&offered=true&status=available')).toHaveLength(3);
    });
    const both = await fleet.rest.place({ name: 'vf-vm-3', devices: 'vf:2' });
    expect(both, fleet.tails()).toMatchObject({ status: 'ACTIVE', host: 'nic-1' });
  });

  async function expectVfsBlockedBy(owner: string): Promise<void> {
    const refused = await fleet.rest.place({ name: 'vf-vm', devices: 'vf:1' });
    expect(refused).toMatchObject({ status: 'ERROR', host: null });
    expect(reasonsOf(refused.fault?.details.rejections, 'nic-1')).toEqual([
      expect.stringContaining(`blocked: its PF is in use by ${owner}`),
    ]);
  }

  it('eight GPUs on two NUMA nodes, policy required: four land on one node, five do not fit', async () => {
    const required = { 'hw:pci_numa_affinity_policy': 'required' };
    await fleet.rest.createFlavor('m1.four', { 'pci_passthrough:alias': 'a100:4', ...required });
    await fleet.rest.createFlavor('m1.five', { 'pci_passthrough:alias': 'a100:5', ...required });
    const five = await fleet.rest.place({ name: 'five', flavor: 'm1.five' });
    expect(reasonsOf(five.fault?.details.rejections, 'board-1')).toEqual([
      "a100:5 (required) has to fit the guest's NUMA node; node 0 has 4 free, node 1 has 4 free",
    ]);
    const nodes: (readonly (number | null)[])[] = [];
    for (const name of ['four-1', 'four-2']) {
      const server = await fleet.rest.place({ name, flavor: 'm1.four' });
      expect(server, fleet.tails()).toMatchObject({ status: 'ACTIVE', host: 'board-1' });
      nodes.push(server.devices.map((one) => one.numa_node));
    }
    expect(nodes.toSorted()).toEqual([
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ]);
    expect(fleet.agent('board-1').bound()).toHaveLength(8);
  });
});

/** The charms guide's host with these drivers bound to its two GPUs. */
function withDrivers(name: string, drivers: readonly (string | null)[]): HostDescription {
  const host = charmsGuideHost(name);
  const left = [...drivers];
  const bound = (slot: SlotDescription): SlotDescription => {
    if (slot.kind === 'bridge') return { ...slot, children: slot.children.map(bound) };
    return slot.card.productId === '1bb0' ? device(slot.at, slot.card, { driver: left.shift() ?? null }) : slot;
  };
  return { ...host, roots: host.roots.map((root) => ({ ...root, children: root.children.map(bound) })) };
}

/** The X710's, by where they sit. */
function virtualFunctions(devices: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(devices).filter((address) => address.startsWith('0000:81:02.'));
}

function reasonsOf(rejections: readonly ShownRejection[] = [], host: string): string[] {
  return rejections
    .filter(({ hosts }) => hosts.includes(host))
    .flatMap(({ reasons }) => reasons.map((reason) => reason.message));
}
