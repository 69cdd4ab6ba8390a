import 'reflect-metadata';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  binderWorld,
  driver,
  dying,
  failure,
  holdOpen,
  order,
  override,
  scan,
} from '../../test/support/binder-world.js';
import { charmsGuideHost } from '../../test/support/hosts.js';
import { errnoError } from './kernel.js';
import { isBound, prepareDevices, releaseDevices, resumeReleases } from './vfio-binder.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';
const P5000 = '0000:83:00.0';
const NIC = '0000:01:00.0';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const world = (host: Parameters<typeof binderWorld>[0]) => binderWorld(host, ends);

describe('a device that no driver takes by itself', () => {
  it('is bound to its driver by name', async () => {
    const w = await world('small');
    const writes: string[] = [];
    const agent = await w.agent((write) => async (path, value) => {
      writes.push(path);
      if (path.endsWith('drivers_probe') && (await override(w, NIC)) === '(null)') return; // nobody is interested
      await write(path, value);
    });
    await prepareDevices(agent, order(w, [NIC]));
    expect(await releaseDevices(agent, CLAIM)).toEqual([{ address: NIC, outcome: 'restored', driver: 'e1000e' }]);
    expect(writes.slice(-2)).toEqual(['bus/pci/drivers_probe', 'bus/pci/drivers/e1000e/bind']);
  });

  it('has the module of its driver loaded, by the name that the module had', async () => {
    const w = await world('small');
    const agent = await w.agent();
    await prepareDevices(agent, order(w, [NIC]));
    await rm(join(w.disk.sysfs, 'bus/pci/drivers/e1000e'), { recursive: true });
    const loaded: string[] = [];
    const loadModule = (name: string): Promise<void> => {
      loaded.push(name);
      return agent.loadModule(name);
    };
    const released = await releaseDevices({ ...agent, loadModule }, CLAIM);
    expect(released).toEqual([{ address: NIC, outcome: 'restored', driver: 'e1000e' }]);
    expect(loaded).toEqual(['e1000e']);
    expect((await scan(w)).find(({ address }) => address === NIC)?.netdevs).toEqual(['eth1']);
  });

  it('is told as driverless with step, errno and remedy', async () => {
    const w = await world('small');
    const agent = await w.agent((write) => async (path, value) => {
      if ((await override(w, NIC)) === '(null)') {
        if (path.endsWith('drivers_probe')) return;
        if (path.endsWith('e1000e/bind')) throw errnoError('EIO', 'injected', path);
      }
      await write(path, value);
    });
    await prepareDevices(agent, order(w, [NIC]));
    const [released] = await releaseDevices(agent, CLAIM);
    expect(released).toMatchObject({ outcome: 'driverless', driver: null, step: 'bind', errno: 'EIO' });
    expect(released?.remedy).toMatch(/^load e1000e \(modprobe\), and write 0000:01:00\.0 to .*EIO/);
    expect(agent.problems.of(NIC)).toMatchObject({ state: 'driverless', errno: 'EIO', claimId: CLAIM });
    expect(agent.journal.claims()).toEqual([]);
  });

  const POINTS = [0, 1, 2, 3].flatMap((at) => [[at, 'before'] as const, [at, 'after'] as const]);
  it.each(POINTS)('and a crash in write %i of the release (%s it) is finished by the next start', async (at, when) => {
    const w = await world('small');
    const before = await scan(w);
    await prepareDevices(await w.agent(), order(w, [NIC]));
    const { wrap, death } = dying(at, when);
    const deaf = (write: Parameters<typeof wrap>[0]): ReturnType<typeof wrap> =>
      wrap((path, value) => (path.endsWith('drivers_probe') ? Promise.resolve() : write(path, value)));
    await Promise.race([releaseDevices(await w.agent(deaf), CLAIM), death]);
    const next = await w.agent();
    await resumeReleases(next);
    expect(await scan(w)).toEqual(before);
    expect(next.journal.claims()).toEqual([]);
  });
});

describe('vfio-pci that is not there', () => {
  it('is loaded', async () => {
    const w = await world('small');
    const agent = await w.agent();
    await rm(join(w.disk.sysfs, 'bus/pci/drivers/vfio-pci'), { recursive: true });
    expect(await prepareDevices(agent, order(w, [NIC]))).toMatchObject([{ driver: 'vfio-pci' }]);
  });
});

