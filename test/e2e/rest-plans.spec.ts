import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { berth, type Ended } from '../support/cli.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const GPU = { name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' };
const AT = (slot: number): string => `0000:8${slot}:00.0`;
const NOBODY = '00000000-0000-4000-8000-000000000000';

let api: RestApi;
/** Two hosts of four GPUs; of b two are in use. A third GPU of b is not offered. */
let hosts: Record<'a' | 'b', { id: string; deviceIds: string[] }>;
let serverId: string;
/** The one on a, which the plans are about. */
let secondId: string;

beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
  await api.http.post('/v1/aliases').send(GPU).expect(201);
  const extra_specs = { 'pci_passthrough:alias': 'gpu:2' };
  await api.http
    .post('/v1/flavors')
    .send({ name: 'two', vcpus: 4, ram_mb: 8192, disk_gb: 40, extra_specs })
    .expect(201);
  hosts = { a: await insertGpuHost('a', [3]), b: await insertGpuHost('b', []) };
  serverId = await aServer('b', [0, 1]);
});
afterAll(() => api?.close());

async function insertGpuHost(name: string, notOffered: readonly number[]) {
  const devices = [0, 1, 2, 3].map((slot) => {
    const offer = notOffered.includes(slot) ? { offer: null, not_offered: 'no device_spec entry' } : {};
    return wireDevice({ address: AT(slot), iommu_group: 20 + slot, ...offer });
  });
  return insertHost(api, { name, devices });
}

/** A live server of flavor two, on these GPUs of a host. */
async function aServer(host: 'a' | 'b', slots: readonly number[]): Promise<string> {
  const { body } = await api.http
    .post('/v1/servers')
    .send({ name: `on ${host}`, flavor: 'two' })
    .expect(202);
  const devices = slots.map((slot) => ({ id: hosts[host].deviceIds[slot] as string, alias: 'gpu' }));
  await insertAllocations(api, { serverId: body.id as string, hostId: hosts[host].id, active: true, devices });
  await touched();
  return body.id as string;
}

/** What is written past the scheduler has to be seen all the same. */
async function touched(): Promise<void> {
  await api.sql(
    `UPDATE hosts SET generation = generation + 1, facts_generation = generation + 1, changed_xid = (pg_current_xact_id()::text)::bigint`,
  );
}

async function rows(): Promise<string> {
  const tables = ['hosts', 'devices', 'servers', 'claims', 'allocations', 'decisions', 'outbox'];
  const all = await Promise.all(tables.map((table) => api.sql(`SELECT t::text FROM ${table} t ORDER BY 1`)));
  return JSON.stringify(all);
}

let before: string;
beforeEach(async () => (before = await rows()));
const nothingWritten = async (): Promise<void> => expect(await rows()).toBe(before);

describe('POST /v1/placements/dry-run with copies', () => {
  it('says how many fit, where, and why no more', async () => {
    const wish = { devices: 'gpu:1', vcpus: 1, copies: 100 };
    const { body } = await api.http.post('/v1/placements/dry-run').send(wish).expect(200);
    expect(body).toMatchObject({ outcome: 'placed', copies: { asked: 100, placed: 5 } });
    expect(body.copies.hosts).toEqual([
      { host: 'a', host_id: hosts.a.id, count: 3 },
      { host: 'b', host_id: hosts.b.id, count: 2 },
    ]);
    expect(body.copies.message).toContain('No valid host');
    expect(body.copies.rejections.map(({ filter }: { filter: string }) => filter)).toContain('PciPassthroughFilter');
    await nothingWritten();
  });

  it('is what it was without', async () => {
    const { body } = await api.http.post('/v1/placements/dry-run').send({ flavor: 'two' }).expect(200);
    expect(body.outcome).toBe('placed');
    expect(body).not.toHaveProperty('copies');
  });

  it.each([0, 10_001, 1.5, '3'])('refuses %j copies', async (copies) => {
    const { body } = await api.http.post('/v1/placements/dry-run').send({ flavor: 'two', copies }).expect(400);
    expect(body.errors).toEqual([{ field: 'copies', problem: 'has to be a whole number from 1 to 10000' }]);
  });
});

