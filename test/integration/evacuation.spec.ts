import { LOCAL_ADMIN } from '../../src/api/identity/caller.js';
import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { ReleaseDevices } from '../../src/messages/bodies.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import type { SchedulingService } from '../../src/scheduler/scheduling.service.js';
import {
  askToLeave,
  listEvacuations,
  lockHostToLeave,
  readReservationsThere,
  readServersThere,
  removeHost,
  type HostToLeave,
} from '../../src/store/evacuation-admin.store.js';
import { readExpiredClaims } from '../../src/store/claim-outcomes.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import type { Ledger } from '../../src/store/ledger.js';
import { aReport } from '../support/reports.js';
import { ReservationsWorld } from '../support/reservations.js';
import {
  agentsAnswer,
  ask,
  events,
  hostWithGpus,
  onScheduledLedger,
  scheduler,
  SETTINGS,
  show,
  states,
} from '../support/scheduler-world.js';

/** That of a report; and of the agent's next life. */
const FIRST = 1_700_000_000_000;
const SECOND = FIRST + 1;

let source: DataSource;
let ledger: Ledger;

onScheduledLedger((opened) => {
  ({ source, ledger } = opened);
});

/** Servers that run on a host: it is the only one that has room when they are asked for. */
async function running(own: SchedulingService, names: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const name of names) {
    const id = await ask(name);
    await own.schedule(id);
    ids.push(id);
  }
  await agentsAnswer();
  return ids;
}

async function leave(
  host: string,
  {
    waits = true,
    force = false,
    disable = true,
    only,
  }: Partial<Record<'waits' | 'force' | 'disable', boolean>> & {
    only?: string;
  } = {},
): Promise<void> {
  await source.transaction(async (tx) => {
    const locked = await lockHostToLeave(tx, host);
    if (!locked) throw new Error(`no host ${host}`);
    const there = (await readServersThere(tx, locked.id)).filter(({ id }) => only === undefined || id === only);
    await askToLeave(tx, locked, there, { reason: 'fans', waits, force, disable }, LOCAL_ADMIN);
  });
}

async function progress(host: string): Promise<string[]> {
  const [{ id }] = (await source.query(`SELECT id FROM hosts WHERE name = $1`, [host])) as [{ id: string }];
  const rows = await listEvacuations(source.manager, id);
  return rows.map(({ name, state, problem }) => `${name} ${state}${problem === null ? '' : ': problem'}`);
}

async function claims(): Promise<string[]> {
  const rows = (await source.query(
    `SELECT s.name, h.name AS host, c.status FROM claims c JOIN hosts h ON h.id = c.host_id JOIN servers s ON s.id = c.server_id
      ORDER BY c.number`,
  )) as { name: string; host: string; status: string }[];
  return rows.map(({ name, host, status }) => `${name} ${host} ${status}`);
}

async function free(host: string): Promise<number> {
  const rows = (await source.query(
    `SELECT 1 FROM devices d JOIN hosts h ON h.id = d.host_id WHERE h.name = $1 AND d.status = 'available'`,
    [host],
  )) as unknown[];
  return rows.length;
}

/** Bodies of messages of a type that wait in the outbox, the oldest first. */
async function sent<T>(type: string): Promise<T[]> {
  const rows = (await source.query(
    `SELECT message->'body' AS body FROM outbox WHERE message->>'type' = $1 ORDER BY id`,
    [type],
  )) as { body: T }[];
  return rows.map(({ body }) => body);
}

const down = (host: string): Promise<unknown> =>
  source.query(
    `UPDATE hosts SET status = 'down', generation = generation + 1, facts_generation = generation + 1,
    changed_xid = (pg_current_xact_id()::text)::bigint WHERE name = $1`,
    [host],
  );

async function signatureOf(serverId: string, epoch: number) {
  const [row] = (await source.query(
    `SELECT c.id, h.name FROM claims c JOIN hosts h ON h.id = c.host_id WHERE c.server_id = $1 ORDER BY c.number DESC LIMIT 1`,
    [serverId],
  )) as [{ id: string; name: string }];
  return { host: row.name, epoch, claim_id: row.id, server_id: serverId };
}

const reportAgain = (host: string, epoch: number): Promise<unknown> => {
  const devices = [0, 1, 2].map((at) => ({ address: `0000:8${at}:00.0`, ids: '10de:1bb0' }));
  return source.transaction((tx) => absorbReport(tx, aReport({ host, epoch, devices })));
};