describe('a variant driver', () => {
  it('takes the device, and gives it back to the driver that it had', async () => {
    const w = await world(charmsGuideHost('h'));
    const before = await scan(w);
    w.tags.set(P5000, { vfio_driver: 'nvgrace_gpu_vfio_pci' });
    const agent = await w.agent();
    const [binding] = await prepareDevices(agent, order(w, [P5000]));
    expect(binding).toMatchObject({ driver: 'nvgrace_gpu_vfio_pci', original_driver: 'nouveau' });
    expect([driver(w, P5000), await override(w, P5000)]).toEqual(['nvgrace_gpu_vfio_pci', 'nvgrace_gpu_vfio_pci']);
    w.tags.clear(); // the whitelist changes; the claim does not
    const next = await w.agent();
    const claim = next.journal.claim(CLAIM);
    expect(claim && isBound(next, claim)).toBe(true);
    expect(await prepareDevices(next, order(w, [P5000]))).toEqual([binding]);
    expect(await releaseDevices(next, CLAIM)).toMatchObject([{ outcome: 'restored', driver: 'nouveau' }]);
    expect(await scan(w)).toEqual(before);
  });

  const STARTS = [0, 1, 2].flatMap((at) => [[at, 'before'] as const, [at, 'after'] as const]);
  it.each(STARTS)('after a crash in write %i of prepare (%s it) is still the one', async (at, when) => {
    const w = await world(charmsGuideHost('h'));
    const before = await scan(w);
    w.tags.set(P5000, { vfio_driver: 'nvgrace_gpu_vfio_pci' });
    const { wrap, death } = dying(at, when);
    await Promise.race([prepareDevices(await w.agent(wrap), order(w, [P5000])), death]);
    w.tags.clear();
    const next = await w.agent();
    expect(await prepareDevices(next, order(w, [P5000]))).toMatchObject([{ driver: 'nvgrace_gpu_vfio_pci' }]);
    expect(await releaseDevices(next, CLAIM)).toMatchObject([{ outcome: 'restored', driver: 'nouveau' }]);
    expect(await scan(w)).toEqual(before);
    expect(await override(w, P5000)).toBe('(null)');
  });

  it.each(STARTS)('after a crash in write %i of release (%s it) is left by the next start', async (at, when) => {
    const w = await world(charmsGuideHost('h'));
    const before = await scan(w);
    w.tags.set(P5000, { vfio_driver: 'nvgrace_gpu_vfio_pci' });
    await prepareDevices(await w.agent(), order(w, [P5000]));
    const { wrap, death } = dying(at, when);
    await Promise.race([releaseDevices(await w.agent(wrap), CLAIM), death]);
    await resumeReleases(await w.agent());
    expect(await scan(w)).toEqual(before);
    expect(await override(w, P5000)).toBe('(null)');
  });

  it('takes over what was on vfio-pci, and it goes back there', async () => {
    const w = await world('full-active');
    const nic = '0000:21:00.0';
    w.tags.set(nic, { vfio_driver: 'mlx5_vfio_pci' });
    const agent = await w.agent();
    expect(await prepareDevices(agent, order(w, [nic]))).toMatchObject([
      { driver: 'mlx5_vfio_pci', original_driver: 'vfio-pci' },
    ]);
    expect(await releaseDevices(agent, CLAIM)).toMatchObject([{ outcome: 'restored', driver: 'vfio-pci' }]);
    expect(await override(w, nic)).toBe('vfio-pci');
  });

  it('with a name that is none is refused, and nothing is run or touched', async () => {
    const w = await world(charmsGuideHost('h'));
    w.tags.set(P5000, { vfio_driver: '-r vfio;reboot' }); // the nova dialect takes any text
    const agent = await w.agent(() => () => Promise.reject(new Error('written')));
    const loadModule = () => Promise.reject(new Error('loaded'));
    const error = await failure(prepareDevices({ ...agent, loadModule }, order(w, [P5000])));
    expect(error).toMatchObject({ code: 'binding.refused', step: 'modprobe' });
    expect(error.message).toContain('is not the name of a driver');
  });
});

describe('managed: no', () => {
  it('checks that a vfio driver has the device, and touches nothing', async () => {
    const w = await world('full-active');
    const nic = '0000:21:00.0';
    w.tags.set(nic, { managed: 'false' });
    const agent = await w.agent(() => () => Promise.reject(new Error('written')));
    expect(await prepareDevices(agent, order(w, [nic]))).toMatchObject([{ address: nic, driver: 'vfio-pci' }]);
    expect(agent.journal.claim(CLAIM)?.state).toBe('prepared');
    expect(await releaseDevices(agent, CLAIM)).toEqual([{ address: nic, outcome: 'restored', driver: 'vfio-pci' }]);
    expect(driver(w, nic)).toBe('vfio-pci');
  });

  it('refuses a device that the host uses, with the remedy', async () => {
    const w = await world(charmsGuideHost('h'));
    w.tags.set(P5000, { managed: 'No' }); // as the nova dialect keeps it
    const agent = await w.agent(() => () => Promise.reject(new Error('written')));
    const error = await failure(prepareDevices(agent, order(w, [P5000])));
    expect(error).toMatchObject({ code: 'binding.refused', step: 'check', address: P5000 });
    expect(error.message).toMatch(/managed: no, but it is bound to nouveau; bind it to a vfio driver beforehand/);
  });
});

describe('what another tool has on vfio', () => {
  it('and a program has open is left alone, with who', async () => {
    const w = await world('full-active');
    const nic = '0000:21:00.0';
    await holdOpen(w, nic);
    const agent = await w.agent(() => () => Promise.reject(new Error('written')));
    const error = await failure(prepareDevices(agent, order(w, [nic])));
    expect(error).toMatchObject({ code: 'binding.refused', step: 'check', address: nic });
    expect(error.message).toContain('not bound by Berth, and qemu-system-x86 (process 4711) has it open');
    expect(driver(w, nic)).toBe('vfio-pci');
  });

  it('is taken over when it is the claim’s own server that the journal has forgotten', async () => {
    const w = await world('full-active');
    const nic = '0000:21:00.0';
    await holdOpen(w, nic);
    const asked = { ...order(w, [nic]), adopt: true };
    expect(await prepareDevices(await w.agent(), asked)).toMatchObject([{ address: nic, driver: 'vfio-pci' }]);
    expect(await prepareDevices(await w.agent(), order(w, [nic]))).toHaveLength(1); // and is its own from then on
  });
});
