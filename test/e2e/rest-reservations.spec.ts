import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { berth } from '../support/cli.js';
import { insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const PATH = '/v1/reservations';
const NOBODY = '00000000-0000-4000-8000-000000000000';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const later = (ms: number): string => new Date(Date.now() + ms).toISOString();

let api: RestApi;

beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
  await api.http
    .post('/v1/aliases')
    .send({ name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' })
    .expect(201);
  const devices = [0, 1, 2].map((slot) => wireDevice({ address: `0000:8${slot}:00.0`, iommu_group: 20 + slot }));
  await insertHost(api, { name: 'a', devices });
});
afterAll(() => api?.close());

const wish = (more: object = {}): object => {
  return { name: 'training', devices: 'gpu:2', starts_at: later(DAY_MS), ends_at: later(DAY_MS + HOUR_MS), ...more };
};

describe('a reservation over REST', () => {
  let id: string;

  it('keeps devices and says which', async () => {
    const { body, headers } = await api.http.post(PATH).set('idempotency-key', 'r-1').send(wish()).expect(201);
    id = body.id as string;
    expect(headers['location']).toBe(`${PATH}/${id}`);
    expect(body).toMatchObject({
      ...{ name: 'training', status: 'pending', count: 1, devices_asked: ['gpu:2'], on_end: 'keep', recurrence: null },
      windows: [
        {
          status: 'planned',
          fault: null,
          devices: [
            { host: 'a', address: '0000:80:00.0', server: 1, alias: 'gpu', in_use_by: null },
            { host: 'a', address: '0000:81:00.0', server: 1, alias: 'gpu' },
          ],
        },
      ],
      events: [{ event: 'created', message: 'For 1 server: 2 devices.' }],
    });
  });

  it('is made once for one key, also when nothing is left', async () => {
    const first = await api.http.get(`${PATH}/${id}`).expect(200);
    const said = { name: 'training', devices: 'gpu:2', starts_at: later(DAY_MS), ends_at: later(DAY_MS + HOUR_MS) };
    await api.http.post(PATH).set('idempotency-key', 'r-1').send(said).expect(422); // another time
    const body = { ...said, devices: 'gpu:1' };
    const made = await api.http.post(PATH).set('idempotency-key', 'r-2').send(body).expect(201);
    const again = await api.http.post(PATH).set('idempotency-key', 'r-2').send(body).expect(201);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(again.body.id).toBe(made.body.id);
    expect(first.body.id).not.toBe(made.body.id);
  });

  it('is refused with the reasons when too few are left', async () => {
    const { body } = await api.http
      .post(PATH)
      .send(wish({ devices: 'gpu:1' }))
      .expect(409);
    expect(body).toMatchObject({
      code: 'reservation.no_devices',
      detail: expect.stringMatching(
        /there are devices for 0 of 1 servers\. No valid host: 3 devices of alias gpu.*2 reserved until .*; 1 reserved until /,
      ),
      errors: [{ field: 'devices', problem: expect.stringMatching(/^1 host, PciPassthroughFilter: /) }],
    });
  });

  it('is listed in pages and by status', async () => {
    const { body } = await api.http.get(`${PATH}?limit=1`).expect(200);
    expect(body.reservations).toMatchObject([{ id }]);
    const second = await api.http.get(body.next as string).expect(200);
    expect(second.body).toMatchObject({ reservations: [{ devices_asked: ['gpu:1'] }], next: null });
    const none = await api.http.get(`${PATH}?status=active`).expect(200);
    expect(none.body.reservations).toEqual([]);
  });

  it('is named by a server, and by a dry run, which says that its window has not begun', async () => {
    const { body } = await api.http
      .post('/v1/placements/dry-run')
      .send({ devices: 'gpu:1', reservation: id })
      .expect(200);
    expect(body).toMatchObject({
      outcome: 'rejected',
      message: expect.stringContaining(`reservation ${id} keeps no device`),
    });
    await api.http
      .post('/v1/servers')
      .send({ name: 'vm', devices: 'gpu:1', reservation: id.toUpperCase() })
      .expect(202);
    const [row] = await api.sql<{ request: object }>(`SELECT request FROM servers WHERE name = 'vm'`);
    expect(row?.request).toMatchObject({ reservation: id });
  });

  it('changes its end and its name', async () => {
    const end = later(DAY_MS + 2 * HOUR_MS);
    const { body } = await api.http
      .patch(`${PATH}/${id}`)
      .send({ ends_at: end, name: 'longer', on_end: 'delete' })
      .expect(200);
    expect(body).toMatchObject({ name: 'longer', ends_at: end, on_end: 'delete', windows: [{ ends_at: end }] });
  });

  it('is cancelled, as often as one likes, and cannot be used then', async () => {
    await api.http.delete(`${PATH}/${id}`).expect(204);
    await api.http.delete(`${PATH}/${id}`).expect(204);
    const { body } = await api.http.get(`${PATH}/${id}`).expect(200);
    expect(body).toMatchObject({ status: 'cancelled', windows: [{ status: 'ended', devices: [] }] });
    const named = await api.http
      .post('/v1/servers')
      .send({ name: 'late', devices: 'gpu:1', reservation: id })
      .expect(409);
    expect(named.body).toMatchObject({ code: 'reservation.invalid_status', errors: [{ field: 'reservation' }] });
    const changed = await api.http.patch(`${PATH}/${id}`).send({ name: 'x' }).expect(409);
    expect(changed.body.code).toBe('reservation.invalid_status');
  });

  it('that begins now is active, and others are told of it', async () => {
    const { body } = await api.http
      .post(PATH)
      .send(wish({ starts_at: undefined, ends_at: later(HOUR_MS), devices: 'gpu:3' }))
      .expect(201);
    expect(body.status).toBe('active');
    const refused = await api.http.post('/v1/placements/dry-run').send({ devices: 'gpu:1' }).expect(200);
    expect(refused.body).toMatchObject({
      outcome: 'rejected',
      message: expect.stringMatching(/3 devices of alias gpu, all 3 reserved until /),
      rejections: [
        {
          reasons: [{ code: 'device.reserved', named: [{ message: expect.stringContaining('reserved by training') }] }],
        },
      ],
    });
    const mine = await api.http
      .post('/v1/placements/dry-run')
      .send({ devices: 'gpu:3', reservation: body.id })
      .expect(200);
    expect(mine.body).toMatchObject({ outcome: 'placed', devices: [{}, {}, {}] });
    await api.http.delete(`${PATH}/${body.id}`).expect(204);
    const free = await api.http.post('/v1/placements/dry-run').send({ devices: 'gpu:1' }).expect(200);
    expect(free.body.outcome).toBe('placed');
  });
});

describe('what is not well formed', () => {
  it.each<[string, object, string, RegExp]>([
    ['no end', { ends_at: undefined }, 'ends_at', /has to be a time like/],
    ['an end before the start', { ends_at: later(HOUR_MS) }, 'ends_at', /is not after starts_at/],
    ['a start in the past', { starts_at: later(-HOUR_MS) }, 'starts_at', /is in the past/],
    ['no time zone', { ends_at: '2030-03-02T08:00:00' }, 'ends_at', /with Z or an offset/],
    ['a day only', { ends_at: '2030-03-02' }, 'ends_at', /with Z or an offset/],
    ['a name of a zone', { ends_at: '2030-03-02T08:00:00 CET' }, 'ends_at', /with Z or an offset/],
    ['a day that is none', { ends_at: '2030-02-30T08:00:00Z' }, 'ends_at', /with Z or an offset/],
    ['an hour that is none', { ends_at: '2030-02-03T25:00:00+01:00' }, 'ends_at', /with Z or an offset/],
    ['a number', { starts_at: 1_900_000_000 }, 'starts_at', /with Z or an offset/],
    ['a window of years', { ends_at: later(400 * DAY_MS) }, 'ends_at', /more than 366 days/],
    [
      'a far start',
      { starts_at: later(800 * DAY_MS), ends_at: later(801 * DAY_MS) },
      'starts_at',
      /later than two years/,
    ],
    ['too many windows', { recurrence: { every: 'day', count: 61 } }, 'recurrence.count', /from 1 to 60/],
    ['windows without end', { recurrence: { every: 'day' } }, 'recurrence', /one of until and count/],
    ['too long until', { recurrence: { every: 'day', until: later(90 * DAY_MS) } }, 'recurrence.until', /at most 60/],
    ['another period', { recurrence: { every: 'month', count: 2 } }, 'recurrence.every', /one of day, week/],
    [
      'windows that overlap',
      { ends_at: later(3 * DAY_MS), recurrence: { every: 'day', count: 2 } },
      'recurrence.every',
      /overlap/,
    ],
    ['a recurrence that is a list', { recurrence: [] }, 'recurrence', /has to be an object/],
    ['no devices', { devices: undefined, vcpus: 2 }, 'devices', /a reservation keeps devices/],
    ['too many servers', { count: 101 }, 'count', /from 1 to 100/],
    ['an unknown alias', { devices: 'gpuu:1' }, 'devices', /there is no alias "gpuu"/],
    ['a reservation of a reservation', { reservation: NOBODY }, 'reservation', /is not known here/],
    ['another end', { on_end: 'stop' }, 'on_end', /one of keep, delete/],
  ])('%s', async (_what, said, field, problem) => {
    const { body } = await api.http.post(PATH).send(wish(said)).expect(400);
    expect(body.errors).toContainEqual({ field, problem: expect.stringMatching(problem) });
  });

  it('is an id of nobody, or none', async () => {
    for (const id of [NOBODY, 'x']) {
      await api.http.get(`${PATH}/${id}`).expect(404);
      await api.http.delete(`${PATH}/${id}`).expect(404);
      await api.http.patch(`${PATH}/${id}`).send({ name: 'x' }).expect(404);
    }
    const { body } = await api.http
      .post('/v1/servers')
      .send({ name: 'vm', devices: 'gpu:1', reservation: NOBODY })
      .expect(400);
    expect(body).toMatchObject({ code: 'reservation.unknown', errors: [{ field: 'reservation' }] });
    await api.http.post('/v1/servers').send({ name: 'vm', devices: 'gpu:1', reservation: 'x' }).expect(400);
  });

  it('is the end of one of several windows', async () => {
    const { body } = await api.http
      .post(PATH)
      .send(
        wish({
          devices: 'gpu:1',
          recurrence: { every: 'week', count: 2 },
          starts_at: later(3 * DAY_MS),
          ends_at: later(4 * DAY_MS),
        }),
      )
      .expect(201);
    const refused = await api.http
      .patch(`${PATH}/${body.id}`)
      .send({ ends_at: later(5 * DAY_MS) })
      .expect(400);
    expect(refused.body.errors).toMatchObject([{ field: 'ends_at' }]);
    await api.http.delete(`${PATH}/${body.id}`).expect(204);
  });
});

describe('berth reservation', () => {
  const run = (...words: string[]) =>
    berth(['reservation', ...words], { BERTH_URL: new URL(api.http.get('/').url).origin });

  it('creates, lists, shows, changes and cancels', async () => {
    const when = [
      '--start',
      later(10 * DAY_MS),
      '--end',
      later(10 * DAY_MS + HOUR_MS),
      '--every',
      'day',
      '--times',
      '2',
    ];
    const made = await run('create', 'nightly', '--devices', 'gpu:1', ...when, '-f', 'json');
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const { id } = JSON.parse(made.stdout) as { id: string };
    expect((await run('list')).stdout).toMatch(new RegExp(`${id} +\\| nightly +\\| pending +\\| 1 +\\| gpu:1`));
    expect((await run('show', 'nightly')).stdout).toMatch(
      /\| windows +\| \S+ to \S+, planned +\|\n\| +\| {3}server 1: a 0000:8/,
    );
    expect((await run('set', 'nightly', '--on-end', 'delete')).stdout).toMatch(/\| on_end +\| delete +\|/);
    expect(await run('delete', 'nightly')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect((await run('show', id)).stdout).toMatch(/\| status +\| cancelled +\|/);
    const wrong = await run('create', 'x', '--devices', 'gpu:1', '--end', 'tomorrow');
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('ends_at: has to be a time like') });
  }, 300_000);
});