describe('POST /v1/placements/what-if', () => {
  const ask = (changes: readonly object[], requests: readonly object[] = [{ flavor: 'two', copies: 50 }]) =>
    api.http.post('/v1/placements/what-if').send({ changes, requests });

  it.each<[string, () => object[], [number, number]]>([
    ['nothing changes', () => [], [2, 2]],
    ['hosts are added', () => [{ kind: 'add_hosts', like: 'b', count: 10 }], [2, 22]],
    ['a host is lost', () => [{ kind: 'lose_host', host: 'b' }], [2, 1]],
    ['a server goes', () => [{ kind: 'free_server', server_id: serverId }], [2, 3]],
    ['a device is held', () => [{ kind: 'hold_device', host: 'b', address: '82:00.0' }], [2, 1]],
    ['a device is lost', () => [{ kind: 'lose_device', host: hosts.b.id, address: AT(3) }], [2, 1]],
    [
      'one hold is lifted again',
      () => [
        { kind: 'hold_device', host: 'b', address: AT(2) },
        { kind: 'lift_hold', host: 'b', address: AT(2) },
      ],
      [2, 2],
    ],
  ])('%s', async (_what, changes, [now, then]) => {
    const { body } = await ask(changes()).expect(200);
    expect(body.requests).toMatchObject([
      { name: 'request 1', before: { asked: 50, placed: now }, after: { asked: 50, placed: then }, gain: then - now },
    ]);
    expect(body.hosts_before).toBe(2);
    await nothingWritten();
  });

  it('an agent that is silent, or a host that is disabled, comes back', async () => {
    await api.sql(`UPDATE hosts SET status = 'down' WHERE name = 'b'`);
    await touched();
    const { body } = await ask([{ kind: 'enable_host', host: 'b' }]).expect(200);
    await api.sql(`UPDATE hosts SET status = 'up' WHERE name = 'b'`);
    await touched();
    expect(body.requests).toMatchObject([{ before: { placed: 1 }, after: { placed: 2 }, gain: 1 }]);
    expect(body.requests[0].before.rejections.map((entry: { filter: string }) => entry.filter)).toContain(
      'ComputeFilter',
    );
  });

  it('another whitelist offers what was reported and not offered, and takes away what is free', async () => {
    const question = (device_specs: object[], on: string[]) => {
      const whitelist = { device_specs, hosts: on };
      return api.http.post('/v1/placements/what-if').send({ whitelist, requests: [{ devices: 'gpu:1', copies: 50 }] });
    };
    const more = await question([{ vendor_id: '10de' }], ['a']).expect(200);
    expect(more.body).toMatchObject({ hosts_after: 2, requests: [{ before: { placed: 5 }, after: { placed: 6 } }] });
    const less = await question([{ address: '0000:80:00.0' }], ['a', hosts.b.id]).expect(200);
    expect(less.body.requests).toMatchObject([{ before: { placed: 5 }, after: { placed: 1 }, gain: -4 }]);
    await nothingWritten();
  });

  it('a later change sees the whitelist', async () => {
    const whitelist = { device_specs: [{ vendor_id: '10de' }], hosts: ['a'] };
    const changes = [{ kind: 'add_hosts', like: 'a', count: 1 }];
    const requests = [{ devices: 'gpu:4', copies: 5 }];
    const { body } = await api.http.post('/v1/placements/what-if').send({ whitelist, changes, requests }).expect(200);
    expect(body.requests).toMatchObject([{ before: { placed: 0 }, after: { placed: 2 } }]);
  });

  it('decides several requests in order', async () => {
    const requests = [
      { name: 'first', devices: 'gpu:1', copies: 4 },
      { name: 'second', flavor: 'two' },
    ];
    const { body } = await ask([{ kind: 'add_hosts', like: 'a', count: 1 }], requests).expect(200);
    expect(body.requests).toMatchObject([
      { name: 'first', before: { placed: 4 }, gain: 0 },
      { name: 'second', before: { placed: 0 }, after: { placed: 1 }, gain: 1 },
    ]);
    expect(body.requests[0].after.hosts.map(({ host }: { host: string }) => host)).not.toContain('a+2.1');
  });

  it.each<[string, object, number, string, string]>([
    [
      'an unknown host',
      { kind: 'lose_host', host: 'A' },
      400,
      'changes[0].host',
      'there is no host "A"; did you mean "a"?',
    ],
    ['an unknown model', { kind: 'add_hosts', like: 'z9', count: 1 }, 400, 'changes[0].like', 'there is no host "z9"'],
    [
      'an unknown server',
      { kind: 'free_server', server_id: NOBODY },
      400,
      'changes[0].server_id',
      'no server with the id',
    ],
    [
      'an unknown device',
      { kind: 'hold_device', host: 'a', address: '01:00.0' },
      400,
      'changes[0].address',
      'offers no device',
    ],
    ['no hold', { kind: 'lift_hold', host: 'a', address: AT(0) }, 409, 'changes[0].address', 'has to be reserved'],
    ['no address', { kind: 'hold_device', host: 'a', address: 'x' }, 400, 'changes[0].address', 'is not a PCI address'],
    ['a field too few', { kind: 'hold_device', host: 'a' }, 400, 'changes[0].address', 'is needed for hold_device'],
    ['one too many', { kind: 'lose_host', host: 'a', count: 2 }, 400, 'changes[0].count', 'means nothing to lose_host'],
    ['too many hosts', { kind: 'add_hosts', like: 'a', count: 1001 }, 400, 'changes[0].count', 'from 1 to 1000'],
    ['an unknown kind', { kind: 'lose_hosts', host: 'a' }, 400, 'changes[0].kind', 'did you mean "lose_host"?'],
  ])('%s is refused', async (_what, change, status, field, problem) => {
    const { body } = await ask([change]).expect(status);
    expect(body.errors).toEqual([{ field, problem: expect.stringContaining(problem) as string }]);
  });

  it('refuses more than it can do, and names what of a request is wrong', async () => {
    const many = await ask([600, 500].map((count) => ({ kind: 'add_hosts', like: 'a', count }))).expect(400);
    expect(many.body.errors).toMatchObject([
      { field: 'changes', problem: expect.stringContaining('1100 hosts') as string },
    ]);
    const copies = await ask([], Array(2).fill({ flavor: 'two', copies: 6_000 })).expect(400);
    expect(copies.body.errors).toMatchObject([{ field: 'requests' }]);
    const none = await ask([], []).expect(400);
    expect(none.body.errors).toEqual([{ field: 'requests', problem: 'needs 1 at least' }]);
    const alias = await ask([], [{ flavor: 'two' }, { devices: 'gpo:1' }]).expect(400);
    expect(alias.body.errors).toMatchObject([{ field: 'requests[1].devices' }]);
    const specs = { whitelist: { device_specs: [{ vendor_id: 8086 }], hosts: ['a'] }, requests: [{ flavor: 'two' }] };
    const wrong = await api.http.post('/v1/placements/what-if').send(specs).expect(400);
    expect(wrong.body).toMatchObject({
      code: 'device_spec.invalid',
      errors: [{ field: 'whitelist.device_specs[0].vendor_id' }],
    });
    const host = { whitelist: { device_specs: [], hosts: ['a', 'c'] }, requests: [{ flavor: 'two' }] };
    const unknown = await api.http.post('/v1/placements/what-if').send(host).expect(400);
    expect(unknown.body).toMatchObject({ code: 'host.unknown', errors: [{ field: 'whitelist.hosts[1]' }] });
  });
});