describe('servers that are to leave a host', () => {
  it('go where there is room, with their new devices claimed in the transaction that gives up the old ones', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const ids = await running(own, ['a', 'b']);
    await hostWithGpus('node-2', 2);
    await leave('node-1');
    await own.evacuateHosts(100);
    expect(await states(ids)).toEqual(['BUILD preparing', 'BUILD preparing']);
    expect(await claims()).toEqual([
      ...['a node-1 releasing', 'b node-1 releasing', 'a node-2 claimed', 'b node-2 claimed'],
    ]);
    const [times] = (await source.query(
      `SELECT count(DISTINCT n.created_at)::int AS times FROM claims o JOIN claims n ON n.server_id = o.server_id
        WHERE o.status = 'releasing' AND n.status = 'claimed' AND n.created_at = o.updated_at`,
    )) as [{ times: number }];
    expect(times).toEqual({ times: 2 });
    await agentsAnswer();
    expect(await states(ids)).toEqual(['ACTIVE', 'ACTIVE']);
    expect((await show(ids[0] ?? '')).host).toBe('node-2');
    expect(await progress('node-1')).toEqual(['a left', 'b left']);
    expect(await free('node-1')).toBe(2);
    expect(await events(ids[0] ?? '')).toEqual([
      ...['requested', 'placed', 'prepared', 'evacuation_requested', 'evacuating', 'placed', 'prepared'],
    ]);
  });

  it('without room stay as they are, are told why, and go once there is room', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const ids = await running(own, ['a', 'b']);
    await hostWithGpus('node-2', 1);
    await leave('node-1');
    await own.evacuateHosts(100);
    await own.evacuateHosts(100);
    expect(await states(ids)).toEqual(['BUILD preparing', 'ACTIVE']);
    expect(await progress('node-1')).toEqual(['a left', 'b open: problem']);
    expect(await claims()).toEqual(['a node-1 releasing', 'b node-1 allocated', 'a node-2 claimed']);
    expect((await events(ids[1] ?? '')).filter((event) => event === 'evacuation_stuck')).toHaveLength(1);
    await hostWithGpus('node-3', 1);
    await own.evacuateHosts(100);
    expect(await progress('node-1')).toEqual(['a left', 'b left']);
  });

  it('without room and without waiting stay for good; by force they leave and wait in the queue', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const [a = '', b = ''] = await running(own, ['a', 'b']);
    await leave('node-1', { waits: false, only: a });
    await leave('node-1', { force: true, only: b });
    await own.evacuateHosts(100);
    await own.schedule(b);
    expect(await states([a, b])).toEqual(['ACTIVE', 'BUILD waiting']);
    expect(await progress('node-1')).toEqual(['a stuck: problem', 'b left']);
    await hostWithGpus('node-2', 2);
    await own.evacuateHosts(100);
    expect(await states([a])).toEqual(['ACTIVE']);
  });

  it('of a silent host are rebuilt elsewhere, and their devices stay taken until its agent has given them back', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler();
    const [a = ''] = await running(own, ['a']);
    const old = await signatureOf(a, FIRST);
    await hostWithGpus('node-2', 1);
    await down('node-1');
    await leave('node-1');
    await own.evacuateHosts(100);
    const service = new ClaimsService(ledger, SETTINGS);
    await service.prepared({ ...(await signatureOf(a, FIRST)), bindings: [] });
    expect(await show(a)).toMatchObject({ status: 'ACTIVE', host: 'node-2' });
    expect([await free('node-1'), await claims()]).toEqual([0, ['a node-1 releasing', 'a node-2 allocated']]);
    await service.prepared({ ...old, bindings: [] }); // what it had not yet said when it fell silent
    expect([await free('node-1'), await claims()]).toEqual([0, ['a node-1 releasing', 'a node-2 allocated']]);
    await service.released({ ...old, devices: [] });
    expect([await free('node-1'), await claims()]).toEqual([1, ['a node-1 released', 'a node-2 allocated']]);
    expect(await show(a)).toMatchObject({ status: 'ACTIVE', host: 'node-2' });
  });

  it('many schedulers move each server once, however many try', async () => {
    await hostWithGpus('node-1', 4);
    const ids = await running(scheduler(), ['a', 'b', 'c', 'd']);
    await hostWithGpus('node-2', 2);
    await hostWithGpus('node-3', 2);
    await leave('node-1');
    const tries = [scheduler(), scheduler(), scheduler()].map((own) => own.evacuateHosts(100));
    for (const result of await Promise.allSettled(tries)) if (result.status === 'rejected') throw result.reason;
    await scheduler().evacuateHosts(100);
    expect(await progress('node-1')).toEqual(['a left', 'b left', 'c left', 'd left']);
    await agentsAnswer();
    expect(await states(ids)).toEqual(Array(4).fill('ACTIVE'));
    expect(await claims()).toHaveLength(8);
    expect([await free('node-1'), await free('node-2'), await free('node-3')]).toEqual([4, 0, 0]);
  });
});

