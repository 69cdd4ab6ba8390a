import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { contentHash } from '../../src/messages/content-hash.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { noteLife } from '../../src/store/agent-lives.store.js';
import type { ActOnGuest, GuestAct, GuestActed } from '../../src/messages/server-bodies.js';
import { sendPrepare } from '../../src/store/claim-rows.store.js';
import { readHeldDevices, splitForDetach } from '../../src/store/detach.store.js';
import {
  type ActingServer,
  giveUpOrder,
  lockActing,
  orderGuest,
  readUnanswered,
  remindOrders,
} from '../../src/store/guest-orders.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import type { Ledger } from '../../src/store/ledger.js';
import { takeFromOutbox } from '../../src/store/outbox.store.js';
import { shelveServer, unshelveServer } from '../../src/store/server-shelving.store.js';
import { aReport } from '../support/reports.js';
import {
  agentsAnswer,
  ask,
  events,
  gpu,
  onScheduledLedger,
  remove,
  scheduler,
  SETTINGS,
  show,
} from '../support/scheduler-world.js';
import { aRequest } from '../support/snapshots.js';

let source: DataSource;
let ledger: Ledger;

onScheduledLedger((opened) => ({ source, ledger } = opened));

const EPOCH = 1_700_000_000_000;

async function hostWithDriver(host: string, driver: string | null): Promise<void> {
  const report = aReport({ host, epoch: EPOCH, devices: [{ address: '0000:80:00.0', ids: '10de:1bb0' }] });
  const facts = { ...report.facts, ...(driver !== null && { compute_driver: driver }) };
  const hash = contentHash({ facts, devices: report.devices });
  await source.transaction(async (tx) => {
    await absorbReport(tx, { ...report, facts, hash });
    await noteLife(tx, { host, epoch: EPOCH, incarnation: randomUUID() });
  });
}

async function sent(type: string): Promise<unknown[]> {
  const lines = await source.transaction((tx) => takeFromOutbox(tx, 100));
  return lines.filter(({ message }) => message.type === type).map(({ message }) => message.body);
}

const claimOf = async (id: string): Promise<string> => {
  const [row] = (await source.query(`SELECT id FROM claims WHERE server_id = $1 AND kind = 'server'`, [id])) as [
    { id: string },
  ];
  return row.id;
};

