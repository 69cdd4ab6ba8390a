import 'reflect-metadata';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  binderWorld,
  dying,
  driver,
  failure,
  holdOpen,
  order,
  SERVER,
  type BinderWorld,
} from '../../test/support/binder-world.js';
import { charmsGuideHost } from '../../test/support/hosts.js';
import { InProcessBus } from '../bus/in-process.bus.js';
import { envelope, type MessageBody, type MessageType } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import type { HostDescription } from '../recorded-hosts/description.js';
import { Aftercare, programFor } from './aftercare.js';
import { CleaningRecords } from './cleaning-records.js';
import { CommandConsumer } from './command.consumer.js';
import { KeyedQueue } from './keyed-queue.js';
import type { SysfsWrite } from './kernel.js';
import { prepareDevices, type BinderHost } from './vfio-binder.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';
const P5000 = '0000:83:00.0';
const OTHER_P5000 = '0000:84:00.0';
const KIND = 'device:10de:1bb0';
const OWN = process.getuid?.() ?? 0;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Life {
  readonly binder: BinderHost;
  readonly care: Aftercare;
  readonly records: CleaningRecords;
  readonly commands: CommandConsumer;
  readonly said: () => string[];
  readonly all: <T extends MessageType>(type: T) => MessageBody<T>[];
}

interface World {
  readonly world: BinderWorld;
  readonly folder: string;
  readonly program: (text: string) => Promise<string>;
  readonly life: (more?: LifeOptions) => Promise<Life>;
}

interface LifeOptions {
  readonly programs?: Readonly<Record<string, string>>;
  readonly reset?: 'never' | 'release' | 'always';
  readonly attemptsMax?: number;
  readonly pauseMs?: number;
  readonly wrap?: (write: SysfsWrite) => SysfsWrite;
  /** Where programs are looked for that have a device open, and what the host itself needs. */
  readonly procRoot?: string;
}

async function worldOf(described: HostDescription | string = charmsGuideHost('h')): Promise<World> {
  const world = await binderWorld(described, ends);
  const folder = join(world.disk.directory, 'programs');
  await mkdir(folder, { mode: 0o755 });
  await chmod(world.disk.directory, 0o755);
  return {
    ...{ world, folder },
    program: async (text) => {
      const path = join(folder, 'clean');
      await writeFile(path, `#!/bin/sh\n${text}\n`);
      await chmod(path, 0o755);
      return path;
    },
    life: async ({
      programs = {},
      reset = 'release',
      attemptsMax = 1,
      pauseMs = 10,
      wrap,
      procRoot = '/proc',
    } = {}) => {
      const bus = new InProcessBus({ messageBytesMax: 16_000_000, deliveryLimit: 3 }, () => undefined);
      const received: { type: string; body: unknown }[] = [];
      await bus.consume(QUEUES.outcomes, async (message) => void received.push(message), { prefetch: 10 });
      const host = await world.agent(wrap);
      const queue = new KeyedQueue();
      const records = await CleaningRecords.open(join(world.disk.directory, 'state'), host.log);
      const care: Aftercare = new Aftercare({
        ...{ ...host, procRoot, reset, owner: OWN },
        protection: {
          ...{ procRoot: world.disk.proc, kernel: 'simulated', brokerAddress: () => null, deviceSpecs: () => [] },
        },
        records,
        settings: { programs, timeoutMs: 20_000, attemptsMax, pauseMs },
        alone: (address, task) => queue.run([address], task),
        tell: ({ claimId, address }) => commands.tellCleaning(claimId, address),
      });
      const binder = { ...host, care };
      const commands: CommandConsumer = new CommandConsumer({
        ...{ host: 'node-1', epoch: 7, readOnly: false, bus, queue, care, binder, reload: null },
        ...{ reportFully: async () => undefined, lookAgain: () => undefined },
      });
      ends.push(() => care.stop());
      const all = <T extends MessageType>(type: T): MessageBody<T>[] =>
        received.filter((message) => message.type === type).map(({ body }) => body as MessageBody<T>);
      const said = (): string[] =>
        all('devices.cleaned').map(({ outcome, reason }) => [outcome, reason].filter(Boolean).join(': '));
      return { binder, care, records, commands, said, all };
    },
  };
}

async function serve({ world }: World, { binder }: Life, addresses = [P5000]): Promise<void> {
  await prepareDevices(binder, order(world, addresses, CLAIM));
}

