import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { expect, it } from 'vitest';
import { Deciding } from '../../src/batches/deciding.js';
import { DecisionRecorder } from '../../src/batches/decision-recorder.js';
import { type PlacementOrder, Placing } from '../../src/batches/placing.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { Ledger } from '../../src/store/ledger.js';
import { releasePlacements } from '../../src/store/placement-releases.store.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { randomNumbers } from '../support/random.js';
import { aReport } from '../support/reports.js';
import {
  agentsAnswer,
  ask,
  gpu,
  hostWithGpus,
  onScheduledLedger,
  remove,
  scheduler,
  SETTINGS,
} from '../support/scheduler-world.js';
import { aRequest } from '../support/snapshots.js';

let source: DataSource;
let ledger: Ledger;
onScheduledLedger((opened) => ({ source, ledger } = opened));

const HOSTS = ['a', 'b', 'c'];
const JOURNAL = { keepHours: 0, baseIntervalMs: 1000 };

function placing(): Placing {
  const cache = new SnapshotCache(source);
  const settings = { ...SETTINGS, journal: JOURNAL };
  return new Placing(new Deciding(ledger, cache, settings, new DecisionRecorder(ledger, cache, JOURNAL)));
}

function anOrder(key: string, count = 1): PlacementOrder {
  const request = aRequest([gpu(count)], { serverName: key });
  return { id: randomUUID(), name: key, request, kind: `gpu:${count}`, placement: { key, hash: 'same', flavor: null } };
}

async function report(host: string, count: number, sequence: number): Promise<void> {
  const devices = Array.from({ length: count }, (_unused, index) => ({
    address: `0000:8${index}:00.0`,
    ids: '10de:1bb0',
  }));
  await source.transaction((tx) => absorbReport(tx, aReport({ host, sequence, devices })));
}

/** What changed bit by bit is what is there when all is read. */
async function expectSame(followed: SnapshotCache): Promise<void> {
  await followed.refresh();
  const fresh = new SnapshotCache(source);
  await fresh.refresh();
  expect(JSON.parse(JSON.stringify(followed.list()))).toEqual(JSON.parse(JSON.stringify(fresh.list())));
}

it('a view that follows the ledger step by step is the view of who reads all of it', async () => {
  const random = randomNumbers(7);
  for (const host of HOSTS) await hostWithGpus(host, 4);
  const followed = new SnapshotCache(source);
  const [service, native] = [scheduler(), placing()];
  const servers: string[] = [];
  const placements: string[] = [];
  let sequence = 1;
  const steps = [
    async () => {
      const id = await ask(`vm-${servers.length}`, { gpus: 1 });
      servers.push(id);
      await service.schedule(id);
    },
    async () => {
      const orders = [1, 1, 2].map((count) => anOrder(randomUUID(), count));
      const answers = await Promise.all(orders.map((order) => native.place(order)));
      orders.forEach(({ id }, index) => answers[index]?.outcome === 'placed' && placements.push(id));
    },
    async () => agentsAnswer(),
    async () => {
      const id = servers.pop();
      if (id) await remove(id);
    },
    async () => {
      await source.transaction((tx) => releasePlacements(tx, placements.splice(0, 2)));
      await agentsAnswer();
    },
    // devices come, go, and vanish while they are in use
    async () => report(HOSTS[random(3)] ?? 'a', 3 + random(2), ++sequence),
  ];
  for (let step = 0; step < 60; step++) {
    await steps[random(steps.length)]?.();
    await expectSame(followed);
  }
});

it('outcomes that come together are each taken as if they came alone', async () => {
  await hostWithGpus('a', 4);
  const native = placing();
  const orders = ['one', 'two', 'three'].map((key) => anOrder(key));
  await Promise.all(orders.map((order) => native.place(order)));
  const rows = (await source.query(`SELECT id, server_id FROM claims ORDER BY created_at`)) as {
    id: string;
    server_id: string;
  }[];
  const [host] = (await source.query(`SELECT name AS host, epoch FROM hosts`)) as [{ host: string; epoch: number }];
  const claims = new ClaimsService(ledger, { ...SETTINGS, attemptsMax: 3 });
  const outcome = (claim: { id: string; server_id: string }) => ({
    ...host,
    claim_id: claim.id,
    server_id: claim.server_id,
  });
  const [first, second, third] = rows as [(typeof rows)[0], (typeof rows)[0], (typeof rows)[0]];
  const failure = { code: 'binding.failed', message: 'EBUSY', address: null, step: 'unbind', errno: 'EBUSY' };
  await Promise.all([
    claims.take({ prepared: { ...outcome(first), bindings: [] } }),
    claims.take({ prepared: { ...outcome(first), bindings: [] } }),
    claims.take({ prepared: { ...outcome(second), bindings: [] } }),
    claims.take({ prepare_failed: { ...outcome(third), ...failure } }),
    claims.take({ released: { ...outcome({ id: randomUUID(), server_id: randomUUID() }), devices: [] } }),
  ]);
  const states = (await source.query(
    `SELECT s.status, c.status AS claim FROM servers s JOIN claims c ON c.server_id = s.id ORDER BY c.created_at, c.id`,
  )) as { status: string; claim: string }[];
  expect(states.filter(({ claim }) => claim === 'allocated')).toHaveLength(2);
  // a placement never moves: its orchestrator was told where it is
  expect(states.filter(({ claim }) => claim === 'released')).toEqual([{ status: 'ERROR', claim: 'released' }]);
});
