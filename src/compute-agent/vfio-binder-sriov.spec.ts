import 'reflect-metadata';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  binderWorld,
  driver,
  dying,
  failure,
  order,
  override,
  scan,
  type BinderWorld,
} from '../../test/support/binder-world.js';
import { sriovNicHost } from '../../test/support/hosts.js';
import type { ReportedDevice } from '../pci/device.js';
import { readDevice } from './device-reader.js';
import { errnoError, type SysfsWrite } from './kernel.js';
import { prepareDevices, releaseDevices, resumeReleases, type BinderHost } from './vfio-binder.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';
const OTHER_CLAIM = '22222222-2222-4222-8222-222222222222';
const PF = '0000:81:00.0';
const VFS = ['0000:81:02.0', '0000:81:02.1', '0000:81:02.2'];
const NUMVFS = `bus/pci/devices/${PF}/sriov_numvfs`;

const removals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

/** An X710 with three VFs on iavf. */
async function nic(): Promise<{ w: BinderWorld; agent: BinderHost; before: readonly ReportedDevice[] }> {
  const w = await binderWorld(sriovNicHost('n', 0), removals);
  const agent = await w.agent();
  await agent.write(NUMVFS, '3');
  return { w, agent, before: await scan(w) };
}

function vfs({ disk }: BinderWorld): number | undefined {
  return readDevice(disk.sysfs, PF).device?.sriov?.numVfs;
}

/** As an operator does it by hand, with a VF that a driver has. */
async function passThrough(write: SysfsWrite, vf: string): Promise<void> {
  await write(`bus/pci/devices/${vf}/driver_override`, 'vfio-pci');
  await write(`bus/pci/devices/${vf}/driver/unbind`, vf);
  await write('bus/pci/drivers_probe', vf);
}

/** The agent's next life, with all that it writes as `path=value`. */
async function watched(w: BinderWorld): Promise<{ agent: BinderHost; writes: string[] }> {
  const writes: string[] = [];
  const agent = await w.agent((write) => async (path, value) => {
    writes.push(`${path.split('/').at(-1)}=${value}`);
    await write(path, value);
  });
  return { agent, writes };
}

describe('a PF with idle VFs', () => {
  it('is handed over without them, and they are back with its driver', async () => {
    const { w, before } = await nic();
    const { agent, writes } = await watched(w);
    const [binding] = await prepareDevices(agent, order(w, [PF]));
    expect(binding).toMatchObject({ address: PF, driver: 'vfio-pci', original_driver: 'i40e' });
    expect(writes).toEqual(['sriov_numvfs=0', 'driver_override=vfio-pci', `unbind=${PF}`, `drivers_probe=${PF}`]);
    expect(agent.journal.claim(CLAIM)).toMatchObject({ state: 'prepared', devices: [{ originalVfs: 3 }] });
    const addresses = (await scan(w)).map((device) => device.address);
    expect(addresses).toEqual(before.map((device) => device.address).filter((address) => !VFS.includes(address)));
    expect(await releaseDevices(agent, CLAIM)).toEqual([{ address: PF, outcome: 'restored', driver: 'i40e' }]);
    expect(writes.slice(4)).toEqual([`unbind=${PF}`, 'driver_override=\n', `drivers_probe=${PF}`, 'sriov_numvfs=3']);
    expect(await scan(w)).toEqual(before);
    expect(w.logged).toEqual([]);
  });

  it('has their number in the journal before the first is removed', async () => {
    const { w } = await nic();
    const seen: unknown[] = [];
    const agent: BinderHost = await w.agent((write) => async (path, value) => {
      if (path === NUMVFS) seen.push((await w.agent()).journal.claim(CLAIM)?.devices[0]?.originalVfs, vfs(w), value);
      await write(path, value);
    });
    await prepareDevices(agent, order(w, [PF]));
    expect(seen).toEqual([3, 3, '0']);
  });

  it('gets back as many as it had at first, when it fell off and somebody made others', async () => {
    const { w, agent, before } = await nic();
    await prepareDevices(agent, order(w, [PF]));
    await agent.write('bus/pci/drivers/vfio-pci/unbind', PF);
    await agent.write(`bus/pci/devices/${PF}/driver_override`, '\n');
    await agent.write('bus/pci/drivers_probe', PF);
    await agent.write(NUMVFS, '2');
    await prepareDevices(agent, order(w, [PF]));
    expect([driver(w, PF), vfs(w)]).toEqual(['vfio-pci', 0]);
    await releaseDevices(agent, CLAIM);
    expect(await scan(w)).toEqual(before);
  });

  it('gets its VFs by way of 0 when its driver made some by itself', async () => {
    const { w, before } = await nic();
    const writes: string[] = [];
    const agent = await w.agent((write) => async (path, value) => {
      if (path === NUMVFS) writes.push(value);
      await write(path, value);
      if (path.endsWith('drivers_probe') && driver(w, PF) === 'i40e') await write(NUMVFS, '1');
    });
    await prepareDevices(agent, order(w, [PF]));
    await releaseDevices(agent, CLAIM);
    expect(writes).toEqual(['0', '0', '3']);
    expect(await scan(w)).toEqual(before);
  });

  it('keeps new VFs without a driver where that is switched off', async () => {
    const { w, agent } = await nic();
    await agent.write(`bus/pci/devices/${PF}/sriov_drivers_autoprobe`, '0');
    await prepareDevices(agent, order(w, [PF]));
    await releaseDevices(agent, CLAIM);
    expect(VFS.map((address) => [address, driver(w, address)])).toEqual(VFS.map((address) => [address, null]));
    expect(vfs(w)).toBe(3);
  });
});

