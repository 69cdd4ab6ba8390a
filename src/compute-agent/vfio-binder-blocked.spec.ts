import 'reflect-metadata';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  binderWorld,
  blocking,
  driver,
  holdOpen,
  IMPATIENT,
  order,
  scan,
  SERVER,
  type BinderWorld,
} from '../../test/support/binder-world.js';
import { charmsGuideHost, sriovNicHost } from '../../test/support/hosts.js';
import { InProcessBus } from '../bus/in-process.bus.js';
import { envelope, type Envelope } from '../messages/envelope.js';
import { agentQueue, QUEUES } from '../messages/routes.js';
import { withProblems } from './binding-problems.js';
import { CommandConsumer } from './command.consumer.js';
import { Journal } from './journal.js';
import { prepareDevices, releaseDevices, type BinderHost } from './vfio-binder.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';
const P5000 = '0000:83:00.0';
const OTHER = '0000:84:00.0';
const claimOf = (digit: number): string => `${digit}`.repeat(8) + '-1111-4111-8111-111111111111';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const world = (): Promise<BinderWorld> => binderWorld(charmsGuideHost('h'), ends);

describe('a release while a guest has the device open', () => {
  it('asks the kernel for nothing before the guest is gone, and says who it is', async () => {
    const w = await world();
    const before = await scan(w);
    await prepareDevices(await w.agent(), order(w, [P5000]));
    const close = await holdOpen(w, P5000);
    const writes: string[] = [];
    const agent = await w.agent(
      (write) => (path, value) => {
        writes.push(path);
        return write(path, value);
      },
      IMPATIENT,
    );
    const releasing = releaseDevices(agent, CLAIM);
    await vi.waitFor(() => expect(agent.problems.of(P5000)).not.toBeNull());
    expect(agent.problems.of(P5000)).toMatchObject({
      ...{ state: 'blocked', step: 'unbind', claimId: CLAIM, heldBy: 'qemu-system-x86 (process 4711)' },
      remedy: expect.stringContaining('shut the guest down') as string,
    });
    await vi.waitFor(() =>
      expect(agent.journal.claim(CLAIM)?.blocked).toMatchObject({ address: P5000, step: 'unbind' }),
    );
    expect(writes).toEqual([]);
    await close();
    expect(await releasing).toMatchObject([{ outcome: 'restored' }]);
    expect(agent.problems.of(P5000)).toBeNull();
    expect(await scan(w)).toEqual(before);
    expect((await w.agent()).journal.claims()).toEqual([]);
  });

  it('is shown in the report, cut to what the wire takes', async () => {
    const w = await world();
    const agent = await w.agent();
    const since = Date.parse('2026-03-01T12:00:00Z');
    const blocked = { state: 'blocked', step: 'unbind', errno: null, heldBy: 'x'.repeat(600), remedy: 'r' } as const;
    agent.problems.set({ address: P5000, claimId: CLAIM, since, ...blocked });
    agent.problems.set({ address: OTHER, claimId: CLAIM, since, ...blocked, state: 'driverless' });
    const shown = withProblems(await scan(w), agent.problems);
    expect(shown.flatMap(({ address, bindingProblem }) => (bindingProblem ? [[address, bindingProblem]] : []))).toEqual(
      [[P5000, { ...blocked, heldBy: 'x'.repeat(500), since: '2026-03-01T12:00:00.000Z' }]],
    );
    expect(agent.problems.of(OTHER)).toBeNull(); // it has a driver
  });
});

describe('a write that the kernel does not answer', () => {
  it('is waited for, shown as blocked, and gone on from', async () => {
    const w = await world();
    const before = await scan(w);
    const { wrap, letGo } = blocking((path) => path.endsWith('driver/unbind'));
    const agent = await w.agent(wrap, IMPATIENT);
    const preparing = prepareDevices(agent, order(w, [P5000]));
    await vi.waitFor(() => expect(agent.problems.of(P5000)).toMatchObject({ state: 'blocked', step: 'unbind' }));
    expect(agent.problems.of(P5000)?.heldBy).toBeNull();
    expect(w.logged.filter((line) => line.includes('A device is blocked'))).toHaveLength(1);
    letGo();
    expect(await preparing).toMatchObject([{ driver: 'vfio-pci' }]);
    expect(agent.problems.of(P5000)).toBeNull();
    await releaseDevices(agent, CLAIM);
    expect(await scan(w)).toEqual(before);
  });

  it('to sriov_numvfs as well', async () => {
    const w = await binderWorld(sriovNicHost('n', 3), ends);
    const PF = '0000:81:00.0';
    const { wrap, letGo } = blocking((path, value) => path.endsWith('sriov_numvfs') && value === '0');
    const agent = await w.agent(wrap, IMPATIENT);
    const preparing = prepareDevices(agent, order(w, [PF]));
    await vi.waitFor(() => expect(agent.problems.of(PF)).toMatchObject({ state: 'blocked', step: 'sriov_numvfs' }));
    letGo();
    expect(await preparing).toMatchObject([{ driver: 'vfio-pci' }]);
  });
});