const release = ({ commands }: Life): Promise<void> =>
  commands.handle(envelope('devices.release', { claim_id: CLAIM, server_id: SERVER }));

/** What the centre heard of the first releases. */
async function released({ all }: Life, count = 1): Promise<unknown[]> {
  return vi.waitFor(() => {
    const heard = all('devices.released');
    expect(heard).toHaveLength(count);
    return JSON.parse(JSON.stringify(heard.map(({ devices }) => devices))) as unknown[];
  }, 10_000);
}

function writesOf(writes: string[]): (write: SysfsWrite) => SysfsWrite {
  return (write) => async (path, value) => {
    await write(path, value);
    writes.push(path.split('/').at(-1) as string);
  };
}

describe('a device that a server gave back', () => {
  it('is reset between its two drivers, and its release says nothing of it', async () => {
    const host = await worldOf();
    const writes: string[] = [];
    const life = await host.life({ wrap: writesOf(writes) });
    await serve(host, life);
    writes.length = 0;
    await release(life);
    expect(writes).toEqual(['unbind', 'driver_override', 'reset', 'drivers_probe']);
    expect(await released(life)).toEqual([[{ address: P5000, outcome: 'restored', driver: 'nouveau' }]]);
    expect(driver(host.world, P5000)).toBe('nouveau');
  });

  it('whose reset fails says so with its release, each time that is asked for', async () => {
    const host = await worldOf();
    const refuse =
      (write: SysfsWrite): SysfsWrite =>
      (path, value) =>
        path.endsWith('/reset') ? Promise.reject(Object.assign(new Error('no'), { code: 'EIO' })) : write(path, value);
    const life = await host.life({ wrap: refuse });
    await serve(host, life);
    await release(life);
    await release(life);
    const care = { state: 'failed', reason: 'its reset failed with EIO' };
    const expected = [{ address: P5000, outcome: 'restored', driver: 'nouveau', care }];
    expect(await released(life, 2)).toEqual([expected, expected]);
  });

  it('is not reset where the configuration says never, nor when no server had it', async () => {
    const host = await worldOf();
    const writes: string[] = [];
    const life = await host.life({ wrap: writesOf(writes), reset: 'never' });
    await serve(host, life);
    await release(life);
    expect(writes).not.toContain('reset');
    const other = await host.life({ wrap: writesOf(writes) });
    await failure(prepareDevices(other.binder, order(host.world, [P5000, '0000:00:00.0'], CLAIM)));
    expect(writes).not.toContain('reset');
  });

  it('is not reset again when its release comes again, as its driver has it', async () => {
    const host = await worldOf();
    const writes: string[] = [];
    let refusals = 1;
    const refuse =
      (write: SysfsWrite): SysfsWrite =>
      (path, value) =>
        path.endsWith('/unbind') && value === OTHER_P5000 && refusals-- > 0
          ? Promise.reject(Object.assign(new Error('no'), { code: 'EIO' }))
          : writesOf(writes)(write)(path, value);
    await serve(host, await host.life(), [P5000, OTHER_P5000]);
    const life = await host.life({ wrap: refuse });
    await expect(release(life)).rejects.toThrow('unbind failed with EIO');
    expect(writes.filter((name) => name === 'reset')).toHaveLength(1);
    await release(life);
    expect(writes.filter((name) => name === 'reset')).toHaveLength(2);
    expect(driver(host.world, OTHER_P5000)).toBe('nouveau');
  });

  it('is neither reset nor cleaned when another tool had it on vfio, or binds it', async () => {
    const nic = '0000:21:00.0';
    for (const tags of [{}, { managed: 'no' }]) {
      const host = await worldOf('full-active');
      host.world.tags.set(nic, tags);
      const writes: string[] = [];
      const programs = { 'class:02': await host.program(`touch ${host.folder}/run`) };
      const life = await host.life({ programs, reset: 'always', wrap: writesOf(writes) });
      await serve(host, life, [nic]);
      // one that Berth takes over is reset for its server
      const resets = 'managed' in tags ? 0 : 1;
      await release(life);
      expect(await released(life)).toEqual([[{ address: nic, outcome: 'restored', driver: 'vfio-pci' }]]);
      expect(writes.filter((name) => name === 'reset')).toHaveLength(resets);
      await expect(stat(join(host.folder, 'run'))).rejects.toThrow('ENOENT');
    }
  });

  it('is not cleaned when the host itself needs it by then', async () => {
    const host = await worldOf('small');
    const nic = '0000:01:00.0';
    const programs = { 'class:02': await host.program(`touch ${host.folder}/run`) };
    const life = await host.life({ programs });
    await serve(host, life, [nic]);
    const route = 'eth1\t00000000\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n';
    await writeFile(join(host.world.disk.proc, 'net/route'), route);
    await release(life);
    await vi.waitFor(() => expect(life.said()[0]).toMatch(/^failed: .*carries the default route/), 10_000);
    await expect(stat(join(host.folder, 'run'))).rejects.toThrow('ENOENT');
  });

  it('is cleaned, and the centre hears of it; the next release begins anew', async () => {
    const host = await worldOf();
    const path = await host.program(`echo "$1 $BERTH_DRIVER" >> ${host.folder}/runs`);
    const life = await host.life({ programs: { [KIND]: path } });
    await serve(host, life);
    await release(life);
    expect(await released(life)).toMatchObject([[{ care: { state: 'cleaning' } }]]);
    await vi.waitFor(() => expect(life.said()).toEqual(['passed']), 10_000);
    expect(life.all('devices.cleaned')[0]).toMatchObject({ host: 'node-1', claim_id: CLAIM, address: P5000 });
    expect(await readFile(join(host.folder, 'runs'), 'utf8')).toBe(`${P5000} nouveau\n`);
  });

  it('is tried again after a pause, and then is given up', async () => {
    const host = await worldOf();
    const path = await host.program(`echo x >> ${host.folder}/runs; [ $(wc -l < ${host.folder}/runs) -ge 3 ]`);
    const life = await host.life({ programs: { [KIND]: path }, attemptsMax: 3 });
    await serve(host, life);
    await release(life);
    const again = 'cleaning: it ended with exit code 1';
    await vi.waitFor(() => expect(life.said()).toEqual([again, again, 'passed']), 10_000);

    await rm(join(host.folder, 'runs'));
    const strict = await worldOf();
    const never = await strict.program('echo broken; exit 9');
    const other = await strict.life({ programs: { [KIND]: never }, attemptsMax: 2 });
    await serve(strict, other);
    await release(other);
    const words = 'it ended with exit code 9: broken';
    await vi.waitFor(() => expect(other.said()).toEqual([`cleaning: ${words}`, `failed: ${words}`]), 10_000);
  });

  it('is cleaned by the next life of the agent, which ends what the former one left running', async () => {
    const host = await worldOf();
    const slow = await host.program(`echo $$ > ${host.folder}/pid; exec sleep 300`);
    const first = await host.life({ programs: { [KIND]: slow } });
    await serve(host, first);
    await release(first);
    const pid = await vi.waitFor(async () => Number(await readFile(join(host.folder, 'pid'), 'utf8')), 10_000);
    expect(pid).toBeGreaterThan(1);
    await vi.waitFor(async () => {
      const told = JSON.parse(await readFile(join(host.world.disk.directory, 'state/cleaning.json'), 'utf8'));
      expect(told.records[0].process.pid).toBe(pid);
    }, 10_000);
    // the first life is as good as killed: who is dead does not write to the file of the second
    vi.spyOn(first.records, 'change').mockRejectedValue(new Error('dead'));
    const fast = await host.program('exit 0');
    const second = await host.life({ programs: { [KIND]: fast } });
    second.commands.resume();
    await vi.waitFor(() => expect(second.said()).toEqual(['passed']), 10_000);
    await vi.waitFor(async () => {
      const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z ');
      expect(line).toMatch(/\) [ZX] /);
    }, 10_000);
  });

  it('is not forgotten by a crash at any write of its release', async () => {
    for (let at = 0; at < 4; at += 1) {
      const host = await worldOf();
      const path = await host.program('exit 0');
      await serve(host, await host.life());
      const { wrap, death } = dying(at, 'after');
      const killed = await host.life({ programs: { [KIND]: path }, wrap });
      void release(killed);
      await death;
      const next = await host.life({ programs: { [KIND]: path } });
      next.commands.resume();
      await vi.waitFor(() => expect(next.said()).toEqual(['passed']), 10_000);
      await release(next);
      expect(await released(next)).toMatchObject([[{ care: { state: 'cleaning' } }]]);
    }
  });

  it('is asked for, and nothing is known of what the journal has not', async () => {
    const host = await worldOf();
    const life = await host.life({ programs: { [KIND]: await host.program('exit 0') } });
    await serve(host, life);
    await release(life);
    await vi.waitFor(() => expect(life.said()).toEqual(['passed']), 10_000);
    await life.commands.handle(envelope('cleaning.request', { claim_id: CLAIM, address: P5000 }));
    await life.commands.handle(envelope('cleaning.request', { claim_id: SERVER, address: P5000 }));
    await vi.waitFor(() => expect(life.said()).toEqual(['passed', 'passed', 'unknown']), 10_000);
  });

  it('that a server has again is not cleaned', async () => {
    const host = await worldOf();
    const path = await host.program(`echo x >> ${host.folder}/runs; exit 1`);
    const life = await host.life({ programs: { [KIND]: path }, attemptsMax: 3, pauseMs: 300 });
    await serve(host, life);
    await release(life);
    await vi.waitFor(() => expect(life.said()).toHaveLength(1), 10_000);
    await prepareDevices(life.binder, order(host.world, [P5000], '22222222-2222-4222-8222-222222222222'));
    await vi.waitFor(() => expect(life.said().at(-1)).toBe('failed: a server has it again'), 10_000);
    expect(await readFile(join(host.folder, 'runs'), 'utf8')).toBe('x\n');
  });

  it('is not cleaned by a program that others can write', async () => {
    const host = await worldOf();
    const path = await host.program(`touch ${host.folder}/run`);
    await chmod(path, 0o777);
    const life = await host.life({ programs: { [KIND]: path } });
    await serve(host, life);
    await release(life);
    await vi.waitFor(() => expect(life.said()[0]).toContain('can be written by others than root'), 10_000);
    await expect(stat(join(host.folder, 'run'))).rejects.toThrow('ENOENT');
  });
});

