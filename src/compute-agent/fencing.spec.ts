import 'reflect-metadata';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { binderWorld, driver, order, SERVER, type BinderWorld } from '../../test/support/binder-world.js';
import { charmsGuideHost } from '../../test/support/hosts.js';
import { InProcessBus } from '../bus/in-process.bus.js';
import { envelope, type Envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import { CommandConsumer } from './command.consumer.js';
import { readJournal } from './journal-state.js';
import { Journal } from './journal.js';
import type { BinderHost } from './vfio-binder.js';

const P5000 = '0000:83:00.0';
const claimId = (digit: number): string => `${digit}`.repeat(8) + '-1111-4111-8111-111111111111';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** One life of the agent, with all that the centre hears of it. */
async function life(world: BinderWorld, epoch: number, binder?: BinderHost) {
  const bus = new InProcessBus({ messageBytesMax: 16_000_000, deliveryLimit: 3 }, () => undefined);
  const heard: Envelope[] = [];
  ends.push(() => bus.close());
  await bus.consume(QUEUES.outcomes, async (message) => void heard.push(message), { prefetch: 10 });
  const host = binder ?? (await world.agent());
  await host.journal.nextEpoch(epoch);
  const nothing = { reload: null, reportFully: async () => undefined, lookAgain: () => undefined };
  const consumer = new CommandConsumer({ host: 'node-1', epoch, readOnly: false, bus, binder: host, ...nothing });
  const prepare = (digit: number, more: { claim_number?: number; incarnation?: string } = {}): Promise<void> => {
    const { targets } = order(world, [P5000]);
    const body = { claim_id: claimId(digit), server_id: SERVER, devices: [...targets], ...more };
    return consumer.handle(envelope('devices.prepare', body));
  };
  const release = (digit: number, number?: number): Promise<void> => {
    const body = { claim_id: claimId(digit), server_id: SERVER, ...(number !== undefined && { claim_number: number }) };
    return consumer.handle(envelope('devices.release', body));
  };
  const answers = (): string[] =>
    heard.map(({ type, body }) => (type === 'devices.prepare_failed' && 'code' in body ? String(body.code) : type));
  const settled = (expected: string[]) => vi.waitFor(() => expect(answers()).toEqual(expected));
  return { consumer, host, prepare, release, settled, heard };
}

describe('a prepare that comes late', () => {
  it('after its release is refused, also when the release came first and the claim was never known', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const { release, prepare, settled } = await life(world, 1);
    await release(1, 7);
    await prepare(1, { claim_number: 7 });
    await settled(['devices.released', 'claim.released']);
    expect(driver(world, P5000)).not.toBe('vfio-pci');
  });

  it('is refused by its number when its release was forgotten, and a later claim is not', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const journal = await Journal.open(join(world.disk.directory, 'state'), () => undefined, 2);
    const { release, prepare, settled } = await life(world, 1, { ...(await world.agent()), journal });
    await release(1, 7);
    await release(2, 3);
    await release(3, 5);
    expect([journal.isReleased(claimId(1)), journal.isReleased(claimId(1), 7)]).toEqual([false, true]);
    await prepare(1, { claim_number: 7 });
    await prepare(4, { claim_number: 8 });
    await prepare(4, { claim_number: 8 }); // once more, as brokers do
    const released = ['devices.released', 'devices.released', 'devices.released'];
    await settled([...released, 'claim.released', 'devices.prepared', 'devices.prepared']);
  });

  it('of an agent that says no number, is carried out as before', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const { prepare, settled } = await life(world, 1);
    await prepare(1);
    await settled(['devices.prepared']);
  });

  it('for a former installation of the host is refused, with whom the host is now', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const former = (await life(world, 1)).host.journal.incarnation as string;
    await rm(join(world.disk.directory, 'state'), { recursive: true });
    const { prepare, settled, heard, host } = await life(world, 2);
    await prepare(1, { claim_number: 7, incarnation: former });
    await settled(['command.stale']);
    expect(host.journal.incarnation).not.toBe(former);
    expect(heard[0]?.body).toMatchObject({ incarnation: host.journal.incarnation });
    expect(host.journal.isReleased(claimId(1), 7)).toBe(false); // it may be asked for again
    await prepare(1, { claim_number: 7, incarnation: host.journal.incarnation as string });
    await settled(['command.stale', 'devices.prepared']);
  });
});

describe('an agent that starts', () => {
  it('binds again what a reboot has given to its driver, and says what it holds', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const first = await life(world, 1);
    await first.prepare(1);
    const before = first.host;
    await before.write(`bus/pci/devices/${P5000}/driver/unbind`, P5000);
    expect(driver(world, P5000)).toBeNull();
    const second = await life(world, 2);
    second.consumer.resume();
    await vi.waitFor(() => expect(driver(world, P5000)).toBe('vfio-pci'));
    await vi.waitFor(() => expect(second.host.journal.claim(claimId(1))?.state).toBe('prepared'));
    await second.consumer.tellHeld();
    await second.settled(['agent.holds']);
    const { incarnation } = second.host.journal;
    expect(second.heard[0]?.body).toEqual({
      ...{ host: 'node-1', epoch: 2, incarnation },
      claims: [{ claim_id: claimId(1), server_id: SERVER }],
    });
    expect(incarnation).toBe(before.journal.incarnation);
  });

  it('and cannot bind them again tells so, and holds the claim no more', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const first = await life(world, 1);
    await first.prepare(1);
    await rm(join(world.disk.sysfs, 'bus/pci/devices', P5000));
    const second = await life(world, 2);
    second.consumer.resume();
    await second.settled(['device.missing']);
    expect(second.host.journal.claims()).toEqual([]);
  });
});

describe('the journal of a former version', () => {
  it('is read, and of a version in between that dropped the numbers the highest stays a fence', () => {
    const old = { version: 1, epoch: 5, claims: [], released: ['a', 'b'] };
    expect(readJournal(JSON.stringify(old)).state).toMatchObject({ releasedNumbers: [0, 0], forgottenUpTo: 0 });
    const mixed = { ...old, releasedNumbers: [4], forgottenUpTo: 2 };
    expect(readJournal(JSON.stringify(mixed)).state).toMatchObject({ releasedNumbers: [0, 0], forgottenUpTo: 4 });
    expect(readJournal(JSON.stringify({ ...old, forgottenUpTo: -1 })).problem).toMatch(/forgottenUpTo/);
  });
});