describe('a PF is refused, with nothing touched,', () => {
  async function expectRefused(w: BinderWorld, addresses: readonly string[], expected: object): Promise<string> {
    const before = await scan(w);
    const { agent, writes } = await watched(w);
    const error = await failure(prepareDevices(agent, order(w, addresses, OTHER_CLAIM)));
    expect(error).toMatchObject({ code: 'binding.refused', errno: null, ...expected });
    expect(writes).toEqual([]);
    expect(await scan(w)).toEqual(before);
    expect(agent.journal.claim(OTHER_CLAIM)).toBeNull();
    return error.message;
  }

  it('while a claim holds a VF', async () => {
    const { w, agent } = await nic();
    await prepareDevices(agent, order(w, ['0000:81:02.1']));
    const message = await expectRefused(w, [PF], { address: PF, step: 'check' });
    expect(message).toContain(`its relative 0000:81:02.1 is prepared for claim ${CLAIM}`);
  });

  it('while somebody else has a VF on vfio-pci', async () => {
    const { w, agent } = await nic();
    await passThrough(agent.write, '0000:81:02.1');
    // The other port comes first, and is not touched either.
    const message = await expectRefused(w, ['0000:81:00.1', PF], { address: PF, step: 'sriov_numvfs' });
    expect(message).toContain('its VF 0000:81:02.1 is bound to vfio-pci, and not by Berth');
  });

  it('together with its own VF', async () => {
    const { w } = await nic();
    const message = await expectRefused(w, [PF, '0000:81:02.1'], { address: '0000:81:02.1', step: 'check' });
    expect(message).toContain(`a VF of ${PF}, which the same claim wants`);
  });
});

