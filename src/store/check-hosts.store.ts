import { runSqlCheck, type CheckLimits, type CheckScope, type Found, type SqlCheck } from './check-found.js';
import type { Tx } from './database.js';

/** How far hosts may be given out more than once; null: nobody asks for that. */
export interface CheckRatios {
  readonly cpu: number | null;
  readonly ram: number | null;
  readonly disk: number | null;
}

const NO_SERVER = `NULL::uuid AS server_id, NULL::text AS server, NULL::uuid AS claim_id, NULL::text AS address,
  NULL::uuid AS device_id`;

const HOST_CHECKS: readonly SqlCheck[] = [
  {
    code: 'check.host_generation',
    sql: `SELECT h.id AS host_id, h.name AS host, ${NO_SERVER},
        json_build_object('generation', h.generation, 'seen', g.seen) AS detail
      FROM long_ago, hosts h JOIN
        (SELECT c.host_id, max((d.record ->> 'generation')::bigint) AS seen
           FROM claims c JOIN decisions d ON d.server_id = c.server_id AND d.attempt = c.attempt AND d.host_id = c.host_id
          WHERE c.status <> 'released' GROUP BY c.host_id) g ON g.host_id = h.id
      WHERE h.generation < g.seen`,
    host: 'h.id',
  },
  {
    code: 'check.outbox_old',
    sql: `SELECT h.id AS host_id, h.name AS host, ${NO_SERVER},
        json_build_object('queue', o.queue, 'count', o.count, 'oldest', o.oldest) AS detail
      FROM long_ago, LATERAL (SELECT queue, count(*) AS count, min(created_at) AS oldest FROM outbox
                               WHERE created_at < long_ago.at GROUP BY queue) o
      LEFT JOIN hosts h ON o.queue = 'berth.agent.' || h.name
      WHERE true`,
    host: 'h.id',
  },
];

/** What has to be true of hosts and the outbox. */
export async function checkHosts(
  tx: Tx,
  scope: CheckScope,
  limits: CheckLimits,
  ratios: CheckRatios,
): Promise<Found[]> {
  const found: Found[] = [];
  for (const check of [...HOST_CHECKS, oversubscribed(ratios)]) {
    found.push(...(await runSqlCheck(tx, check, scope, limits)));
  }
  return found;
}

/** The largest ratio that anybody could have gone by: the host's own or the settings', and those of its aggregates. */
function ratio(word: keyof CheckRatios, ratios: CheckRatios): string {
  const said = `coalesce((h.allocation_ratios ->> '${word}')::float8, ${Number(ratios[word])})`;
  return `greatest(${said}, (SELECT max((g.metadata ->> '${word}_allocation_ratio')::float8)
    FROM aggregates g JOIN aggregate_hosts m ON m.aggregate_id = g.id
   WHERE m.host_id = h.id AND g.metadata ->> '${word}_allocation_ratio' ~ '^[0-9]+([.][0-9]+)?$'))`;
}

/** As the filters of vCPUs, memory and disk count; what no filter asks for is not counted. */
function oversubscribed(ratios: CheckRatios): SqlCheck {
  const own = (field: string): string =>
    `coalesce((coalesce(h.reserved, h.reported_reserved) ->> '${field}')::float8, 0)`;
  const over = [
    ratios.cpu === null
      ? 'false'
      : `u.vcpus - u.pinned > floor((h.vcpus - ${own('vcpus')} - u.pinned) * ${ratio('cpu', ratios)})`,
    ratios.ram === null
      ? 'false'
      : `u.memory_mb > floor((h.memory_mb - ${own('memory_mb')}) * ${ratio('ram', ratios)})`,
    ratios.disk === null ? 'false' : `u.disk_gb > floor((h.disk_gb - ${own('disk_gb')}) * ${ratio('disk', ratios)})`,
  ];
  return {
    code: 'check.host_oversubscribed',
    sql: `SELECT h.id AS host_id, h.name AS host, ${NO_SERVER},
        json_build_object('vcpus', ${over[0]}, 'memory', ${over[1]}, 'disk', ${over[2]}, 'used',
          json_build_object('vcpus', u.vcpus, 'memory_mb', u.memory_mb, 'disk_gb', u.disk_gb)) AS detail
      FROM long_ago, hosts h JOIN
        (SELECT c.host_id, sum(c.vcpus) AS vcpus, sum(c.memory_mb) AS memory_mb, sum(c.disk_gb) AS disk_gb,
                coalesce(sum(c.vcpus) FILTER (WHERE s.request ->> 'cpuPolicy' = 'dedicated'), 0) AS pinned
           FROM claims c JOIN servers s ON s.id = c.server_id
          WHERE c.status <> 'released' AND c.kind = 'server' GROUP BY c.host_id) u ON u.host_id = h.id
      WHERE (${over.join(' OR ')})`,
    host: 'h.id',
  };
}
