import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { contentHash } from '../../src/messages/content-hash.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { noteLife } from '../../src/store/agent-lives.store.js';
import { sendPrepare } from '../../src/store/claim-rows.store.js';
import { readHeldDevices, splitForDetach } from '../../src/store/detach.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import type { Ledger } from '../../src/store/ledger.js';
import { takeFromOutbox } from '../../src/store/outbox.store.js';
import { aReport } from '../support/reports.js';
import {
  agentsAnswer,
  ask,
  events,
  onScheduledLedger,
  remove,
  scheduler,
  SETTINGS,
  show,
} from '../support/scheduler-world.js';

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
});
