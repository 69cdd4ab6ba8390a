import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Decision } from '../../src/placement/decision.js';
import type { ExplanationView } from '../../src/api/servers/explanation.dto.js';
import { place } from '../../src/placement/place.js';
import type { PlacementRequest } from '../../src/placement/request.js';
import { berth, type Ended } from '../support/cli.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';
import { aHost, POLICY } from '../support/snapshots.js';

const GPUS = ['0000:83:00.0', '0000:84:00.0'];

/** What a project must not see in any answer. */
const SECRETS = ['secret', ...GPUS];

describe('why a server is where it is, over REST', () => {
  let api: RestApi;
  let hosts: { id: string; deviceIds: string[] }[];
  let others: string[];
  let refused: string;
  let placed: string;

  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    await api.http
      .post('/v1/aliases')
      .send({ name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' })
      .expect(201);
    const devices = GPUS.map((address, at) => wireDevice({ address, iommu_group: 25 + at }));
    hosts = [
      await insertHost(api, { name: 'secret-host-1', devices }),
      await insertHost(api, { name: 'secret-host-2', devices: devices.slice(0, 1) }),
    ];
    others = [await newServer('secret-training-1'), await newServer('secret-training-2')];
    for (const [at, serverId] of others.entries()) {
      const { id: hostId, deviceIds } = hosts[at] as (typeof hosts)[number];
      const [id] = deviceIds as [string];
      await insertAllocations(api, { serverId, hostId, active: true, devices: [{ id, alias: 'gpu' }] });
    }
    refused = await newServer('wanted', 'gpu:2');
    await record(refused, place({ hosts: hostsNow(), policy: POLICY }, await requestOf(refused), []));
    placed = await newServer('lucky', 'gpu:1');
    const decision = place({ hosts: hostsNow(), policy: POLICY }, await requestOf(placed), []);
    await record(placed, decision);
  });
  afterAll(() => api?.close());

  async function newServer(name: string, devices?: string): Promise<string> {
    const body = { name, vcpus: 1, ...(devices !== undefined && { devices }) };
    return ((await api.http.post('/v1/servers').send(body).expect(202)).body as { id: string }).id;
  }

  async function requestOf(id: string): Promise<PlacementRequest> {
    const [row] = await api.sql<{ request: PlacementRequest }>('SELECT request FROM servers WHERE id = $1', [id]);
    return row?.request as PlacementRequest;
  }

  /** The two hosts, and one that is free of GPUs and of everything else. */
  function hostsNow(): ReturnType<typeof aHost>[] {
    const by = (at: number) =>
      ({
        status: 'allocated',
        owner: { serverId: others[at] as string, serverName: `secret-training-${at + 1}` },
      }) as const;
    const [first = '', second = ''] = GPUS;
    const device = (host: number, at: number): { id: string } => ({ id: hosts[host]?.deviceIds[at] ?? '' });
    return [
      aHost('secret-host-1', [
        { address: first, ...device(0, 0), ...by(0) },
        { address: second, ...device(0, 1) },
      ]),
      aHost('secret-host-2', [{ address: first, ...device(1, 0), ...by(1) }]),
      aHost('secret-host-3', [], { enabled: false, disabledReason: 'waits for the secret customer' }),
    ];
  }

  async function record(id: string, decision: Decision): Promise<void> {
    await api.sql(
      `INSERT INTO decisions (id, server_id, attempt, outcome, host_id, record)
       VALUES (gen_random_uuid(), $1, 1, $2, NULL, $3)`,
      [id, decision.outcome, JSON.stringify(decision)],
    );
  }

  async function explain(id: string, query = ''): Promise<ExplanationView> {
    return (await api.http.get(`/v1/servers/${id}/explanation${query}`).expect(200)).body as ExplanationView;
  }

  it('tells an administrator who has the devices, host by host, and what would help', async () => {
    const answer = await explain(refused);
    expect(answer).toMatchObject({ outcome: 'rejected', host: null, view: 'admin', hosts_considered: 3 });
    expect(answer.filters).toEqual([
      { filter: 'PciPassthroughFilter', host_count: 2 },
      { filter: 'ComputeFilter', host_count: 1 },
    ]);
    const messages = answer.rejections.flatMap(({ reasons }) => reasons.map(({ message }) => message));
    expect(messages.toSorted()).toEqual([
      '1 device of alias gpu, in use by secret-training-2',
      '2 devices of alias gpu: 2 wanted, 1 free; 1 in use by secret-training-1',
      'the host is disabled: waits for the secret customer',
    ]);
    const changes = answer.changes;
    expect(changes).toMatchObject({ fits_now: false, complete: true });
    expect(changes?.changes.map(({ steps }) => steps.map(({ sentence }) => sentence))).toEqual([
      ['ask for 1 instead of 2 of alias gpu'],
      [expect.stringMatching(/^delete server secret-training-1 or move it away from host secret-host-1 \(1 device,/)],
      [expect.stringMatching(/^add one host like secret-host-1 \(64 CPUs, 2 × 10de:1bb0\)$/)],
    ]);
    expect(answer.sentences.at(-1)).toMatch(/^As of 2.*Z it would fit with this change: ask for 1 instead of 2/);
  });

  it('tells why the winner won', async () => {
    const answer = await explain(placed);
    expect(answer).toMatchObject({ outcome: 'placed', host: 'secret-host-1', changes: null });
    expect(answer.scores).toMatchObject([{ rank: 1, host: 'secret-host-1', delta: 0, decided_by: null }]);
    expect(answer.sentences[0]).toBe('lucky was placed on host secret-host-1: 1 of 3 hosts could serve.');
  });

  it('tells a project counts, classes, and what it can do itself; and nothing of others', async () => {
    const [held] = hosts[0]?.deviceIds.slice(1) ?? [];
    const ids = [...others, ...hosts.flatMap((host) => [host.id, ...host.deviceIds])];
    const answers = [
      await explain(refused, '?view=project'),
      await explain(placed, '?view=project'),
      ...(await Promise.all(
        [refused, placed].map(async (id) => (await api.http.get(`/v1/servers/${id}/decisions?view=project`)).body),
      )),
      ...(await Promise.all(
        ['gpu:1', 'gpu:2', 'gpu:9'].map(async (devices) => {
          const path = '/v1/placements/dry-run?view=project&changes=true';
          return (await api.http.post(path).send({ devices, vcpus: 1, copies: 3 }).expect(200)).body;
        }),
      )),
    ];
    expect(held).toBeDefined();
    for (const answer of answers) {
      for (const secret of [...SECRETS, ...ids]) expect(JSON.stringify(answer)).not.toContain(secret);
    }
    expect(answers[0]).toMatchObject({
      filters: [{ host_count: 2 }, { host_count: 1 }],
      changes: { changes: [{ steps: [{ kind: 'fewer_devices', about: 'request' }], host: null }] },
    });
    const safe = (answers[0] as ExplanationView).rejections.flatMap(({ reasons }) => reasons);
    expect(safe).toContainEqual(
      expect.objectContaining({
        message: '2 devices of alias gpu: 2 wanted, 1 free; 1 in use',
        details: expect.objectContaining({ classes: [expect.objectContaining({ total: 2, free: 1, in_use: 1 })] }),
      }),
    );
  });

  it("shows a project its own devices' addresses", async () => {
    const own = { id: hosts[0]?.deviceIds[1] ?? '', alias: 'gpu' };
    const hostId = hosts[0]?.id ?? '';
    await insertAllocations(api, { serverId: placed, hostId, active: true, devices: [own] });
    const { body } = await api.http.get(`/v1/servers/${placed}/decisions?view=project`).expect(200);
    expect(body.decisions[0]).toMatchObject({ host: null, devices: [{ address: GPUS[1], device_id: own.id }] });
  });

  it('cuts names out of records that were made before they had a place of their own', async () => {
    const old = await newServer('old');
    const details = { devices: [{ address: GPUS[0], server_id: others[0] }] };
    const reasons = [
      { code: 'device.all_in_use', message: '1 device of alias gpu, allocated to secret-training-1', details },
    ];
    const disabled = [{ code: 'host.disabled', message: 'the host is disabled: secret', details: {} }];
    const rejections = [
      { filter: 'PciPassthroughFilter', hosts: ['secret-host-1'], hostCount: 1, reasons },
      { filter: 'ComputeFilter', hosts: ['secret-host-2'], hostCount: 1, reasons: disabled },
    ];
    const message = 'No valid host: allocated to secret-training-1';
    await record(old, { outcome: 'rejected', message, rejections, hostsConsidered: 2 });
    const answer = await explain(old, '?view=project&changes=false');
    expect(answer.rejections.flatMap(({ reasons }) => reasons)).toEqual([
      { code: 'device.all_in_use', message: 'device.all_in_use', details: {}, named: [] },
      { code: 'host.disabled', message: 'the host is disabled', details: {}, named: [] },
    ]);
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  it('says so when nothing was decided, and refuses what it does not know', async () => {
    const waiting = await newServer('waiting');
    expect(await explain(waiting)).toMatchObject({ outcome: null, changes: null, sentences: [expect.any(String)] });
    await api.http.get(`/v1/servers/${waiting}/explanation?view=tenant`).expect(400);
    await api.http.get('/v1/servers/00000000-0000-4000-8000-000000000000/explanation').expect(404);
  });

  describe('berth explain', () => {
    const run = (...words: string[]): Promise<Ended> =>
      berth(['explain', ...words], { BERTH_URL: new URL(api.http.get('/').url).origin });

    it('finds the server by name, says why it is nowhere and what would help', async () => {
      const { code, stdout, stderr } = await run('wanted');
      expect([code, stderr]).toEqual([1, '']);
      expect(stdout).toMatch(/^wanted \(.*\) is BUILD: NO VALID HOST\.\n3 hosts looked at, attempt 1, /);
      expect(stdout).toContain('1 device of alias gpu, in use by secret-training-2');
      expect(stdout).toMatch(/^ {2}1\. ask for 1 instead of 2 of alias gpu/m);
    });

    it('leaves names out for a project, and prints the answer of the REST face as JSON', async () => {
      expect((await run(refused, '--view', 'project')).stdout).not.toMatch(/secret|0000:8/);
      const { code, stdout } = await run(placed, '-f', 'json', '--no-changes');
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual(await explain(placed, '?changes=false'));
    });

    it.each<[string[], string]>([
      [['nobody'], 'server.unknown: no server is named "nobody"'],
      [['00000000-0000-4000-8000-000000000000'], 'There is no server with the id 00000000-0000-4000-8000-000000000000'],
    ])('says what it cannot find: %j', async (words, problem) => {
      const { code, stderr } = await run(...words);
      expect(code).toBe(2);
      expect(stderr).toContain(problem);
    });
  });
});