describe('a host that is down', () => {
  it('its claims that were not confirmed expire, its server is tried elsewhere, what is being given back stays taken', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler();
    const id = await ask('a');
    await own.schedule(id);
    await hostWithGpus('node-2', 1);
    await down('node-1');
    await source.query(`UPDATE claims SET expires_at = now() - interval '1 second'`);
    const service = new ClaimsService(ledger, SETTINGS);
    for (const claimId of await readExpiredClaims(source.manager, 10)) await service.expire(claimId);
    await own.schedule(id);
    expect(await claims()).toEqual(['a node-1 releasing', 'a node-2 claimed']);
    expect(await free('node-1')).toBe(0);
  });

  it('that is removed is forgotten by every scheduler, and its agent is told to give back what it still holds', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler();
    const [a = ''] = await running(own, ['a']);
    const old = await signatureOf(a, FIRST);
    await hostWithGpus('node-2', 1);
    await leave('node-1');
    await own.evacuateHosts(100);
    await source.transaction(async (tx) => {
      const host = await lockHostToLeave(tx, 'node-1');
      if (host) await removeHost(tx, host);
    });
    expect(await source.query(`SELECT name FROM hosts`)).toEqual([{ name: 'node-2' }]);
    const other = await ask('other');
    await own.schedule(other);
    expect((await show(other)).fault?.message).not.toMatch(/node-1/);
    await source.query(`DELETE FROM outbox`);
    const told = { host: 'node-1', epoch: FIRST, incarnation: randomUUID() };
    const held = [{ claim_id: old.claim_id, server_id: a }];
    await new ClaimsService(ledger, SETTINGS).holds({ ...told, claims: held });
    expect(await sent<ReleaseDevices>('devices.release')).toEqual(held);
    expect(await show(a)).toMatchObject({ status: 'BUILD', host: 'node-2' });
  });

  it('that is removed has its end in the audit, and keeps no device for a reservation', async () => {
    await hostWithGpus('node-1', 1);
    const reservations = new ReservationsWorld(source, ledger);
    await reservations.addAlias();
    const { id } = await reservations.reserve();
    const [host] = (await source.query(`SELECT id, name, status, enabled FROM hosts`)) as [HostToLeave];
    const named = () => readReservationsThere(source.manager, host.id, 10);
    expect(await named()).toEqual(['training']);
    await source.query(`UPDATE reservation_windows SET status = 'ended' WHERE reservation_id = $1`, [id]);
    expect(await named()).toEqual([]);
    await source.transaction((tx) => removeHost(tx, host));
    expect(await source.query(`SELECT 1 FROM hosts`)).toEqual([]);
    const rows = (await source.query(
      `SELECT body FROM audit_pending WHERE body::text LIKE $1 ORDER BY id DESC LIMIT 2`,
      [`%${host.id}%`],
    )) as { body: object }[];
    expect(rows.map(({ body }) => body)).toMatchObject([
      { kind: 'transition', transitions: [{ event: 'delete', from: 'available', to: 'deleted', host_id: host.id }] },
      { kind: 'admin', action: 'host.remove', host: 'node-1' },
    ]);
  });
});

