import type { DataSource } from 'typeorm';
import { beforeEach, describe, expect, it } from 'vitest';
import { LOCAL_ADMIN } from '../../src/api/identity/caller.js';
import { BerthError } from '../../src/errors.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { holdDevice } from '../../src/store/device-holds.store.js';
import type { Ledger } from '../../src/store/ledger.js';
import { inConflict } from '../../src/store/reservation-rows.store.js';
import { aReport } from '../support/reports.js';
import { inHours, keptIn, ReservationsWorld } from '../support/reservations.js';
import {
  agentsAnswer,
  ask,
  hostWithGpus,
  onScheduledLedger,
  scheduler,
  show,
  states,
} from '../support/scheduler-world.js';

let source: DataSource;
let ledger: Ledger;
let world: ReservationsWorld;

onScheduledLedger((opened) => {
  ({ source, ledger } = opened);
  world = new ReservationsWorld(source, ledger);
});

beforeEach(() => world.addAlias());

async function refusal(promise: Promise<unknown>): Promise<BerthError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BerthError);
  return error as BerthError;
}

async function deviceId(address: string, host = 'node-1'): Promise<string> {
  const [row] = (await source.query(
    `SELECT d.id FROM devices d JOIN hosts h ON h.id = d.host_id WHERE d.address = $1 AND h.name = $2`,
    [address, host],
  )) as { id: string }[];
  return row?.id ?? '';
}

async function eventsOf(id: string): Promise<string[]> {
  return (await world.show(id)).events.map(({ event }) => event);
}

describe('the constraint', () => {
  it('keeps one device from being kept twice at one time, and is named in the error', async () => {
    await hostWithGpus('node-1', 2);
    const [first, second] = [
      await world.reserve(),
      await world.reserve({ starts_at: inHours(25), ends_at: inHours(30) }),
    ];
    const steal = (): Promise<unknown> =>
      source.query(`UPDATE reservation_devices SET device_id = $2 WHERE reservation_id = $1`, [
        second.id,
        first.windows[0]?.devices[0]?.id,
      ]);
    const constraint = 'reservation_devices_no_overlap';
    await expect(steal()).rejects.toMatchObject({ code: '23P01', constraint });
    const { code, details } = await refusal(inConflict(steal()));
    expect({ code, details }).toEqual({ code: 'reservation.conflict', details: { constraint } });
  });

  it('lets exactly as many of many parallel reservations through as there are devices', async () => {
    await hostWithGpus('node-1', 3);
    await hostWithGpus('node-2', 2);
    const faces = Array.from({ length: 4 }, () => world.rest());
    const asked = Array.from({ length: 16 }, (_unused, index) =>
      (faces[index % 4] as ReturnType<typeof world.rest>).create(
        LOCAL_ADMIN,
        { name: `r${index}`, devices: 'gpu:1', starts_at: inHours(10 + (index % 3)), ends_at: inHours(20) },
        null,
      ),
    );
    const outcomes = await Promise.allSettled(asked);
    const refused = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [(outcome.reason as BerthError).code] : [],
    );
    expect(refused).toEqual(Array(11).fill('reservation.no_devices'));
    expect(await source.query(`SELECT DISTINCT device_id FROM reservation_devices`)).toHaveLength(5);
    expect(await source.query(`SELECT 1 FROM reservations`)).toHaveLength(5);
  });

  it('is not in the way of windows that follow each other', async () => {
    await hostWithGpus('node-1', 1);
    const [ends, later] = [inHours(26), inHours(28)];
    const first = await world.reserve({ ends_at: ends });
    const second = await world.reserve({ starts_at: ends, ends_at: later });
    expect(keptIn(second)).toEqual(keptIn(first));
  });

  it('covers a PF and its VFs, which are not one device', async () => {
    const pf = '0000:05:00.0';
    const vfs = ['0000:05:10.0', '0000:05:10.2'].map((address) => {
      return { address, ids: '8086:10ed', deviceType: 'type-VF' as const, parentAddress: pf };
    });
    const card = [{ address: pf, ids: '8086:10fb', deviceType: 'type-PF' as const }, ...vfs];
    await source.transaction((tx) => absorbReport(tx, aReport({ host: 'node-1', devices: card })));
    await world.addAlias('pf', '8086:10fb', 'type-PF');
    await world.addAlias('vf', '8086:10ed', 'type-VF');
    await world.reserve({ devices: 'vf:1' });
    const { code, message } = await refusal(world.reserve({ devices: 'pf:1' }));
    expect({ code, message }).toMatchObject({
      code: 'reservation.no_devices',
      message: expect.stringMatching(
        /1 device of alias pf, blocked: its PF, or a VF of it, is reserved until /,
      ) as string,
    });
    expect(keptIn(await world.reserve({ devices: 'vf:1' }))).toEqual(['node-1 0000:05:10.2']);
  });
});

