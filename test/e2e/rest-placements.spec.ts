import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const GPU = { name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' };
const AT = (slot: number): string => `0000:8${slot}:00.0`;

interface Answer {
  readonly key: string | null;
  readonly outcome: string;
  readonly replayed?: boolean;
  readonly id: string;
  readonly code?: string;
  readonly message?: string;
  readonly host: { readonly name: string };
  readonly devices: readonly { readonly id: string; readonly address: string; readonly alias: string }[];
  readonly decision?: { readonly message: string };
}

let api: RestApi;

beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
  await api.http.post('/v1/aliases').send(GPU).expect(201);
  for (const name of ['a', 'b']) {
    const devices = [0, 1, 2, 3].map((slot) => wireDevice({ address: AT(slot), iommu_group: 20 + slot }));
    await insertHost(api, { name, devices });
  }
});
afterAll(() => api?.close());

async function place(...placements: readonly object[]): Promise<Answer[]> {
  const { body } = await api.http.post('/v1/placements').send({ placements }).expect(200);
  return body.placements as Answer[];
}

async function giveBack(ids: readonly string[]): Promise<void> {
  await api.http.delete('/v1/placements').send({ ids }).expect(200);
  // as the scheduler would when the agents have answered
  await api.sql(`UPDATE allocations SET released_at = now() WHERE server_id = ANY($1::uuid[])`, [ids]);
  await api.sql(`UPDATE claims SET status = 'released' WHERE server_id = ANY($1::uuid[])`, [ids]);
  await api.sql(`UPDATE servers SET status = 'DELETED', task_state = NULL WHERE id = ANY($1::uuid[])`, [ids]);
  await api.sql(`UPDATE devices SET status = 'available'`);
  await api.sql(
    `UPDATE hosts SET generation = generation + 1, facts_generation = generation + 1, changed_xid = (pg_current_xact_id()::text)::bigint`,
  );
}

const gpu = (key: string, more: object = {}): object => ({ key, devices: 'gpu:1', ...more });
const idsOf = (answers: readonly Answer[]): string[] => answers.flatMap(({ id }) => (id ? [id] : []));

