import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost, quickAssistHost } from '../support/hosts.js';
import { eventually, type ShownServer } from '../support/rest-client.js';

const GPU_YAML = `agent:
  device_spec:
    - { vendor_id: '10de', product_id: '1bb0' }
pci:
  alias:
    - { name: gpu, vendor_id: '10de', product_id: '1bb0', device_type: type-PCI }
`;

const QAT_YAML = `agent:
  device_spec:
    - { vendor_id: '8086', product_id: '0443' }
pci:
  alias:
    - { name: qat, vendor_id: '8086', product_id: '0443', device_type: type-VF }
`;

interface Queued extends ShownServer {
  readonly queue_position: number | null;
  readonly waiting_since: string | null;
  readonly reservation_id: string | null;
  readonly servers?: readonly { readonly id: string; readonly name: string; readonly href: string }[];
  readonly events: readonly { readonly event: string; readonly message: string }[];
}

interface HeldDevice {
  readonly device_id: string;
  readonly address: string;
  readonly alias: string | null;
  readonly companion: boolean;
  readonly driver: string | null;
}

describe('servers that wait, make room, and change their devices while they run', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: [
        { name: 'gpu-1', tree: charmsGuideHost('gpu-1'), config: { 'agent.yaml': GPU_YAML } },
        { name: 'zun-1', tree: quickAssistHost('zun-1', 3), config: { 'agent.yaml': QAT_YAML } },
      ],
      apiConfig: { 'gpu.yaml': GPU_YAML, 'qat.yaml': QAT_YAML },
      env: { BERTH_SCHEDULER_PREEMPTION: 'true' },
    });
  });
  afterAll(() => fleet?.close());

  const show = (id: string): Promise<Queued> => fleet.rest.get<Queued>(`/v1/servers/${id}`);

  /** Resolves when the server is as expected. */
  const becomes = (id: string, expected: object): Promise<Queued> =>
    eventually(30_000, async () => {
      const server = await show(id);
      expect(server, fleet.tails()).toMatchObject(expected);
      return server;
    });

  const create = async (body: object, key?: string): Promise<Queued> => {
    const answer = await fleet.rest.send<Queued>('POST', '/v1/servers', body, key);
    expect(answer.status, JSON.stringify(answer.body)).toBe(202);
    return answer.body;
  };

  it('three with min_count 3 on room for two: none is placed; two fit, and are one call also when it is repeated', async () => {
    const refused = await create({ name: 'ring', devices: 'gpu:1', min_count: 3 });
    expect(refused).toMatchObject({ name: 'ring-1', reservation_id: refused.id });
    expect(refused.servers?.map(({ name }) => name)).toEqual(['ring-1', 'ring-2', 'ring-3']);
    for (const { id } of refused.servers ?? []) {
      const server = await becomes(id, { status: 'ERROR', host: null, attempts: 0 });
      expect(server.fault?.message).toMatch(/^2 of at least 3 servers would fit, so none is placed/);
    }
    expect(await fleet.rest.devices('alias=gpu&status=available')).toHaveLength(2);

    const body = { name: 'pair', devices: 'gpu:1', min_count: 2, max_count: 3 };
    const pair = await create(body, 'one-key');
    const again = await create(body, 'one-key');
    expect(again.servers).toEqual(pair.servers);
    const ids = (pair.servers ?? []).map(({ id }) => id);
    await becomes(ids[0] ?? '', { status: 'ACTIVE', host: 'gpu-1' });
    await becomes(ids[1] ?? '', { status: 'ACTIVE', host: 'gpu-1' });
    await becomes(ids[2] ?? '', { status: 'ERROR' });
    for (const id of ids) await fleet.rest.remove(id);
  });

  it('a server waits and shows its place, and is placed when another one is deleted', async () => {
    const holder = await fleet.rest.place({ name: 'holder', devices: 'gpu:2' });
    expect(holder.status, fleet.tails()).toBe('ACTIVE');
    const first = await create({ name: 'first', devices: 'gpu:1', wait: true });
    await becomes(first.id, { status: 'BUILD', task_state: 'waiting', queue_position: 1 });
    const urgent = await create({ name: 'urgent', devices: 'gpu:1', wait: true, priority: 10 });
    await becomes(urgent.id, { task_state: 'waiting', queue_position: 1 });
    const given_up = await create({ name: 'given-up', devices: 'gpu:1', wait: true });
    await becomes(given_up.id, { task_state: 'waiting', queue_position: 3 });
    const page = await fleet.rest.get<{ servers: object[]; next: string | null }>('/v1/queue?limit=2');
    expect(page).toMatchObject({
      servers: [
        { name: 'urgent', priority: 10 },
        { name: 'first', position: 2 },
      ],
    });
    expect(await fleet.rest.get(page.next ?? '')).toMatchObject({ servers: [{ name: 'given-up' }], next: null });
    await fleet.rest.remove(given_up.id);
    await fleet.rest.remove(holder.id);
    await becomes(first.id, { status: 'ACTIVE', queue_position: null, waiting_since: null, fault: null });
    await becomes(urgent.id, { status: 'ACTIVE' });
    const { events } = await show(first.id);
    expect(events.map(({ event }) => event)).toEqual(['requested', 'waiting', 'placed', 'prepared']);
    for (const { id } of [first, urgent]) await fleet.rest.remove(id);
  });

  it('the less important leave for the more important, as the preview said; and come back', async () => {
    const low = await fleet.rest.place({ name: 'low', devices: 'gpu:1', preemptible: true });
    const high = await fleet.rest.place({ name: 'firm', devices: 'gpu:1', priority: 1 });
    const wish = { devices: 'gpu:1', priority: 5 };
    const preview = await fleet.rest.send('POST', '/v1/placements/preemption-preview', wish);
    expect(preview).toMatchObject({
      status: 200,
      body: {
        ...{ outcome: 'preempts', host: 'gpu-1', least: true },
        victims: [{ server_id: low.id, name: 'low', priority: 0, devices: [low.devices[0]?.address] }],
      },
    });
    expect(await show(low.id)).toMatchObject({ status: 'ACTIVE' });
    const important = await create({ name: 'important', ...wish });
    const placed = await becomes(important.id, { status: 'ACTIVE', host: 'gpu-1' });
    expect(placed.devices[0]?.address).toBe(low.devices[0]?.address);
    const waiting = await becomes(low.id, { status: 'BUILD', task_state: 'waiting', queue_position: 1 });
    expect(waiting.events.map(({ event }) => event)).toContain('preempted');
    expect(JSON.stringify(waiting.events)).not.toContain('important');
    expect(await show(high.id)).toMatchObject({ status: 'ACTIVE' });
    await fleet.rest.remove(important.id);
    await becomes(low.id, { status: 'ACTIVE', host: 'gpu-1' });
    for (const { id } of [low, high]) await fleet.rest.remove(id);
  });

  it('a device is attached to a running server and detached again, and its first ones stay bound', async () => {
    const server = await fleet.rest.place({ name: 'capsule', devices: 'qat:1' });
    expect(server.status, fleet.tails()).toBe('ACTIVE');
    const first = server.devices[0]?.address ?? '';
    const path = `/v1/servers/${server.id}/devices`;
    const asked = await fleet.rest.send<Queued>('POST', path, { devices: 'qat:1' });
    expect(asked).toMatchObject({ status: 202, body: { status: 'ACTIVE' } });
    const grown = await becomes(server.id, {
      ...{ status: 'ACTIVE', task_state: null },
      devices: [{ driver: 'vfio-pci' }, { driver: 'vfio-pci' }],
    });
    const second = grown.devices.find(({ address }) => address !== first) as unknown as HeldDevice;
    expect(second).toMatchObject({ alias: 'qat', companion: false });
    expect(fleet.agent('zun-1').bound().toSorted()).toEqual([first, second.address].toSorted());

    const refused = await fleet.rest.send('POST', path, { devices: 'qat:2' });
    expect(refused.status).toBe(202);
    const unharmed = await becomes(server.id, { status: 'ACTIVE', task_state: null, fault: null });
    expect(unharmed.events.at(-1)).toMatchObject({
      event: 'attach_refused',
      message: expect.stringMatching(/qat: 2 wanted, 1 free/),
    });
    expect(await fleet.rest.send('POST', path, { devices: 'none:1' })).toMatchObject({ status: 400 });

    // the device that the server was placed with goes, and the one that came later stays
    const original = grown.devices.find(({ address }) => address === first) as unknown as HeldDevice;
    expect(await fleet.rest.send('DELETE', `${path}/${original.device_id}`)).toMatchObject({
      status: 202,
      body: { detaching: [{ address: first, companion: false }] },
    });
    await becomes(server.id, { status: 'ACTIVE', task_state: null, devices: [{ address: second.address }] });
    expect(fleet.agent('zun-1').bound()).toEqual([second.address]);
    expect(fleet.agent('zun-1').devices()[first]).toEqual({ driver: 'dh895xccvf', override: null });
    expect(await fleet.rest.send('DELETE', `${path}/${original.device_id}`)).toMatchObject({ status: 404 });
    await fleet.rest.remove(server.id);
    expect(fleet.agent('zun-1').bound()).toEqual([]);
    expect(fleet.agent('zun-1').claims()).toEqual([]);
  });
});
