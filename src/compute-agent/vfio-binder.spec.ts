import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  binderWorld,
  driver,
  dying,
  failure,
  order,
  override,
  scan,
  SERVER,
  type BinderWorld,
} from '../../test/support/binder-world.js';
import { charmsGuideHost, randomHost, sriovNicHost } from '../../test/support/hosts.js';
import type { ReportedDevice } from '../pci/device.js';
import { isolationUnits } from '../pci/iommu.js';
import { BindingError } from './binding-error.js';
import { readDevice } from './device-reader.js';
import { errnoError } from './kernel.js';
import { prepareDevices, releaseDevices, resumeReleases } from './vfio-binder.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';
const OTHER_CLAIM = '22222222-2222-4222-8222-222222222222';
const P5000S = ['0000:83:00.0', '0000:84:00.0'];

const removals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

const world = (host: Parameters<typeof binderWorld>[0], ends = removals): Promise<BinderWorld> =>
  binderWorld(host, ends);

/** One host for several tests, which leave it as they found it and use a claim of their own each. */
function sharedWorld(): { readonly host: () => BinderWorld; readonly before: () => readonly ReportedDevice[] } {
  const ends: (() => Promise<void>)[] = [];
  let shared: BinderWorld;
  let before: readonly ReportedDevice[];
  beforeAll(async () => {
    shared = await world(charmsGuideHost('h'), ends);
    before = await scan(shared);
  });
  afterAll(async () => {
    for (const end of ends) await end();
  });
  return { host: () => shared, before: () => before };
}

