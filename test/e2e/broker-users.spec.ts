import { connect, credentials } from 'amqplib';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { brokerUserText } from '../../src/bus/broker-user-command.js';
import { envelope } from '../../src/messages/envelope.js';
import { AGENTS_EXCHANGE, agentUser } from '../../src/messages/routes.js';
import { TestAuthority, type Certificate } from '../support/certificates.js';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost } from '../support/hosts.js';
import { aReport } from '../support/reports.js';

const CONF = `[pci]
device_spec = {"vendor_id": "10de", "product_id": "1bb0"}
alias = {"vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "name": "gpu"}
`;
const HOSTS = ['gpu-1', 'gpu-2'];

/** Everything as processes: agents log in by certificates as users of their own, and may do no more than they have to. */
describe('a fleet whose agents have users of their own', () => {
  let authority: TestAuthority;
  let fleet: Fleet;
  const certificates = new Map<string, Certificate>();

  beforeAll(async () => {
    authority = await TestAuthority.create();
    for (const host of HOSTS) certificates.set(host, await authority.sign(agentUser(host)));
    const config = { 'nova.conf': CONF };
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: HOSTS.map((name) => ({ name, tree: charmsGuideHost(name), config })),
      apiConfig: config,
      env: { BERTH_BUS_AGENT_USERS: 'per_host' },
      broker: { tls: { ...(await authority.forThisMachine()), caFile: authority.caFile } },
      agentEnv: async (host, rabbitMq) => {
        await rabbitMq.shell(brokerUserText(host, { vhost: '/', external: true }));
        const { certFile, keyFile } = certificates.get(host) as Certificate;
        return {
          ...{ AMQP_URL: rabbitMq.tlsUrl ?? '', BERTH_BUS_AUTH: 'external', BERTH_BUS_TLS_CA_FILE: authority.caFile },
          ...{ BERTH_BUS_TLS_CERT_FILE: certFile, BERTH_BUS_TLS_KEY_FILE: keyFile },
        };
      },
    });
  });
  afterAll(async () => {
    await fleet?.close();
    authority?.remove();
  });

  it('places servers and gives devices back', async () => {
    const { rest } = fleet;
    await rest.createFlavor('one', { 'pci_passthrough:alias': 'gpu:1' });
    const server = await rest.place({ name: 'vm', flavor: 'one' });
    expect(server.status).toBe('ACTIVE');
    const agent = fleet.agent(server.host ?? '');
    expect(agent.bound().length).toBeGreaterThan(0);
    await rest.remove(server.id);
    expect(agent.bound()).toEqual([]);
  });

  it('an agent that starts again is heard with no more than a heartbeat, and one that forges is not', async () => {
    const { process } = fleet.agent('gpu-1');
    await process.stop();
    await process.start();
    const { certFile, keyFile } = certificates.get('gpu-1') as Certificate;
    const model = await connect(fleet.rabbitMq.tlsUrl ?? '', {
      ...{ ca: authority.ca(), credentials: credentials.external() },
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
    });
    const channel = await model.createConfirmChannel();
    const forged = envelope('agent.report', aReport({ host: 'gpu-2', epoch: Date.now() * 2, devices: [] }));
    const properties = { userId: agentUser('gpu-1'), messageId: forged.id };
    channel.publish(AGENTS_EXCHANGE, 'reports.gpu-1', Buffer.from(JSON.stringify(forged)), properties);
    await channel.waitForConfirms();
    await vi.waitFor(
      async () => {
        const ready = await (await fetch(`${fleet.scheduler.url}/readyz`)).json();
        expect(ready).toMatchObject({
          status: 'ready',
          checks: { senders: { ok: false, advisory: true, message: expect.stringContaining('berth.agent.gpu-1') } },
        });
      },
      { timeout: 30_000, interval: 100 },
    );
    const rows = await fleet.sql<{ count: number }>(
      `SELECT count(*)::int FROM devices d JOIN hosts h ON h.id = d.host_id WHERE h.name = 'gpu-2' AND d.missing_since IS NULL`,
    );
    expect(rows[0]?.count).toBeGreaterThan(0);
    expect(fleet.scheduler.log()).toContain('it speaks for a host that its sender is not');
    await model.close();
  });
});
