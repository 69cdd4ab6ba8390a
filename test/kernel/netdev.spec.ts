import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Fleet } from '../support/fleet.js';
import { kernelDevices } from './devices.js';
import { STATE_FOLDER, type GuestAgent } from './guest-agent.js';
import { bootMachine, type Machine } from './machine.js';
import { agentOf, PATIENCE_MS, placed, startService } from './service.js';
import { server } from './topologies.js';

const NIC = '0000:21:00.0';
const ALIASES = `[pci]
alias = {"vendor_id": "8086", "product_id": "10d3", "device_type": "type-PCI", "name": "nic"}
`;

/** A container as far as the kernel knows: a process with a network namespace of its own. */
const CONTAINER = 'unshare -n sleep 100000 >/dev/null 2>&1 & echo $!';

describe('a NIC that goes into containers as its interface', () => {
  let machine: Machine;
  let service: Fleet;
  let agent: GuestAgent;

  beforeAll(async () => {
    [machine, service] = await Promise.all([bootMachine(server), startService(inject('databaseUrl'), ALIASES)]);
    agent = await machine.startAgent(agentOf(service, [`{"address": "${NIC}", "handover": "netdev"}`]));
    await service.rest.createFlavor('one-nic', { 'pci_passthrough:alias': 'nic:1' });
  });

  afterAll(async () => {
    await service?.close();
    await machine?.stop();
  });

  const seen = async (): Promise<string> => `${await agent.tail()}\n${machine.tail()}\n${service.tails()}`;
  const nic = async () => (await kernelDevices(machine)).get(NIC);
  const netdevOf = async (): Promise<string> => machine.exec(`ls /sys/bus/pci/devices/${NIC}/net`);
  const state = async (): Promise<string> => {
    const { exitCode, output } = await machine.tryExec(`ip -o link show dev ${name}`);
    return exitCode === 0 ? output.replace(/^\d+: /, '').replaceAll(/ (?:state|qdisc|mode) \S+/g, '') : 'gone';
  };
  let name = '';

  it('stays with e1000e, and comes back with its name and address from a namespace where it was changed', async () => {
    name = await netdevOf();
    const [before, link] = [await nic(), await state()];
    expect(before).toMatchObject({ driver: 'e1000e', macs: ['52:54:00:00:10:01'] });
    const created = await placed(service, 'one-nic');
    expect(created, await seen()).toMatchObject({
      status: 'ACTIVE',
      devices: [{ address: NIC, driver: 'e1000e', netdev: name, vfio: null, qemu_args: null }],
    });
    const pid = await machine.exec(CONTAINER);
    await machine.exec(`ip link set dev ${name} netns ${pid} name eth9`);
    await machine.exec(`nsenter -t ${pid} -n ip link set dev eth9 address 02:00:00:00:00:99 mtu 1400`);
    await machine.exec(`nsenter -t ${pid} -n ip link set dev eth9 up`);
    expect(await state()).toBe('gone');
    await service.rest.remove(created.id, PATIENCE_MS);
    expect(await nic(), await seen()).toEqual(before);
    expect(await netdevOf()).toBe(name);
    expect(await state()).toBe(link);
    await machine.exec(`kill -9 ${pid}`);
  }, 400_000);

  it('is given back by the kernel when its namespace ends, and gets its name again', async () => {
    const [before, link] = [await nic(), await state()];
    const created = await placed(service, 'one-nic');
    expect(created, await seen()).toMatchObject({ status: 'ACTIVE' });
    const pid = await machine.exec(CONTAINER);
    await machine.exec(`ip link set dev ${name} netns ${pid} name eth9`);
    expect(await machine.exec(`ls /sys/bus/pci/devices/${NIC}/net`)).toBe('');
    await machine.exec(`kill -9 ${pid}; until ls /sys/bus/pci/devices/${NIC}/net | grep -q .; do usleep 100000; done`);
    // By the name that it had in there.
    expect(await netdevOf()).toBe('eth9');
    await service.rest.remove(created.id, PATIENCE_MS);
    expect(await nic(), await seen()).toEqual(before);
    expect(await netdevOf()).toBe(name);
    expect(await state()).toBe(link);
  }, 400_000);

  it('comes back though the agent is killed while a container has it', async () => {
    const before = await nic();
    const created = await placed(service, 'one-nic');
    const pid = await machine.exec(CONTAINER);
    await machine.exec(`ip link set dev ${name} netns ${pid}`);
    await agent.kill();
    await agent.start();
    await service.rest.remove(created.id, PATIENCE_MS);
    expect(await nic(), await seen()).toEqual(before);
    expect(JSON.parse(await machine.read(`${STATE_FOLDER}/journal.json`))).toMatchObject({ claims: [] });
    await machine.exec(`kill -9 ${pid}`);
  }, 400_000);
});