describe('prepare and release', () => {
  it('bind to vfio-pci and give back, leaving the host as it was', async () => {
    const w = await world(charmsGuideHost('h'));
    const before = await scan(w);
    const native = P5000S.map((address) => driver(w, address));
    const agent = await w.agent();
    const bindings = await prepareDevices(agent, order(w, P5000S));
    expect(bindings).toEqual(
      P5000S.map((address, index) => ({
        address,
        driver: 'vfio-pci',
        original_driver: native[index],
        iommu_group: before.find((device) => device.address === address)?.iommuGroup,
      })),
    );
    expect(native[0]).not.toBeNull();
    expect(P5000S.map((address) => driver(w, address))).toEqual(['vfio-pci', 'vfio-pci']);
    expect(await releaseDevices(agent, CLAIM)).toEqual(
      P5000S.map((address, index) => ({ address, outcome: 'restored', driver: native[index] })),
    );
    expect(await scan(w)).toEqual(before);
    expect(await override(w, P5000S[0] as string)).toBe('(null)');
    expect(agent.journal.claims()).toEqual([]);
  });

  it('are idempotent, also across restarts', async () => {
    const w = await world(charmsGuideHost('h'));
    const first = await prepareDevices(await w.agent(), order(w, P5000S));
    const writes: string[] = [];
    const again = await w.agent((write) => (path, value) => {
      writes.push(path);
      return write(path, value);
    });
    expect(await prepareDevices(again, order(w, P5000S))).toEqual(first);
    expect(writes).toEqual([]);
    expect(await releaseDevices(await w.agent(), CLAIM)).toHaveLength(2);
    expect(await releaseDevices(await w.agent(), CLAIM)).toEqual([]);
  });

  it('bind again what fell off a prepared claim', async () => {
    const w = await world(charmsGuideHost('h'));
    const agent = await w.agent();
    const native = driver(w, P5000S[0] as string);
    await prepareDevices(agent, order(w, P5000S));
    await agent.write('bus/pci/drivers/vfio-pci/unbind', P5000S[0] as string);
    const [binding] = await prepareDevices(agent, order(w, P5000S));
    expect(binding).toMatchObject({ driver: 'vfio-pci', original_driver: native });
    expect(driver(w, P5000S[0] as string)).toBe('vfio-pci');
  });

  it('keep on vfio-pci what another tool had put there', async () => {
    const w = await world('full-active');
    const agent = await w.agent();
    const [binding] = await prepareDevices(agent, order(w, ['0000:21:00.0']));
    expect(binding).toMatchObject({ driver: 'vfio-pci', original_driver: 'vfio-pci', iommu_group: 23 });
    const released = await releaseDevices(agent, CLAIM);
    expect(released).toEqual([{ address: '0000:21:00.0', outcome: 'restored', driver: 'vfio-pci' }]);
    expect(await override(w, '0000:21:00.0')).toBe('vfio-pci');
  });

  it('give back a device without a driver as one without a driver', async () => {
    const w = await world('accel');
    const agent = await w.agent();
    const pair = ['0000:25:00.0', '0000:25:00.1'];
    expect(pair.map((address) => driver(w, address))).toEqual([null, null]);
    await prepareDevices(agent, order(w, pair));
    expect(pair.map((address) => driver(w, address))).toEqual(['vfio-pci', 'vfio-pci']);
    const released = await releaseDevices(agent, CLAIM);
    expect(released).toEqual(pair.map((address) => ({ address, outcome: 'restored', driver: null })));
  });

  it("put an operator's override back", async () => {
    const w = await world('small');
    const nic = '0000:01:00.0';
    const agent = await w.agent();
    await agent.write(`bus/pci/devices/${nic}/driver_override`, 'e1000e');
    await prepareDevices(agent, order(w, [nic]));
    expect(await override(w, nic)).toBe('vfio-pci');
    await releaseDevices(agent, CLAIM);
    expect([await override(w, nic), driver(w, nic)]).toEqual(['e1000e', 'e1000e']);
  });

  it('bring the interface of a NIC back', async () => {
    const w = await world('small');
    const agent = await w.agent();
    const nic = async () => (await scan(w)).find((device) => device.address === '0000:01:00.0')?.netdevs;
    expect(await nic()).toEqual(['eth1']);
    await prepareDevices(agent, order(w, ['0000:01:00.0']));
    expect(await nic()).toEqual([]);
    expect(agent.journal.originals().get('0000:01:00.0')).toEqual({ driver: 'e1000e', netdevs: ['eth1'] });
    await releaseDevices(agent, CLAIM);
    expect(await nic()).toEqual(['eth1']);
  });

  it('tell how each device ended', async () => {
    const w = await world(charmsGuideHost('h'));
    const agent = await w.agent();
    const [first, second] = P5000S as [string, string];
    const native = driver(w, first) as string;
    await prepareDevices(agent, order(w, P5000S));
    await unlink(join(w.disk.sysfs, 'bus/pci/devices', first)); // the card was pulled
    await rm(join(w.disk.sysfs, 'bus/pci/drivers', native), { recursive: true }); // the module was removed
    const broken = { ...agent, loadModule: () => Promise.reject(new Error('no such module')) };
    expect(await releaseDevices(broken, CLAIM)).toEqual([
      { address: first, outcome: 'missing', driver: null },
      {
        ...{ address: second, outcome: 'driverless', driver: null, step: 'modprobe' },
        remedy: expect.stringMatching(new RegExp(`^load ${native} .*drivers_probe: .*no such module`)) as string,
      },
    ]);
    expect(agent.problems.of(second)).toMatchObject({ state: 'driverless', claimId: CLAIM });
  });

  it('leave alone another card that sits at the address by now', async () => {
    const w = await world('small');
    const agent = await w.agent();
    await prepareDevices(agent, order(w, ['0000:01:00.0']));
    const device = join(w.disk.sysfs, 'devices/pci0000:00/0000:00:04.0/0000:01:00.0/device');
    await rm(device);
    await writeFile(device, '0x1234\n');
    const released = await releaseDevices(agent, CLAIM);
    expect(released).toEqual([{ address: '0000:01:00.0', outcome: 'missing', driver: null }]);
    expect(driver(w, '0000:01:00.0')).toBe('vfio-pci');
  });

  it('tell when another driver took the device', async () => {
    const w = await world(charmsGuideHost('h'));
    const agent = await w.agent();
    const [address] = P5000S as [string];
    const native = driver(w, address);
    const { targets } = order(w, [address]);
    const record = { vendorId: targets[0]?.vendor_id ?? '', productId: targets[0]?.product_id ?? '' };
    const before = { address, ...record, originalDriver: 'nvidia-old', originalNetdevs: [], originalOverride: null };
    await agent.journal.begin({ claimId: CLAIM, serverId: SERVER, devices: [before] });
    await prepareDevices(agent, order(w, [address]));
    expect(await releaseDevices(agent, CLAIM)).toEqual([
      {
        ...{ address, outcome: 'restored-other-driver', driver: native, step: 'read_back' },
        remedy: expect.stringContaining(`${native} was quicker than nvidia-old`) as string,
      },
    ]);
    expect(agent.problems.of(address)).toBeNull();
  });
});

