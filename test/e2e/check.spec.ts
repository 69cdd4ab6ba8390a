import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PROGRAM } from '../support/berth-process.js';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost } from '../support/hosts.js';
import { eventually } from '../support/rest-client.js';

const GPU_YAML = `agent:
  device_spec:
    - { vendor_id: '10de', product_id: '1bb0' }
pci:
  alias:
    - { name: gpu, vendor_id: '10de', product_id: '1bb0', device_type: type-PCI }
`;

interface Checked {
  readonly exitCode: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

describe('berth check, next to running roles', () => {
  let fleet: Fleet;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: ['gpu-1', 'gpu-2'].map((name) => {
        return { name, tree: charmsGuideHost(name), config: { 'agent.yaml': GPU_YAML } };
      }),
      apiConfig: { 'gpu.yaml': GPU_YAML },
    });
    const [database] = await fleet.sql<{ name: string }>('SELECT current_database() AS name');
    const url = new URL(inject('databaseUrl'));
    url.pathname = `/${database?.name}`;
    env = { PATH: process.env['PATH'], DATABASE_URL: url.href };
  });
  afterAll(() => fleet?.close());

  function check(...words: readonly string[]): Promise<Checked> {
    return new Promise((resolve) => {
      execFile(process.execPath, [PROGRAM, 'check', ...words], { env }, (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr });
      });
    });
  }

  const NOTHING = { exitCode: 0, stdout: '2 hosts, 0 findings, 0 left\n', stderr: '' };

  /** As a ledger that was restored from before the server came. */
  async function forget(serverId: string): Promise<void> {
    await fleet.sql(
      `UPDATE devices SET status = 'available' WHERE id IN (SELECT device_id FROM allocations WHERE server_id = $1)`,
      [serverId],
    );
    for (const table of ['allocations', 'claims', 'decisions', 'server_events', 'server_actions']) {
      await fleet.sql(`DELETE FROM ${table} WHERE server_id = $1`, [serverId]);
    }
    await fleet.sql(`DELETE FROM servers WHERE id = $1`, [serverId]);
    await fleet.sql(
      `UPDATE hosts SET generation = generation + 1, facts_generation = generation + 1, changed_xid = pg_current_xact_id()::text::bigint`,
    );
  }

  /** A server that the ledger has forgotten, and the agent has not. */
  async function placeAndForget(name: string) {
    const { id, status, host, devices } = await fleet.rest.place({ name, devices: 'gpu:2' });
    expect(status, fleet.tails()).toBe('ACTIVE');
    expect(await check(), fleet.tails()).toEqual(NOTHING);
    const agent = fleet.agent(host ?? '');
    const held = devices.map(({ address }) => address);
    expect(agent.bound()).toEqual(held);
    const claimId = agent.claims()[0]?.claimId;
    await forget(id);
    return { agent, held, claimId };
  }

  it('finds a claim that only an agent knows, and has its devices given back to their driver', async () => {
    const native = new Map(fleet.agents.map((one) => [one.name, one.devices()]));
    const kept = await fleet.rest.place({ name: 'kept', devices: 'gpu:1' });
    expect(kept.status, fleet.tails()).toBe('ACTIVE');

    const { agent, held, claimId } = await placeAndForget('ghost');
    const found = await check('--json');
    expect(found.exitCode, `${found.stderr}\n${fleet.tails()}`).toBe(1);
    expect(JSON.parse(found.stdout)).toMatchObject({
      findings: [{ code: 'check.journal_orphan', host: agent.name, claim_id: claimId, outcome: null }],
      left: 1,
      unanswered: [],
    });

    const repaired = await check('--repair', '--host', agent.name);
    expect(repaired, fleet.tails()).toMatchObject({ exitCode: 0, stderr: '' });
    // An agent that is asked for its report in between tells its claims as well, and has the devices back without any check.
    if (!repaired.stdout.startsWith('1 host, 0 findings')) {
      expect(repaired.stdout).toContain(
        `error check.journal_orphan: The agent of ${agent.name} holds ${held.join(', ')}`,
      );
      expect(repaired.stdout).toContain('Begun: The agent is told to give the devices back.');
    }
    await eventually(20_000, async () => expect(agent.bound(), fleet.tails()).toEqual([]));
    await eventually(20_000, async () => expect(agent.claims()).toEqual([]));
    expect(agent.devices()).toEqual(native.get(agent.name));
    expect(await check()).toEqual(NOTHING);
    expect(fleet.agent(kept.host ?? '').bound()).toEqual(kept.devices.map(({ address }) => address));
  });

  it('has nothing to say of an agent that lost its journal: it says what it holds at its start, and is told', async () => {
    const [kept] = await fleet.sql<{ id: string; host: string }>(
      `SELECT s.id, h.name AS host FROM servers s JOIN hosts h ON h.id = s.host_id WHERE s.status = 'ACTIVE'`,
    );
    const agent = fleet.agent(kept?.host ?? '');
    const bound = agent.bound();
    expect(await agent.process.stop()).toBe(0);
    agent.loseJournal();
    await agent.process.start();
    await eventually(20_000, async () => expect(agent.claims(), fleet.tails()).toMatchObject([{ state: 'prepared' }]));
    expect(agent.bound()).toEqual(bound);
    await eventually(20_000, async () => expect(await check(), fleet.tails()).toEqual(NOTHING));
    expect(await fleet.rest.server(kept?.id ?? '')).toMatchObject({ status: 'ACTIVE' });
  });

  it('names hosts whose agents do not answer, and says 2 when it could not look', async () => {
    expect(await fleet.scheduler.stop()).toBe(0);
    expect(await check('--wait', '300ms')).toEqual({
      exitCode: 2,
      stdout: 'Their agents did not tell their journals in time: gpu-1, gpu-2.\n2 hosts, 0 findings, 0 left\n',
      stderr: '',
    });
    expect(await check('--no-journals')).toEqual(NOTHING);
    const wrong = { exitCode: 2, stdout: '' };
    expect(await check('--wait', 'long')).toMatchObject(wrong);
    expect(await check('--limit', '0')).toMatchObject(wrong);
    expect(await check('--host', 'gpu-9')).toMatchObject({
      ...wrong,
      stderr: 'berth: host.unknown: There is no host gpu-9\n',
    });
    expect(await check('--database', 'postgres://127.0.0.1:1/none')).toMatchObject(wrong);
  });
});
