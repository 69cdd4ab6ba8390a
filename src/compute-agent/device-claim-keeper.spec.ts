import 'reflect-metadata';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  binderWorld,
  blocking,
  driver,
  dying,
  failure,
  holdOpen,
  IMPATIENT,
  order,
  override,
  scan,
  SERVER,
  type BinderWorld,
} from '../../test/support/binder-world.js';
import { charmsGuideHost, gpuWithAudioHost, sriovNicHost } from '../../test/support/hosts.js';
import type { SetDeviceClaims, WireDeviceClaim, WireDeviceClaimState } from '../messages/device-claim-bodies.js';
import { DeviceClaimKeeper } from './device-claim-keeper.js';
import { DeviceClaimOrders } from './device-claim-orders.js';
import { simulatedIp } from './ip-program.js';
import { Journal } from './journal.js';
import { KeyedQueue } from './keyed-queue.js';
import { errnoError, type SysfsWrite } from './kernel.js';
import { settleVfCount } from './sriov-count.js';
import { readDevice } from './device-reader.js';
import { prepareDevices, releaseDevices, type BinderHost } from './vfio-binder.js';
import type { Patience } from './vfio-binder-writes.js';

const CLAIM = '44444444-4444-4444-8444-444444444444';
const OTHER_CLAIM = '55555555-5555-4555-8555-555555555555';
const SERVERS_CLAIM = '11111111-1111-4111-8111-111111111111';
const [GPU, AUDIO] = ['0000:63:00.0', '0000:63:00.1'];
const NIC = '0000:81:00.0';
const MANAGEMENT = '0000:02:00.0';

const removals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

const world = (host = gpuWithAudioHost('h')): Promise<BinderWorld> => binderWorld(host, removals);

interface Life {
  readonly keeper: DeviceClaimKeeper;
  readonly agent: BinderHost;
  readonly journal: Journal;
  readonly queue: KeyedQueue;
  readonly state: () => WireDeviceClaimState | undefined;
}

interface LifeOptions {
  readonly wrap?: (write: SysfsWrite) => SysfsWrite;
  readonly patience?: Patience;
  readonly readOnly?: boolean;
  readonly host?: Partial<BinderHost>;
}

/** The agent's next life. */
async function life(w: BinderWorld, { wrap, patience, readOnly = false, host = {} }: LifeOptions = {}): Promise<Life> {
  const stateDir = join(w.disk.directory, 'state');
  const bare = await w.agent(wrap, patience);
  const journal = await Journal.open(join(stateDir, 'device-claims'), bare.log, 10);
  const agent = { ...bare, deviceClaims: journal, ...host };
  const orders = await DeviceClaimOrders.open(stateDir, bare.log);
  const queue = new KeyedQueue();
  const keeper = new DeviceClaimKeeper({ binder: agent, journal, readOnly, queue, orders });
  return { keeper, agent, journal, queue, state: () => keeper.states()[0] };
}

function claim(w: BinderWorld, devices: readonly string[], more: Partial<WireDeviceClaim> = {}): WireDeviceClaim {
  return { claim_id: CLAIM, address: devices[0] ?? '', devices: order(w, devices).targets, ...more };
}

let revision = 0;
const says = (...claims: WireDeviceClaim[]): SetDeviceClaims => ({ revision: ++revision, claims });
const drivers = (w: BinderWorld, addresses: readonly string[]) => addresses.map((address) => driver(w, address));

/** Its native drivers take everything back, as at a boot. */
async function reboot(w: BinderWorld, addresses: readonly string[]): Promise<void> {
  const { write } = await w.agent();
  for (const address of addresses) {
    await write(`bus/pci/devices/${address}/driver_override`, '\n');
    if (driver(w, address) !== null) await write(`bus/pci/devices/${address}/driver/unbind`, address);
    await write('bus/pci/drivers_probe', address);
  }
}