describe('what is refused, with nothing touched', () => {
  const CASES: readonly [string, string, string[], string, RegExp][] = [
    ['a device without an IOMMU', 'noiommu', ['0000:01:00.0'], 'binding.refused', /no IOMMU.*intel_iommu=on/],
    ['a bridge', 'full', ['0000:20:00.0'], 'binding.refused', /bridge/],
    ['half a group', 'full', ['0000:23:00.0'], 'binding.refused', /0000:23:00\.1.*e1000e/],
    [
      'a group with a bridge on shpchp',
      'full',
      ['0000:67:01.0', '0000:67:02.0'],
      'binding.refused',
      /0000:66:00\.0.*shpchp/,
    ],
    [
      'the group of the management NIC',
      'legacy',
      ['0000:02:00.0', '0000:03:00.0'],
      'binding.refused',
      /0000:01:00\.0.*virtio-pci/,
    ],
    ['a device that is not there', 'small', ['0000:77:00.0'], 'device.missing', /0000:77:00\.0/],
    ['a device named twice', 'small', ['0000:01:00.0', '0000:01:00.0'], 'binding.refused', /twice/],
  ];

  it.each(CASES)('%s', async (_name, tree, addresses, code, message) => {
    const w = await world(tree);
    const before = await scan(w);
    const writes: string[] = [];
    const agent = await w.agent(() => async (path) => void writes.push(path));
    const error = await failure(prepareDevices(agent, order(w, addresses)));
    expect(error).toMatchObject({ code, step: 'check', errno: null });
    expect(error.message).toMatch(message);
    expect(writes).toEqual([]);
    expect(await scan(w)).toEqual(before);
    expect(agent.journal.claims()).toEqual([]);
    expect(agent.journal.isReleased(CLAIM)).toBe(true);
  });

  it('another card than expected', async () => {
    const w = await world('small');
    const targets = [{ address: '0000:01:00.0', vendor_id: '10de', product_id: '1bb0' }];
    const error = await failure(prepareDevices(await w.agent(), { claimId: CLAIM, serverId: SERVER, targets }));
    expect(error.code).toBe('device.changed');
    expect(error.message).toContain('10de:1bb0 was expected');
  });

  it('a host that cannot load vfio-pci, with the command that helps', async () => {
    const w = await world('small');
    const agent = await w.agent();
    await rm(join(w.disk.sysfs, 'bus/pci/drivers/vfio-pci'), { recursive: true });
    const asked: string[] = [];
    const loadModule = (name: string) => Promise.reject(new Error(`modprobe said no to ${asked.push(name)}`));
    const error = await failure(prepareDevices({ ...agent, loadModule }, order(w, ['0000:01:00.0'])));
    expect(error).toMatchObject({ code: 'binding.failed', step: 'modprobe' });
    expect(error.message).toMatch(/modprobe said no.*modprobe vfio-pci/);
    expect(asked).toEqual(['vfio-pci']);
    expect(driver(w, '0000:01:00.0')).toBe('e1000e');
  });

  it('a claim that was released before, also when it was never prepared', async () => {
    const w = await world('small');
    expect(await releaseDevices(await w.agent(), CLAIM)).toEqual([]);
    const error = await failure(prepareDevices(await w.agent(), order(w, ['0000:01:00.0'])));
    expect(error.code).toBe('claim.released');
    expect(driver(w, '0000:01:00.0')).toBe('e1000e');
  });

  it('a device of another claim, and its VF or PF', async () => {
    const w = await world('full-active');
    const agent = await w.agent();
    await prepareDevices(agent, order(w, ['0000:22:00.1']));
    const same = await failure(prepareDevices(agent, order(w, ['0000:22:00.1'], OTHER_CLAIM)));
    expect(same).toMatchObject({ code: 'binding.refused', address: '0000:22:00.1' });
    expect(same.message).toContain(`it is prepared for claim ${CLAIM}`);
    const pf = await failure(prepareDevices(agent, order(w, ['0000:22:00.0'], SERVER)));
    expect(pf.message).toMatch(/its relative 0000:22:00\.1 is prepared for claim 1111/);
    expect(driver(w, '0000:22:00.1')).toBe('vfio-pci');
    expect(driver(w, '0000:22:00.0')).toBe('nvme');
  });

  it('other devices for a claim that is prepared; it is undone', async () => {
    const w = await world(charmsGuideHost('h'));
    const agent = await w.agent();
    const [first, second] = P5000S as [string, string];
    const native = driver(w, first);
    await prepareDevices(agent, order(w, [first]));
    const error = await failure(prepareDevices(agent, order(w, [second])));
    expect(error.message).toContain(`was prepared for ${first}`);
    expect([driver(w, first), driver(w, second)]).toEqual([native, native]);
  });
});

