import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Fleet } from '../../support/fleet.js';
import { eventually, type ShownServer } from '../../support/rest-client.js';
import { kernelDevices, type KernelDevice } from '../devices.js';
import { STATE_FOLDER, type GuestAgent } from '../guest-agent.js';
import { bootMachine, type Machine } from '../machine.js';
import { agentOf, HOST, PATIENCE_MS, startService } from '../service.js';
import { hypervisor } from '../topologies.js';
import { GUEST_FILES } from '../topology.js';

/** Addresses in the topology `hypervisor`. */
const NIC = '0000:01:00.0';
const NVME = '0000:02:00.0';
const GIVEN = [NIC, NVME];

const ALIASES = `[pci]
alias = {"vendor_id": "8086", "product_id": "10d3", "device_type": "type-PCI", "name": "nic"}
alias = {"vendor_id": "1b36", "product_id": "0010", "device_type": "type-PCI", "name": "nvme"}
`;

/** Nothing that only costs time under emulation of an emulation. */
const GUEST_ARGUMENTS = [
  'console=ttyS0 loglevel=4 panic=-1 acpi=off pcie_ports=compat tsc=reliable no_timer_check lpj=4000000',
  'random.trust_cpu=on nowatchdog rcupdate.rcu_cpu_stall_suppress=1 nokaslr mitigations=off audit=0 lsm=capability',
  'cryptomgr.notests initcall_blacklist=tracer_init_tracefs,init_kprobe_trace',
].join(' ');
const GUEST_MEMORY_MB = 256;
/** An emulated machine within an emulated machine. */
const LISTED_MS_MAX = 1_500_000;

const DRIVER = {
  BERTH_AGENT_COMPUTE_DRIVER: 'qemu',
  BERTH_AGENT_GUESTS_CPU: 'qemu64',
  BERTH_AGENT_GUESTS_KERNEL: `${GUEST_FILES}/vmlinux`,
  BERTH_AGENT_GUESTS_INITRD: `${GUEST_FILES}/initramfs`,
  BERTH_AGENT_GUESTS_APPEND: GUEST_ARGUMENTS,
  BERTH_AGENT_GUESTS_START_TIMEOUT_MS: '240000',
  BERTH_AGENT_GUESTS_STOP_TIMEOUT_MS: '3000',
  BERTH_AGENT_GUESTS_HOTPLUG_PORTS: '1',
  BERTH_AGENT_QEMU_ARGUMENTS: '-serial,file:/var/log/guest-{server_id}.log',
};

describe('a host whose agent starts guests', () => {
  let machine: Machine;
  let service: Fleet;
  let agent: GuestAgent;
  let server: ShownServer;

  beforeAll(async () => {
    [machine, service] = await Promise.all([bootMachine(hypervisor), startService(inject('databaseUrl'), ALIASES)]);
    const plan = agentOf(
      service,
      GIVEN.map((address) => `{"address": "${address}"}`),
    );
    agent = await machine.startAgent({ ...plan, env: { ...plan.env, ...DRIVER } });
  });

  afterAll(async () => {
    await service?.close();
    await machine?.stop();
  });

  const seen = async (): Promise<string> => `${await agent.tail()}\n${machine.tail()}\n${service.tails()}`;

  const given = async (): Promise<(KernelDevice | undefined)[]> => {
    const devices = await kernelDevices(machine);
    return GIVEN.map((address) => devices.get(address));
  };

  const guestProcesses = async (): Promise<string[]> => {
    const { output } = await machine.tryExec('pidof qemu-system-x86_64');
    return output.trim().split(' ').filter(Boolean);
  };

  it('boots the guest of a server that was asked for over REST, with a NIC and an NVMe that the guest lists', async () => {
    expect((await given()).map((device) => device?.driver)).toEqual(['e1000e', 'nvme']);
    const startedAt = Date.now();
    const id = await service.rest.createServer({
      ...{ name: 'nested', vcpus: 1, ram_mb: GUEST_MEMORY_MB, devices: 'nic:1,nvme:1' },
    });
    server = await service.rest.whenSettled(id, 300_000);
    expect(server, await seen()).toMatchObject({ status: 'ACTIVE', host: HOST });
    console.log(`ACTIVE after ${Date.now() - startedAt} ms`);
    expect(await guestProcesses()).toHaveLength(1);
    for (const device of await given()) expect(device).toMatchObject({ driver: 'vfio-pci' });
    const console_ = `/var/log/guest-${id}.log`;
    await eventually(LISTED_MS_MAX, async () => {
      await new Promise((resolve) => setTimeout(resolve, 2000));
      expect(await machine.read(console_)).toContain('guest: end of the list');
    });
    const text = await machine.read(console_);
    console.log(
      `the guest has listed its devices after ${Date.now() - startedAt} ms\n${text.slice(text.indexOf('guest:'))}`,
    );
    expect(text).toMatch(/^guest: \S+ 0x020000 0x8086:0x10d3/m);
    expect(text).toMatch(/^guest: \S+ 0x010802 0x1b36:0x0010/m);
  });

  it('finds its guest again after a kill of the agent', async () => {
    const [before] = await guestProcesses();
    await agent.kill();
    expect(await guestProcesses()).toEqual([before]);
    await agent.start();
    expect(await guestProcesses()).toEqual([before]);
    expect(await service.rest.server(server.id)).toMatchObject({ status: 'ACTIVE' });
  });

  it('ends the guest with its server, and the devices have their drivers again', async () => {
    await service.rest.remove(server.id, PATIENCE_MS);
    expect(await guestProcesses()).toEqual([]);
    expect(
      (await given()).map((device) => device?.driver),
      await seen(),
    ).toEqual(['e1000e', 'nvme']);
    expect(await machine.exec(`ls ${STATE_FOLDER}/guests`)).toBe('');
  });
});
