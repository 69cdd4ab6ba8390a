import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { DataSource } from 'typeorm';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { applyPlacement } from '../../src/placement/apply-placement.js';
import type { Decision } from '../../src/placement/decision.js';
import { place } from '../../src/placement/place.js';
import type { DeviceRequest } from '../../src/placement/request.js';
import { commitDecisions, readWaitingServers } from '../../src/store/claims.store.js';
import { ledgerDataSource } from '../../src/store/database.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { aReport } from '../support/reports.js';
import { aRequest, POLICY, wants } from '../support/snapshots.js';

let database: TestDatabase;
let source: DataSource;
let cache: SnapshotCache;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
  source = ledgerDataSource(database.url, 4);
  await source.initialize();
  cache = new SnapshotCache(source);
  await reportHost('a');
  await reportHost('b');
  await cache.refresh();
});
afterAll(async () => {
  await source.destroy();
  await database.drop();
});

const GPU = '10de:1bb0';
const LINK = { current_speed: '2.5 GT/s PCIe', max_speed: '8.0 GT/s PCIe', current_width: 16, max_width: 16 };

/** Two GPUs with their audio functions; the second one's is not offered. */
async function reportHost(host: string): Promise<void> {
  const more: Readonly<Record<string, Partial<WireDevice>>> = {
    '0000:83:00.0': { link: LINK, subsystem_vendor_id: '10de', subsystem_product_id: '11b2' },
    '0000:84:00.0': { link: { ...LINK, current_width: 8 } },
    '0000:84:00.1': { offer: null, not_offered: 'no device_spec entry matches' },
  };
  const slots = ['83', '84'].flatMap((bus) => [
    { address: `0000:${bus}:00.0`, ids: GPU },
    { address: `0000:${bus}:00.1`, ids: '10de:10f0' },
  ]);
  const report = aReport({ host, devices: slots });
  const devices = report.devices.map((device) => ({
    ...device,
    pcie_path: ['pci0000:80', `0000:80:0${device.address.slice(6, 7)}.0`],
    ...more[device.address],
  }));
  await source.transaction((tx) => absorbReport(tx, { ...report, devices }));
}

async function decide(device: DeviceRequest): Promise<Decision> {
  const id = randomUUID();
  const request = aRequest([device], { serverName: 'vm' });
  await source.query(
    `INSERT INTO servers (id, name, project_id, status, task_state, request) VALUES ($1, 'vm', 'default', 'BUILD', 'scheduling', $2)`,
    [id, JSON.stringify(request)],
  );
  await cache.refresh();
  const [server] = await readWaitingServers(source.manager, [id]);
  if (!server) throw new Error('the server does not wait');
  const decision = place({ hosts: cache.list(), policy: POLICY }, server.request, []);
  await source.transaction((tx) => commitDecisions(tx, [{ server, decision }], 60_000));
  const host = decision.outcome === 'placed' ? cache.get(decision.hostId) : undefined;
  if (host && decision.outcome === 'placed') {
    cache.put(applyPlacement(host, decision, server.request, { serverId: id, serverName: 'vm' }));
  }
  return decision;
}

describe('the snapshot of what hosts reported', () => {
  it('knows slots and cards, and what selectors look at; equal hosts share it', () => {
    const [a, b] = cache.list();
    expect(a?.devices.map(({ address }) => address)).toEqual(['0000:83:00.0', '0000:83:00.1', '0000:84:00.0']);
    expect(a?.groups.slot.get('0000:83:00.0')).toEqual({
      members: ['0000:83:00.0', '0000:83:00.1'],
      blockedBy: null,
    });
    expect(a?.groups.card.get('0000:84:00.0')?.blockedBy).toMatch('0000:84:00.1, which is not offered');
    expect(a?.devices[0]?.attributes).toMatchObject({ linkWidth: 16, maxLinkSpeedGts: 8, subsystemProductId: '11b2' });
    expect(a?.devices[0]?.attributes).toBe(b?.devices[0]?.attributes);
  });

  it('a selected slot is committed whole, and nobody gets a part of it', async () => {
    const selector = 'device.link_width >= 16 && device.subsystem_product_id == "11b2"';
    const full = wants('gpu-full', 1, GPU, { group: 'slot', selector });
    const placed = ['0000:83:00.0', '0000:83:00.1'].map((address) => ({ address }));
    expect(await decide(full)).toMatchObject({ outcome: 'placed', hostName: 'a', devices: placed });
    expect(await decide(full)).toMatchObject({ outcome: 'placed', hostName: 'b', devices: placed });
    const owned = (await source.query(
      `SELECT d.address, a.alias, a.request_index FROM allocations a JOIN devices d ON d.id = a.device_id
        ORDER BY d.host_id, d.address`,
    )) as unknown[];
    expect(owned).toEqual(
      ['a', 'b'].flatMap(() => [
        { address: '0000:83:00.0', alias: 'gpu-full', request_index: 0 },
        { address: '0000:83:00.1', alias: null, request_index: null },
      ]),
    );
    expect(await decide(full)).toMatchObject({
      outcome: 'rejected',
      rejections: [
        {
          hostCount: 2,
          reasons: [
            {
              message:
                '1 device of alias gpu-full: 1 whole slot wanted, 0 free; 1 in use; ' +
                'selector: device.link_width >= 16 is false for 1 device: link_width is 8',
            },
          ],
        },
      ],
    });
    expect(await decide(wants('audio', 1, '10de:10f0'))).toMatchObject({ outcome: 'rejected' });
  });
});