/** An agent's life on a bus with the window of the real one, and what the centre hears of it. */
async function life(w: BinderWorld, epoch: number, binder: BinderHost) {
  const bus = new InProcessBus({ messageBytesMax: 16_000_000, deliveryLimit: 3 }, () => undefined);
  const heard: Envelope[] = [];
  ends.push(() => bus.close());
  await bus.consume(QUEUES.outcomes, async (message) => void heard.push(message), { prefetch: 10 });
  await binder.journal.nextEpoch(epoch);
  let looks = 0;
  const consumer = new CommandConsumer({
    ...{ host: 'node-1', epoch, readOnly: false, bus, binder, reload: null },
    reportFully: async () => undefined,
    lookAgain: () => void looks++,
  });
  await bus.consume(agentQueue('node-1'), (message) => consumer.handle(message), { prefetch: 8 });
  const prepare = (digit: number, address: string) =>
    bus.publish(
      agentQueue('node-1'),
      envelope('devices.prepare', {
        claim_id: claimOf(digit),
        server_id: SERVER,
        devices: order(w, [address]).targets,
      }),
    );
  const release = (digit: number) =>
    bus.publish(agentQueue('node-1'), envelope('devices.release', { claim_id: claimOf(digit), server_id: SERVER }));
  const answers = (): string[] =>
    heard.map(({ type, body }) => `${type} ${String((body as { claim_id?: string }).claim_id?.[0])}`);
  const settled = (expected: string[]) => vi.waitFor(() => expect(answers()).toEqual(expected), 5000);
  return { bus, consumer, prepare, release, settled, heard, looks: () => looks };
}

describe('commands for a blocked device', () => {
  it('leave the window to others, are answered once when it is free, and repeated ones add nothing', async () => {
    const w = await world();
    const agent = await w.agent(undefined, IMPATIENT);
    const { prepare, release, settled, looks } = await life(w, 1, agent);
    await prepare(1, P5000);
    await settled(['devices.prepared 1']);
    const close = await holdOpen(w, P5000);
    await release(1);
    await vi.waitFor(() => expect(agent.problems.blocked(claimOf(1), [])).not.toBeNull());
    const before = looks();
    for (let count = 0; count < 20; count++) await release(1); // more than the window
    await prepare(2, OTHER);
    await settled(['devices.prepared 1', 'devices.prepared 2']);
    await close();
    await settled(['devices.prepared 1', 'devices.prepared 2', 'devices.released 1']);
    expect(driver(w, P5000)).toBe('nouveau');
    expect(looks()).toBeGreaterThan(before);
  });

  it('of another claim are refused at once, with who holds it, and never carried out', async () => {
    const w = await world();
    const agent = await w.agent(undefined, IMPATIENT);
    const { prepare, release, settled, heard } = await life(w, 1, agent);
    await prepare(1, P5000);
    await settled(['devices.prepared 1']);
    const close = await holdOpen(w, P5000);
    await release(1);
    await vi.waitFor(() => expect(agent.problems.blocked(claimOf(1), [])).not.toBeNull());
    await prepare(2, P5000);
    await settled(['devices.prepared 1', 'devices.prepare_failed 2']);
    expect(heard[1]?.body).toMatchObject({
      ...{ code: 'binding.refused', address: P5000, step: 'check' },
      message: expect.stringMatching(/claim 1111.* blocked at unbind, held by qemu-system-x86/) as string,
    });
    await close();
    await settled(['devices.prepared 1', 'devices.prepare_failed 2', 'devices.released 1']);
    expect([driver(w, P5000), agent.journal.isReleased(claimOf(2))]).toEqual(['nouveau', true]);
  });

  it('go on after a restart, blocked since when they were first', async () => {
    const w = await world();
    const stopping = new AbortController();
    const first = { ...(await w.agent(undefined, IMPATIENT)), stopping: stopping.signal };
    const { prepare, release, settled } = await life(w, 1, first);
    await prepare(1, P5000);
    await settled(['devices.prepared 1']);
    const close = await holdOpen(w, P5000);
    await release(1);
    await vi.waitFor(() => expect(first.journal.claim(claimOf(1))?.blocked).toBeDefined());
    const since = first.journal.claim(claimOf(1))?.blocked?.since;
    stopping.abort();
    await vi.waitFor(() => expect(w.logged.join()).toContain('Blocked work failed'));
    const agent = await w.agent(undefined, IMPATIENT);
    const next = await life(w, 2, agent);
    next.consumer.resume();
    await vi.waitFor(() => expect(agent.problems.of(P5000)).toMatchObject({ state: 'blocked', since }));
    await next.prepare(2, OTHER); // one that is blocked does not hold up the start
    await next.settled(['devices.prepared 2']);
    await close();
    await next.settled(['devices.prepared 2', 'devices.released 1']);
    expect(driver(w, P5000)).toBe('nouveau');
  });
});

it('an agent that was killed while it prepared finishes that at its start, with no broker in reach', async () => {
  const w = await world();
  const { wrap } = blocking((path) => path.endsWith('drivers_probe'));
  void prepareDevices(await w.agent(wrap), order(w, [P5000]));
  await vi.waitFor(() => expect(driver(w, P5000)).toBeNull());
  const { bus, consumer } = await life(w, 2, await w.agent());
  bus.publish = () => Promise.reject(new Error('no broker'));
  consumer.resume();
  await vi.waitFor(() => expect(driver(w, P5000)).toBe('vfio-pci'));
  await vi.waitFor(async () => {
    const journal = await Journal.open(join(w.disk.directory, 'state'), () => undefined);
    expect(journal.claim(CLAIM)?.state).toBe('prepared');
  });
});

it('… and undoes it when it cannot be finished', async () => {
  const w = await world();
  const { wrap } = blocking((path) => path.endsWith('drivers_probe'));
  void prepareDevices(await w.agent(wrap), order(w, [P5000]));
  await vi.waitFor(() => expect(driver(w, P5000)).toBeNull());
  const agent = await w.agent((write) => (path, value) => {
    const isBind = driver(w, P5000) === null && value === 'vfio-pci';
    return isBind ? Promise.reject(Object.assign(new Error('injected'), { code: 'EIO' })) : write(path, value);
  });
  const { consumer, settled } = await life(w, 2, agent);
  consumer.resume();
  await settled(['devices.prepare_failed 1']);
  expect(driver(w, P5000)).toBe('nouveau');
  expect(agent.journal.claims()).toEqual([]);
});