describe('a host whose agent starts guests', () => {
  const request = {
    vcpus: 2,
    memoryMb: 1024,
    host: { imageProperties: { berth_image: 'debian.qcow2', hw_architecture: 'x86_64' } },
  };

  it('is told what its servers are, also when it is told again', async () => {
    await hostWithDriver('node-1', 'qemu');
    const id = await ask('vm-1', request);
    await scheduler().schedule(id);
    const first = await sent('devices.prepare');
    const server = { name: 'vm-1', vcpus: 2, memory_mb: 1024, image: 'debian.qcow2' };
    expect(first).toMatchObject([{ server_id: id, server }]);
    const claim = await claimOf(id);
    await source.transaction((tx) => sendPrepare(tx, [claim]));
    expect(await sent('devices.prepare')).toEqual(first);
  });

  it('is told nothing of them when somebody else starts the guests: an older agent would not understand it', async () => {
    await hostWithDriver('node-1', null);
    const id = await ask('vm-1', request);
    await scheduler().schedule(id);
    const [body] = (await sent('devices.prepare')) as object[];
    expect(Object.keys(body ?? {}).toSorted()).toEqual([
      'claim_id',
      'claim_number',
      'devices',
      'incarnation',
      'server_id',
    ]);
  });

  it('tells of a guest that ended by itself, once, and the server keeps its devices', async () => {
    await hostWithDriver('node-1', 'qemu');
    const id = await ask('vm-1');
    await scheduler().schedule(id);
    await agentsAnswer();
    const claims = new ClaimsService(ledger, SETTINGS);
    const end = { epoch: EPOCH, server_id: id, state: 'ended', message: 'it has shut down' } as const;
    const told = { ...end, host: 'node-1', since: '2026-11-21T10:00:00.000Z' };
    await claims.guestEnded(told);
    await claims.guestEnded(told);
    await claims.guestEnded({ ...told, host: 'node-2' });
    await claims.guestEnded({ ...told, server_id: randomUUID() });
    expect((await events(id)).filter((event) => event === 'guest_ended')).toHaveLength(1);
    expect(await show(id)).toMatchObject({ status: 'ACTIVE', host: 'node-1' });
    expect(await source.transaction((tx) => readHeldDevices(tx, id))).toHaveLength(1);
  });

  it.each([
    ['qemu', 1],
    [null, 0],
  ])(
    'with driver %s, a server that all devices were detached from is released there %i times',
    async (driver, times) => {
      await hostWithDriver('node-1', driver);
      const id = await ask('vm-1');
      await scheduler().schedule(id);
      await agentsAnswer();
      const claim = await claimOf(id);
      await source.transaction(async (tx) => splitForDetach(tx, id, await readHeldDevices(tx, id)));
      await agentsAnswer();
      await sent('devices.release');
      await remove(id);
      const released = (await sent('devices.release')) as { claim_id: string }[];
      expect(released.filter(({ claim_id }) => claim_id === claim)).toHaveLength(times);
      expect(await show(id)).toMatchObject({ status: 'DELETED' });
    },
  );

  describe('and a server that is acted on', () => {
    const asker = { userId: 'bob', projectId: 'red', requestId: 'req-1' };

    async function running(driver: string | null): Promise<string> {
      await hostWithDriver('node-1', driver);
      const id = await ask('vm-1', request);
      await scheduler().schedule(id);
      await agentsAnswer();
      await sent('devices.prepare');
      return id;
    }

    const order = (id: string, act: GuestAct): Promise<void> =>
      source.transaction(async (tx) => orderGuest(tx, (await lockActing(tx, id)) as ActingServer, act, asker));

    const guest = async (id: string): Promise<string> => {
      const [row] = (await source.query(
        `SELECT s.status, s.vm_state, s.action, a.result, a.message FROM servers s
           LEFT JOIN LATERAL (SELECT result, message FROM server_actions WHERE server_id = s.id ORDER BY id DESC LIMIT 1) a ON true
          WHERE s.id = $1`,
        [id],
      )) as Record<string, string | null>[];
      return Object.values(row ?? {})
        .join(' ')
        .trim();
    };

    const orders = async (): Promise<ActOnGuest[]> => (await sent('guest.act')) as ActOnGuest[];

    const answer = (given: Partial<GuestActed>): Promise<void> =>
      new ClaimsService(ledger, SETTINGS).guestActed({
        ...{ host: 'node-1', epoch: EPOCH, server_id: '', order: 0, problem: null },
        ...given,
      });

    it('has its agent asked, and is as it was until that answers', async () => {
      const id = await running('qemu');
      await order(id, 'stop');
      expect(await guest(id)).toBe('ACTIVE active stop');
      const [first] = await orders();
      expect(first).toEqual({ server_id: id, order: first?.order, act: 'stop', image: 'debian.qcow2' });
      expect(await source.transaction((tx) => remindOrders(tx, 0, 10))).toBe(1);
      expect(await orders()).toEqual([first]);
      const { order: number = 0 } = first ?? {};
      await answer({ server_id: id, order: number + 1 });
      // another host's agent has no say
      await answer({ server_id: id, order: number, host: 'node-2', problem: 'forged' });
      expect(await guest(id)).toBe('ACTIVE active stop');
      await answer({ server_id: id, order: number });
      await answer({ server_id: id, order: number });
      expect(await guest(id)).toBe('ACTIVE stopped  success');
      expect((await events(id)).filter((event) => event === 'stopped')).toHaveLength(1);
    });

    it('is as it was when its agent could not, or says nothing', async () => {
      const id = await running('qemu');
      await order(id, 'pause');
      const [asked] = await orders();
      await answer({ server_id: id, order: asked?.order ?? 0, problem: 'no socket' });
      expect(await guest(id)).toBe('ACTIVE active  error no socket');
      await order(id, 'pause');
      const [late] = await orders();
      expect(await readUnanswered(source.manager, 60_000, 10)).toEqual([]);
      const [given] = await readUnanswered(source.manager, 0, 10);
      if (!given) throw new Error('nothing is unanswered');
      await source.transaction((tx) => giveUpOrder(tx, given));
      await source.transaction((tx) => giveUpOrder(tx, given));
      expect(await guest(id)).toBe('ACTIVE active  error the agent of host node-1 has not answered');
      // who says late that it is done has done it
      await answer({ server_id: id, order: late?.order ?? 0 });
      expect(await guest(id)).toContain('ACTIVE paused');
    });

    it('is so at once where somebody else runs the guests', async () => {
      const id = await running(null);
      await order(id, 'suspend');
      expect([await guest(id), await orders()]).toEqual(['ACTIVE suspended  success', []]);
    });

    it('is stopped when its guest ends by itself, and runs where it is placed next', async () => {
      const id = await running('qemu');
      const since = '2026-11-21T10:00:00.000Z';
      const end = { host: 'node-1', epoch: EPOCH, server_id: id, state: 'ended', message: 'shut down', since } as const;
      await new ClaimsService(ledger, SETTINGS).guestEnded(end);
      expect(await guest(id)).toBe('ACTIVE stopped');
      await source.transaction(async (tx) => shelveServer(tx, (await lockActing(tx, id)) as ActingServer));
      await agentsAnswer();
      await source.transaction(async (tx) => unshelveServer(tx, { id }, aRequest([gpu(1)])));
      await scheduler().schedule(id);
      await agentsAnswer();
      expect(await guest(id)).toBe('ACTIVE active');
    });
  });
});
