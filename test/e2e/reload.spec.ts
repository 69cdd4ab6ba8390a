import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { startFleet, type Fleet, type FleetAgent } from '../support/fleet.js';
import { charmsGuideHost } from '../support/hosts.js';
import { eventually, type ShownDevice } from '../support/rest-client.js';

const PATIENCE_MS = 20_000;
const A = '0000:83:00.0';
const B = '0000:84:00.0';

const whitelist = (...addresses: string[]): string =>
  `agent:\n  device_spec:${addresses.length === 0 ? ' []\n' : '\n'}${addresses.map((address) => `    - { address: '${address}' }\n`).join('')}`;

const aliases = (...lines: string[]): string =>
  `pci:\n  alias:\n${lines.map((line) => `    - { ${line} }\n`).join('')}`;
const GPU = "name: gpu, vendor_id: '10de', product_id: '1bb0', device_type: type-PCI";

interface ShownConfiguration {
  readonly loaded_at: string;
  readonly problem: string | null;
  readonly needs_restart: readonly string[];
}

interface Ready {
  readonly status: string;
  readonly checks: Readonly<Record<string, { ok: boolean; message?: string }>>;
}

describe('the configuration changes while everything runs', () => {
  let fleet: Fleet;
  let agent: FleetAgent;
  let file: string;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: [{ name: 'gpu-1', tree: charmsGuideHost('gpu-1'), config: { 'agent.yaml': whitelist(A, B) } }],
      apiConfig: { 'api.yaml': aliases(GPU) },
    });
    agent = fleet.agent('gpu-1');
    file = join(agent.configDir, 'agent.yaml');
  });
  afterAll(() => fleet?.close());

  const devices = async (): Promise<Record<string, ShownDevice & { not_offered: string | null }>> => {
    const shown = (await fleet.rest.devices('host=gpu-1')) as (ShownDevice & { not_offered: string | null })[];
    return Object.fromEntries(shown.map((device) => [device.address, device]));
  };
  const configuration = async (): Promise<ShownConfiguration> =>
    (await fleet.rest.get<{ configuration: ShownConfiguration }>('/v1/hosts/gpu-1')).configuration;
  const ready = async (url = agent.process.url): Promise<Ready> =>
    (await (await fetch(`${url}/readyz`)).json()) as Ready;
  const offered = async (): Promise<string[]> =>
    Object.values(await devices())
      .filter((device) => device.offered)
      .map(({ address }) => address);

  /** As an editor saves it. */
  const save = async (text: string, path = file): Promise<void> => {
    await writeFile(`${path}~`, text);
    await rename(`${path}~`, path);
  };

  describe('the whitelist', () => {
    beforeEach(async () => {
      const { loaded_at: before } = await configuration();
      await save(whitelist(A, B));
      await eventually(PATIENCE_MS, async () => {
        const { loaded_at, problem } = await configuration();
        expect({ problem, later: loaded_at > before }, fleet.tails()).toEqual({ problem: null, later: true });
        expect(await offered()).toEqual([A, B]);
      });
    });

    it('without a device in use drains that: its server keeps it, and it goes back to its driver, not offered', async () => {
      const before = agent.devices()[A];
      const server = await fleet.rest.place({ name: 'vm', devices: 'gpu:1' });
      expect(server, fleet.tails()).toMatchObject({ status: 'ACTIVE', devices: [{ address: A }] });
      const life = (await fleet.sql<{ epoch: number }>('SELECT epoch FROM hosts'))[0]?.epoch;

      await save(whitelist());
      await eventually(PATIENCE_MS, async () => {
        expect((await devices())[A], fleet.tails()).toMatchObject({
          status: 'allocated',
          offered: false,
          owner: { server_id: server.id },
          driver: 'vfio-pci',
          not_offered: expect.stringMatching(/^no longer offered: .*; drained when server vm releases it$/),
        });
      });
      expect(await fleet.rest.server(server.id)).toMatchObject({ status: 'ACTIVE', devices: [{ address: A }] });
      expect(agent.bound()).toEqual([A]);
      const refused = await fleet.rest.place({ name: 'late', devices: 'gpu:1' });
      expect(refused).toMatchObject({ status: 'ERROR', fault: { code: 'placement.no_valid_host' } });
      await fleet.rest.remove(refused.id);

      await fleet.rest.remove(server.id);
      expect(agent.devices()[A]).toEqual(before);
      await eventually(PATIENCE_MS, async () => {
        expect((await devices())[A]).toMatchObject({
          status: 'available',
          offered: false,
          owner: null,
          driver: before?.driver,
        });
      });
      expect(await fleet.rest.dryRun({ name: 'later', devices: 'gpu:1' })).toMatchObject({ outcome: 'rejected' });
      expect((await fleet.sql<{ epoch: number }>('SELECT epoch FROM hosts'))[0]?.epoch).toBe(life);
    });

    it('that is bad changes nothing; the problem is shown, and the agent stays ready', async () => {
      const good = await configuration();
      await save(`agent:\n  device_spec:\n    - { addres: '${A}' }\n    - { vendor_id: 'zz' }\n`);
      await eventually(PATIENCE_MS, async () => {
        const { problem, loaded_at } = await configuration();
        expect(problem?.split('\n'), fleet.tails()).toEqual([
          expect.stringContaining('agent.yaml:3: '),
          expect.stringContaining('agent.yaml:4: '),
        ]);
        expect(loaded_at).toBe(good.loaded_at);
      });
      const { status, checks } = await ready();
      expect(status).toBe('ready');
      expect(checks['configuration']).toMatchObject({
        ok: false,
        message: expect.stringContaining(`what was read at ${good.loaded_at} stays in force`),
      });
      expect(await offered()).toEqual([A, B]);
      const server = await fleet.rest.place({ name: 'vm', devices: 'gpu:1' });
      expect(server).toMatchObject({ status: 'ACTIVE', host: 'gpu-1' });
      await fleet.rest.remove(server.id);
      const told = agent.process
        .log()
        .split('\n')
        .filter((line) => line.includes('Configuration not taken over'));
      expect(told).toHaveLength(1);
    });

    it('is read at SIGHUP, and by a request to the centre', async () => {
      const { loaded_at: first } = await configuration();
      agent.process.signal('SIGHUP');
      const second = await eventually(PATIENCE_MS, async () => {
        const { loaded_at } = await configuration();
        expect(Date.parse(loaded_at)).toBeGreaterThan(Date.parse(first));
        return loaded_at;
      });
      const answer = await fleet.rest.send<{ configuration: ShownConfiguration }>('POST', '/v1/hosts/gpu-1/reload');
      expect(answer).toMatchObject({ status: 202, body: { name: 'gpu-1', configuration: { loaded_at: second } } });
      await eventually(PATIENCE_MS, async () => {
        expect(Date.parse((await configuration()).loaded_at)).toBeGreaterThan(Date.parse(second));
      });
      expect(agent.process.isRunning()).toBe(true);
      const log = agent.process.log();
      for (const cause of ['file', 'signal', 'command']) expect(log).toContain(`"cause":"${cause}"`);
    });

    it('is taken over without the rest, which is named', async () => {
      await save(`${whitelist(B)}  scan_interval_ms: 1234\nlog_level: debug\n`);
      await eventually(PATIENCE_MS, async () => expect(await offered()).toEqual([B]));
      // BERTH_AGENT_SCAN_INTERVAL_MS is above the file: nothing of that has changed
      expect((await configuration()).needs_restart).toEqual([]);
      await save(`${whitelist(B)}  resources:\n    vcpus: 3\n`);
      await eventually(PATIENCE_MS, async () => {
        expect((await configuration()).needs_restart).toEqual(['agent.resources.vcpus']);
      });
      expect((await ready()).checks['configuration']).toEqual({
        ok: true,
        message: 'a restart is needed for agent.resources.vcpus',
      });
    });
  });

  it('a host that is not there cannot be told', async () => {
    const answer = await fleet.rest.send('POST', '/v1/hosts/gpu-2/reload');
    expect(answer).toMatchObject({ status: 404, body: { code: 'host.unknown' } });
  });

  describe('aliases', () => {
    const api = (): string => join(fleet.apiConfigDir, 'api.yaml');
    const names = async (): Promise<string[]> => {
      const page = await fleet.rest.get<{ aliases: { name: string }[] }>('/v1/aliases');
      return page.aliases.map(({ name }) => name);
    };

    it('follow their file, SIGHUP, and a request', async () => {
      await save(aliases(GPU, "name: audio, vendor_id: '10de', product_id: '10f0', device_type: type-PCI"), api());
      await eventually(PATIENCE_MS, async () => expect(await names(), fleet.tails()).toEqual(['audio', 'gpu']));
      await save(
        aliases(`${GPU}, numa_policy: required`, "name: any, vendor_id: '10de', device_type: type-PCI"),
        api(),
      );
      const { status, body } = await fleet.rest.send<Record<string, unknown>>('POST', '/v1/aliases/reload');
      expect({ status, body }, fleet.tails()).toMatchObject({
        status: 200,
        body: { added: ['any'], changed: ['gpu'], removed: ['audio'], behind: [], needs_restart: [] },
      });
      expect(await names()).toEqual(['any', 'gpu']);
      await save(aliases(GPU), api());
      fleet.api.signal('SIGHUP');
      await eventually(PATIENCE_MS, async () => expect(await names()).toEqual(['gpu']));
    });

    it('of a bad file are refused with every problem, and the old ones stay', async () => {
      await save(aliases("name: gpu, vendor: '10de'", "name: other, device_type: type-VFF, vendor_id: '8086'"), api());
      const answer = await fleet.rest.send<{ code: string; errors: { field: string }[] }>('POST', '/v1/aliases/reload');
      expect(answer).toMatchObject({ status: 409, body: { code: 'configuration.not_taken' } });
      const lines = new Set(answer.body.errors.map(({ field }) => field.split(':').at(-1)));
      expect([...lines]).toEqual(['3', '4']);
      expect(await names()).toEqual(['gpu']);
      expect(await ready(fleet.api.url)).toMatchObject({ status: 'ready', checks: { configuration: { ok: false } } });
      await save(aliases(GPU), api());
      expect((await fleet.rest.send('POST', '/v1/aliases/reload')).status).toBe(200);
      expect(await ready(fleet.api.url)).toMatchObject({ status: 'ready', checks: { configuration: { ok: true } } });
    });

    it('of a file that has one of REST’s are refused as a whole', async () => {
      const mine = { name: 'mine', vendor_id: '10de', device_type: 'type-PCI' };
      expect((await fleet.rest.send('POST', '/v1/aliases', mine)).status).toBe(201);
      const doubled = aliases(
        GPU,
        "name: more, vendor_id: '8086', device_type: type-PCI",
        "name: mine, vendor_id: '8086', device_type: type-PCI",
      );
      await save(doubled, api());
      const answer = await fleet.rest.send<{ detail: string }>('POST', '/v1/aliases/reload');
      expect(answer).toMatchObject({ status: 409, body: { detail: expect.stringContaining('alias mine') } });
      expect(await names()).toEqual(['gpu', 'mine']);
      expect((await fleet.rest.send('DELETE', '/v1/aliases/mine')).status).toBe(204);
      expect(await fleet.rest.send('POST', '/v1/aliases/reload')).toMatchObject({
        status: 200,
        body: { added: ['mine', 'more'] },
      });
    });
  });

  it('the scheduler says what it would have to be started again for', async () => {
    const { checks } = await ready(fleet.scheduler.url);
    expect(checks['configuration']).toEqual({ ok: true });
    fleet.scheduler.signal('SIGHUP');
    await eventually(PATIENCE_MS, async () => expect(fleet.scheduler.log()).toContain('Configuration read again'));
    expect(fleet.scheduler.isRunning()).toBe(true);
  });
});