describe('a device claim', () => {
  it('binds the device and its companions, and gives them back when it ends, the host as it was', async () => {
    const w = await world();
    const before = await scan(w);
    const { keeper, journal, state } = await life(w);
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    expect(drivers(w, [GPU, AUDIO])).toEqual(['vfio-pci', 'vfio-pci']);
    expect(state()).toEqual({
      ...{ claim_id: CLAIM, ends: false, state: 'enabled', step: null, errno: null, held_by: null, message: null },
      devices: [
        { address: GPU, driver: 'vfio-pci', original_driver: 'nouveau' },
        { address: AUDIO, driver: 'vfio-pci', original_driver: 'snd_hda_intel' },
      ],
    });
    expect(keeper.originals().get(AUDIO)?.driver).toBe('snd_hda_intel');
    await keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
    expect(state()).toMatchObject({
      ...{ ends: true, state: 'released', message: null },
      devices: [
        { address: GPU, driver: 'nouveau', outcome: 'restored' },
        { address: AUDIO, driver: 'snd_hda_intel', outcome: 'restored' },
      ],
    });
    expect(await scan(w)).toEqual(before);
    expect(await override(w, GPU)).toBe('(null)');
    expect(journal.claims()).toEqual([]);
  });

  it('has the interface of a NIC back when it ends', async () => {
    const w = await world();
    const before = readDevice(w.disk.sysfs, NIC).device?.netdevs;
    const { keeper } = await life(w);
    await keeper.take(says(claim(w, [NIC])));
    expect(readDevice(w.disk.sysfs, NIC).device?.netdevs).toEqual([]);
    expect(keeper.originals().get(NIC)?.netdevs).toEqual(before);
    await keeper.take(says(claim(w, [NIC], { ends: true })));
    expect([readDevice(w.disk.sysfs, NIC).device?.netdevs, before?.length]).toEqual([before, 1]);
  });

  it('keeps what it has bound while servers come and go', async () => {
    const w = await world();
    const { keeper, agent, state } = await life(w);
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    for (const id of [SERVERS_CLAIM, OTHER_CLAIM]) {
      await prepareDevices(agent, order(w, [GPU], id));
      await keeper.keep();
      expect(state()?.state).toBe('enabled');
      expect(await releaseDevices(agent, id)).toEqual([{ address: GPU, outcome: 'restored', driver: 'vfio-pci' }]);
    }
    await keeper.keep();
    expect([drivers(w, [GPU, AUDIO]), state()?.state]).toEqual([['vfio-pci', 'vfio-pci'], 'enabled']);
  });

  it('makes a group viable of which only one function is offered', async () => {
    const w = await world();
    const { keeper, agent } = await life(w);
    expect((await failure(prepareDevices(agent, order(w, [GPU])))).message).toContain('snd_hda_intel uses');
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    await prepareDevices(agent, order(w, [GPU], OTHER_CLAIM));
  });

  it('is passed over when it is older than what is known, and ends when it is not ordered any more', async () => {
    const w = await world();
    const { keeper, state } = await life(w);
    const former = says();
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    await keeper.take(former);
    expect([driver(w, GPU), state()?.state]).toEqual(['vfio-pci', 'enabled']);
    await keeper.take(says());
    expect([driver(w, GPU), keeper.states()]).toEqual(['nouveau', []]);
  });

  it('is kept and told when the orders are lost, until the centre was heard', async () => {
    const w = await world();
    await (await life(w)).keeper.take(says(claim(w, [GPU, AUDIO])));
    await writeFile(join(w.disk.directory, 'state/device-claims.json'), '{"version":1,"claims":[{}],"revision":1}');
    const { keeper, state } = await life(w);
    expect(w.logged.filter((line) => line.includes('are set aside'))).toHaveLength(1);
    await keeper.restore();
    expect([driver(w, GPU), state()]).toMatchObject(['vfio-pci', { claim_id: CLAIM, state: 'enabled' }]);
    await keeper.take(says());
    expect([driver(w, GPU), keeper.states()]).toEqual(['nouveau', []]);
  });

  it('that was never carried out has ended as soon as it is to', async () => {
    const w = await world();
    const { keeper, state } = await life(w);
    await keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
    expect(state()).toMatchObject({ state: 'released', devices: [{ driver: 'nouveau' }, { driver: 'snd_hda_intel' }] });
  });
});

