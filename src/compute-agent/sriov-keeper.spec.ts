import 'reflect-metadata';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { binderWorld, driver, dying, failure, order, type BinderWorld } from '../../test/support/binder-world.js';
import { sriovNicHost } from '../../test/support/hosts.js';
import type { WireSriovState, WireSriovWish } from '../messages/sriov-bodies.js';
import { parseSriovDeclarations } from '../pci/sriov/sriov-declaration.js';
import { readDevice } from './device-reader.js';
import { simulatedIp } from './ip-program.js';
import { KeyedQueue } from './keyed-queue.js';
import { errnoError, type SysfsWrite } from './kernel.js';
import { SriovKeeper, type SriovKeeperOptions } from './sriov-keeper.js';
import { SriovWishes } from './sriov-wishes.js';
import { prepareDevices, releaseDevices, type BinderHost } from './vfio-binder.js';

const PF = '0000:81:00.0';
const VF = '0000:81:02.1';
const NUMVFS = `bus/pci/devices/${PF}/sriov_numvfs`;
const CLAIM = '11111111-1111-4111-8111-111111111111';

const removals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

interface Kept {
  readonly keeper: SriovKeeper;
  readonly agent: BinderHost;
  readonly queue: KeyedQueue;
  /** All counts written to the PF. */
  readonly writes: string[];
  readonly state: () => WireSriovState | undefined;
}

/** An X710 on a simulated kernel. */
async function nic(vfs = 0): Promise<BinderWorld> {
  const w = await binderWorld(sriovNicHost('n', 0), removals);
  if (vfs > 0) await (await w.agent()).write(NUMVFS, String(vfs));
  return w;
}

interface KeptOptions extends Partial<SriovKeeperOptions> {
  readonly wrap?: (write: SysfsWrite) => SysfsWrite;
}

/** The agent's next life. */
async function kept(
  w: BinderWorld,
  declared: object[],
  { wrap = (write) => write, ...more }: KeptOptions = {},
): Promise<Kept> {
  const writes: string[] = [];
  const agent = await w.agent((write) => {
    const inner = wrap(write);
    return async (path, value) => {
      if (path === NUMVFS) writes.push(value);
      await inner(path, value);
    };
  });
  const queue = new KeyedQueue();
  const keeper = new SriovKeeper({
    ...{ binder: agent, queue, readOnly: false, ip: simulatedIp() },
    wishes: await SriovWishes.open(join(w.disk.directory, 'state'), agent.log),
    declarations: () => parseSriovDeclarations(declared, 'agent.yaml:7'),
    ...more,
  });
  return { keeper, agent, queue, writes, state: () => keeper.states().find(({ address }) => address === PF) };
}

function vfs({ disk }: BinderWorld): number | undefined {
  return readDevice(disk.sysfs, PF).device?.sriov?.numVfs;
}

const here = (vf_count: number, more: object = {}): object => ({ address: PF, vf_count, ...more });
const wish = (vf_count: number, revision = 1, more: Partial<WireSriovWish> = {}): WireSriovWish => {
  return { address: PF, revision, vendor_id: '8086', product_id: '1572', vf_count, ...more };
};

