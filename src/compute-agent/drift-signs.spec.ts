import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PcieLink, ReportedDevice } from '../pci/device.js';
import { DriftSigns, strayedIn } from './drift-signs.js';
import type { ClaimRecord } from './journal-state.js';

const A = '0000:41:00.0';
let stateDir: string;
let now = 0;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'berth-signs-'));
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

const open = (): Promise<DriftSigns> =>
  DriftSigns.open(
    stateDir,
    () => undefined,
    () => now,
  );

function link(currentWidth: number | null, currentSpeed: string | null): PcieLink {
  return { currentWidth, currentSpeed, maxWidth: 16, maxSpeed: '16.0 GT/s PCIe' };
}

function nic(more: Partial<ReportedDevice> = {}): ReportedDevice {
  return {
    ...{ address: A, vendorId: '15b3', productId: 'a2d6', classCode: '020000', subsystemVendorId: null },
    ...{ subsystemProductId: null, revision: null, serialNumber: null, deviceType: 'type-PCI', parentAddress: null },
    ...{ numaNode: 0, driver: 'vfio-pci', iommuGroup: 4, sriov: null, netdevs: [], pciePath: ['pci0000:40'] },
    ...{ acsRedirect: null, link: link(16, '16.0 GT/s PCIe'), resetMethods: [], offer: null, notOffered: null },
    ...more,
  };
}

/** What is told by looks that are a minute apart. */
async function told(signs: DriftSigns, looks: ReportedDevice[], strayed: string[] = [], apart = 60_000) {
  const kinds: (string | null)[] = [];
  for (const device of looks) {
    now += apart;
    const [seen] = await signs.fillIn([device], new Set(strayed));
    kinds.push(seen?.drift?.map(({ kind }) => kind).join() ?? null);
  }
  return kinds;
}

describe('a link', () => {
  it('that has lost lanes or speed is told once that is steady, and until it is well again for as long', async () => {
    const narrow = nic({ link: link(8, '16.0 GT/s PCIe') });
    const slow = nic({ link: link(16, '8.0 GT/s PCIe') });
    const signs = await open();
    expect(await told(signs, [nic(), narrow, narrow, narrow])).toEqual([null, null, 'link_degraded', 'link_degraded']);
    expect(await told(signs, [nic(), nic(), slow, slow])).toEqual(['link_degraded', null, null, 'link_degraded']);
    const [seen] = await signs.fillIn([slow], new Set());
    expect(seen?.drift?.[0]?.reason).toBe('its PCIe link was 16 GT/s x16 at its best, and is less now');
  });

  it('that flickers is never told, nor are looks that follow each other fast', async () => {
    const narrow = nic({ link: link(8, '16.0 GT/s PCIe') });
    const signs = await open();
    expect(new Set(await told(signs, [nic(), narrow, nic(), narrow, nic(), narrow, nic()]))).toEqual(new Set([null]));
    expect(new Set(await told(signs, [narrow, narrow, narrow, narrow], [], 1000))).toEqual(new Set([null]));
  });

  it('of a GPU may slow down at rest, and may not lose lanes', async () => {
    const gpu = (width: number, speed: string): ReportedDevice =>
      nic({ classCode: '030200', link: link(width, speed) });
    const signs = await open();
    const idle = gpu(16, '2.5 GT/s PCIe');
    expect(await told(signs, [gpu(16, '16.0 GT/s PCIe'), idle, idle, idle])).toEqual([null, null, null, null]);
    expect(await told(signs, [gpu(8, '2.5 GT/s PCIe'), gpu(8, '16.0 GT/s PCIe')])).toEqual([null, 'link_degraded']);
  });

  it('that says nothing for a while is as it was', async () => {
    const narrow = nic({ link: link(8, null) });
    const signs = await open();
    expect(await told(signs, [nic(), narrow, narrow, nic({ link: null }), narrow])).toEqual([
      ...[null, null, 'link_degraded', 'link_degraded', 'link_degraded'],
    ]);
  });

  it('is remembered by the next life of the agent, also across a boot that lost lanes', async () => {
    const narrow = nic({ link: link(8, '16.0 GT/s PCIe') });
    await told(await open(), [nic()]);
    expect(await told(await open(), [narrow, narrow])).toEqual([null, 'link_degraded']);
    expect(await told(await open(), [narrow])).toEqual(['link_degraded']);
    await writeFile(join(stateDir, 'links.json'), '[["x", {"best": 7}], 3, null]');
    expect(await told(await open(), [narrow, narrow])).toEqual([null, null]);
  });

  it('is compared with what it was when a card is put back', async () => {
    const signs = await open();
    await told(signs, [nic()]);
    await signs.fillIn([], new Set());
    const narrow = nic({ link: link(8, '16.0 GT/s PCIe') });
    expect(await told(signs, [narrow, narrow])).toEqual([null, 'link_degraded']);
  });

  it('of another card, or in another slot, begins anew', async () => {
    const signs = await open();
    const narrow = link(8, '8.0 GT/s PCIe');
    await told(signs, [nic({ serialNumber: 'S1' })]);
    const other = nic({ serialNumber: 'S2', link: narrow });
    expect(await told(signs, [other, other, other])).toEqual([null, null, null]);
    const moved = nic({ serialNumber: 'S2', link: link(4, null), pciePath: ['pci0000:80'] });
    expect(await told(signs, [moved, moved])).toEqual([null, null]);
  });
});

describe('a driver', () => {
  const nvme = nic({ driver: 'nvme' });

  it('that took a device from its server is told, with its name', async () => {
    const signs = await open();
    expect(await told(signs, [nvme, nvme, nvme], [A])).toEqual([null, 'driver_stolen', 'driver_stolen']);
    const [seen] = await signs.fillIn([nvme], new Set([A]));
    expect(seen?.drift?.[0]?.reason).toBe('its driver is nvme, although a server has it');
    expect(await told(signs, [nic(), nic()])).toEqual(['driver_stolen', null]);
  });

  it('of a device that is with no driver any more is told as that', async () => {
    const bare = nic({ driver: null });
    const signs = await open();
    expect(await told(signs, [bare, bare], [A])).toEqual([null, 'driver_stolen']);
    const [seen] = await signs.fillIn([bare], new Set([A]));
    expect(seen?.drift?.[0]?.reason).toBe('it has no driver, although a server has it');
  });

  it('of a device that no server has is nobody’s business', async () => {
    expect(await told(await open(), [nvme, nvme, nvme])).toEqual([null, null, null]);
  });
});

describe('a device that a server has', () => {
  const record = { vendorId: '8086', productId: '10d3', originalDriver: 'e1000e', originalNetdevs: ['eth0'] };
  const claim = (state: ClaimRecord['state'], address: string, more: object = {}): ClaimRecord => ({
    claimId: 'c',
    serverId: 's',
    state,
    devices: [{ ...record, address, originalOverride: null, ...more }],
  });

  it('has strayed when no driver for guests has it; not on its way, and not a NIC that goes as its interface', () => {
    const netdev = { name: 'eth0', mac: null, mtu: null, isUp: false, parent: null };
    const claims = [
      claim('prepared', '0000:01:00.0'),
      claim('preparing', '0000:02:00.0'),
      claim('releasing', '0000:03:00.0'),
      claim('prepared', '0000:04:00.0', { netdev }),
    ];
    // nothing has a driver below a directory that is empty
    expect([...strayedIn(claims, stateDir)]).toEqual(['0000:01:00.0']);
  });
});
