import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  binderWorld,
  driver,
  dying,
  failure,
  order,
  SERVER,
  type BinderWorld,
} from '../../../test/support/binder-world.js';
import { charmsGuideHost } from '../../../test/support/hosts.js';
import { MemoryHypervisor } from '../../../test/support/memory-hypervisor.js';
import type { WireServer } from '../../messages/server-bodies.js';
import type { SysfsWrite } from '../kernel.js';
import { prepareDevices, releaseDevices, resumeReleases, type BinderHost } from '../vfio-binder.js';
import { GuestRecords } from './guest-records.js';
import { Guests } from './guests.js';

const P5000 = '0000:83:00.0';
const server: WireServer = { name: 'one', project_id: 'p', vcpus: 1, memory_mb: 64 };

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** The next life of an agent; the hypervisor's guests outlive it. */
async function life(
  world: BinderWorld,
  hypervisor: MemoryHypervisor,
  wrap?: (write: SysfsWrite) => SysfsWrite,
): Promise<BinderHost> {
  const binder = await world.agent(wrap);
  const { log, problems } = binder;
  const records = await GuestRecords.open(join(world.disk.directory, 'state'), log);
  return { ...binder, guests: new Guests({ driver: hypervisor, records, problems, log, tell: async () => undefined }) };
}

describe('a claim with a guest', () => {
  it('has its guest started with bound devices, and ended before they are taken back', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const hypervisor = new MemoryHypervisor();
    const before = driver(world, P5000);
    const drivers: (string | null)[] = [];
    hypervisor.onCall = () => drivers.push(driver(world, P5000));
    const host = await life(world, hypervisor);
    const wanted = order(world, [P5000]);
    expect(await prepareDevices(host, { ...wanted, server })).toMatchObject([{ address: P5000, driver: 'vfio-pci' }]);
    expect(await releaseDevices(host, wanted.claimId)).toMatchObject([{ outcome: 'restored', driver: before }]);
    expect(hypervisor.calls).toEqual([`start ${P5000}`, 'stop gently 4711']);
    expect(drivers).toEqual(['vfio-pci', 'vfio-pci']);
  });

  it('is given up with its devices when the guest does not start', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const hypervisor = new MemoryHypervisor();
    const before = driver(world, P5000);
    hypervisor.fails = 'start';
    const host = await life(world, hypervisor);
    const wanted = order(world, [P5000]);
    const error = await failure(prepareDevices(host, { ...wanted, server }));
    expect(error).toMatchObject({ code: 'guest.failed', step: 'guest_start' });
    expect(driver(world, P5000)).toBe(before);
    expect(host.journal.isReleased(wanted.claimId)).toBe(true);
    expect(hypervisor.running.size).toBe(0);
  });

  it('keeps its devices while the guest cannot be ended', async () => {
    const world = await binderWorld(charmsGuideHost('h'), ends);
    const hypervisor = new MemoryHypervisor();
    const before = driver(world, P5000);
    const wanted = order(world, [P5000]);
    const host = await life(world, hypervisor);
    await prepareDevices(host, { ...wanted, server });
    hypervisor.fails = 'stop';
    await failure(releaseDevices(host, wanted.claimId));
    expect(driver(world, P5000)).toBe('vfio-pci');
    expect(host.journal.claim(wanted.claimId)?.state).toBe('releasing');
    const next = await life(world, hypervisor);
    await resumeReleases(next);
    expect(hypervisor.running.size).toBe(0);
    expect(driver(world, P5000)).toBe(before);
  });

  it('has one guest after a death at any write, and none after its release', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let at = 0; at < 3; at += 1) {
        const world = await binderWorld(charmsGuideHost('h'), ends);
        const hypervisor = new MemoryHypervisor();
        const wanted = order(world, [P5000]);
        const { wrap, death } = dying(at, when);
        const last = await life(world, hypervisor, wrap);
        void prepareDevices(last, { ...wanted, server });
        await death;
        const next = await life(world, hypervisor);
        expect(next.journal.claim(wanted.claimId)?.state, `${when} ${at}`).toBe('preparing');
        // As the agent does at its start, without the centre's word.
        await prepareDevices(next, wanted);
        expect([...hypervisor.running]).toEqual([[SERVER, [P5000]]]);
        await releaseDevices(next, wanted.claimId);
        expect(hypervisor.running.size).toBe(0);
      }
    }
  });
});
