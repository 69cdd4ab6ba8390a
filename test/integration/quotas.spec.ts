import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/store/ledger.js';
import { askToAttach } from '../../src/store/attach.store.js';
import { readProjectUsage } from '../../src/store/quotas.store.js';
import { applyPlacement } from '../../src/placement/apply-placement.js';
import { place } from '../../src/placement/place.js';
import { commitDecisions, type DecidedServer, readWaitingServers } from '../../src/store/claims.store.js';
import { readHosts } from '../../src/store/snapshot.store.js';
import { randomNumbers } from '../support/random.js';
import { POLICY } from '../support/snapshots.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import {
  agentsAnswer,
  ask,
  askTogether,
  events,
  gpu,
  hostWithGpus,
  onScheduledLedger,
  remove,
  scheduler,
  SETTINGS,
  show,
  states,
} from '../support/scheduler-world.js';

let source: DataSource;
let ledger: Ledger;

onScheduledLedger((opened) => {
  ({ source, ledger } = opened);
});

async function limit(projectId: string, resource: string, hardLimit: number): Promise<void> {
  await source.query(
    `INSERT INTO quotas (project_id, resource, hard_limit) VALUES ($1, $2, $3)
     ON CONFLICT (project_id, resource) DO UPDATE SET hard_limit = EXCLUDED.hard_limit`,
    [projectId, resource, hardLimit],
  );
}

async function used(projectId = 'default'): Promise<Record<string, number>> {
  return Object.fromEntries(await readProjectUsage(source.manager, projectId));
}

const placed = async (ids: readonly string[]): Promise<number> =>
  (await states(ids)).filter((state) => state !== 'ERROR').length;

const CLASS = 'class:10de:1bb0';

describe('what is counted', () => {
  it('is what a project holds, by resource, alias and class', async () => {
    await hostWithGpus('node-1', 3);
    const own = scheduler();
    await own.schedule(await ask('vm', { gpus: 2, vcpus: 3, diskGb: 7 }));
    expect(await used()).toEqual({
      ...{ servers: 1, vcpus: 3, memory_mb: 512, disk_gb: 7, devices: 2, 'alias:gpu': 2 },
      ...{ [CLASS]: 2, 'class:CUSTOM_PCI_10DE_1BB0': 2 },
    });
    expect(await used('other')).toEqual({});
  });

  it('counts a companion as a device and for its class, for no alias', async () => {
    await hostWithGpus('node-1', 2);
    await source.query(`UPDATE devices SET iommu_group = 1, facts = jsonb_set(facts, '{iommu_group}', '1')`);
    const own = scheduler();
    await limit('default', 'devices', 1);
    const refused = await ask('vm');
    await own.schedule(refused);
    expect((await show(refused)).fault).toMatchObject({
      code: 'quota.exceeded',
      message: 'Project default is at its quota of devices: the limit is 1, 0 used, 2 more wanted.',
    });
    await limit('default', 'devices', 2);
    await limit('default', 'alias:gpu', 1);
    const id = await ask('vm');
    await own.schedule(id);
    expect(await states([id])).toEqual(['BUILD preparing']);
    expect(await used()).toMatchObject({ devices: 2, [CLASS]: 2, 'alias:gpu': 1 });
  });

  it.each([
    ['servers', 2],
    ['vcpus', 2],
    ['memory_mb', 1024 + 511],
    ['devices', 2],
    ['alias:gpu', 2],
    [CLASS, 2],
    ['class:CUSTOM_PCI_10DE_1BB0', 2],
  ])('%s: a third server is one too many', async (resource, hardLimit) => {
    await hostWithGpus('node-1', 5);
    await limit('default', resource, hardLimit);
    const ids = [await ask('a'), await ask('b'), await ask('c')];
    const own = scheduler();
    for (const id of ids) await own.schedule(id);
    expect(await states(ids)).toEqual(['BUILD preparing', 'BUILD preparing', 'ERROR']);
    const { fault } = await show(ids[2] ?? '');
    expect(fault).toMatchObject({ code: 'quota.exceeded', details: { resource, limit: hardLimit } });
  });

  it('a class by the name that the offer gives it', async () => {
    await hostWithGpus('node-1', 3);
    await source.query(`UPDATE devices SET facts = jsonb_set(facts, '{offer,resource_class}', '"CUSTOM_GPU"')`);
    await limit('default', 'class:CUSTOM_GPU', 1);
    await limit('default', 'class:CUSTOM_PCI_10DE_1BB0', 0); // nothing is of the default class any more
    const ids = [await ask('a'), await ask('b')];
    for (const id of ids) await scheduler().schedule(id);
    expect(await states(ids)).toEqual(['BUILD preparing', 'ERROR']);
  });

  it('holds while devices are given back, and not for what ended in ERROR or is deleted', async () => {
    await hostWithGpus('node-1', 4);
    await limit('default', 'alias:gpu', 1);
    const own = scheduler();
    const hopeless = await ask('too-big', { gpus: 9 });
    await own.schedule(hopeless);
    const first = await ask('first');
    await own.schedule(first);
    await agentsAnswer();
    await source.query(`UPDATE servers SET status = 'DELETING', task_state = 'releasing' WHERE id = $1`, [first]);
    await new ClaimsService(ledger, SETTINGS).serverDeleted(first);
    expect(await used()).toMatchObject({ 'alias:gpu': 1, servers: 1 });
    const early = await ask('early');
    await own.schedule(early);
    expect(await states([hopeless, early])).toEqual(['ERROR', 'ERROR']);
    await agentsAnswer(); // the devices are given back
    expect(await used()).toEqual({});
    const late = await ask('late');
    await own.schedule(late);
    expect(await states([late])).toEqual(['BUILD preparing']);
    await remove(late);
    expect(await used()).toEqual({});
  });

  it('counts a server once that is tried elsewhere while its first host is silent', async () => {
    await hostWithGpus('node-1', 1);
    await limit('default', 'alias:gpu', 1);
    const own = scheduler();
    const id = await ask('vm');
    await own.schedule(id);
    await hostWithGpus('node-2', 1);
    const [claim] = await source.query<{ id: string }[]>(`SELECT id FROM claims`);
    await new ClaimsService(ledger, SETTINGS).expire(claim?.id ?? '');
    expect(await used()).toMatchObject({ 'alias:gpu': 1 }); // node-1 has not given it back yet
    const other = await ask('other', { projectId: 'default' });
    await own.schedule(other);
    expect((await show(other)).fault?.code).toBe('quota.exceeded');
    await own.schedule(id);
    expect((await show(id)).host).toBe('node-2');
    expect(await used()).toMatchObject({ servers: 1, devices: 1, 'alias:gpu': 1 });
    expect(await source.query(`SELECT 1 FROM claims WHERE status <> 'released'`)).toHaveLength(2);
  });
});

