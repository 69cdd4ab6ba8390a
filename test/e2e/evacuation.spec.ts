import { connect } from 'amqplib';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { envelope, type Envelope } from '../../src/messages/envelope.js';
import { agentQueue, QUEUES } from '../../src/messages/routes.js';
import { PROGRAM } from '../support/berth-process.js';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost } from '../support/hosts.js';
import { run } from '../support/processes.js';
import { eventually } from '../support/rest-client.js';

const CONF = `[pci]
device_spec = {"vendor_id": "10de", "product_id": "1bb0"}
alias = {"vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "name": "gpu"}
`;
const WISH = { vcpus: 1, ram_mb: 64, devices: 'gpu:1' };

interface Progress {
  readonly done: boolean;
  readonly releasing: number;
  readonly servers: readonly { readonly name: string; readonly progress: string; readonly to: string | null }[];
}

describe('an agent that is frozen, declared down, evacuated, and wakes', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    const config = { 'nova.conf': CONF };
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: ['old', 'new'].map((name) => ({ name, tree: charmsGuideHost(name), config })),
      apiConfig: config,
      env: { BERTH_SCHEDULER_CLAIM_TIMEOUT_MS: '5000', BERTH_SCHEDULER_HOST_SILENT_AFTER_MS: '6000' },
    });
  });
  afterAll(() => fleet?.close());

  it('its servers run elsewhere, no device has two owners, and its devices are free again in the end', async () => {
    const { rest } = fleet;
    const old = fleet.agent('old');
    await enable('new', false);
    const running = await rest.place({ name: 'running', ...WISH });
    expect(running).toMatchObject({ status: 'ACTIVE', host: 'old' });
    old.process.signal('SIGSTOP');
    const caught = await rest.createServer({ name: 'caught', ...WISH });
    await eventually(10_000, async () => expect(await rest.server(caught)).toMatchObject({ task_state: 'preparing' }));
    await enable('new', true);
    // it expires while its command lies before an agent that does not move
    expect(await rest.whenSettled(caught)).toMatchObject({ status: 'ACTIVE', host: 'new' });
    await eventually(30_000, async () => expect(await hostStatus('old')).toBe('down'));

    const { stdout } = await berth('host', 'evacuate', 'old', '--reason', 'it hangs');
    expect(stdout).toMatch(/1 server of host old:[\s\S]*running/);
    await eventually(30_000, async () => {
      expect(await rest.server(running.id)).toMatchObject({ status: 'ACTIVE', host: 'new' });
    });
    expect(await free('old')).toEqual([]);
    expect(await progress()).toMatchObject({ done: false, releasing: 2, servers: [{ progress: 'moved', to: 'new' }] });
    expect((await rest.send('DELETE', '/v1/hosts/new')).status).toBe(409);

    old.process.signal('SIGCONT');
    await eventually(60_000, async () => expect((await free('old')).length).toBe(2));
    expect(await berth('host', 'evacuate', 'old', '--wait', '--timeout', '30')).toMatchObject({
      stdout: expect.stringMatching(/: done/),
    });
    await eventually(30_000, async () => expect(old.claims()).toEqual([]));
    expect(old.bound()).toEqual([]);
    for (const id of [running.id, caught]) {
      expect(await rest.server(id)).toMatchObject({ status: 'ACTIVE', host: 'new' });
    }
    expect(await doubleOwners()).toEqual([]);
    expect(fleet.agent('new').bound()).toHaveLength(2);
  });

  it('what is asked wrongly is refused with the field', async () => {
    const { rest } = fleet;
    const evacuate = (host: string, body: object) =>
      rest.send<{ code: string; detail: string }>('POST', `/v1/hosts/${host}/evacuate`, body);
    const strange = randomUUID();
    const elsewhere = await evacuate('new', { server_ids: [strange] });
    expect([elsewhere.status, elsewhere.body.detail]).toEqual([400, `server_ids: ${strange} is not on this host`]);
    expect((await evacuate('new', { server_ids: [] })).status).toBe(400);
    expect((await evacuate('new', { force: 'yes', whatever: 1 })).status).toBe(400);
    expect((await evacuate('nobody', {})).body.code).toBe('host.unknown');
    expect((await rest.send('GET', '/v1/hosts/nobody/evacuation')).status).toBe(404);
    expect((await rest.send('DELETE', '/v1/hosts/nobody')).status).toBe(404);
    expect(await rest.get('/v1/hosts/new')).toMatchObject({ enabled: true });
  });

  it('late commands and outcomes do nothing', async () => {
    const old = fleet.agent('old');
    const [before] = await fleet.sql<{ id: string; server_id: string }>(
      `SELECT c.id, c.server_id FROM claims c JOIN hosts h ON h.id = c.host_id WHERE h.name = 'old' LIMIT 1`,
    );
    const [address = ''] = Object.keys(old.devices()).filter((name) => name === '0000:83:00.0');
    const devices = [{ address, vendor_id: '10de', product_id: '1bb0' }];
    const released = { claim_id: before?.id ?? '', server_id: before?.server_id ?? '' };
    const strange = {
      claim_id: randomUUID(),
      server_id: released.server_id,
      incarnation: randomUUID(),
      claim_number: 1,
    };
    await send(agentQueue('old'), envelope('devices.prepare', { ...released, devices }));
    await send(agentQueue('old'), envelope('devices.prepare', { ...strange, devices }));
    const [there] = await fleet.sql<{ id: string; server_id: string }>(
      `SELECT id, server_id FROM claims WHERE status = 'allocated' LIMIT 1`,
    );
    const former = { host: 'new', epoch: 1, claim_id: there?.id ?? '', server_id: there?.server_id ?? '' };
    const failed = { code: 'binding.failed', message: 'x', address: null, step: null, errno: null };
    await send(QUEUES.outcomes, envelope('devices.prepare_failed', { ...former, ...failed }));
    await send(QUEUES.outcomes, envelope('devices.released', { ...former, devices: [] }));
    await eventually(10_000, async () => {
      expect(old.process.log().match(/Devices could not be prepared/g)?.length ?? 0).toBeGreaterThanOrEqual(2);
    });
    expect(old.bound()).toEqual([]);
    expect(await fleet.rest.server(former.server_id)).toMatchObject({ status: 'ACTIVE', host: 'new' });
    expect(fleet.agent('new').bound()).toHaveLength(2);
  });

  it('a host that is gone is forgotten, and known anew when its agent speaks again', async () => {
    const { rest } = fleet;
    const { status, body } = await rest.send<{ code: string }>('DELETE', '/v1/hosts/old');
    expect([status, body.code]).toEqual([409, 'host.in_use']);
    await fleet.agent('old').process.stop();
    await eventually(30_000, async () => expect(await hostStatus('old')).toBe('down'));
    expect((await berth('host', 'delete', 'old')).stdout).toBe('');
    expect((await rest.send('GET', '/v1/hosts/old')).status).toBe(404);
    expect(await rest.dryRun({ name: 'x', ...WISH })).toMatchObject({ outcome: 'rejected' });
    await fleet.agent('old').process.start();
    await eventually(30_000, async () => expect(await hostStatus('old')).toBe('up'));
    expect(await rest.place({ name: 'again', ...WISH })).toMatchObject({ status: 'ACTIVE', host: 'old' });
  });

  const enable = (host: string, enabled: boolean) => fleet.rest.send('PATCH', `/v1/hosts/${host}`, { enabled });
  const progress = () => fleet.rest.get<Progress>('/v1/hosts/old/evacuation');
  const berth = (...words: string[]) => run(process.execPath, [PROGRAM, ...words, '--url', fleet.api.url]);

  async function hostStatus(host: string): Promise<string> {
    return (await fleet.rest.get<{ status: string }>(`/v1/hosts/${host}`)).status;
  }

  async function free(host: string): Promise<string[]> {
    const devices = await fleet.rest.devices(`host=${host}`);
    return devices.filter(({ status, offered }) => offered && status === 'available').map(({ address }) => address);
  }

  function doubleOwners(): Promise<unknown[]> {
    return fleet.sql(
      `SELECT device_id FROM allocations WHERE released_at IS NULL GROUP BY device_id HAVING count(*) > 1`,
    );
  }

  async function send(queue: string, message: Envelope): Promise<void> {
    const connection = await connect(fleet.rabbitMq.url);
    const channel = await connection.createConfirmChannel();
    channel.sendToQueue(queue, Buffer.from(JSON.stringify(message)));
    await channel.waitForConfirms();
    await connection.close();
  }
});