describe('POST /v1/placements', () => {
  it('answers each by itself when it is in the ledger, and has the agents of one host told in one message', async () => {
    const answers = await place(gpu('p1'), gpu('p2', { name: 'second' }), { key: 'p3', devices: 'gpu:2' });
    expect(answers.map(({ outcome, replayed }) => [outcome, replayed])).toEqual([
      ['placed', false],
      ['placed', false],
      ['placed', false],
    ]);
    const rows = await api.sql<{ id: string; name: string; status: string; devices: string[] }>(
      `SELECT s.id, s.name, s.status, array_agg(a.device_id::text) AS devices FROM servers s
         JOIN allocations a ON a.server_id = s.id AND a.released_at IS NULL WHERE s.kind = 'placement' GROUP BY s.id ORDER BY s.name`,
    );
    expect(rows.map(({ name, status }) => [name, status])).toEqual([
      ['p1', 'BUILD'],
      ['p3', 'BUILD'],
      ['second', 'BUILD'],
    ]);
    for (const answer of answers) {
      const row = rows.find(({ id }) => id === answer.id);
      expect([...(row?.devices ?? [])].sort()).toEqual(answer.devices.map(({ id }) => id).sort());
    }
    const outbox = await api.sql<{ queue: string; message: { type: string; body: { commands?: unknown[] } } }>(
      `SELECT queue, message FROM outbox WHERE queue LIKE 'berth.agent.%'`,
    );
    const commands = outbox.flatMap(({ message }) => message.body.commands ?? [message.body]);
    expect(commands).toHaveLength(3);
    expect(outbox).toHaveLength(new Set(answers.map(({ host }) => host.name)).size);
    await giveBack(idsOf(answers));
  });

  it('answers the same placement for the same key, in the same call, later, and after it was given back', async () => {
    const [first, again] = await place(gpu('same'), gpu('same'));
    expect([first, again].map((answer) => answer?.id)).toEqual([first?.id, first?.id]);
    expect([first?.replayed, again?.replayed].sort()).toEqual([false, true]);
    const [later] = await place(gpu('same'));
    expect(later).toMatchObject({ outcome: 'placed', replayed: true, id: first?.id, devices: first?.devices });
    const [other] = await place({ key: 'same', devices: 'gpu:2' });
    expect(other).toMatchObject({ outcome: 'rejected', code: 'idempotency.key_reused' });
    await giveBack([first?.id ?? '']);
    const [afterwards] = await place(gpu('same'));
    expect(afterwards).toMatchObject({ outcome: 'placed', replayed: true, id: first?.id, devices: [] });
  });

  it('answers what was placed under a key also when its alias is gone', async () => {
    await api.http
      .post('/v1/aliases')
      .send({ ...GPU, name: 'gone' })
      .expect(201);
    const wish = { key: 'gone-1', devices: 'gone:1' };
    const [first] = await place(wish);
    expect(first).toMatchObject({ outcome: 'placed', replayed: false });
    await api.http.delete('/v1/aliases/gone').expect(204);
    await new Promise((resolve) => setTimeout(resolve, 300)); // what is known of a kind of wishes is good for so long
    const [again, other] = await place(wish, { key: 'gone-2', devices: 'gone:1' });
    expect(again).toMatchObject({ outcome: 'placed', replayed: true, id: first?.id });
    expect(other).toMatchObject({ outcome: 'rejected', code: 'alias.unknown' });
    await giveBack([first?.id ?? '']);
  });

  it('says why there is no room, once for each kind, and writes nothing of it', async () => {
    const answers = await place(...Array.from({ length: 11 }, (_unused, index) => gpu(`full-${index}`)));
    const rejected = answers.filter(({ outcome }) => outcome === 'rejected');
    expect(rejected).toHaveLength(3);
    expect(rejected[0]).toMatchObject({ code: 'placement.no_valid_host' });
    expect(rejected.map(({ decision }) => decision !== undefined)).toEqual([true, false, false]);
    const held = await api.sql(`SELECT 1 FROM allocations WHERE released_at IS NULL`);
    expect(held).toHaveLength(8);
    const [refused] = rejected;
    expect(await api.sql(`SELECT 1 FROM servers WHERE placement_key = $1`, [refused?.key])).toHaveLength(0);
    await giveBack(idsOf(answers));
    expect((await place(gpu(refused?.key ?? '')))[0]).toMatchObject({ outcome: 'placed', replayed: false });
    await giveBack(
      await api
        .sql<{ id: string }>(`SELECT id FROM servers WHERE status = 'BUILD'`)
        .then((rows) => rows.map(({ id }) => id)),
    );
  });

  it('rejects one that asks for what there is not, and places the others', async () => {
    const [unknown, fine] = await place({ key: 'u1', devices: 'gpuu:1' }, gpu('u2'));
    expect(unknown).toMatchObject({ key: 'u1', outcome: 'rejected', code: 'alias.unknown' });
    expect(unknown?.message).toContain('gpu');
    expect(fine).toMatchObject({ outcome: 'placed' });
    await giveBack([fine?.id ?? '']);
  });

  it('never gives a device to two, however many ask at once under however many equal keys', async () => {
    const calls = Array.from({ length: 12 }, (_unused, call) =>
      place(...Array.from({ length: 5 }, (_none, index) => gpu(`race-${(call * 5 + index) % 20}`))),
    );
    const answers = (await Promise.all(calls)).flat();
    const placed = answers.filter(({ outcome }) => outcome === 'placed');
    const byKey = new Map(placed.map(({ key, id }) => [key, id]));
    expect(placed.every(({ key, id }) => byKey.get(key) === id)).toBe(true);
    expect(byKey.size).toBe(8);
    const devices = placed
      .filter(({ replayed }) => replayed === false)
      .flatMap((answer) => answer.devices.map(({ id }) => id));
    expect(new Set(devices).size).toBe(devices.length);
    expect(devices).toHaveLength(8);
    await giveBack(idsOf(placed));
  });

  it.each([
    [{}, 'placements'],
    [{ placements: [] }, 'placements'],
    [{ placements: [gpu('x')], more: 1 }, 'more'],
    [{ placements: [1] }, 'placements[0]'],
    [{ placements: [gpu('x'), gpu('has space ')] }, 'placements[1].key'],
    [{ placements: [gpu('x', { name: '' })] }, 'placements[0].name'],
    [{ placements: [gpu('x', { devicess: 'gpu:1' })] }, 'placements[0].devicess'],
    [{ placements: [gpu('x', { vcpus: -1 })] }, 'placements[0].vcpus'],
    [{ placements: [gpu('x', { preemptible: true })] }, 'placements[0].preemptible'],
    [{ placements: Array.from({ length: 1001 }, () => gpu('x')) }, 'placements'],
  ])('refuses a call that is not well formed and places nothing: %#', async (body, field) => {
    const { body: problem } = await api.http.post('/v1/placements').send(body).expect(400);
    expect(problem.errors.map((error: { field: string }) => error.field)).toContain(field);
    expect(await api.sql(`SELECT 1 FROM servers WHERE placement_key = 'x'`)).toHaveLength(0);
  });
});