describe('limits', () => {
  it('the default is of every project, its own comes before it, and -1 lifts it', async () => {
    await hostWithGpus('node-1', 8);
    await limit('*', 'alias:gpu', 1);
    await limit('two', 'alias:gpu', 2);
    await limit('free', 'alias:gpu', -1);
    const ask3 = (projectId: string) => Promise.all([1, 2, 3].map((n) => ask(`${projectId}-${n}`, { projectId })));
    const projects = await Promise.all(['one', 'two', 'free'].map(ask3));
    const own = scheduler();
    await Promise.all(projects.flat().map((id) => own.schedule(id))); // one batch
    expect(await Promise.all(projects.map(placed))).toEqual([1, 2, 3]);
  });

  it('0 is none, and what nobody asks for locks nothing', async () => {
    await hostWithGpus('node-1', 2);
    await limit('default', 'alias:gpu', 0);
    await limit('default', 'alias:nic', 0);
    await limit('other', 'alias:nic', 0);
    const [id, other] = [await ask('vm'), await ask('vm', { projectId: 'other' })];
    await scheduler().schedule(id);
    await scheduler().schedule(other);
    expect(await states([id, other])).toEqual(['ERROR', 'BUILD preparing']);
  });

  it('one that is put below what is in use takes nothing away, and lets nothing more come', async () => {
    await hostWithGpus('node-1', 4);
    const own = scheduler();
    const first = await ask('vm', { gpus: 3 });
    await own.schedule(first);
    await agentsAnswer();
    await limit('default', 'alias:gpu', 1);
    const next = await ask('next');
    await own.schedule(next);
    expect(await states([first, next])).toEqual(['ACTIVE', 'ERROR']);
    expect((await show(next)).fault?.message).toContain('the limit is 1, 3 used, 1 more wanted');
  });
});