describe('after a boot', () => {
  it('a claim is bound again before the centre is heard', async () => {
    const w = await world();
    await (await life(w)).keeper.take(says(claim(w, [GPU, AUDIO])));
    await reboot(w, [GPU, AUDIO]);
    const { keeper, state } = await life(w);
    await keeper.restore();
    expect([drivers(w, [GPU, AUDIO]), state()?.state]).toEqual([['vfio-pci', 'vfio-pci'], 'enabled']);
    await keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
    expect(drivers(w, [GPU, AUDIO])).toEqual(['nouveau', 'snd_hda_intel']);
  });

  it('a claim whose device a server has is bound first, the server finds it bound, and neither takes it from the other', async () => {
    const w = await world();
    const first = await life(w);
    await first.keeper.take(says(claim(w, [GPU, AUDIO])));
    await prepareDevices(first.agent, order(w, [GPU]));
    await reboot(w, [GPU, AUDIO]);
    const { keeper, agent, state } = await life(w);
    await keeper.restore();
    expect([drivers(w, [GPU, AUDIO]), state()?.state]).toEqual([['vfio-pci', 'vfio-pci'], 'enabled']);
    await prepareDevices(agent, order(w, [GPU]));
    await keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
    expect([driver(w, GPU), state()]).toMatchObject(['vfio-pci', { state: 'blocked', held_by: `server ${SERVER}` }]);
    await releaseDevices(agent, SERVERS_CLAIM);
    await keeper.keep();
    expect([drivers(w, [GPU, AUDIO]), state()?.state]).toEqual([['nouveau', 'snd_hda_intel'], 'released']);
  });
});

describe('killed at any write', () => {
  it.each(Array.from({ length: 6 }, (_, at) => at).flatMap((at) => [[at, 'before'] as const, [at, 'after'] as const]))(
    'number %i, %s it took effect, a claim ends bound in the next life, and then as before',
    async (at, when) => {
      const w = await world();
      const before = await scan(w);
      const fatal = dying(at, when);
      const dead = await life(w, { wrap: fatal.wrap });
      void dead.keeper.take(says(claim(w, [GPU, AUDIO])));
      await fatal.death;
      const { keeper, state } = await life(w);
      await keeper.restore();
      expect([drivers(w, [GPU, AUDIO]), state()?.state]).toEqual([['vfio-pci', 'vfio-pci'], 'enabled']);
      await keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
      expect(await scan(w)).toEqual(before);
    },
  );

  it.each(Array.from({ length: 6 }, (_, at) => at).flatMap((at) => [[at, 'before'] as const, [at, 'after'] as const]))(
    'number %i, %s it took effect, a claim that ends has given all back in the next life',
    async (at, when) => {
      const w = await world();
      const before = await scan(w);
      await (await life(w)).keeper.take(says(claim(w, [GPU, AUDIO])));
      const fatal = dying(at, when);
      const dead = await life(w, { wrap: fatal.wrap });
      void dead.keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
      await fatal.death;
      const { keeper, journal, state } = await life(w);
      await keeper.restore();
      expect([state()?.state, journal.claims()]).toEqual(['released', []]);
      expect(await scan(w)).toEqual(before);
    },
  );
});