describe('declared VFs', () => {
  it('are made, and said to be', async () => {
    const w = await nic();
    const { keeper, writes, state } = await kept(w, [here(4)]);
    await keeper.keep();
    expect([vfs(w), driver(w, VF), writes]).toEqual([4, 'iavf', ['4']]);
    expect(state()).toEqual({
      ...{ address: PF, source: 'file', where: 'agent.yaml:7', vf_count: 4, state: 'applied' },
      ...{ step: null, errno: null, message: null, vfs: [] },
    });
    await keeper.keep();
    expect(writes).toEqual(['4']);
  });

  it('become another number by way of 0', async () => {
    const w = await nic(2);
    const { keeper, writes } = await kept(w, [here(6)]);
    await keeper.keep();
    expect([vfs(w), writes]).toEqual([6, ['0', '6']]);
  });

  it('are kept', async () => {
    const w = await nic();
    const { keeper, agent, state } = await kept(w, [here(4)]);
    await keeper.keep();
    await agent.write(NUMVFS, '0');
    await agent.write(NUMVFS, '1');
    await keeper.keep();
    expect([vfs(w), state()?.state]).toEqual([4, 'applied']);
  });

  it('can be none', async () => {
    const w = await nic(3);
    const { keeper, state } = await kept(w, [here(0)]);
    await keeper.keep();
    expect([vfs(w), state()?.state]).toEqual([0, 'applied']);
  });

  it('have no driver of the host where autoprobe is off, which is so before they are made', async () => {
    const w = await nic();
    const { keeper } = await kept(w, [here(2, { autoprobe: false })]);
    await keeper.keep();
    expect([vfs(w), driver(w, VF)]).toEqual([2, null]);
    expect(await readFile(join(w.disk.sysfs, `bus/pci/devices/${PF}/sriov_drivers_autoprobe`), 'utf8')).toBe('0\n');
  });

  it('are left alone where nothing is said any more', async () => {
    const w = await nic();
    await (await kept(w, [here(4)])).keeper.keep();
    const { keeper, writes } = await kept(w, [{ address: '0000:81:00.1', vf_count: 1 }]);
    await keeper.keep();
    expect([vfs(w), writes, keeper.states().map(({ address }) => address)]).toEqual([4, [], ['0000:81:00.1']]);
  });
});