describe('choosing', () => {
  it('is all or nothing for all servers, and says what is kept and until when', async () => {
    await hostWithGpus('node-1', 3);
    const until = inHours(26);
    await world.reserve({ devices: 'gpu:2', ends_at: until });
    const { code, message, details } = await refusal(world.reserve({ count: 2 }));
    expect(code).toBe('reservation.no_devices');
    expect(message).toContain('there are devices for 1 of 2 servers. No valid host: 3 devices of alias gpu');
    expect(message).toContain(`2 reserved until ${until}`);
    expect(details['errors']).toMatchObject([{ field: 'devices' }]);
    expect(await source.query(`SELECT 1 FROM reservations`)).toHaveLength(1);
  });

  it('takes the same devices for all windows where it can, else others for each', async () => {
    await hostWithGpus('node-1', 2);
    await world.reserve({ starts_at: inHours(48), ends_at: inHours(50) });
    const daily = await world.reserve({
      starts_at: inHours(24),
      ends_at: inHours(26),
      recurrence: { every: 'day', count: 3 },
    });
    expect([0, 1, 2].map((window) => keptIn(daily, window))).toEqual(Array(3).fill(['node-1 0000:81:00.0']));
    const both = await world
      .reserve({ starts_at: inHours(23), ends_at: inHours(27), recurrence: { every: 'day', count: 2 } })
      .catch((error: BerthError) => error.code);
    expect(both).toBe('reservation.no_devices'); // on the second day both are kept
    await world.reserve({ starts_at: inHours(96), ends_at: inHours(98) });
    const other = await world.reserve({
      starts_at: inHours(72),
      ends_at: inHours(74),
      recurrence: { every: 'day', count: 2 },
    });
    expect([keptIn(other, 0), keptIn(other, 1)]).toEqual([['node-1 0000:80:00.0'], ['node-1 0000:81:00.0']]);
  });

  it('leaves alone what servers have', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    await own.schedule(await ask('vm'));
    expect(keptIn(await world.reserve())).toEqual(['node-1 0000:81:00.0']);
    expect((await refusal(world.reserve())).code).toBe('reservation.no_devices');
  });
});

