import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { ReleasedDevice } from '../../src/messages/bodies.js';
import type { DevicesCleaned, WireCare } from '../../src/messages/device-bodies.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { askForCleanings } from '../../src/store/cleaning.store.js';
import { holdDevice } from '../../src/store/device-holds.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import type { Ledger } from '../../src/store/ledger.js';
import { takeFromOutbox } from '../../src/store/outbox.store.js';
import { lockServerForDelete, markDeleting } from '../../src/store/servers.store.js';
import { ask, onScheduledLedger, scheduler, SETTINGS, show } from '../support/scheduler-world.js';
import { aReport } from '../support/reports.js';

let source: DataSource;
let ledger: Ledger;
let sequence = 0;

onScheduledLedger((opened) => {
  ({ source, ledger } = opened);
  Logger.overrideLogger(false);
});

const A = '0000:81:00.0';
const HOST = { host: 'node-1', epoch: 1_700_000_000_000 };
const CLEANING: WireCare = { state: 'cleaning' };

async function report(addresses: readonly string[], tags: Record<string, string> = {}): Promise<void> {
  const offer = { entry: 0, tags, resource_class: null, traits: [] };
  const devices = addresses.map((address) => ({ address, ids: '10de:1bb0', more: { offer } }));
  await source.transaction((tx) => absorbReport(tx, aReport({ host: 'node-1', sequence: ++sequence, devices })));
}

interface Served {
  readonly id: string;
  readonly claimId: string;
}

/** A server that has the one device. */
async function served(name = 'vm-1'): Promise<Served> {
  const id = await ask(name);
  await scheduler().schedule(id);
  const [claim] = (await source.query(`SELECT id FROM claims WHERE server_id = $1`, [id])) as [{ id: string }];
  const binding = { address: A, driver: 'vfio-pci', original_driver: null, iommu_group: 0 };
  const claims = new ClaimsService(ledger, SETTINGS);
  await claims.take({ prepared: { ...HOST, claim_id: claim.id, server_id: id, bindings: [binding] } });
  expect(await at()).toMatchObject({ status: 'allocated' });
  return { id, claimId: claim.id };
}

/** The server is deleted, and the agent says this of its device. */
async function givenBack({ id, claimId }: Served, care?: WireCare): Promise<void> {
  await source.transaction(async (tx) => {
    await lockServerForDelete(tx, id);
    await markDeleting(tx, id);
  });
  const claims = new ClaimsService(ledger, SETTINGS);
  await claims.serverDeleted(id);
  const device: ReleasedDevice = { address: A, outcome: 'restored', driver: null, ...(care && { care }) };
  await claims.take({ released: { ...HOST, claim_id: claimId, server_id: id, devices: [device] } });
  expect((await show(id)).status).toBe('DELETED');
}

async function cleaned({ claimId }: Served, outcome: DevicesCleaned['outcome'], reason: string | null = null) {
  await new ClaimsService(ledger, SETTINGS).cleaned({ ...HOST, claim_id: claimId, address: A, outcome, reason });
}

async function at(): Promise<{
  id: string;
  status: string;
  status_reason: string | null;
  cleaning_claim: string | null;
}> {
  const [row] = await source.query(`SELECT id, status, status_reason, cleaning_claim FROM devices WHERE address = $1`, [
    A,
  ]);
  return row;
}