describe('a placement', () => {
  it('is shown with its state and its decision, is listed, and is no server', async () => {
    const [answer] = await place(gpu('shown'), gpu('shown-2'));
    const id = answer?.id ?? '';
    const { body } = await api.http.get(`/v1/placements/${id}`).expect(200);
    expect(body).toMatchObject({
      id,
      key: 'shown',
      name: 'shown',
      state: 'preparing',
      devices: answer?.devices,
      fault: null,
    });
    const { body: decision } = await api.http.get(`/v1/placements/${id}/decision`).expect(200);
    expect(decision).toMatchObject({ host: answer?.host.name, class_size: 2, first: { outcome: 'placed' } });
    expect(decision.score).toEqual(expect.any(Number));
    const { body: list } = await api.http.get('/v1/placements?limit=1').expect(200);
    expect(list.placements).toHaveLength(1);
    const { body: rest } = await api.http.get(list.next).expect(200);
    expect([...list.placements, ...rest.placements].map(({ key }: { key: string }) => key).sort()).toEqual([
      'shown',
      'shown-2',
    ]);
    await api.http.get(`/v1/servers/${id}`).expect(404);
    const { body: servers } = await api.http.get('/v1/servers').expect(200);
    expect(servers.servers).toEqual([]);
    await api.http.delete(`/v1/servers/${id}`).expect(404);
    await giveBack(list.placements.concat(rest.placements).map((placement: { id: string }) => placement.id));
  });

  it('is given back by its id, alone or with others; who holds nothing is gone at once', async () => {
    const [one, two, empty] = await place(gpu('g1'), gpu('g2'), { key: 'g3', vcpus: 1 });
    const nobody = randomUUID();
    const ids = [one?.id, two?.id, empty?.id, nobody];
    const { body } = await api.http.delete('/v1/placements').send({ ids }).expect(200);
    expect(body.placements.map(({ outcome }: { outcome: string }) => outcome)).toEqual([
      ...['releasing', 'releasing', 'released', 'unknown'],
    ]);
    const { body: again } = await api.http.delete(`/v1/placements/${one?.id}`).expect(200);
    expect(again).toEqual({ id: one?.id, outcome: 'releasing' });
    expect((await api.http.get(`/v1/placements/${one?.id}`).expect(200)).body.state).toBe('releasing');
    await api.http.delete(`/v1/placements/${nobody}`).expect(404);
    await api.http
      .delete('/v1/placements')
      .send({ ids: ['x'] })
      .expect(400);
    await giveBack([one?.id ?? '', two?.id ?? '']);
    expect((await api.http.delete(`/v1/placements/${one?.id}`).expect(200)).body.outcome).toBe('released');
  });
});