describe('a reset before the first use', () => {
  it('comes once, when the device is bound, and never to a server that has it', async () => {
    const host = await worldOf();
    const writes: string[] = [];
    const life = await host.life({ reset: 'always', wrap: writesOf(writes) });
    await serve(host, life);
    expect(writes.at(-1)).toBe('reset');
    await serve(host, life);
    expect(writes.filter((name) => name === 'reset')).toHaveLength(1);
  });

  it('is none of a device that its server has open: it was prepared before, and that was not written down', async () => {
    const host = await worldOf();
    const writes: string[] = [];
    const life = await host.life({ reset: 'always', wrap: writesOf(writes), procRoot: host.world.disk.proc });
    const letGo = await holdOpen(host.world, P5000);
    await life.care.beforeUse(CLAIM, P5000);
    expect(writes).toEqual([]);
    await letGo();
    await life.care.beforeUse(CLAIM, P5000);
    expect(writes).toEqual(['reset']);
  });

  it('that fails gives the device back', async () => {
    const host = await worldOf();
    const refuse =
      (write: SysfsWrite): SysfsWrite =>
      (path, value) =>
        path.endsWith('/reset') ? Promise.reject(Object.assign(new Error('no'), { code: 'EIO' })) : write(path, value);
    const life = await host.life({ reset: 'always', wrap: refuse });
    const error = await failure(prepareDevices(life.binder, order(host.world, [P5000], CLAIM)));
    expect(error).toMatchObject({ step: 'reset', errno: 'EIO', address: P5000 });
    expect(driver(host.world, P5000)).toBe('nouveau');
  });
});

describe('the program of a device', () => {
  const programs = { 'class:01': '/a', 'class:0108': '/b', 'class:010802': '/c', 'device:144d:a80a': '/d' };
  it.each([
    ['the exact model', { vendorId: '144d', productId: 'a80a', classCode: '010802' }, '/d'],
    ['the whole class', { vendorId: '144d', productId: 'a80b', classCode: '010802' }, '/c'],
    ['the sub-class', { vendorId: '144d', productId: 'a80b', classCode: '010801' }, '/b'],
    ['the base class', { vendorId: '144d', productId: 'a80b', classCode: '010400' }, '/a'],
    ['none', { vendorId: '144d', productId: 'a80b', classCode: '020000' }, null],
  ])('is that of %s', (_what, device, expected) => {
    expect(programFor(programs, device)).toBe(expected);
  });
});
