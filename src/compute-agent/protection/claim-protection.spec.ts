import 'reflect-metadata';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { binderWorld, driver, failure, order, type BinderWorld } from '../../../test/support/binder-world.js';
import { sriovNicHost } from '../../../test/support/hosts.js';
import { parseDeviceSpecs } from '../../pci/device-spec/device-spec-reader.js';
import type { PciDevice } from '../../pci/device.js';
import { readDevice } from '../device-reader.js';
import { prepareDevices, releaseDevices, type BinderHost } from '../vfio-binder.js';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function guarded(world: BinderWorld, ...entries: object[]): Promise<BinderHost> {
  const protection = {
    procRoot: world.disk.proc,
    kernel: 'simulated' as const,
    brokerAddress: () => null,
    deviceSpecs: () => parseDeviceSpecs(entries, 'test', { freeTags: [] }),
  };
  return { ...(await world.agent()), protection };
}

/** The default route moves, as it does when somebody changes a network's settings between two scans. */
async function routeTo({ disk }: BinderWorld, name: string): Promise<void> {
  await writeFile(join(disk.proc, 'net/route'), `${name}\t00000000\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n`);
}

function withNetdev(
  world: BinderWorld,
  wanted: (device: PciDevice) => boolean,
  addresses: readonly string[],
): PciDevice {
  const devices = addresses.flatMap((address) => readDevice(world.disk.sysfs, address).device ?? []);
  const found = devices.find((device) => device.netdevs.length > 0 && wanted(device));
  if (!found) throw new Error('the host has no such NIC');
  return found;
}

describe('the look before binding', () => {
  it('refuses the NIC that carries the default route by now, and changes nothing', async () => {
    const world = await binderWorld('small', ends);
    const nic = '0000:01:00.0';
    const native = driver(world, nic);
    await routeTo(world, 'eth1');
    const agent = await guarded(world, { vendor_id: '8086' });
    const refused = await failure(prepareDevices(agent, order(world, [nic])));
    expect(refused).toMatchObject({ code: 'device.protected', address: nic, step: 'check' });
    expect(refused.message).toContain(`carries the default route (eth1 → ${nic})`);
    expect(driver(world, nic)).toBe(native);
    expect(agent.journal.holderOf(nic)).toBeNull();
  });

  it('lets it pass when an entry names exactly that address', async () => {
    const world = await binderWorld('small', ends);
    await routeTo(world, 'eth1');
    const agent = await guarded(world, { address: '0000:01:00.0', override_protection: true });
    const claim = order(world, ['0000:01:00.0']);
    await prepareDevices(agent, claim);
    expect(driver(world, '0000:01:00.0')).toBe('vfio-pci');
    await releaseDevices(agent, claim.claimId);
  });

  it('leaves a claim alone that has its devices already', async () => {
    const world = await binderWorld('small', ends);
    const agent = await guarded(world);
    const claim = order(world, ['0000:01:00.0']);
    const first = await prepareDevices(agent, claim);
    await routeTo(world, 'eth1');
    expect(await prepareDevices(agent, claim)).toEqual(first);
    expect(driver(world, '0000:01:00.0')).toBe('vfio-pci');
  });

  it('refuses a PF whose VF carries the default route, and lets the VFs of such a PF go', async () => {
    const world = await binderWorld(sriovNicHost('n'), ends);
    const pf = '0000:81:00.0';
    const vfs = Array.from({ length: 4 }, (_, at) => `0000:81:02.${at}`);
    const nic = readDevice(world.disk.sysfs, pf).device;
    const vf = withNetdev(world, ({ parentAddress }) => parentAddress === pf, vfs);
    await routeTo(world, vf.netdevs[0] as string);
    const agent = await guarded(world);
    const refused = await failure(prepareDevices(agent, order(world, [pf])));
    expect(refused.message).toContain(`it has the VF ${vf.address}, which carries the default route`);
    await routeTo(world, nic?.netdevs[0] as string);
    const free = order(world, [vf.address], '22222222-2222-4222-8222-222222222222');
    await prepareDevices(agent, free);
    expect(driver(world, vf.address)).toBe('vfio-pci');
  });
});
