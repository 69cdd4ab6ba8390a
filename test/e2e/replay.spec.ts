import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PROGRAM } from '../support/berth-process.js';
import { startFleet, type Fleet } from '../support/fleet.js';
import { charmsGuideHost } from '../support/hosts.js';
import { eventually, type ShownServer } from '../support/rest-client.js';

const GPU_YAML = `agent:
  device_spec:
    - { vendor_id: '10de', product_id: '1bb0' }
pci:
  alias:
    - { name: gpu, vendor_id: '10de', product_id: '1bb0', device_type: type-PCI }
`;

interface Replayed {
  readonly exitCode: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

describe('decisions of a scheduler, decided again from the command line', () => {
  let fleet: Fleet;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: ['gpu-1', 'gpu-2'].map((name) => {
        return { name, tree: charmsGuideHost(name), config: { 'agent.yaml': GPU_YAML } };
      }),
      apiConfig: { 'gpu.yaml': GPU_YAML },
      env: { BERTH_SCHEDULER_PREEMPTION: 'true' },
    });
    const [database] = await fleet.sql<{ name: string }>('SELECT current_database() AS name');
    const url = new URL(inject('databaseUrl'));
    url.pathname = `/${database?.name}`;
    env = { PATH: process.env['PATH'], DATABASE_URL: url.href };
  });
  afterAll(() => fleet?.close());

  const replay = (...words: readonly string[]): Promise<Replayed> => berth('replay', ...words);

  function berth(...words: readonly string[]): Promise<Replayed> {
    return new Promise((resolve) => {
      execFile(process.execPath, [PROGRAM, ...words], { env }, (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr });
      });
    });
  }

  const create = async (body: object): Promise<string> => {
    const answer = await fleet.rest.send<ShownServer>('POST', '/v1/servers', body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(202);
    return answer.body.id;
  };

  const becomes = (id: string, status: string): Promise<void> =>
    eventually(30_000, async () => {
      const server = await fleet.rest.get<ShownServer>(`/v1/servers/${id}`);
      expect(server, fleet.tails()).toMatchObject({ status });
    });

  it('are equal to the letter: placed, refused, together, waited, made room for, by two lives of a scheduler', async () => {
    const preemptible = await create({ name: 'spare', devices: 'gpu:2', preemptible: true });
    await becomes(preemptible, 'ACTIVE');
    const together = await create({ name: 'pair', devices: 'gpu:1', min_count: 2, max_count: 2 });
    await becomes(together, 'ACTIVE');
    const refused = await create({ name: 'refused', devices: 'gpu:1' });
    await becomes(refused, 'ERROR');
    const important = await create({ name: 'important', devices: 'gpu:1', priority: 10, wait: true });
    await becomes(important, 'ACTIVE');

    expect(await fleet.scheduler.stop()).toBe(0);
    await fleet.scheduler.start();
    const late = await create({ name: 'late', devices: 'gpu:1' });
    await becomes(late, 'ACTIVE');
    expect(await fleet.scheduler.stop()).toBe(0);

    const all = await replay();
    expect(all).toMatchObject({ exitCode: 0, stderr: '' });
    const [, decisions = '', equal = ''] = /^(\d+) decisions, (\d+) equal, 0 different\n$/.exec(all.stdout) ?? [];
    expect(Number(decisions), all.stdout).toBeGreaterThanOrEqual(7);
    expect(equal).toBe(decisions);

    const one = await replay('--server', refused);
    expect(one.exitCode).toBe(0);
    expect(one.stdout).toMatch(/^Equal: server refused/);
    expect(one.stdout).toMatch(/^ {2}gpu-1: PciPassthroughFilter: .*in use/m);
    expect(one.stdout).toMatch(/^ {2}gpu-2: PciPassthroughFilter: .*in use/m);

    // what the schedulers sealed meanwhile is whole, and tells of the server
    const audit = await berth('audit', 'verify', '--json');
    expect(audit).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(audit.stdout)).toMatchObject({ broken: null });
    const trail = await berth('audit', 'show', '--server', preemptible);
    expect(trail.stdout).toMatch(
      /claimed → allocated \(allocate, server .*takes the place of .*allocated → available/s,
    );

    const before = await replay('--to', '2020-01-01T00:00:00Z', '--json');
    expect(before.exitCode).toBe(2);
    expect(JSON.parse(before.stdout)).toMatchObject({ decisions: 0, different: [], gaps: [] });

    expect(await replay('--from', 'yesterday')).toMatchObject({
      exitCode: 2,
      stderr: 'berth: request.invalid: --from: write a time as 2026-01-31T12:00:00Z\n',
    });
  });
});
