import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { expect, it } from 'vitest';
import { checkQuotas, type QuotaWish } from '../../src/store/quotas.store.js';
import { onLedger } from '../support/ledger.js';
import { type Random, randomNumbers } from '../support/random.js';

let source: DataSource;

onLedger((opened) => {
  source = opened;
});

const PROJECTS = ['a', 'b', 'c'];
const RESOURCES = ['servers', 'vcpus', 'devices', 'alias:gpu', 'alias:nic'];

type Table = Record<string, Record<string, number>>;

/** Claims that are there already, written straight into the ledger: a count of vCPUs each, no devices. */
async function holdings(
  random: Random,
): Promise<{ used: Table; giving: { id: string; project: string; vcpus: number }[] }> {
  const used: Table = {};
  const giving = [];
  const hostId = randomUUID();
  await source.query(
    `INSERT INTO hosts (id, name, status, epoch, report_sequence, report_hash, last_seen_at, vcpus, memory_mb, disk_gb,
                        numa_cells, kernel_kind, read_only, agent_version)
     VALUES ($1, 'node-1', 'up', 1, 1, '', now(), 64, 1, 1, '[]', 'live', false, '0')`,
    [hostId],
  );
  for (let n = random(8); n > 0; n--) {
    const [id, project, vcpus] = [randomUUID(), PROJECTS[random(3)] ?? '', random(4)];
    const [status, counts] = (
      [
        ['allocated', 1],
        ['claimed', 1],
        ['releasing', 1],
        ['released', 0],
      ] as const
    )[random(4)] ?? ['claimed', 1];
    await source.query(
      `INSERT INTO servers (id, name, project_id, status, request) VALUES ($1, 'held', $2, 'BUILD', '{"devices":[]}')`,
      [id, project],
    );
    await source.query(
      `INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb)
       VALUES (gen_random_uuid(), $1, $2, 1, $3, $4, 0, 0)`,
      [id, hostId, status, vcpus],
    );
    const amounts = (used[project] ??= {});
    amounts['servers'] = (amounts['servers'] ?? 0) + counts;
    amounts['vcpus'] = (amounts['vcpus'] ?? 0) + counts * vcpus;
    if (status === 'releasing') giving.push({ id, project, vcpus });
  }
  return { used, giving };
}

async function limits(random: Random): Promise<Table> {
  const table: Table = {};
  for (const project of [...PROJECTS, '*']) {
    for (const resource of RESOURCES) {
      if (random(3) > 0) continue;
      const most = random(10) - 1;
      (table[project] ??= {})[resource] = most;
      await source.query(`INSERT INTO quotas (project_id, resource, hard_limit) VALUES ($1, $2, $3)`, [
        ...[project, resource, most],
      ]);
    }
  }
  return table;
}

function wishes(random: Random, giving: readonly { id: string; project: string }[]): QuotaWish[] {
  const batch: QuotaWish[] = [];
  const again = [...giving];
  for (let left = 1 + random(8); left > 0; left--) {
    const members = random(3) === 0 ? 2 + random(3) : 1;
    const returning = members === 1 ? again.pop() : undefined;
    const gang = members === 1 ? null : { id: randomUUID(), countMin: 1 + random(members) };
    const projectId = returning?.project ?? PROJECTS[random(3)] ?? '';
    const takes = random(8) > 0;
    for (let n = 0; n < members; n++) {
      const [gpus, nics] = [random(4), random(3)];
      batch.push({
        ...{ serverId: returning?.id ?? randomUUID(), projectId, gang, deviceIds: [] },
        ...{ kind: returning === undefined && random(4) === 0 ? 'attach' : 'server', takes: gang !== null || takes },
        amounts: new Map([
          ['servers', 1],
          ['vcpus', random(3)],
          ['devices', gpus + nics],
          ['alias:gpu', gpus],
          ['alias:nic', nics],
        ]),
      });
    }
  }
  return batch;
}

/** The rule once more, as plainly as it can be said. */
function refusedBy(
  batch: readonly QuotaWish[],
  most: Table,
  before: Table,
  giving: readonly { id: string; vcpus: number }[],
): string[] {
  let used = structuredClone(before);
  const refused: string[] = [];
  const limitOf = (project: string, resource: string): number => {
    const limit = most[project]?.[resource] ?? most['*']?.[resource] ?? -1;
    return limit === -1 ? Infinity : limit;
  };
  for (let at = 0; at < batch.length;) {
    const gang = batch[at]?.gang ?? null;
    const together = batch.filter((wish, index) => (gang === null ? index === at : wish.gang === gang));
    const tried = structuredClone(used);
    const out: string[] = [];
    for (const wish of together) {
      const has = (tried[wish.projectId] ??= {});
      const own = giving.find(({ id }) => id === wish.serverId);
      const freed: Record<string, number> = own && wish.kind === 'server' ? { servers: 1, vcpus: own.vcpus } : {};
      const after = Object.fromEntries(
        RESOURCES.map((name) => [name, (has[name] ?? 0) - (freed[name] ?? 0) + (wish.amounts.get(name) ?? 0)]),
      );
      const tooMuch = RESOURCES.some(
        (name) => (wish.amounts.get(name) ?? 0) > 0 && (after[name] ?? 0) > limitOf(wish.projectId, name),
      );
      if (tooMuch) out.push(wish.serverId);
      else if (wish.takes) tried[wish.projectId] = after;
    }
    if (gang && together.length - out.length < gang.countMin) refused.push(...together.map(({ serverId }) => serverId));
    else {
      refused.push(...out);
      used = tried;
    }
    at += together.length;
  }
  return refused.sort();
}

it('80 random batches are judged as the rule says, whatever is held, given back and asked for together', async () => {
  const random = randomNumbers(1016);
  let [seen, kept] = [0, 0];
  for (let round = 0; round < 80; round++) {
    await source.query('TRUNCATE hosts, servers, quotas CASCADE');
    const { used, giving } = await holdings(random);
    const most = await limits(random);
    const batch = wishes(random, giving);
    const expected = refusedBy(batch, most, used, giving);
    const excesses = await source.transaction((tx) => checkQuotas(tx, batch));
    expect([...excesses.keys()].sort(), `round ${round}`).toEqual(expected);
    for (const { limit, used: has, wanted } of excesses.values()) expect(has + wanted).toBeGreaterThan(limit);
    [seen, kept] = [seen + expected.length, kept + batch.length - expected.length];
  }
  expect(Math.min(seen, kept)).toBeGreaterThan(80); // both answers are common
}, 120_000);
