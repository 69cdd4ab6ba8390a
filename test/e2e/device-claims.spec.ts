import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startFleet, type Fleet, type FleetAgent } from '../support/fleet.js';
import { gpuWithAudioHost } from '../support/hosts.js';
import { eventually } from '../support/rest-client.js';

const [GPU, AUDIO, NIC, MANAGEMENT] = ['0000:63:00.0', '0000:63:00.1', '0000:81:00.0', '0000:02:00.0'];
const PATH = '/v1/hosts/node-1/device-claims';
const PATIENCE_MS = 30_000;

const AGENT_YAML = `agent:
  device_spec:
    - { vendor_id: "10de", product_id: "1bb0" }
    - { devname: enp129s0 }
`;
const API_YAML = `pci:
  alias:
    - { name: gpu, vendor_id: "10de", product_id: "1bb0", device_type: type-PCI }
    - { name: nic, vendor_id: "8086", product_id: "1572", device_type: type-PF }
`;

interface ShownClaim {
  readonly id: string;
  readonly state: string;
  readonly held_by: string | null;
}

/** One host: a GPU with an audio function, and NICs, one of which carries its default route. */
describe('devices claimed ahead of use', () => {
  let fleet: Fleet;
  let agent: FleetAgent;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: [{ name: 'node-1', tree: gpuWithAudioHost('node-1'), config: { 'agent.yaml': AGENT_YAML } }],
      apiConfig: { 'api.yaml': API_YAML },
    });
    agent = fleet.agent('node-1');
  });
  afterAll(() => fleet?.close());

  const create = async (address: string, companions: string[] = []): Promise<string> => {
    const { status, body } = await fleet.rest.send<ShownClaim>('POST', PATH, { address, companions });
    expect(status, JSON.stringify(body)).toBe(202);
    return body.id;
  };
  const becomes = (id: string, state: string): Promise<ShownClaim> =>
    eventually(PATIENCE_MS, async () => {
      const claim = await fleet.rest.get<ShownClaim>(`${PATH}/${id}`);
      expect(claim, fleet.tails()).toMatchObject({ state });
      return claim;
    });
  const end = async (id: string): Promise<void> => {
    expect((await fleet.rest.send('DELETE', `${PATH}/${id}`)).status).toBe(202);
  };
  const isGone = (id: string): Promise<void> =>
    eventually(PATIENCE_MS, async () => {
      expect((await fleet.rest.send('GET', `${PATH}/${id}`)).status, fleet.tails()).toBe(404);
    });
  const interfaces = (): string[] => readdirSync(join(agent.sysfs, 'class/net')).toSorted();

  it('stay bound between servers and through a death of the agent, and get drivers and interfaces back at the end', async () => {
    const [before, names] = [agent.devices(), interfaces()];
    const ids = [await create(GPU, [AUDIO]), await create(NIC)];
    for (const id of ids) await becomes(id, 'enabled');
    expect(agent.bound()).toEqual([GPU, AUDIO, NIC]);
    expect(interfaces()).not.toContain('enp129s0');
    for (const devices of ['gpu:1,nic:1', 'gpu:1']) {
      const server = await fleet.rest.place({ name: 's', vcpus: 1, devices });
      expect(server, fleet.tails()).toMatchObject({ status: 'ACTIVE', host: 'node-1' });
      await fleet.rest.remove(server.id);
      expect(agent.bound()).toEqual([GPU, AUDIO, NIC]);
    }
    await agent.process.kill9();
    await agent.process.start();
    for (const id of ids) await becomes(id, 'enabled');
    for (const id of ids) await end(id);
    for (const id of ids) await isGone(id);
    expect(agent.devices()).toEqual(before);
    expect(interfaces()).toEqual(names);
  });

  it('are taken while the agent is away as soon as it is there', async () => {
    await agent.process.kill9();
    const id = await create(NIC);
    await agent.process.start();
    await becomes(id, 'enabled');
    await agent.process.kill9();
    await end(id);
    await agent.process.start();
    await isGone(id);
    expect(agent.devices()[NIC]).toEqual({ driver: 'i40e', override: null });
  });

  it('stay with a server that has them when the claim ends, which says whom it waits for', async () => {
    const id = await create(GPU, [AUDIO]);
    await becomes(id, 'enabled');
    const server = await fleet.rest.place({ name: 's', vcpus: 1, devices: 'gpu:1' });
    expect(server, fleet.tails()).toMatchObject({ status: 'ACTIVE' });
    await end(id);
    expect((await becomes(id, 'blocked')).held_by).toBe(`server ${server.id}`);
    expect(agent.bound()).toEqual([GPU, AUDIO]);
    await fleet.rest.remove(server.id);
    await isGone(id);
    expect(agent.bound()).toEqual([]);
  });

  it('are not what the host needs itself', async () => {
    const { status, body } = await fleet.rest.send<{ detail: string }>('POST', PATH, { address: MANAGEMENT });
    expect([status, body.detail]).toEqual([409, expect.stringContaining('carries the default route')]);
    expect(agent.devices()[MANAGEMENT]?.driver).toBe('igb');
  });
});