describe('in a batch', () => {
  it('who is over the quota takes nothing from who comes after it', async () => {
    await hostWithGpus('node-1', 1);
    await limit('poor', 'devices', 0);
    const ids = [await ask('a', { projectId: 'poor', priority: 9 }), await ask('b', { projectId: 'rich' })];
    const own = scheduler({ batchDelayMs: 50 });
    await Promise.all(ids.map((id) => own.schedule(id)));
    expect(await states(ids)).toEqual(['ERROR', 'BUILD preparing']);
  });

  it('a smaller server may have what a larger one may not', async () => {
    await hostWithGpus('node-1', 8);
    await limit('default', 'alias:gpu', 4);
    const ids = [await ask('a', { gpus: 3 }), await ask('b', { gpus: 2 }), await ask('c', { gpus: 1 })];
    const own = scheduler({ batchDelayMs: 50 });
    await Promise.all(ids.map((id) => own.schedule(id)));
    expect(await states(ids)).toEqual(['BUILD preparing', 'ERROR', 'BUILD preparing']);
  });

  it('of servers of one call as many are placed as fit, or none when these are too few', async () => {
    await hostWithGpus('node-1', 9);
    await limit('default', 'alias:gpu', 3);
    const whole = await askTogether(4, 4);
    const own = scheduler();
    await own.schedule(whole[0] ?? '');
    expect(await states(whole)).toEqual(Array(4).fill('ERROR'));
    for (const id of whole) expect((await show(id)).fault?.code).toBe('quota.exceeded');
    expect(await source.query(`SELECT 1 FROM claims`)).toEqual([]);
    const part = await askTogether(4, 2);
    await own.schedule(part[0] ?? '');
    expect(await states(part)).toEqual([...Array<string>(3).fill('BUILD preparing'), 'ERROR']);
    expect(await source.query(`SELECT 1 FROM servers WHERE gang_min IS NOT NULL AND status = 'BUILD'`)).toEqual([]);
  });

  it('who waits goes on waiting, and is placed when the quota has room', async () => {
    await hostWithGpus('node-1', 3);
    await limit('default', 'alias:gpu', 1);
    const own = scheduler();
    const first = await ask('first');
    await own.schedule(first);
    await agentsAnswer();
    const waiting = await ask('waiting', { wait: true });
    await own.schedule(waiting);
    await own.lookAtQueue();
    expect(await states([waiting])).toEqual(['BUILD waiting']);
    expect((await show(waiting)).fault?.code).toBe('quota.exceeded');
    await remove(first);
    await own.lookAtQueue();
    expect(await states([waiting])).toEqual(['BUILD preparing']);
  });

  it('nobody is sent away for a server that may not have the room', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler({ preemption: true });
    const victim = await ask('victim', { preemptible: true });
    await own.schedule(victim);
    await agentsAnswer();
    await limit('poor', 'alias:gpu', 0);
    const id = await ask('important', { projectId: 'poor', priority: 9 });
    await own.schedule(id);
    expect(await states([victim, id])).toEqual(['ACTIVE', 'ERROR']);
    expect((await show(id)).fault?.code).toBe('quota.exceeded');
  });

  it('no host is kept for a server that may not have it', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler({ queue: { max: 10, ageingPerMinute: 1, patienceMs: 0 } });
    const tenant = await ask('tenant');
    await own.schedule(tenant);
    await agentsAnswer();
    const keptFor = async (projectId: string): Promise<unknown> => {
      const id = await ask('waiting', { projectId, wait: true });
      await own.schedule(id);
      await source.query(`UPDATE servers SET queued_at = now() - interval '1 hour' WHERE id = $1`, [id]);
      await own.schedule(id);
      const [row] = await source.query<{ host: string | null }[]>(
        `SELECT nominated_host_id AS host FROM servers WHERE id = $1`,
        [id],
      );
      expect(await states([id])).toEqual(['BUILD waiting']);
      return row?.host;
    };
    await limit('poor', 'alias:gpu', 0);
    expect(await keptFor('poor')).toBeNull();
    expect(await keptFor('rich')).toEqual(expect.any(String));
  });

  it('the decision that is kept names the quota', async () => {
    await hostWithGpus('node-1', 1);
    await limit('default', 'alias:gpu', 0);
    const id = await ask('vm');
    await scheduler().schedule(id);
    const [row] = await source.query<{ outcome: string; record: object }[]>(
      `SELECT outcome, record FROM decisions WHERE server_id = $1`,
      [id],
    );
    expect(row).toMatchObject({
      outcome: 'rejected',
      record: {
        rejections: [
          {
            filter: 'Quota',
            reasons: [{ code: 'quota.exceeded', details: { resource: 'alias:gpu', limit: 0, used: 0, wanted: 1 } }],
          },
        ],
      },
    });
  });
});

describe('devices that come to a running server', () => {
  it('count beside what it has, and are refused above the limit', async () => {
    await hostWithGpus('node-1', 4);
    await limit('default', 'alias:gpu', 2);
    await limit('default', 'servers', 1);
    const own = scheduler();
    const id = await ask('vm');
    await own.schedule(id);
    await agentsAnswer();
    const attach = async (): Promise<void> => {
      await source.transaction((tx) => askToAttach(tx, id, [gpu(1)]));
      await own.schedule(id);
      await agentsAnswer();
    };
    await attach();
    expect(await used()).toMatchObject({ 'alias:gpu': 2, servers: 1, vcpus: 1 });
    await attach();
    expect(await states([id])).toEqual(['ACTIVE']);
    expect((await events(id)).at(-1)).toBe('attach_refused');
    expect(await used()).toMatchObject({ 'alias:gpu': 2 });
  });
});

