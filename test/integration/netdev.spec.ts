import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { liveNetdevs, type NetdevProgram } from '../../src/compute-agent/netdev/netdev-program.js';
import { prepareDevices, releaseDevices } from '../../src/compute-agent/vfio-binder.js';
import { driver, failure, order, override } from '../support/binder-world.js';
import {
  ip,
  linkState,
  namedNamespace,
  netdevsMissing,
  netdevWorld,
  processInNamespace,
  type NetdevWorld,
} from '../support/netdevs.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';

const missing = await netdevsMissing();
if (missing !== null) process.stderr.write(`Interfaces are not moved: ${missing}\n`);

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const prepared = async (w: NetdevWorld) => {
  const agent = await w.live();
  return { agent, bindings: await prepareDevices(agent, order(w, [w.address])) };
};

describe.skipIf(missing !== null)('a NIC that is handed over as its interface', () => {
  it('stays with its driver and its host, until a container takes it', async () => {
    const w = await netdevWorld(ends);
    const before = { driver: driver(w, w.address), override: await override(w, w.address) };
    const { agent, bindings } = await prepared(w);
    expect(bindings).toMatchObject([{ address: w.address, driver: before.driver, netdev: w.netdev }]);
    expect(before.driver).not.toBe('vfio-pci');
    expect(agent.journal.claim(CLAIM)).toMatchObject({
      ...{ state: 'prepared' },
      devices: [{ netdev: { name: w.netdev, mac: w.mac, mtu: 1500, isUp: false, parent: null } }],
    });
    const released = await releaseDevices(agent, CLAIM);
    expect(released).toEqual([{ address: w.address, outcome: 'restored', driver: before.driver }]);
    expect({ driver: driver(w, w.address), override: await override(w, w.address) }).toEqual(before);
    expect(await linkState(w.netdev)).toEqual({ mac: w.mac, mtu: 1500, isUp: false });
  });

  it('comes back from a namespace with a name, however it was changed there', async () => {
    const w = await netdevWorld(ends);
    await ip(`link set dev ${w.netdev} up`);
    const { agent } = await prepared(w);
    const namespace = await namedNamespace(ends);
    await ip(`link set dev ${w.netdev} netns ${namespace} name eth7`);
    await ip('link set dev eth7 mtu 1400', namespace);
    expect(await linkState(w.netdev)).toBeNull();
    await releaseDevices(agent, CLAIM);
    expect(await linkState(w.netdev)).toEqual({ mac: w.mac, mtu: 1500, isUp: true });
    expect(await ip('-br link', namespace)).not.toContain('eth7');
  });

  it('comes back from the namespace of a process, by the next life of the agent', async () => {
    const w = await netdevWorld(ends);
    await prepared(w);
    const { pid } = await processInNamespace(ends);
    await ip(`link set dev ${w.netdev} netns ${pid} name eth0`);
    const next = await w.live();
    expect(await linkState(w.netdev)).toBeNull();
    await releaseDevices(next, CLAIM);
    expect(await linkState(w.netdev)).toEqual({ mac: w.mac, mtu: 1500, isUp: false });
  });

  it('comes back though the agent dies before or after any of its steps', async () => {
    for (let at = 0; at < 3; at += 1) {
      for (const when of ['before', 'after'] as const) {
        const w = await netdevWorld(ends);
        await ip(`link set dev ${w.netdev} mtu 1300 up`);
        const { agent } = await prepared(w);
        const namespace = await namedNamespace(ends);
        await ip(`link set dev ${w.netdev} netns ${namespace} name eth7`);
        await ip('link set dev eth7 mtu 1400', namespace);
        const { netdevs, death } = dyingNetdevs(at, when);
        void releaseDevices({ ...agent, netdevs }, CLAIM);
        await death;
        const next = await w.live();
        expect(next.journal.claim(CLAIM)?.state).toBe('releasing');
        await releaseDevices(next, CLAIM);
        expect(await linkState(w.netdev), `${when} step ${at}`).toEqual({ mac: w.mac, mtu: 1300, isUp: true });
        expect(next.journal.claims()).toEqual([]);
      }
    }
  });

  it('is renamed where the kernel gave it back under another name', async () => {
    const w = await netdevWorld(ends);
    const { agent } = await prepared(w);
    await ip(`link set dev ${w.netdev} name bteth5`);
    await ip('link set dev bteth5 up');
    await releaseDevices(agent, CLAIM);
    expect(await linkState(w.netdev)).toEqual({ mac: w.mac, mtu: 1500, isUp: false });
    expect(await linkState('bteth5')).toBeNull();
  });

  it('is missed with a remedy while it is nowhere, and taken back when it is there again', async () => {
    const w = await netdevWorld(ends);
    const { agent } = await prepared(w);
    const child = await processInNamespace(ends);
    await ip(`link set dev ${w.netdev} netns ${child.pid}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // This kind of interface ends with its namespace.
    const error = await failure(releaseDevices(agent, CLAIM));
    expect(error).toMatchObject({ code: 'binding.failed', step: 'netdev', address: w.address });
    expect(agent.problems.of(w.address)).toMatchObject({ state: 'refused', step: 'netdev' });
    expect(agent.journal.claim(CLAIM)?.state).toBe('releasing');
    await w.plug();
    await releaseDevices(agent, CLAIM);
    expect(agent.problems.of(w.address)).toBeNull();
    expect(agent.journal.claims()).toEqual([]);
  });

  it('waits for its name when another interface has that', async () => {
    const w = await netdevWorld(ends);
    const { agent } = await prepared(w);
    const namespace = await namedNamespace(ends);
    await ip(`link set dev ${w.netdev} netns ${namespace} name eth7`);
    await ip(`link add ${w.netdev} type veth peer name ${w.netdev}x`);
    const error = await failure(releaseDevices(agent, CLAIM));
    expect(error).toMatchObject({ step: 'netdev', message: expect.stringContaining('File exists') });
    await ip(`link del ${w.netdev}`);
    await releaseDevices(agent, CLAIM);
    expect(await linkState(w.netdev)).toMatchObject({ mac: w.mac });
  });

  it('is refused while a bridge has it, and when it has two interfaces or none', async () => {
    const w = await netdevWorld(ends);
    await ip(`link add ${w.netdev}br type bridge`);
    ends.push(async () => void (await ip(`link del ${w.netdev}br`)));
    await ip(`link set dev ${w.netdev} master ${w.netdev}br`);
    const enslaved = await failure(prepareDevices(await w.live(), order(w, [w.address])));
    expect(enslaved).toMatchObject({ code: 'binding.refused', step: 'netdev' });
    expect(enslaved.message).toContain(`nomaster`);
    const net = join(w.disk.sysfs, 'bus/pci/devices', w.address, 'net');
    await mkdir(join(net, 'second0'));
    const two = await failure(prepareDevices(await w.live(), order(w, [w.address], OTHER)));
    expect(two).toMatchObject({
      code: 'binding.refused',
      step: 'netdev',
      message: expect.stringContaining('it has 2'),
    });
    await rm(net, { recursive: true });
    const none = await failure(prepareDevices(await w.live(), order(w, [w.address], THIRD)));
    expect(none).toMatchObject({ code: 'binding.refused', step: 'netdev' });
    expect((await w.live()).journal.claims()).toEqual([]);
  });
});

const OTHER = '22222222-2222-4222-8222-222222222222';
const THIRD = '44444444-4444-4444-8444-444444444444';

/** Stops for ever at a step, as a killed process does. */
function dyingNetdevs(at: number, when: 'before' | 'after') {
  const live = liveNetdevs();
  let count = 0;
  let died: () => void;
  const death = new Promise<void>((resolve) => (died = resolve));
  const netdevs: NetdevProgram = {
    ...live,
    set: async (...words) => {
      const now = count++ === at;
      if (!now || when === 'after') await live.set(...words);
      if (!now) return;
      died();
      await new Promise(() => undefined);
    },
  };
  return { netdevs, death };
}
