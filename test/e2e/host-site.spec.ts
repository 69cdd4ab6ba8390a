import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost } from '../support/hosts.js';
import type { ShownServer } from '../support/rest-client.js';

const GPU = '{ vendor_id: "10de", product_id: "1bb0" }';
const AGENT_YAML = `agent:
  device_spec: [${GPU}]
  reserved: { vcpus: 2, memory_mb: 1024 }
  hypervisor: { version: 8002000 }
`;
const API_YAML = `pci:
  alias: [{ name: gpu, vendor_id: "10de", product_id: "1bb0", device_type: type-PCI }]
`;

interface Made {
  readonly id: string;
}

/** Two hosts alike, each with two GPUs; every test leaves them free and as they were. */
describe('placement by what hosts are and where they belong', () => {
  let fleet: Fleet;
  const servers: string[] = [];
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: ['node-1', 'node-2'].map((name) => ({
        name,
        tree: charmsGuideHost(name),
        config: { 'agent.yaml': AGENT_YAML },
      })),
      apiConfig: { 'api.yaml': API_YAML },
    });
  });
  afterAll(() => fleet?.close());
  afterEach(async () => {
    await clean();
    for (const host of ['node-1', 'node-2']) {
      await send('PATCH', `/v1/hosts/${host}`, { enabled: true, reserved: null, traits: [] });
    }
  });

  async function clean(): Promise<void> {
    await Promise.all(servers.splice(0).map((id) => fleet.rest.remove(id)));
  }

  async function send<T = Made>(method: string, path: string, body?: object): Promise<T> {
    const answer = await fleet.rest.send<T>(method, path, body);
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
    return answer.body;
  }

  async function place(body: object): Promise<ShownServer> {
    const size = 'flavor' in body ? {} : { vcpus: 1 };
    const server = await fleet.rest.place({ name: 's', ...size, ...body });
    servers.push(server.id);
    return server;
  }

  const active = (host: string): object => ({ status: 'ACTIVE', host });
  const rejections = (server: ShownServer): string[] =>
    (server.fault?.details.rejections ?? []).flatMap(({ reasons }) => reasons.map(({ message }) => message));

  it('has of an agent what it says of its host', async () => {
    expect(await fleet.rest.get('/v1/hosts/node-1')).toMatchObject({
      reserved: { vcpus: 2, memory_mb: 1024, disk_gb: 0 },
      capabilities: { hypervisor_type: 'QEMU', hypervisor_version: 8_002_000 },
      availability_zone: 'nova',
    });
  });

  it('keeps three servers of an anti-affinity group on two hosts apart: the third is told why it cannot be', async () => {
    const { id: group } = await send('POST', '/v1/server-groups', { name: 'db', policy: 'anti-affinity' });
    const asked = { scheduler_hints: { group }, devices: 'gpu:1' };
    const three = await Promise.all([place(asked), place(asked), place(asked)]);
    const placed = three.filter(({ status }) => status === 'ACTIVE');
    expect(placed.map(({ host }) => host).sort(), fleet.tails()).toEqual(['node-1', 'node-2']);
    const refused = three.find(({ status }) => status === 'ERROR');
    expect(refused?.fault).toMatchObject({ code: 'placement.no_valid_host' });
    expect(rejections(refused as ShownServer).join()).toContain('1 of server group db here already, at most 1');
    expect(await fleet.rest.get(`/v1/server-groups/${group}`)).toMatchObject({ member_count: 3 });
    await send('DELETE', `/v1/server-groups/${group}`);
  });

  it('keeps an affinity group together, also when its servers come at once', async () => {
    const { id: group } = await send('POST', '/v1/server-groups', { name: 'hpc', policy: 'affinity' });
    const asked = { scheduler_hints: { group } };
    const four = await Promise.all([1, 2, 3, 4].map(() => place(asked)));
    expect(new Set(four.map(({ status, host }) => `${status} ${host}`)).size, fleet.tails()).toBe(1);
    expect(four[0]?.status).toBe('ACTIVE');
    const away = await place({ scheduler_hints: { group, different_host: four[0]?.id } });
    expect(away).toMatchObject({ status: 'ERROR' });
    expect(rejections(away).join()).toContain('server group hpc keeps together');
  });

  it('goes by zone and by aggregate', async () => {
    const room = { name: 'room-2', availability_zone: 'room-2', metadata: { ssd: 'true' } };
    await send('POST', '/v1/aggregates', room);
    await send('PUT', '/v1/aggregates/room-2/hosts/node-2');
    expect(await place({ availability_zone: 'room-2' })).toMatchObject(active('node-2'));
    expect(await place({ availability_zone: 'nova' })).toMatchObject(active('node-1'));
    const nowhere = await place({ availability_zone: 'room-9' });
    expect(nowhere).toMatchObject({ status: 'ERROR' });
    expect(rejections(nowhere).join()).toContain('room-9');
    const extra_specs = { 'aggregate_instance_extra_specs:ssd': 'true' };
    await send('POST', '/v1/flavors', { name: 'scoped', vcpus: 1, ram_mb: 128, extra_specs });
    expect(await place({ flavor: 'scoped' })).toMatchObject(active('node-2'));
    await send('PATCH', '/v1/aggregates/room-2', { metadata: { ssd: null } });
    expect(await place({ flavor: 'scoped' })).toMatchObject({ status: 'ERROR' });
    const stays = await fleet.rest.send('DELETE', '/v1/aggregates/room-2/hosts/node-2');
    expect(stays).toMatchObject({ status: 409, body: { code: 'aggregate.zone_conflict' } });
    await clean();
    await send('DELETE', '/v1/aggregates/room-2/hosts/node-2');
    await send('DELETE', '/v1/aggregates/room-2');
  });

  it('goes by traits', async () => {
    await send('PATCH', '/v1/hosts/node-2', { traits: ['CUSTOM_FAST'] });
    for (const [name, value] of [
      ['fast', 'required'],
      ['slow', 'forbidden'],
    ]) {
      await send('POST', '/v1/flavors', { name, vcpus: 1, ram_mb: 128, extra_specs: { 'trait:CUSTOM_FAST': value } });
    }
    expect(await place({ flavor: 'fast' })).toMatchObject(active('node-2'));
    expect(await place({ flavor: 'slow' })).toMatchObject(active('node-1'));
    await send('PATCH', '/v1/hosts/node-2', { traits: [] });
    const none = await place({ flavor: 'fast' });
    expect(none).toMatchObject({ status: 'ERROR' });
    expect(rejections(none).join()).toContain('CUSTOM_FAST');
  });

  it('goes by hints', async () => {
    const first = await place({ devices: 'gpu:1' });
    const beside = await place({ scheduler_hints: { same_host: first.id } });
    const apart = await place({ scheduler_hints: { different_host: [first.id, beside.id] } });
    expect(beside).toMatchObject(active(first.host ?? ''));
    expect(apart.status).toBe('ACTIVE');
    expect(apart.host).not.toBe(first.host);
    const neither = await place({ scheduler_hints: { different_host: [first.id, apart.id] } });
    expect(neither).toMatchObject({ status: 'ERROR' });
  });

  it('goes by what an admin keeps for a host, and takes out of use', async () => {
    const much = { vcpus: 60_000, memory_mb: 0, disk_gb: 0 };
    await send('PATCH', '/v1/hosts/node-1', { reserved: much });
    await send('PATCH', '/v1/hosts/node-2', { enabled: false, disabled_reason: 'new fans' });
    const refused = await place({});
    expect(refused).toMatchObject({ status: 'ERROR' });
    expect(rejections(refused)).toEqual([
      expect.stringMatching(/^1 vCPUs wanted, 0 of/),
      expect.stringContaining('the host is disabled'),
    ]);
    await send('PATCH', '/v1/hosts/node-1', { reserved: null });
    expect(await place({})).toMatchObject(active('node-1'));
  });

  it('shows the same in a dry run', async () => {
    await send('PATCH', '/v1/hosts/node-1', { enabled: false });
    expect(await fleet.rest.dryRun({ devices: 'gpu:1' })).toMatchObject({ outcome: 'placed', host: 'node-2' });
    await send('PATCH', '/v1/hosts/node-1', { enabled: true });
    const zoned = await fleet.rest.dryRun({ devices: 'gpu:1', availability_zone: 'room-9' });
    expect(zoned).toMatchObject({ outcome: 'rejected', rejections: [{ filter: 'AvailabilityZoneFilter' }] });
  });
});