describe('a device that somebody has', () => {
  it('is claimed once the server has given it back', async () => {
    const w = await world();
    const { keeper, agent, journal, state } = await life(w);
    await prepareDevices(agent, order(w, [GPU, AUDIO]));
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    expect(state()).toMatchObject({
      ...{ state: 'blocked', step: 'check', errno: null, held_by: `server ${SERVER}` },
      message: expect.stringContaining('goes on by itself') as string,
    });
    expect(journal.claims()).toEqual([]);
    await releaseDevices(agent, SERVERS_CLAIM);
    await keeper.keep();
    expect([drivers(w, [GPU, AUDIO]), state()?.state]).toEqual([['vfio-pci', 'vfio-pci'], 'enabled']);
  });

  it('is not bound again under a server, but is told', async () => {
    const w = await world();
    const { keeper, agent, state } = await life(w);
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    await prepareDevices(agent, order(w, [GPU]));
    await reboot(w, [AUDIO]);
    await keeper.keep();
    expect([driver(w, AUDIO), state()?.state]).toEqual(['snd_hda_intel', 'blocked']);
    await releaseDevices(agent, SERVERS_CLAIM);
    await keeper.keep();
    expect([driver(w, AUDIO), state()?.state]).toEqual(['vfio-pci', 'enabled']);
  });

  it('is waited for at the end, with who holds it; then it goes on by itself', async () => {
    const w = await world();
    const { keeper, state } = await life(w);
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    const letGo = await holdOpen(w, GPU);
    await keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
    expect(state()).toMatchObject({
      ...{ ends: true, state: 'blocked', step: 'unbind', held_by: 'qemu-system-x86 (process 4711)' },
      message: expect.stringContaining('shut the guest down') as string,
    });
    await letGo();
    await vi.waitFor(() => expect(state()?.state).toBe('released'), 5_000);
    expect(drivers(w, [GPU, AUDIO])).toEqual(['nouveau', 'snd_hda_intel']);
  });

  it('is told while other work on it is blocked; what was said meanwhile is done then', async () => {
    const w = await world();
    const { keeper, agent, queue, state } = await life(w);
    let done: () => void = () => undefined;
    const others = queue.run([GPU], () => new Promise<void>((resolve) => (done = resolve)));
    const held = { heldBy: 'qemu (process 7)', remedy: 'end it', errno: null, since: 1 };
    agent.problems.set({ ...held, address: GPU, claimId: OTHER_CLAIM, state: 'blocked', step: 'unbind' });
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    const blocked = { state: 'blocked', step: 'unbind', held_by: 'qemu (process 7)' };
    expect(state()).toMatchObject({ ...blocked, ends: false });
    await keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
    expect(state()).toMatchObject({ ...blocked, ends: true });
    agent.problems.clear(GPU);
    done();
    await others;
    await vi.waitFor(() => expect(state()?.state).toBe('released'), 5_000);
    expect(drivers(w, [GPU, AUDIO])).toEqual(['nouveau', 'snd_hda_intel']);
  });

  it('blocks its own claim only, while the kernel does not answer', async () => {
    const w = await world();
    const gate = blocking((path) => path.endsWith(`${GPU}/driver/unbind`));
    const { keeper, state } = await life(w, { wrap: gate.wrap, patience: IMPATIENT });
    const other = claim(w, [NIC], { claim_id: OTHER_CLAIM });
    await keeper.take(says(claim(w, [GPU, AUDIO]), other));
    expect(keeper.states()).toMatchObject([{ state: 'blocked', step: 'unbind' }, { state: 'enabled' }]);
    gate.letGo();
    await vi.waitFor(() => expect(state()?.state).toBe('enabled'), 5_000);
  });
});

describe('nothing is touched, and it is told,', () => {
  async function expectRefused(w: BinderWorld, l: Life, order: WireDeviceClaim, message: RegExp): Promise<void> {
    const before = await scan(w);
    await l.keeper.take(says(order));
    expect(l.state()).toMatchObject({ state: 'refused', step: 'check', held_by: null });
    expect(l.state()?.message).toMatch(message);
    expect(await scan(w)).toEqual(before);
    expect(l.journal.claims()).toEqual([]);
  }

  it('when the host needs a device', async () => {
    const w = await world();
    const { sysfs: _sysfs, proc: procRoot } = w.disk;
    const protection = { procRoot, kernel: 'simulated', brokerAddress: () => null, deviceSpecs: () => [] } as const;
    await mkdir(join(procRoot, 'net'), { recursive: true });
    const route =
      'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\neno1\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n';
    await writeFile(join(procRoot, 'net/route'), route);
    const refused = await life(w, { host: { protection } });
    await expectRefused(w, refused, claim(w, [MANAGEMENT]), /protected \(default_route\)/);
  });

  it('when the group has changed since it was shown', async () => {
    const w = await world();
    await expectRefused(
      w,
      await life(w),
      claim(w, [GPU]),
      /IOMMU group 9 also holds 0000:63:00\.1 now; delete the claim/,
    );
    await expectRefused(w, await life(w), claim(w, [GPU, AUDIO, NIC]), /does not hold 0000:81:00\.0 any more/);
  });

  it('when another card, or none, is there', async () => {
    const w = await world();
    const other = claim(w, [NIC]);
    const devices = other.devices.map((device) => ({ ...device, product_id: 'beef' }));
    await expectRefused(w, await life(w), { ...other, devices }, /8086:1572 sits there now, 8086:beef was expected/);
    await expectRefused(w, await life(w), { ...other, address: '0000:99:00.0' }, /no usable device there/);
  });

  it('when it has VFs', async () => {
    const w = await world(sriovNicHost('n', 2));
    await expectRefused(w, await life(w), claim(w, [NIC]), /it has 2 VFs, which would go; set their number to 0/);
  });

  it('when somebody else is to bind it, and has not', async () => {
    const w = await world();
    w.tags.set(NIC, { managed: 'false' });
    await expectRefused(w, await life(w), claim(w, [NIC]), /managed: no, but it is bound to i40e/);
  });

  it('when the agent only looks', async () => {
    const w = await world();
    await expectRefused(w, await life(w, { readOnly: true }), claim(w, [NIC]), /read_only is set/);
  });
});