describe('late messages', () => {
  it('an outcome of a former life of the agent is no word about now: it is asked again', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler();
    const id = await ask('a');
    await own.schedule(id);
    const service = new ClaimsService(ledger, SETTINGS);
    await reportAgain('node-1', SECOND);
    const former = await signatureOf(id, FIRST);
    await service.prepared({ ...former, bindings: [] });
    expect(await states([id])).toEqual(['BUILD preparing']);
    expect(await sent('devices.prepare')).toHaveLength(2);
    await service.prepareFailed({
      ...former,
      ...{ code: 'binding.failed', message: 'no', address: null, step: null, errno: null },
    });
    expect(await states([id])).toEqual(['BUILD preparing']);
    await service.prepared({ ...former, epoch: SECOND, bindings: [] });
    expect(await states([id])).toEqual(['ACTIVE']);
    await leave('node-1', { force: true });
    await own.evacuateHosts(100);
    await service.released({ ...former, devices: [] });
    expect(await claims()).toEqual(['a node-1 releasing']);
    expect(await sent('devices.release')).toHaveLength(2);
  });

  it('commands carry the number of the claim and whom they are for, once the agent has said who it is', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    await own.schedule(await ask('a'));
    expect((await sent('devices.prepare'))[0]).not.toHaveProperty('claim_number');
    const service = new ClaimsService(ledger, SETTINGS);
    const incarnation = randomUUID();
    await service.holds({ host: 'node-1', epoch: FIRST, incarnation, claims: [] });
    await own.schedule(await ask('b'));
    const [first] = (await source.query(`SELECT max(number) AS number FROM claims`)) as [{ number: number }];
    expect((await sent('devices.prepare'))[1]).toMatchObject({ claim_number: first.number, incarnation });
    await reportAgain('node-1', SECOND); // another life that has not said it, maybe of an older program
    await own.schedule(await ask('d'));
    expect((await sent('devices.prepare')).at(-1)).not.toHaveProperty('incarnation');
  });

  it('a command that was refused because the host is a new one is sent again to the new one, at no cost', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler();
    const service = new ClaimsService(ledger, SETTINGS);
    await service.holds({ host: 'node-1', epoch: FIRST, incarnation: randomUUID(), claims: [] });
    const id = await ask('a');
    await own.schedule(id);
    const incarnation = randomUUID();
    await service.prepareFailed({
      ...(await signatureOf(id, SECOND)),
      ...{ code: 'command.stale', message: 'former', address: null, step: 'check', errno: null, incarnation },
    });
    expect(await show(id)).toMatchObject({ status: 'BUILD', task_state: 'preparing', attempts: 1 });
    expect(await sent('devices.prepare')).toEqual([expect.anything(), expect.anything()]);
  });

  it('what earlier lives prepared and the agent holds no more is prepared again, or lost to its server', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const [a = ''] = await running(own, ['a']);
    const service = new ClaimsService(ledger, SETTINGS);
    await source.query(`DELETE FROM outbox`);
    await service.holds({ host: 'node-1', epoch: FIRST, incarnation: randomUUID(), claims: [] });
    expect(await sent('devices.prepare')).toEqual([]); // prepared in this life: the list may be older
    const held = [{ claim_id: (await signatureOf(a, FIRST)).claim_id, server_id: a }];
    await service.holds({ host: 'node-1', epoch: SECOND, incarnation: randomUUID(), claims: held });
    expect(await sent('devices.prepare')).toEqual([]);
    const unfinished = held.map((claim) => ({ ...claim, preparing: true }));
    await service.holds({ host: 'node-1', epoch: SECOND, incarnation: randomUUID(), claims: unfinished });
    expect(await sent('devices.prepare')).toMatchObject(held); // a life of it died while it bound them again
    await source.query(`DELETE FROM outbox`);
    const incarnation = randomUUID();
    await service.holds({ host: 'node-1', epoch: SECOND + 1, incarnation, claims: [] });
    expect(await sent('devices.prepare')).toMatchObject([{ ...held[0], incarnation, adopt: true }]); // its guest runs
    expect(await states([a])).toEqual(['ACTIVE']);
    await service.prepareFailed({
      ...(await signatureOf(a, SECOND + 1)),
      ...{ code: 'device.missing', message: 'gone', address: null, step: 'check', errno: null },
    });
    expect((await show(a)).fault?.code).toBe('device.missing');
    await service.released({ ...(await signatureOf(a, SECOND + 1)), devices: [] });
    expect([await claims(), await free('node-1')]).toEqual([['a node-1 released'], 2]);
  });

  it('what a former life says that it holds counts for nothing but what is closed anyway', async () => {
    await hostWithGpus('node-1', 1);
    await running(scheduler(), ['a']);
    await source.query(`UPDATE claims SET epoch = NULL`); // as before it was kept
    await reportAgain('node-1', SECOND);
    await source.query(`DELETE FROM outbox`);
    const told = { host: 'node-1', epoch: FIRST, incarnation: randomUUID() };
    await new ClaimsService(ledger, SETTINGS).holds({ ...told, claims: [] });
    expect(await source.query(`SELECT 1 FROM outbox`)).toEqual([]);
  });
});