describe('when the kernel refuses', () => {
  const shared = sharedWorld();

  /** Both cards have a native driver: three writes for each. */
  const WRITES = 6;
  const STEPS = ['driver_override', 'unbind', 'drivers_probe'];

  it.each(Array.from({ length: WRITES }, (_, index) => index))('write %i, everything is undone', async (failing) => {
    const w = shared.host();
    const claimId = randomUUID();
    let count = 0;
    const agent = await w.agent((write) => async (path, value) => {
      if (count++ === failing) throw errnoError('EBUSY', 'injected', path);
      return write(path, value);
    });
    const error = await failure(prepareDevices(agent, order(w, P5000S, claimId)));
    expect(error).toMatchObject({
      code: 'binding.failed',
      step: STEPS[failing % 3],
      errno: 'EBUSY',
      address: P5000S[Math.floor(failing / 3)],
    });
    expect(error.message).toContain('in use');
    expect(await scan(w)).toEqual(shared.before());
    expect(await override(w, P5000S[0] as string)).toBe('(null)');
    expect((await w.agent()).journal.claims()).toEqual([]);
    expect((await failure(prepareDevices(await w.agent(), order(w, P5000S, claimId)))).code).toBe('claim.released');
  });

  it.each([
    ['EACCES', /root/],
    ['EROFS', /read-only/],
    ['ENODEV', /gone/],
    ['EINVAL', /IOMMU/],
    ['E2BIG', /dmesg/],
  ])('with %s, the message says what to do', async (errno, remedy) => {
    const w = await world('small');
    const agent = await w.agent((write) => async (path, value) => {
      if (path.endsWith('driver_override') && value === 'vfio-pci') throw errnoError(errno, 'injected', path);
      return write(path, value);
    });
    const error = await failure(prepareDevices(agent, order(w, ['0000:01:00.0'])));
    expect(error.errno).toBe(errno);
    expect(error.message).toMatch(remedy);
  });

  it('without saying so (a PF without a driver that has VFs), the reason is found', async () => {
    const w = await world(sriovNicHost('n', 2));
    const agent = await w.agent();
    await agent.write('bus/pci/drivers/i40e/unbind', '0000:81:00.0');
    const error = await failure(prepareDevices(agent, order(w, ['0000:81:00.0'])));
    expect(error).toMatchObject({ code: 'binding.failed', step: 'read_back', errno: 'EBUSY', address: '0000:81:00.0' });
    expect(error.message).toContain('sriov_numvfs');
    expect([driver(w, '0000:81:00.0'), await override(w, '0000:81:00.0')]).toEqual([null, '(null)']);
    expect(readDevice(w.disk.sysfs, '0000:81:00.0').device?.sriov?.numVfs).toBe(2);
  });

  it('and then the journal as well, nothing is told of the failure: the command comes again, and the claim can only go', async () => {
    const w = await world(charmsGuideHost('h'));
    const agent = await w.agent((write) => async (path, value) => {
      if (path.includes('driver_override')) throw errnoError('EIO', 'injected', path);
      return write(path, value);
    });
    const beginRelease = vi
      .spyOn(agent.journal, 'beginRelease')
      .mockRejectedValueOnce(errnoError('ENOSPC', 'injected', 'journal.json'));
    const error = await prepareDevices(agent, order(w, P5000S)).catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(BindingError);
    expect(String(error)).toContain('ENOSPC');
    expect(agent.journal.claim(CLAIM)?.state).toBe('preparing');
    expect(await failure(prepareDevices(agent, order(w, P5000S)))).toMatchObject({ step: 'driver_override' });
    expect(beginRelease).toHaveBeenCalledTimes(2);
    expect(agent.journal.claims()).toEqual([]);
    expect(agent.journal.isReleased(CLAIM)).toBe(true);
  });

  it('to undo, the answer says so, and the next claim finishes it', async () => {
    const w = await world(charmsGuideHost('h'));
    const [first, second] = P5000S as [string, string];
    const native = driver(w, first);
    let stuck = true;
    const agent = await w.agent((write) => async (path, value) => {
      const blocked =
        path.includes(second) || (path.includes(`${first}/driver/unbind`) && driver(w, first) === 'vfio-pci');
      if (stuck && blocked) throw errnoError('EIO', 'injected', path);
      return write(path, value);
    });
    const error = await failure(prepareDevices(agent, order(w, P5000S)));
    expect(error.message).toMatch(/Undoing it failed as well: .*unbind failed with EIO/);
    expect(error).toMatchObject({ address: second, step: 'driver_override' });
    expect(driver(w, first)).toBe('vfio-pci');
    expect(agent.journal.claim(CLAIM)?.state).toBe('releasing');
    expect(w.logged.join()).toContain('could not be given back');
    const shown = agent.problems.of(first);
    expect(shown).toMatchObject({ state: 'refused', step: 'unbind', errno: 'EIO', claimId: CLAIM });
    await releaseDevices(agent, CLAIM).catch(() => undefined);
    expect(agent.problems.of(first)).toEqual(shown); // since the first time
    stuck = false;
    const [binding] = await prepareDevices(agent, order(w, [first], OTHER_CLAIM));
    expect(binding?.original_driver).toBe(native);
    expect(agent.problems.of(first)).toBeNull();
    expect(agent.journal.claims().map((claim) => claim.claimId)).toEqual([OTHER_CLAIM]);
  });
});