describe('GET /v1/capacity and /v1/fragmentation', () => {
  it('count the devices of each alias by what becomes of them', async () => {
    await api.sql(`UPDATE devices SET status = 'quarantined' WHERE id = $1`, [hosts.a.deviceIds[2]]);
    await touched();
    const { body } = await api.http.get('/v1/capacity').expect(200);
    await api.sql(`UPDATE devices SET status = 'available' WHERE id = $1`, [hosts.a.deviceIds[2]]);
    await touched();
    expect(body).toEqual({
      aliases: [
        {
          ...{ alias: 'gpu', there: 7, free: 4, in_use: 2, held: 1, blocked: 0, missing: 0, fits: 4 },
          largest: { host: 'a', host_id: hosts.a.id, count: 2 },
        },
      ],
      next: null,
    });
  });

  it('say what nobody can have, and why; the mix is learnt from live servers and flavors', async () => {
    await api.sql(`UPDATE hosts SET enabled = false, disabled_reason = 'repair' WHERE name = 'b'`);
    await touched();
    const { body } = await api.http.get('/v1/fragmentation?alias=gpu').expect(200);
    await api.sql(`UPDATE hosts SET enabled = true, disabled_reason = NULL`);
    await touched();
    expect(body.aliases).toEqual([
      {
        ...{ alias: 'gpu', idle: 5, free: 5, stranded: 2, fragmentation: 2 / 5 },
        causes: [
          {
            ...{ code: 'host.disabled', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' },
            ...{
              count: 2,
              host_count: 1,
              hosts: ['b'],
              example: expect.stringContaining(`b ${AT(2)}: the host is disabled`) as string,
            },
          },
        ],
        worst_hosts: [{ host: 'b', free: 2, unusable: 2 }],
        mix: [{ asks_for: 'gpu:2, 4 vCPUs, 8192 MB, 40 GB', servers: 1 }],
      },
    ]);
  });

  it.each(['/v1/capacity', '/v1/fragmentation'])('%s pages, and refuses an alias that is not there', async (path) => {
    await api.http
      .post('/v1/aliases')
      .send({ ...GPU, name: 'zz' })
      .expect(201);
    const first = await api.http.get(`${path}?limit=1`).expect(200);
    expect(first.body).toMatchObject({ aliases: [{ alias: 'gpu' }], next: `${path}?limit=1&marker=gpu` });
    const second = await api.http.get(first.body.next as string).expect(200);
    expect(second.body).toMatchObject({ aliases: [{ alias: 'zz' }], next: null });
    await api.http.delete('/v1/aliases/zz').expect(204);
    const { body } = await api.http.get(`${path}?alias=gpo`).expect(400);
    expect(body).toMatchObject({ code: 'alias.unknown', errors: [{ field: 'alias' }] });
  });
});

describe('POST /v1/defragmentation/plan', () => {
  const plan = (body: object) => api.http.post('/v1/defragmentation/plan').send(body);
  beforeAll(async () => {
    await api.sql(`UPDATE devices SET offered = true, facts = jsonb_set(facts, '{offer}', $2) WHERE id = $1`, [
      hosts.a.deviceIds[3],
      JSON.stringify({ entry: 0, tags: {}, resource_class: null, traits: [] }),
    ]);
    secondId = await aServer('a', [0, 1]);
  });

  it('says which server to move so that the goal fits; nothing is moved', async () => {
    const { body } = await plan({ goal: { devices: 'gpu:4', vcpus: 1 } }).expect(200);
    expect(body).toEqual({
      ...{ outcome: 'reached', before: 0, after: 1, gain: 1 },
      moves: [
        {
          ...{ server_id: secondId, server_name: 'on a', from_host: 'a', to_host: 'b', memory_mb: 8192 },
          ...{ gives_back: [AT(0), AT(1)], takes: [AT(2), AT(3)] },
        },
      ],
      cost: { moves: 1, devices: 2, memory_mb: 8192 },
      ...{ moves_at_least: 1, trials: expect.any(Number) as number, cut_short: false },
      staying: { not_settled: 0, kept: 0, request_unknown: 0, affinity: 0 },
    });
    await nothingWritten();
  });

  it('moves none that has to be kept, or is on its way', async () => {
    const goal = { devices: 'gpu:4', vcpus: 1 };
    const kept = await plan({ goal, keep: [secondId] }).expect(200);
    expect(kept.body).toMatchObject({ outcome: 'reached', moves: [{ server_id: serverId }], staying: { kept: 1 } });
    await api.sql(`UPDATE servers SET task_state = 'releasing' WHERE id = $1`, [serverId]);
    await touched();
    const none = await plan({ goal, keep: [secondId] }).expect(200);
    await api.sql(`UPDATE servers SET task_state = NULL WHERE id = $1`, [serverId]);
    await touched();
    expect(none.body).toMatchObject({ outcome: 'no_gain', moves: [], staying: { kept: 1, not_settled: 1 } });
  });

  it('without a goal, works for the servers that there are', async () => {
    const { body } = await plan({ aliases: ['gpu'] }).expect(200);
    expect(body).toMatchObject({ outcome: 'nothing_to_do', before: 0, moves: [] });
  });

  it.each<[string, object, string]>([
    ['neither goal nor aliases', {}, 'goal'],
    ['both', { goal: { flavor: 'two' }, aliases: ['gpu'] }, 'aliases'],
    ['an unknown alias', { aliases: ['gpo'] }, 'aliases'],
    ['an unknown flavor', { goal: { flavor: 'three' } }, 'goal.flavor'],
    ['too many moves', { aliases: ['gpu'], moves_max: 1001 }, 'moves_max'],
    ['no ids', { aliases: ['gpu'], keep: ['x'] }, 'keep'],
    ['no number', { goal: { flavor: 'two', count: 0 } }, 'goal.count'],
  ])('%s: 400 that names the field', async (_what, body, field) => {
    const answer = await plan(body).expect(400);
    expect(answer.body.errors).toMatchObject([{ field }]);
  });

  it('leaves out what is not there', async () => {
    const { body } = await plan({ goal: { flavor: 'two' }, keep: [randomUUID()] }).expect(200);
    expect(body).toMatchObject({ outcome: 'nothing_to_do', staying: { kept: 0 } });
  });
});

describe('berth capacity, what-if and defragment plan', () => {
  const run = (words: readonly string[], input = ''): Promise<Ended> =>
    berth(words, { BERTH_URL: new URL(api.http.get('/').url).origin }, input);

  it('print tables', async () => {
    const capacity = await run(['capacity', 'list']);
    expect(capacity.stderr).toBe('');
    expect(capacity.stdout).toMatch(
      /^\| Alias +\| There +\| In Use +\| Held +\| Blocked +\| Missing +\| Free +\| Fits +\| Largest +\|$/m,
    );
    expect(capacity.stdout).toMatch(/^\| gpu +\| 8 +\| 4 +\| 0 +\| 0 +\| 0 +\| 4 +\| 4 +\| 2 \(a\) +\|$/m);
    expect((await run(['fragmentation', 'show'])).stdout).toContain(
      'gpu: 0 of 4 idle devices are of no use to any flavor or server that asks for it; the next server cannot use 0.0 %',
    );
    const file = 'changes:\n  - {kind: lose_host, host: b}\nrequests:\n  - {name: pairs, flavor: two, copies: 9}\n';
    const whatIf = await run(['what-if', '-'], file);
    expect(whatIf.stderr).toBe('');
    expect(whatIf.stdout).toContain('2 hosts now, 1 then\n');
    expect(whatIf.stdout).toMatch(/^pairs +9 +2 +1 +-1$/m);
    expect(whatIf.stdout).toContain('pairs, then: No valid host');
    const plan = await run(['defragment', 'plan', '--devices', 'gpu:4', '--count', '1']);
    expect([plan.code, plan.stderr]).toEqual([0, '']);
    expect(plan.stdout).toContain('The goal is reached: 0 before, 1 after.\n');
    expect(plan.stdout).toContain(`on a (${secondId})`);
    expect(plan.stdout).toContain(`${AT(0)} ${AT(1)} → ${AT(2)} ${AT(3)}`);
    expect(plan.stdout).toContain('1 move, 2 devices, 8192 MB of memory; no plan has fewer than 1.\n');
    await nothingWritten();
  });

  it('print the answer of the REST face as it is with -f json', async () => {
    for (const words of [
      ['capacity', 'list'],
      ['fragmentation', 'show'],
    ]) {
      const { stdout } = await run([...words, '--alias', 'gpu', '-f', 'json']);
      expect(JSON.parse(stdout)).toMatchObject([{ alias: 'gpu' }]);
    }
    const whatIf = await run(['what-if', '-', '-f', 'json'], JSON.stringify({ requests: [{ flavor: 'two' }] }));
    expect(JSON.parse(whatIf.stdout)).toMatchObject({ requests: [{ gain: 0 }] });
    const plan = await run(['defragment', 'plan', '--alias', 'gpu', '-f', 'json']);
    expect(JSON.parse(plan.stdout)).toMatchObject({ outcome: 'nothing_to_do' });
  });

  it('end with 1 when a plan does not reach its goal, or there is no answer', async () => {
    expect(await run(['defragment', 'plan', '--devices', 'gpu:5'])).toMatchObject({ code: 1, stderr: '' });
    const alias = await run(['capacity', 'list', '--alias', 'gpo']);
    expect(alias).toMatchObject({ code: 1, stdout: '' });
    expect(alias.stderr).toContain('berth: alias.unknown: alias: there is no alias "gpo"; did you mean "gpu"?');
    const list = await run(['what-if', '-'], '[1]');
    expect(list).toMatchObject({ code: 2, stderr: expect.stringContaining('has to be an object') as string });
    const yaml = await run(['what-if', '-'], 'a: [');
    expect(yaml).toMatchObject({ code: 2, stderr: expect.stringContaining('berth: request.invalid: -: ') as string });
    const nobody = await run(['capacity', 'list', '--url', 'http://127.0.0.1:1']);
    expect(nobody).toMatchObject({ code: 1, stderr: expect.stringContaining('does not answer') as string });
  });
});