describe('races', () => {
  it('of many schedulers reach each limit exactly, for several projects at once', async () => {
    for (let host = 0; host < 12; host++) await hostWithGpus(`node-${host}`, 6);
    const limits = { a: 7, b: 4, c: 11 };
    for (const [project, devices] of Object.entries(limits)) await limit(project, 'alias:gpu', devices);
    await limit('*', 'servers', 5);
    await limit('a', 'servers', -1);
    await limit('c', 'servers', -1);
    const asked = await Promise.all(
      ['a', 'b', 'c', 'd'].flatMap((projectId) =>
        Array.from({ length: 14 }, (_unused, n) => ask(`${projectId}-${n}`, { projectId })),
      ),
    );
    const schedulers = [scheduler(), scheduler(), scheduler({ batchSizeMax: 3 })];
    await Promise.all(asked.map((id, index) => schedulers[index % 3]?.schedule(id)));
    const count = async (project: string): Promise<number> => (await used(project))['alias:gpu'] ?? 0;
    expect(await Promise.all(['a', 'b', 'c', 'd'].map(count))).toEqual([7, 4, 11, 5]);
    const faults = await source.query<{ code: string }[]>(
      `SELECT DISTINCT fault ->> 'code' AS code FROM servers WHERE status = 'ERROR'`,
    );
    expect(faults).toEqual([{ code: 'quota.exceeded' }]);
  }, 60_000);

  it('of transactions that share no host go above no limit, and leave nothing unused', async () => {
    const random = randomNumbers(16);
    for (let round = 0; round < 6; round++) {
      const projects = ['a', 'b', 'c'].map((name) => ({ name: `${name}${round}`, limit: random(12) }));
      for (const { name, limit: most } of projects) await limit(name, 'devices', most);
      const batches = Array.from({ length: 12 }, (_unused, batch) =>
        Array.from({ length: 1 + random(4) }, (_one, n) => ({
          name: `${round}-${batch}-${n}`,
          projectId: projects[random(3)]?.name ?? '',
        })),
      );
      const decided = await Promise.all(batches.map((servers, batch) => onHost(`node-${round}-${batch}`, servers)));
      const results = await Promise.all(
        decided.map((batch) => source.transaction((tx) => commitDecisions(tx, batch, 60_000))),
      );
      expect(results.flatMap(({ conflicts }) => conflicts)).toEqual([]);
      for (const { name, limit: most } of projects) {
        const wanted = batches.flat().filter(({ projectId }) => projectId === name).length;
        expect((await used(name))['devices'] ?? 0).toBe(Math.min(most, wanted));
      }
    }
  }, 60_000);

  it('of attachments to servers on different hosts are no way around it', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) {
      const batch = await onHost(`node-${n}`, [{ name: `vm-${n}`, projectId: 'default' }], 2);
      await source.transaction((tx) => commitDecisions(tx, batch, 60_000));
      ids.push(batch[0]?.server.id ?? '');
    }
    await agentsAnswer();
    await limit('default', 'alias:gpu', 8);
    for (const id of ids) await source.transaction((tx) => askToAttach(tx, id, [gpu(1)]));
    await Promise.all(ids.map((id) => scheduler().schedule(id)));
    expect(await used()).toMatchObject({ 'alias:gpu': 8 });
    await agentsAnswer();
    expect(await states(ids)).toEqual(Array(6).fill('ACTIVE'));
  });
});

/** Servers that are decided on for a host of their own. */
async function onHost(
  host: string,
  servers: readonly { readonly name: string; readonly projectId: string }[],
  gpus = servers.length,
): Promise<DecidedServer[]> {
  await hostWithGpus(host, gpus);
  const ids = await Promise.all(servers.map(({ name, projectId }) => ask(name, { projectId })));
  const [row] = await source.query<{ id: string }[]>(`SELECT id FROM hosts WHERE name = $1`, [host]);
  let [snapshot] = await readHosts(source.manager, [row?.id ?? '']);
  return (await readWaitingServers(source.manager, ids)).map((server) => {
    if (!snapshot) throw new Error(`no host ${host}`);
    const decision = place({ hosts: [snapshot], policy: POLICY }, server.request, []);
    if (decision.outcome === 'rejected') throw new Error(decision.message);
    const owner = { serverId: server.id, serverName: server.name };
    snapshot = applyPlacement(snapshot, decision, server.request, owner);
    return { server, decision };
  });
}