describe('nothing is touched', () => {
  async function expectRefused(w: BinderWorld, k: Kept, message: RegExp, step = 'check'): Promise<void> {
    const before = vfs(w);
    await k.keeper.keep();
    expect(k.state()).toMatchObject({ state: 'refused', step });
    expect(k.state()?.message).toMatch(message);
    expect([vfs(w), k.writes]).toEqual([before, []]);
  }
  const netdev = (w: BinderWorld, file: string): string => {
    const [name] = readDevice(w.disk.sysfs, VF).device?.netdevs ?? [];
    return join(w.disk.sysfs, 'class/net', String(name), file);
  };

  it('while a claim has a VF, also to make more; it is done when that is given back', async () => {
    const w = await nic(3);
    const k = await kept(w, [here(4)]);
    await k.keeper.restore();
    await k.agent.write(NUMVFS, '0');
    await k.agent.write(NUMVFS, '3');
    k.writes.length = 0;
    await prepareDevices(k.agent, order(w, [VF], CLAIM));
    await expectRefused(w, k, new RegExp(`relative ${VF} is prepared for claim ${CLAIM}`));
    await releaseDevices(k.agent, CLAIM);
    await k.keeper.keep();
    expect([vfs(w), k.state()?.state]).toEqual([4, 'applied']);
  });

  it('while a claim has the PF', async () => {
    const w = await nic();
    const k = await kept(w, [here(4)]);
    await prepareDevices(k.agent, order(w, [PF], CLAIM));
    await expectRefused(w, k, /it is prepared for claim .*; release that first/);
    await releaseDevices(k.agent, CLAIM);
    await k.keeper.keep();
    expect(vfs(w)).toBe(4);
  });

  it('while somebody else has a VF on vfio-pci', async () => {
    const w = await nic(3);
    const k = await kept(w, [here(4)]);
    await k.agent.write(`bus/pci/devices/${VF}/driver_override`, 'vfio-pci');
    await k.agent.write(`bus/pci/devices/${VF}/driver/unbind`, VF);
    await k.agent.write('bus/pci/drivers_probe', VF);
    await expectRefused(w, k, /bound to vfio-pci, and not by Berth/, 'sriov_numvfs');
  });

  it('while the interface of a VF is up', async () => {
    const w = await nic(3);
    await writeFile(netdev(w, 'flags'), '0x1003\n');
    const k = await kept(w, [here(4)]);
    await expectRefused(w, k, new RegExp(`its VF ${VF} is in use by the host: its interface \\S+ is up; take it down`));
    await writeFile(netdev(w, 'flags'), '0x1002\n');
    await k.keeper.keep();
    expect(vfs(w)).toBe(4);
  });

  it('while the interface of a VF belongs to a bond or a bridge', async () => {
    const w = await nic(3);
    await symlink('../bond0', netdev(w, 'master'));
    await expectRefused(w, await kept(w, [here(4)]), /belongs to bond0; take it out there/);
  });

  it('while something is on the interface of a VF', async () => {
    const w = await nic(3);
    await symlink('../vlan7', netdev(w, 'upper_vlan7'));
    await expectRefused(w, await kept(w, [here(4)]), /vlan7 is on its interface/);
  });

  it('while the interface of a VF has an address', async () => {
    const w = await nic(3);
    const ip = { ...simulatedIp(), hasAddresses: async () => true };
    await expectRefused(w, await kept(w, [here(4)], { ip }), /has an address; remove that/);
  });

  it('while a driver of the host has a VF whose interface is elsewhere', async () => {
    const w = await nic(3);
    await rm(join(w.disk.sysfs, 'bus/pci/devices', VF, 'net'), { recursive: true });
    await expectRefused(w, await kept(w, [here(4)]), /iavf has it and no interface of it can be seen: a container may/);
  });

  it('of a PF without its own driver', async () => {
    const w = await nic();
    await (await w.agent()).write(`bus/pci/devices/${PF}/driver/unbind`, PF);
    await expectRefused(w, await kept(w, [here(4)]), /no driver has it, and only the PF's own driver makes VFs/);
  });

  it('for more VFs than there can be', async () => {
    const w = await nic(1);
    await expectRefused(w, await kept(w, [here(65)]), /it has at most 64 VFs \(sriov_totalvfs\), not 65/);
  });

  it('of a PF whose writes fail; others are no worse for it, also where nobody can say who has addresses', async () => {
    const w = await nic(1);
    const ip = { ...simulatedIp(), hasAddresses: () => Promise.reject(new Error('no ip here')) };
    const broken =
      (write: SysfsWrite): SysfsWrite =>
      async (path, value) => {
        if (path.includes('81:00.1')) throw new TypeError('a fault of this program');
        await write(path, value);
      };
    const k = await kept(w, [here(2), { address: '0000:81:00.1', vf_count: 2 }], { ip, wrap: broken });
    await k.keeper.keep();
    expect(k.keeper.states().map(({ state }) => state)).toEqual(['applied', 'refused']);
    expect(w.logged.join()).toMatch(/addresses is not known.*no ip here/);
  });

  it('by an agent that only looks', async () => {
    const w = await nic(1);
    await expectRefused(w, await kept(w, [here(2)], { readOnly: true }), /read_only is set/);
  });

  it('while a command works on a VF, which is not waited for', async () => {
    const w = await nic(3);
    const k = await kept(w, [here(4)]);
    let end: () => void = () => undefined;
    void k.queue.run([VF], () => new Promise<void>((resolve) => (end = resolve)));
    await expectRefused(w, k, /is under way/);
    end();
    await delay(1);
    await k.keeper.keep();
    expect(vfs(w)).toBe(4);
  });
});

it('a PF whose VFs the host uses is not handed over', async () => {
  const w = await nic(3);
  const [name] = readDevice(w.disk.sysfs, VF).device?.netdevs ?? [];
  await writeFile(join(w.disk.sysfs, 'class/net', String(name), 'flags'), '0x1003\n');
  const agent = await w.agent();
  const error = await failure(prepareDevices(agent, order(w, [PF])));
  expect(error).toMatchObject({ code: 'binding.refused', address: PF, step: 'check' });
  expect([vfs(w), driver(w, PF), agent.journal.claims()]).toEqual([3, 'i40e', []]);
});

describe('a kernel that refuses', () => {
  const refusing =
    (count: string, errno: string) =>
    (write: SysfsWrite): SysfsWrite =>
    async (path, value) => {
      if (path === NUMVFS && value === count) throw errnoError(errno, 'injected', path);
      await write(path, value);
    };

  it('leaves the VFs of before, made again; it is told once, and not asked again by itself', async () => {
    const w = await nic(2);
    const k = await kept(w, [here(8)], { wrap: refusing('8', 'ENOMEM') });
    await k.keeper.keep();
    expect(k.state()).toMatchObject({ state: 'refused', step: 'sriov_numvfs', errno: 'ENOMEM' });
    expect(k.state()?.message).toMatch(/no bus numbers or memory ranges.*It has its 2 VFs of before again/);
    expect([vfs(w), k.writes]).toEqual([2, ['0', '8', '2']]);
    await k.keeper.keep();
    expect(k.writes).toHaveLength(3);
    await k.keeper.keepAnew();
    expect(k.writes).toHaveLength(6);
  });

  it('to let the VFs go keeps them', async () => {
    const w = await nic(2);
    const k = await kept(w, [here(8)], { wrap: refusing('0', 'EPERM') });
    await k.keeper.keep();
    expect(k.state()).toMatchObject({ state: 'refused', step: 'sriov_numvfs', errno: 'EPERM' });
    expect([vfs(w), k.writes]).toEqual([2, ['0']]);
  });

  it('to answer is waited for only so long; nothing more is written meanwhile, and it is done when it lets go', async () => {
    const w = await nic();
    let letGo: () => void = () => undefined;
    const hanging =
      (write: SysfsWrite): SysfsWrite =>
      async (path, value) => {
        if (path === NUMVFS) await new Promise<void>((resolve) => (letGo = resolve));
        await write(path, value);
      };
    const k = await kept(w, [here(3)], { wrap: hanging, writeLimitMs: 20 });
    await k.keeper.keep();
    expect(k.state()).toMatchObject({ state: 'refused', errno: 'ETIMEDOUT' });
    await k.keeper.keepAnew();
    expect(k.writes).toEqual(['3']);
    letGo();
    await delay(5);
    await k.keeper.keep();
    expect([vfs(w), k.state()?.state, k.writes]).toEqual([3, 'applied', ['3']]);
  });
});

describe('after a reboot', () => {
  it('VFs are there before the claims that want them', async () => {
    const w = await nic();
    const before = await kept(w, [here(4, { autoprobe: false })]);
    await before.keeper.restore();
    await prepareDevices(before.agent, order(w, [VF], CLAIM));
    await boot(w, 0);
    const after = await kept(w, [here(4, { autoprobe: false })]);
    await after.keeper.restore();
    expect(vfs(w)).toBe(4);
    await prepareDevices(after.agent, order(w, [VF], CLAIM));
    expect(driver(w, VF)).toBe('vfio-pci');
  });

  it('VFs that something else made are no hindrance: their claims are not bound yet; later they are', async () => {
    const w = await nic();
    const before = await kept(w, [here(4)]);
    await before.keeper.restore();
    await prepareDevices(before.agent, order(w, [VF], CLAIM));
    await boot(w, 2);
    const after = await kept(w, [here(4)]);
    await after.keeper.restore();
    expect([vfs(w), after.writes]).toEqual([4, ['0', '4']]);
    await boot(w, 2);
    await after.keeper.keep();
    expect([vfs(w), after.state()?.state]).toEqual([2, 'refused']);
  });

  it('VFs are not made under a claim on the PF', async () => {
    const w = await nic();
    const before = await kept(w, []);
    await prepareDevices(before.agent, order(w, [PF], CLAIM));
    await before.agent.write('bus/pci/drivers/vfio-pci/unbind', PF);
    await before.agent.write(`bus/pci/devices/${PF}/driver_override`, '\n');
    await before.agent.write('bus/pci/drivers_probe', PF);
    const after = await kept(w, [here(4)]);
    await after.keeper.restore();
    expect([vfs(w), driver(w, PF), after.state()?.state]).toEqual([0, 'i40e', 'refused']);
  });

  /** Everything is with its driver again, and so many VFs are made by something else. */
  async function boot(w: BinderWorld, made: number): Promise<void> {
    const { write } = await w.agent();
    await write(NUMVFS, '0');
    if (made > 0) await write(NUMVFS, String(made));
  }
});

it.each([0, 1].flatMap((at) => [[at, 'before'] as const, [at, 'after'] as const]))(
  'a crash in write %i (%s it) is made good by the next start',
  async (at, when) => {
    const w = await nic(2);
    const { wrap, death } = dying(at, when);
    await Promise.race([(await kept(w, [here(6)], { wrap })).keeper.restore(), death]);
    const { keeper, state } = await kept(w, [here(6)]);
    await keeper.restore();
    expect([vfs(w), state()?.state]).toEqual([6, 'applied']);
  },
);

describe("the ledger's wish", () => {
  it('holds before what the file says, and is named', async () => {
    const w = await nic();
    const k = await kept(w, [here(4)]);
    await k.keeper.take({ revision: 5, wishes: [wish(2, 5)] });
    expect([vfs(w), k.state()]).toMatchObject([2, { source: 'ledger', revision: 5, vf_count: 2, state: 'applied' }]);
    await k.keeper.take({ revision: 6, wishes: [] });
    expect([vfs(w), k.state()]).toMatchObject([4, { source: 'file', vf_count: 4 }]);
  });

  it('is known after a restart, and an older word is passed over', async () => {
    const w = await nic();
    await (await kept(w, [])).keeper.take({ revision: 5, wishes: [wish(2, 5)] });
    await (await w.agent()).write(NUMVFS, '0');
    const k = await kept(w, []);
    await k.keeper.restore();
    await k.keeper.take({ revision: 4, wishes: [wish(7, 4)] });
    expect([vfs(w), k.state()?.revision]).toEqual([2, 5]);
  });

  it('was for the card that sat there then', async () => {
    const w = await nic();
    const k = await kept(w, []);
    await k.keeper.take({ revision: 1, wishes: [wish(2, 1, { product_id: '1583' })] });
    expect([vfs(w), k.state()]).toMatchObject([0, { state: 'refused', step: 'check' }]);
    expect(k.state()?.message).toContain('8086:1572 sits there now, and the wish was for 8086:1583');
  });

  it('of a PF that is not there is refused', async () => {
    const w = await nic();
    const { keeper } = await kept(w, []);
    await keeper.take({ revision: 1, wishes: [wish(2, 1, { address: '0000:99:00.0' })] });
    expect(keeper.states()).toMatchObject([{ address: '0000:99:00.0', state: 'refused', step: 'check' }]);
  });

  it('that cannot be read is refused, and leaves the others', async () => {
    const w = await nic();
    const k = await kept(w, []);
    const odd = wish(2, 1, { address: '0000:81:00.1', vfs: { 0: { teapot: true } } });
    await k.keeper.take({ revision: 1, wishes: [wish(2), odd] });
    expect(k.keeper.states().map(({ state }) => state)).toEqual(['applied', 'refused']);
  });

  it('is forgotten with a file that is damaged, which is set aside', async () => {
    const w = await nic();
    await mkdir(join(w.disk.directory, 'state'), { recursive: true });
    await writeFile(join(w.disk.directory, 'state/sriov.json'), '{"version": 1, "revision": 3, "wishes": [{}]}');
    const { keeper } = await kept(w, []);
    await keeper.keep();
    expect(keeper.states()).toEqual([]);
    expect(w.logged.join()).toMatch(/set aside/);
  });
});