describe('a window', () => {
  it('keeps its devices from the lead time on, lets its own in from its start, and gives all back at its end', async () => {
    await hostWithGpus('node-1', 2);
    const { id } = await world.reserve({ devices: 'gpu:2' });
    const own = scheduler();
    const early = await ask('early', { gpus: 2 });
    await own.schedule(early);
    expect((await show(early)).status).toBe('BUILD'); // a day before nobody is kept out
    await agentsAnswer();
    await source.query(`UPDATE devices SET status = 'available'`);
    await source.query(`UPDATE allocations SET released_at = now()`);
    await source.query(`UPDATE claims SET status = 'released'`);
    await source.query(`UPDATE servers SET status = 'DELETED'`);

    await world.pass(id, 23.5);
    await world.sweep();
    expect((await world.show(id)).windows[0]?.status).toBe('kept');
    const [other, tooSoon] = [await ask('other'), await ask('too soon', { reservation: id })];
    await own.schedule(other);
    await own.schedule(tooSoon);
    const kept = await show(other);
    expect(kept.fault?.message).toMatch(
      /2 devices of alias gpu, both reserved until 20.*, for a window that has not begun/,
    );
    expect((await show(tooSoon)).fault?.message).toContain('its window has not begun');

    await world.pass(id, 0.6);
    await world.sweep();
    expect(await world.show(id)).toMatchObject({ status: 'active', windows: [{ status: 'active' }] });
    const [mine, foreign, wrong] = [
      await ask('mine', { reservation: id }),
      await ask('foreign', { reservation: id, projectId: 'other' }),
      await ask('wrong'),
    ];
    for (const server of [mine, foreign, wrong]) await own.schedule(server);
    expect(await states([mine, foreign, wrong])).toEqual(['BUILD preparing', 'ERROR', 'ERROR']);
    await agentsAnswer();

    await world.pass(id, 3);
    await world.sweep();
    expect(await world.show(id)).toMatchObject({ status: 'ended', windows: [{ status: 'ended' }] });
    const after = await ask('after');
    await own.schedule(after);
    expect(await states([mine, after])).toEqual(['ACTIVE', 'BUILD preparing']); // who came with it goes on
    expect(await eventsOf(id)).toEqual(['created', 'window_kept', 'window_active', 'window_ended']);
  });

  it('passes an edge once, whoever of several schedulers is there first', async () => {
    await hostWithGpus('node-1', 1);
    const { id } = await world.reserve();
    await world.pass(id, 24.5);
    await Promise.all([1, 2, 3, 4].map(() => world.sweep()));
    await world.sweep();
    expect(await eventsOf(id)).toEqual(['created', 'window_active']);
  });

  it('that begins now is active at once', async () => {
    await hostWithGpus('node-1', 1);
    const { id, status } = await world.reserve({ starts_at: inHours(0), ends_at: inHours(1) });
    expect(status).toBe('active');
    const own = scheduler();
    const [wrong, mine] = [await ask('wrong'), await ask('mine', { reservation: id })];
    await own.schedule(wrong);
    await own.schedule(mine);
    expect(await states([wrong, mine])).toEqual(['ERROR', 'BUILD preparing']);
  });

  it('is a race with servers that are placed at the same time, which nobody wins twice', async () => {
    await hostWithGpus('node-1', 4);
    const servers = await Promise.all([1, 2, 3, 4].map((index) => ask(`vm-${index}`)));
    const placing = servers.map((server) =>
      scheduler()
        .schedule(server)
        .catch(() => undefined),
    );
    const reserving = [1, 2, 3, 4].map(() =>
      world.reserve({ starts_at: inHours(0), ends_at: inHours(1) }).catch((error: BerthError) => error.code),
    );
    const reserved = await Promise.all(reserving);
    await Promise.all(placing);
    const twice = await source.query(
      `SELECT 1 FROM reservation_devices rd JOIN allocations a ON a.device_id = rd.device_id AND a.released_at IS NULL`,
    );
    expect(twice).toEqual([]);
    expect(reserved.every((one) => typeof one === 'object' || one === 'reservation.no_devices')).toBe(true);
  });

  it('is over for a server that waits for it when it is cancelled, and its devices are free for all', async () => {
    await hostWithGpus('node-1', 1);
    const { id } = await world.reserve({ starts_at: inHours(0), ends_at: inHours(1) });
    const own = scheduler();
    const waiting = await ask('waiting', { wait: true });
    await own.schedule(waiting);
    expect(await states([waiting])).toEqual(['BUILD waiting']);
    await world.rest().cancel(LOCAL_ADMIN, id);
    await own.lookAtQueue();
    expect(await states([waiting])).toEqual(['BUILD preparing']);
    expect(await world.show(id)).toMatchObject({ status: 'cancelled', windows: [{ status: 'ended', devices: [] }] });
    await world.sweep();
    expect((await world.show(id)).status).toBe('cancelled');
  });

  it('is what a server may wait for', async () => {
    await hostWithGpus('node-1', 1);
    const { id } = await world.reserve();
    const own = scheduler();
    const waiting = await ask('waiting', { reservation: id, wait: true });
    await own.schedule(waiting);
    await world.pass(id, 23.5);
    await world.sweep();
    await own.lookAtQueue();
    expect(await states([waiting])).toEqual(['BUILD waiting']);
    await world.pass(id, 1);
    await world.sweep();
    await own.lookAtQueue();
    expect(await states([waiting])).toEqual(['BUILD preparing']);
  });

  it('does not let go of what it has when the clocks of two machines differ', async () => {
    await hostWithGpus('node-1', 1);
    const { id } = await world.reserve({ starts_at: inHours(0), ends_at: inHours(1) });
    await world.pass(id, -0.01); // the database's clock is behind the one that said "now"
    await world.sweep();
    expect((await world.show(id)).status).toBe('active');
  });

  it('comes back every day, and its devices are free between', async () => {
    await hostWithGpus('node-1', 1);
    const { id } = await world.reserve({
      ...{ starts_at: inHours(0), ends_at: inHours(2), recurrence: { every: 'day' as const, count: 3 } },
    });
    await world.pass(id, 3);
    await world.sweep();
    expect(await world.show(id)).toMatchObject({
      status: 'pending',
      windows: [{ status: 'ended' }, { status: 'planned' }, { status: 'planned' }],
    });
    await world.pass(id, 21.5);
    await world.sweep();
    expect((await world.show(id)).status).toBe('active');
    await world.pass(id, 47.5);
    await world.sweep();
    expect((await world.show(id)).status).toBe('ended');
  });

  it('deletes its servers at its end if it was told to', async () => {
    await hostWithGpus('node-1', 2);
    const { id } = await world.reserve({ starts_at: inHours(0), ends_at: inHours(1), on_end: 'delete' });
    const own = scheduler();
    const [mine, other] = [await ask('mine', { reservation: id }), await ask('other')];
    await own.schedule(mine);
    await own.schedule(other);
    await agentsAnswer();
    await world.sweep();
    expect(await states([mine, other])).toEqual(['ACTIVE', 'ACTIVE']);
    await world.pass(id, 1.5);
    await world.sweep();
    await world.sweep();
    expect(await states([mine, other])).toEqual(['DELETING releasing', 'ACTIVE']);
    expect(await source.query(`SELECT 1 FROM outbox WHERE message ->> 'type' = 'server.deleted'`)).toHaveLength(1);
  });
});