describe('when the VFs stay', () => {
  it.each([
    ['EBUSY', /a VF is in use/],
    ['EPERM', /shut that guest down/],
    ['ENOENT', /driver's own means/],
    ['EIO', /dmesg/],
  ])('with %s, prepare fails with a remedy and is undone', async (errno, remedy) => {
    const { w, before } = await nic();
    const agent = await w.agent((write) => async (path, value) => {
      if (path === NUMVFS && value === '0') throw errnoError(errno, 'injected', path);
      await write(path, value);
    });
    const error = await failure(prepareDevices(agent, order(w, [PF])));
    expect(error).toMatchObject({ code: 'binding.failed', step: 'sriov_numvfs', errno, address: PF });
    expect(error.message).toMatch(remedy);
    expect(await scan(w)).toEqual(before);
    expect(agent.journal.claims()).toEqual([]);
    expect(w.logged).toEqual([]);
  });

  it('although the write succeeded, prepare says so', async () => {
    const { w, before } = await nic();
    const agent = await w.agent((write) => (path, value) => (path === NUMVFS ? Promise.resolve() : write(path, value)));
    const error = await failure(prepareDevices(agent, order(w, [PF])));
    expect(error).toMatchObject({ code: 'binding.failed', step: 'sriov_numvfs', errno: null });
    expect(error.message).toContain('3 VFs after 0 were asked for');
    expect(await scan(w)).toEqual(before);
  });
});

it('a step that fails after the VFs are gone brings them back', async () => {
  const { w, before } = await nic();
  const agent = await w.agent((write) => async (path, value) => {
    if (path.endsWith('drivers_probe') && (await override(w, PF)) === 'vfio-pci')
      throw errnoError('EIO', 'injected', path);
    await write(path, value);
  });
  const error = await failure(prepareDevices(agent, order(w, [PF])));
  expect(error).toMatchObject({ step: 'drivers_probe', errno: 'EIO' });
  expect(await scan(w)).toEqual(before);
});

describe('VFs that cannot be restored', () => {
  it('fail no release; an error tells what to do', async () => {
    const { w } = await nic();
    await prepareDevices(await w.agent(), order(w, [PF]));
    const agent = await w.agent((write) => async (path, value) => {
      if (path === NUMVFS) throw errnoError('ENOMEM', 'injected', path);
      await write(path, value);
    });
    expect(await releaseDevices(agent, CLAIM)).toEqual([{ address: PF, outcome: 'restored', driver: 'i40e' }]);
    expect(agent.journal.claims()).toEqual([]);
    expect(w.logged).toEqual([
      expect.stringMatching(/^error: The VFs of a released PF could not be restored .*ENOMEM/),
    ]);
    expect(w.logged[0]).toContain(`bind ${PF} to i40e, then write 3 to its sriov_numvfs`);
  });

  it('because no driver took the PF are told as well', async () => {
    const { w, agent } = await nic();
    await prepareDevices(agent, order(w, [PF]));
    await rm(join(w.disk.sysfs, 'bus/pci/drivers/i40e'), { recursive: true });
    const broken = { ...agent, loadModule: () => Promise.reject(new Error('no such module')) };
    expect(await releaseDevices(broken, CLAIM)).toMatchObject([{ address: PF, outcome: 'driverless', driver: null }]);
    expect(w.logged.at(-1)).toMatch(/^error: The VFs .*it has no driver, not to i40e/);
  });

  it('because somebody uses those that its driver made by itself are told as well', async () => {
    const { w } = await nic();
    const agent = await w.agent((write) => async (path, value) => {
      await write(path, value);
      if (value !== PF || driver(w, PF) !== 'i40e') return;
      await write(NUMVFS, '1');
      await passThrough(write, '0000:81:02.0');
    });
    await prepareDevices(agent, order(w, [PF]));
    expect(await releaseDevices(agent, CLAIM)).toMatchObject([{ outcome: 'restored' }]);
    expect([vfs(w), driver(w, '0000:81:02.0')]).toEqual([1, 'vfio-pci']);
    expect(w.logged).toEqual([expect.stringMatching(/^error: The VFs .*0000:81:02\.0 is bound to vfio-pci/)]);
  });

  it('because another card sits there by now are told, and that card is left alone', async () => {
    const { w } = await nic();
    await prepareDevices(await w.agent(), order(w, [PF]));
    await rm(join(w.disk.sysfs, `bus/pci/devices/${PF}/device`));
    await writeFile(join(w.disk.sysfs, `bus/pci/devices/${PF}/device`), '0x1234\n');
    const { agent, writes } = await watched(w);
    expect(await releaseDevices(agent, CLAIM)).toEqual([{ address: PF, outcome: 'missing', driver: null }]);
    expect(writes).toEqual([]);
    expect(w.logged.join()).toContain('another one sits there');
  });
});

describe('a crash with a PF that has VFs', () => {
  const POINTS = [0, 1, 2, 3].flatMap((at) => [[at, 'before'] as const, [at, 'after'] as const]);

  it.each(POINTS)('in write %i of prepare (%s it): the command comes again and finishes it', async (at, when) => {
    const { w, before } = await nic();
    const { wrap, death } = dying(at, when);
    const asked = order(w, [PF]);
    await Promise.race([prepareDevices(await w.agent(wrap), asked), death]);
    const next = await w.agent();
    await resumeReleases(next);
    expect(await prepareDevices(next, asked)).toMatchObject([{ driver: 'vfio-pci', original_driver: 'i40e' }]);
    expect([driver(w, PF), vfs(w)]).toEqual(['vfio-pci', 0]);
    await releaseDevices(next, CLAIM);
    expect(await scan(w)).toEqual(before);
  });

  it.each(POINTS)('in write %i of prepare (%s it): the claim is given up and the VFs come back', async (at, when) => {
    const { w, before } = await nic();
    const { wrap, death } = dying(at, when);
    await Promise.race([prepareDevices(await w.agent(wrap), order(w, [PF])), death]);
    expect(await releaseDevices(await w.agent(), CLAIM)).toMatchObject([{ outcome: 'restored', driver: 'i40e' }]);
    expect(await scan(w)).toEqual(before);
    expect(await override(w, PF)).toBe('(null)');
    expect(w.logged).toEqual([]);
  });

  it.each(POINTS)('in write %i of release (%s it): the next start finishes it', async (at, when) => {
    const { w, before } = await nic();
    await prepareDevices(await w.agent(), order(w, [PF]));
    const { wrap, death } = dying(at, when);
    await Promise.race([releaseDevices(await w.agent(wrap), CLAIM), death]);
    const next = await w.agent();
    expect(next.journal.claim(CLAIM)?.state).toBe('releasing');
    await resumeReleases(next);
    expect(await scan(w)).toEqual(before);
    expect(next.journal.claims()).toEqual([]);
    expect(w.logged).toEqual([]);
  });
});