describe('a device that its agent cleans', () => {
  it('is given to nobody before it is clean, while its server is gone already', async () => {
    await report([A]);
    const server = await served();
    await givenBack(server, CLEANING);
    expect(await at()).toMatchObject({ status: 'cleaning', cleaning_claim: server.claimId });
    expect((await at()).status_reason).toContain(server.id);
    const next = await ask('vm-2');
    await scheduler().schedule(next);
    expect((await show(next)).host).toBe(null);
    await cleaned(server, 'passed');
    expect(await at()).toMatchObject({ status: 'available', status_reason: null, cleaning_claim: null });
    await served('vm-3');
  });

  it('says why it is tried again, and goes into quarantine in the end', async () => {
    await report([A]);
    const server = await served();
    await givenBack(server, CLEANING);
    await cleaned(server, 'cleaning', 'exit code 1');
    expect((await at()).status_reason).toBe('it is being cleaned; the last attempt failed: exit code 1');
    await cleaned(server, 'failed', 'exit code 2');
    expect(await at()).toMatchObject({ status: 'quarantined', status_reason: 'cleaning failed: exit code 2' });
    const { id } = await at();
    await source.transaction((tx) => holdDevice(tx, id, 'repair', null));
    await served('vm-2');
  });

  it('is not freed by late words, nor by those after another claim', async () => {
    await report([A]);
    const first = await served();
    await givenBack(first, CLEANING);
    await cleaned(first, 'passed');
    const second = await served('vm-2');
    await cleaned(first, 'passed');
    expect(await at()).toMatchObject({ status: 'allocated' });
    await givenBack(second, CLEANING);
    await cleaned(first, 'passed');
    expect(await at()).toMatchObject({ status: 'cleaning' });
  });

  it('stays in quarantine when somebody put it there meanwhile', async () => {
    await report([A]);
    const server = await served();
    await givenBack(server, CLEANING);
    const { id } = await at();
    await source.transaction((tx) => holdDevice(tx, id, 'quarantine', 'smells'));
    await cleaned(server, 'passed');
    expect(await at()).toMatchObject({ status: 'quarantined', status_reason: 'smells', cleaning_claim: null });
  });

  it('that was pulled meanwhile is gone when it is clean', async () => {
    await report([A]);
    const server = await served();
    await givenBack(server, CLEANING);
    await report([]);
    expect(await at()).toMatchObject({ status: 'cleaning' });
    await cleaned(server, 'passed');
    expect(await at()).toMatchObject({ status: 'removed' });
  });

  it('is asked for when nobody has spoken of it for long; an agent that knows nothing costs it its freedom', async () => {
    await report([A]);
    const server = await served();
    await givenBack(server, CLEANING);
    await source.query(`DELETE FROM outbox`);
    const askNow = (): Promise<number> => source.transaction((tx) => askForCleanings(tx, 60_000, 10));
    expect(await askNow()).toBe(0);
    await source.query(`UPDATE devices SET cleaning_heard_at = now() - interval '2 minutes'`);
    expect(await askNow()).toBe(1);
    expect(await askNow()).toBe(0);
    expect(await source.transaction((tx) => takeFromOutbox(tx, 10))).toMatchObject([
      {
        queue: 'berth.agent.node-1',
        message: { type: 'cleaning.request', body: { claim_id: server.claimId, address: A } },
      },
    ]);
    await cleaned(server, 'unknown');
    expect(await at()).toMatchObject({ status: 'quarantined' });
  });

  it('whose reset failed is quarantined at once, with the reason', async () => {
    await report([A]);
    await givenBack(await served(), { state: 'failed', reason: 'its reset failed with EIO' });
    expect(await at()).toMatchObject({ status: 'quarantined', status_reason: 'its reset failed with EIO' });
  });
});

describe('a device for one use', () => {
  it.each([
    ['strict', 'true'],
    ['nova', 'True'],
  ])('is reserved after it, until somebody gives it back, as the dialect %s says it: %s', async (_dialect, tag) => {
    await report([A], { one_time_use: tag });
    await givenBack(await served());
    expect(await at()).toMatchObject({ status: 'reserved' });
    expect((await at()).status_reason).toContain('one_time_use');
    const { id } = await at();
    await source.transaction((tx) => holdDevice(tx, id, 'unreserve', null));
    await served('vm-2');
  });

  it('is free again when it was cleaned', async () => {
    await report([A], { one_time_use: 'true' });
    const server = await served();
    await givenBack(server, CLEANING);
    await cleaned(server, 'passed');
    expect(await at()).toMatchObject({ status: 'available' });
  });

  it('is not used up by a claim that never got it', async () => {
    await report([A], { one_time_use: 'true' });
    const id = await ask('vm-1');
    await scheduler().schedule(id);
    const [claim] = (await source.query(`SELECT id FROM claims`)) as [{ id: string }];
    const failed = { code: 'binding.failed', message: 'no', address: A, step: 'check', errno: null };
    const claims = new ClaimsService(ledger, SETTINGS);
    await claims.take({ prepare_failed: { ...HOST, claim_id: claim.id, server_id: id, ...failed } });
    expect(await at()).toMatchObject({ status: 'available' });
  });
});
