import 'reflect-metadata';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  binderWorld,
  driver,
  failure,
  order,
  override,
  scan,
  type BinderWorld,
} from '../../../test/support/binder-world.js';
import { sriovNicHost } from '../../../test/support/hosts.js';
import { readJournal } from '../journal-state.js';
import { prepareDevices, releaseDevices, type BinderHost } from '../vfio-binder.js';
import { withoutNetdevs } from './netdev-handover.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';
const SECOND = '22222222-2222-4222-8222-222222222222';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A recorded host: its interfaces are not this machine's, so that none is moved. On real ones: test/integration/netdev.spec.ts. */
async function world(): Promise<BinderWorld & { readonly nic: string; readonly netdev: string }> {
  const w = await binderWorld(sriovNicHost('h', 0), ends);
  const nic = (await scan(w)).findLast(({ netdevs, driver: bound }) => netdevs.length === 1 && bound !== null);
  if (!nic) throw new Error('no NIC');
  w.tags.set(nic.address, { handover: 'netdev' });
  return { ...w, nic: nic.address, netdev: nic.netdevs[0] as string };
}

const writesOf = (host: BinderHost): { readonly host: BinderHost; readonly paths: string[] } => {
  const paths: string[] = [];
  const write: BinderHost['write'] = async (path, value) => {
    paths.push(path);
    await host.write(path, value);
  };
  return { host: { ...host, write }, paths };
};

describe('a device with handover: netdev', () => {
  it('is prepared and released without one write to sysfs', async () => {
    const w = await world();
    const before = { driver: driver(w, w.nic), override: await override(w, w.nic) };
    const { host, paths } = writesOf(await w.agent());
    const [binding] = await prepareDevices(host, order(w, [w.nic]));
    expect(binding).toMatchObject({ address: w.nic, driver: before.driver, netdev: w.netdev });
    expect(await prepareDevices(host, order(w, [w.nic]))).toEqual([binding]);
    await releaseDevices(host, CLAIM);
    expect({ driver: driver(w, w.nic), override: await override(w, w.nic) }).toEqual(before);
    expect(paths).toEqual([]);
  });

  it('needs no IOMMU', async () => {
    const w = await world();
    const dir = join(w.disk.sysfs, 'bus/pci/devices', w.nic);
    await rm(join(dir, 'iommu_group'));
    expect(await prepareDevices(await w.agent(), order(w, [w.nic]))).toMatchObject([{ iommu_group: null }]);
    w.tags.clear();
    const byVfio = await failure(prepareDevices(await w.agent(), order(w, [w.nic], SECOND)));
    expect(byVfio.code).toBe('binding.refused');
  });

  it('is held: no other claim gets it', async () => {
    const w = await world();
    const agent = await w.agent();
    await prepareDevices(agent, order(w, [w.nic]));
    const other = await failure(prepareDevices(agent, order(w, [w.nic], SECOND)));
    expect(other).toMatchObject({ code: 'binding.refused', step: 'check' });
    expect(agent.journal.holderOf(w.nic)?.claimId).toBe(CLAIM);
  });

  it('keeps its way of being handed over when its entry changes while it is in use', async () => {
    const w = await world();
    await prepareDevices(await w.agent(), order(w, [w.nic]));
    w.tags.clear();
    const { host, paths } = writesOf(await w.agent());
    expect(await prepareDevices(host, order(w, [w.nic]))).toMatchObject([{ netdev: w.netdev }]);
    await releaseDevices(host, CLAIM);
    expect(paths).toEqual([]);
  });

  it('is refused when the host needs it', async () => {
    const w = await world();
    const route = `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n${w.netdev}\t00000000\t01020304\t0003\t0\t0\t0\t00000000\n`;
    await writeFile(join(w.disk.proc, 'net/route'), route);
    const protection = {
      ...{ procRoot: w.disk.proc, kernel: 'simulated' as const },
      ...{ brokerAddress: () => null, deviceSpecs: () => [] },
    };
    const error = await failure(prepareDevices({ ...(await w.agent()), protection }, order(w, [w.nic])));
    expect(error).toMatchObject({ code: 'device.protected', address: w.nic });
  });

  it('is refused where the agent starts virtual machines', async () => {
    const w = await world();
    const agent = await w.agent();
    const host = { ...agent, modeOf: withoutNetdevs(agent.modeOf) };
    const error = await failure(prepareDevices(host, order(w, [w.nic])));
    expect(error).toMatchObject({ code: 'binding.refused', step: 'netdev', address: w.nic });
    w.tags.clear();
    expect(await prepareDevices(host, order(w, [w.nic], SECOND))).toMatchObject([{ driver: 'vfio-pci' }]);
  });

  it('is refused without its own driver', async () => {
    const w = await world();
    await (await w.agent()).write(`bus/pci/devices/${w.nic}/driver/unbind`, w.nic);
    const error = await failure(prepareDevices(await w.agent(), order(w, [w.nic])));
    expect(error).toMatchObject({ code: 'binding.refused', step: 'netdev' });
    expect(error.message).toContain('it has no driver');
  });

  it.each([
    ['a name that is a word for ip', { name: '-all' }],
    ['an address that is none', { mac: 'x; rm' }],
    ['a size that is none', { mtu: -1 }],
  ])('is not taken from a journal with %s', async (_what, damage) => {
    const w = await world();
    await prepareDevices(await w.agent(), order(w, [w.nic]));
    const text = await readFile(join(w.disk.directory, 'state/journal.json'), 'utf8');
    expect(readJournal(text).state?.claims[0]?.devices[0]?.netdev?.name).toBe(w.netdev);
    const journal = JSON.parse(text) as { claims: { devices: { netdev: object }[] }[] };
    Object.assign(journal.claims[0]?.devices[0]?.netdev ?? {}, damage);
    expect(readJournal(JSON.stringify(journal)).problem).toContain('netdev');
  });
});
