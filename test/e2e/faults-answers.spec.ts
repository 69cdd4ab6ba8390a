import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConfirmChannel } from 'amqplib';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { encodeEnvelope, envelope, type Envelope } from '../../src/messages/envelope.js';
import { QUEUES } from '../../src/messages/routes.js';
import { startFleet, type Fleet } from '../support/fleet.js';
import { aReport } from '../support/reports.js';
import { eventually } from '../support/rest-client.js';

const ALIASES = `[pci]
alias = {"vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "name": "gpu"}
`;
const EPOCH = 1_700_000_000_000;
const SILENT_AFTER_MS = 4_000;

interface ClaimRow {
  readonly id: string;
  readonly status: string;
  readonly host: string;
}

/** The test is the agents of these hosts: it says what real ones say only after a crash at a bad moment. */
describe('answers of agents at the wrong time', () => {
  let fleet: Fleet;
  let serverId: string;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: [],
      apiConfig: { 'nova.conf': ALIASES },
      env: {
        BERTH_SCHEDULER_CLAIM_TIMEOUT_MS: '2000',
        BERTH_SCHEDULER_SWEEP_INTERVAL_MS: '100',
        BERTH_SCHEDULER_HOST_SILENT_AFTER_MS: String(SILENT_AFTER_MS),
      },
    });
    for (const host of ['node-1', 'node-2']) {
      const devices = [{ address: '0000:83:00.0', ids: '10de:1bb0' }];
      await tell(QUEUES.reports, envelope('agent.report', aReport({ host, epoch: EPOCH, devices })));
    }
    await eventually(10_000, async () => expect(await statusesOfHosts()).toEqual(['up', 'up']));
  });
  afterAll(() => fleet?.close());

  it('"prepare failed" of a claim that expired long ago leaves the next claim alone', async () => {
    serverId = await fleet.rest.createServer({ name: 'vm', devices: 'gpu:1' });
    const [first, second] = await eventually(15_000, async () => {
      const claims = await claimsOf(serverId);
      expect(claims.map((claim) => claim.status)).toEqual(['releasing', 'claimed']);
      return claims as [ClaimRow, ClaimRow];
    });
    await tell(QUEUES.outcomes, failed(first));
    await tell(QUEUES.outcomes, prepared(second));
    const server = await fleet.rest.whenSettled(serverId);
    expect(server).toMatchObject({ status: 'ACTIVE', host: second.host, fault: null });
    expect((await claimsOf(serverId)).map((claim) => claim.status)).toEqual(['releasing', 'allocated']);
    await tell(QUEUES.outcomes, released(first));
    await eventually(5_000, async () => expect((await claimsOf(serverId))[0]?.status).toBe('released'));
  });

  it('"prepare failed" after "prepared" ends the server with the reason, and the devices come back', async () => {
    const claim = (await claimsOf(serverId))[1] as ClaimRow;
    await tell(QUEUES.outcomes, failed(claim));
    await eventually(5_000, async () => expect((await fleet.rest.server(serverId)).status).toBe('ERROR'));
    const { fault, devices } = await fleet.rest.server(serverId);
    expect(fault).toMatchObject({ code: 'device.missing', message: expect.stringContaining('it is gone') });
    expect(devices).toMatchObject([{ address: '0000:83:00.0' }]); // taken until the agent has given it back
    await tell(QUEUES.outcomes, released(claim));
    await eventually(5_000, async () => {
      expect((await claimsOf(serverId)).map(({ status }) => status)).toEqual(['released', 'released']);
      expect(await fleet.rest.devices('status=available')).toHaveLength(2);
    });
    await fleet.rest.remove(serverId);
  });

  it('a host is not silent because the broker was away', async () => {
    for (const host of ['node-1', 'node-2']) {
      const devices = [{ address: '0000:83:00.0', ids: '10de:1bb0' }];
      const report = aReport({ host, epoch: EPOCH, sequence: 2, devices });
      await tell(QUEUES.reports, envelope('agent.report', report));
    }
    await eventually(10_000, async () => expect(await statusesOfHosts()).toEqual(['up', 'up']));
    await fleet.rabbitMq.kill9();
    await sleep(SILENT_AFTER_MS + 1_000);
    expect(await statusesOfHosts()).toEqual(['up', 'up']);
    await fleet.rabbitMq.restart();
    await eventually(SILENT_AFTER_MS + 15_000, async () => expect(await statusesOfHosts()).toEqual(['down', 'down']));
  });

  async function tell(queue: string, message: Envelope): Promise<void> {
    const connection = await connect(fleet.rabbitMq.url);
    const channel: ConfirmChannel = await connection.createConfirmChannel();
    channel.sendToQueue(queue, encodeEnvelope(message, 1024 * 1024), { persistent: true });
    await channel.waitForConfirms();
    await connection.close();
  }

  function claimsOf(id: string): Promise<ClaimRow[]> {
    return fleet.sql<ClaimRow>(
      `SELECT c.id, c.status, h.name AS host FROM claims c JOIN hosts h ON h.id = c.host_id
        WHERE c.server_id = $1 ORDER BY c.attempt`,
      [id],
    );
  }

  async function statusesOfHosts(): Promise<string[]> {
    return (await fleet.rest.get<{ hosts: { status: string }[] }>('/v1/hosts')).hosts.map((host) => host.status);
  }

  function signature({ id, host }: ClaimRow) {
    return { host, epoch: EPOCH, claim_id: id, server_id: serverId };
  }

  function prepared(claim: ClaimRow): Envelope {
    const binding = { address: '0000:83:00.0', driver: 'vfio-pci', original_driver: null, iommu_group: 0 };
    return envelope('devices.prepared', { ...signature(claim), bindings: [binding] });
  }

  function failed(claim: ClaimRow): Envelope {
    return envelope('devices.prepare_failed', {
      ...signature(claim),
      code: 'device.missing',
      message: '0000:83:00.0: it is gone',
      address: '0000:83:00.0',
      step: 'check',
      errno: null,
    });
  }

  function released(claim: ClaimRow): Envelope {
    const device = { address: '0000:83:00.0', outcome: 'restored' as const, driver: null };
    return envelope('devices.released', { ...signature(claim), devices: [device] });
  }
});