describe('what the kernel refuses', () => {
  it('is undone and told, is not asked again until somebody asks, and its driver is back', async () => {
    const w = await world();
    const before = await scan(w);
    let refuses = true;
    const written: string[] = [];
    const wrap =
      (write: SysfsWrite): SysfsWrite =>
      async (path, value) => {
        written.push(path);
        if (refuses && path.endsWith(`${AUDIO}/driver_override`) && value === 'vfio-pci')
          throw errnoError('EIO', 'no', path);
        await write(path, value);
      };
    const { keeper, journal, state } = await life(w, { wrap });
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    expect(state()).toMatchObject({ state: 'refused', step: 'driver_override', errno: 'EIO' });
    expect([await scan(w), journal.claims()]).toEqual([before, []]);
    const count = written.length;
    await keeper.keep();
    expect(written).toHaveLength(count);
    refuses = false;
    await keeper.keepAnew();
    expect([drivers(w, [GPU, AUDIO]), state()?.state]).toEqual([['vfio-pci', 'vfio-pci'], 'enabled']);
  });

  it('at the end stays, and is tried again', async () => {
    const w = await world();
    let refuses = true;
    const wrap =
      (write: SysfsWrite): SysfsWrite =>
      async (path, value) => {
        if (refuses && path.endsWith(`${GPU}/driver/unbind`) && driver(w, GPU) === 'vfio-pci') {
          throw errnoError('EPERM', 'no', path);
        }
        await write(path, value);
      };
    const { keeper, state } = await life(w, { wrap });
    await keeper.take(says(claim(w, [GPU, AUDIO])));
    await keeper.take(says(claim(w, [GPU, AUDIO], { ends: true })));
    expect(state()).toMatchObject({ ends: true, state: 'refused', step: 'unbind', errno: 'EPERM' });
    refuses = false;
    await keeper.keep();
    expect([drivers(w, [GPU, AUDIO]), state()?.state]).toEqual([['nouveau', 'snd_hda_intel'], 'released']);
  });
});

it('a VF that is claimed keeps the number of VFs as it is', async () => {
  const w = await world(sriovNicHost('n', 2));
  const { keeper, agent, state } = await life(w);
  const vf = '0000:81:02.0';
  await keeper.take(says(claim(w, [vf])));
  expect([driver(w, vf), state()?.state]).toEqual(['vfio-pci', 'enabled']);
  const pf = readDevice(w.disk.sysfs, NIC).device;
  if (!pf) throw new Error('no PF');
  const host = { ...agent, ip: simulatedIp(), vfHolders: agent.journal };
  const error = await failure(settleVfCount(host, pf, { vfCount: 4, autoprobe: null }));
  expect(error.message).toContain(`device claim ${CLAIM} has its VF ${vf}; delete that claim first`);
  expect(await readFile(join(w.disk.sysfs, `bus/pci/devices/${NIC}/sriov_numvfs`), 'utf8')).toBe('2\n');
});

it('a PF that is claimed gets no VFs', async () => {
  const w = await world();
  const { keeper, agent } = await life(w);
  await keeper.take(says(claim(w, [NIC])));
  const pf = readDevice(w.disk.sysfs, NIC).device;
  if (!pf) throw new Error('no PF');
  const host = { ...agent, ip: simulatedIp(), vfHolders: agent.journal };
  const error = await failure(settleVfCount(host, pf, { vfCount: 4, autoprobe: null }));
  expect(error.message).toContain(`device claim ${CLAIM} keeps it bound; delete that claim first`);
});

it('what another tool has on vfio stays there when the claim ends', async () => {
  const w = await world(charmsGuideHost('h'));
  const P5000 = '0000:83:00.0';
  const first = await life(w);
  await prepareDevices(first.agent, order(w, [P5000]));
  await first.agent.journal.endRelease(SERVERS_CLAIM);
  await first.keeper.take(says(claim(w, [P5000])));
  expect(first.state()).toMatchObject({ state: 'enabled', devices: [{ original_driver: 'vfio-pci' }] });
  await first.keeper.take(says(claim(w, [P5000], { ends: true })));
  expect([driver(w, P5000), first.state()?.state]).toEqual(['vfio-pci', 'released']);
});