describe('the end', () => {
  it('moves while nobody else keeps the devices then', async () => {
    await hostWithGpus('node-1', 1);
    const { id } = await world.reserve();
    await world.reserve({ starts_at: inHours(30), ends_at: inHours(31) });
    await world.rest().change(LOCAL_ADMIN, id, { ends_at: inHours(29), name: 'longer' });
    expect(await world.show(id)).toMatchObject({ name: 'longer', events: [{}, { event: 'end_moved' }] });
    const { code, details } = await refusal(world.rest().change(LOCAL_ADMIN, id, { ends_at: inHours(31) }));
    expect({ code, details }).toMatchObject({ code: 'reservation.conflict', details: { constraint: /no_overlap/ } });
    expect((await refusal(world.rest().change(LOCAL_ADMIN, id, { ends_at: inHours(-1) }))).code).toBe(
      'request.invalid',
    );
    await world.rest().cancel(LOCAL_ADMIN, id);
    expect((await refusal(world.rest().change(LOCAL_ADMIN, id, { name: 'x' }))).code).toBe(
      'reservation.invalid_status',
    );
  });
});

describe('healing', () => {
  it('finds a spare for a device that is put into quarantine, and changes nothing else', async () => {
    await hostWithGpus('node-1', 3);
    const { id } = await world.reserve({ devices: 'gpu:2', starts_at: inHours(0), ends_at: inHours(1) });
    const bad = await deviceId('0000:80:00.0');
    await source.transaction((tx) => holdDevice(tx, bad, 'quarantine', 'ECC errors'));
    await world.sweep();
    const healed = await world.show(id);
    expect(keptIn(healed)).toEqual(['node-1 0000:81:00.0', 'node-1 0000:82:00.0']);
    expect(healed).toMatchObject({ status: 'active', events: [{ event: 'created' }, { event: 'healed' }] });
    const own = scheduler();
    const mine = await ask('mine', { gpus: 2, reservation: id });
    await own.schedule(mine);
    expect(await states([mine])).toEqual(['BUILD preparing']);
  });

  it('moves all of one server to another host when a device has vanished and there is no spare beside it', async () => {
    await hostWithGpus('node-1', 2);
    const { id } = await world.reserve({ devices: 'gpu:2', starts_at: inHours(0), ends_at: inHours(1) });
    await hostWithGpus('node-2', 2);
    const left = [{ address: '0000:81:00.0', ids: '10de:1bb0' }];
    await source.transaction((tx) => absorbReport(tx, aReport({ host: 'node-1', sequence: 2, devices: left })));
    await world.sweep();
    expect(keptIn(await world.show(id))).toEqual(['node-2 0000:80:00.0', 'node-2 0000:81:00.0']);
    const other = await ask('other');
    await scheduler().schedule(other);
    expect((await show(other)).host).toBe('node-1'); // what was kept there is free again
  });

  it('finds a spare when another server still has the device as the window comes near', async () => {
    await hostWithGpus('node-1', 1);
    const { id } = await world.reserve();
    await hostWithGpus('node-1', 1);
    const squatter = await ask('squatter');
    await scheduler().schedule(squatter);
    await agentsAnswer();
    await hostWithGpus('node-2', 1);
    await world.pass(id, 23.5);
    await world.sweep();
    expect(keptIn(await world.show(id))).toEqual(['node-2 0000:80:00.0']);
    expect((await show(squatter)).status).toBe('ACTIVE');
  });

  it('is degraded while there is no spare, says why, and recovers when there is one', async () => {
    await hostWithGpus('node-1', 1);
    const { id } = await world.reserve({ starts_at: inHours(0), ends_at: inHours(1) });
    await source.query(`UPDATE hosts SET enabled = false, disabled_reason = 'repair', generation = generation + 1, facts_generation = generation + 1,
                               changed_xid = (pg_current_xact_id()::text)::bigint`);
    await world.sweep();
    await world.sweep();
    expect(await world.show(id)).toMatchObject({
      status: 'degraded',
      windows: [
        {
          fault: {
            code: 'reservation.degraded',
            message: /^1 device cannot be had, and there is no spare: No valid host/,
          },
        },
      ],
    });
    expect(await eventsOf(id)).toEqual(['created', 'degraded']); // told once
    await hostWithGpus('node-2', 1);
    await world.sweep();
    expect(await world.show(id)).toMatchObject({ status: 'active', windows: [{ fault: null }] });
    expect(await eventsOf(id)).toEqual(['created', 'degraded', 'healed', 'recovered']);
  });

  it('does not take what another reservation keeps, nor what a server of the reservation has', async () => {
    await hostWithGpus('node-1', 2);
    const first = await world.reserve({ starts_at: inHours(0), ends_at: inHours(1) });
    await world.reserve({ starts_at: inHours(0.5), ends_at: inHours(2) });
    const mine = await ask('mine', { reservation: first.id });
    await scheduler().schedule(mine);
    await agentsAnswer();
    await world.sweep();
    expect((await world.show(first.id)).status).toBe('active');
    await source.query(`UPDATE hosts SET status = 'down', generation = generation + 1, facts_generation = generation + 1,
                               changed_xid = (pg_current_xact_id()::text)::bigint`);
    await world.sweep();
    expect((await world.show(first.id)).status).toBe('active'); // it was handed over
    await source.query(`UPDATE allocations SET released_at = now()`);
    await source.query(`UPDATE claims SET status = 'released'`);
    await source.query(`UPDATE devices SET status = 'available'`);
    await world.sweep();
    expect((await world.show(first.id)).status).toBe('degraded');
  });

  it('several schedulers heal one window once', async () => {
    await hostWithGpus('node-1', 4);
    const { id } = await world.reserve({ starts_at: inHours(0), ends_at: inHours(1) });
    const bad = await deviceId('0000:80:00.0');
    await source.transaction((tx) => holdDevice(tx, bad, 'quarantine', 'ECC errors'));
    await Promise.all([1, 2, 3].map(() => world.sweep()));
    expect(await eventsOf(id)).toEqual(['created', 'healed']);
    expect(keptIn(await world.show(id))).toEqual(['node-1 0000:81:00.0']);
  });
});