describe('a crash', () => {
  const shared = sharedWorld();

  const POINTS = [0, 1, 2, 3, 4, 5].flatMap((at) => [[at, 'before'] as const, [at, 'after'] as const]);

  it.each(POINTS)('in write %i of prepare (%s it): the command comes again and finishes it', async (at, when) => {
    const w = shared.host();
    const claimId = randomUUID();
    const native = driver(w, P5000S[0] as string);
    const { wrap, death } = dying(at, when);
    await Promise.race([prepareDevices(await w.agent(wrap), order(w, P5000S, claimId)), death]);
    const next = await w.agent();
    await resumeReleases(next);
    expect(next.journal.claim(claimId)?.state).toBe('preparing');
    const bindings = await prepareDevices(next, order(w, P5000S, claimId));
    expect(bindings.map((binding) => binding.original_driver)).toEqual([native, native]);
    expect(P5000S.map((address) => driver(w, address))).toEqual(['vfio-pci', 'vfio-pci']);
    await releaseDevices(next, claimId);
    expect(await scan(w)).toEqual(shared.before());
  });

  it.each(POINTS)(
    'in write %i of prepare (%s it): the claim is given up and everything goes back',
    async (at, when) => {
      const w = shared.host();
      const claimId = randomUUID();
      const { wrap, death } = dying(at, when);
      await Promise.race([prepareDevices(await w.agent(wrap), order(w, P5000S, claimId)), death]);
      const released = await releaseDevices(await w.agent(), claimId);
      expect(released.map(({ outcome }) => outcome)).toEqual(['restored', 'restored']);
      expect(await scan(w)).toEqual(shared.before());
      expect(await override(w, P5000S[1] as string)).toBe('(null)');
    },
  );

  it.each(POINTS)('in write %i of release (%s it): the next start finishes it', async (at, when) => {
    const w = shared.host();
    const claimId = randomUUID();
    await prepareDevices(await w.agent(), order(w, P5000S, claimId));
    const { wrap, death } = dying(at, when);
    await Promise.race([releaseDevices(await w.agent(wrap), claimId), death]);
    const next = await w.agent();
    expect(next.journal.claim(claimId)?.state).toBe('releasing');
    await resumeReleases(next);
    expect(await scan(w)).toEqual(shared.before());
    expect(next.journal.claims()).toEqual([]);
    expect(next.journal.isReleased(claimId)).toBe(true);
  });
});

it.each([1, 2, 3, 4, 5, 6])('random host %i: whatever can be handed over is, and comes back', async (seed) => {
  const w = await world(randomHost(seed));
  const before = await scan(w);
  const agent = await w.agent();
  const endpoints = before.map((device) => ({ ...device, offered: !device.classCode.startsWith('06') }));
  const units = new Set(isolationUnits(endpoints).values());
  for (const [index, unit] of [...units].entries()) {
    const claimId = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
    const attempt = prepareDevices(agent, order(w, unit.members, claimId));
    if (unit.blockedBy !== null) {
      expect((await failure(attempt)).code).toBe('binding.refused');
      continue;
    }
    const outcome = await attempt.catch((error: unknown) => error);
    // A PF whose VFs are on vfio-pci already, as a random host may have it.
    if (outcome instanceof BindingError) expect(outcome).toMatchObject({ step: 'sriov_numvfs', errno: null });
    else expect(outcome).toHaveLength(unit.members.length);
    await releaseDevices(agent, claimId);
  }
  expect((await scan(w)).map(asMadeAnew)).toEqual(before.map(asMadeAnew));
});

/** A VF that was removed and made again is as new ones are: its driver has it, and its id and link are of its PF. */
function asMadeAnew(device: ReportedDevice): ReportedDevice {
  if (device.deviceType !== 'type-VF') return device;
  return { ...device, driver: null, netdevs: [], subsystemProductId: null, link: null };
}
