import type { SqlCheck } from './check-found.js';

const OF_CLAIM = `h.id AS host_id, h.name AS host, s.id AS server_id, s.name AS server, c.id AS claim_id,
  NULL::text AS address, NULL::uuid AS device_id`;
const OF_ALLOCATION = `h.id AS host_id, h.name AS host, s.id AS server_id, s.name AS server, c.id AS claim_id,
  d.address, d.id AS device_id`;
const CLAIMS = `FROM long_ago, claims c JOIN servers s ON s.id = c.server_id JOIN hosts h ON h.id = c.host_id`;
const ALLOCATIONS = `${CLAIMS} JOIN allocations a ON a.claim_id = c.id JOIN devices d ON d.id = a.device_id`;
const BY = { host: 'c.host_id', server: 'c.server_id', claim: 'c.id' } as const;
const LIVE = `c.status IN ('claimed', 'allocated')`;
const STATUSES = `json_build_object('claim_status', c.status, 'kind', c.kind, 'server_status', s.status, 'task_state', s.task_state)`;

/** What began the release of a server's devices, the last time; a claim does not say since when it is releasing. */
const LAST_RELEASE = `(SELECT max(e.created_at) FROM server_events e WHERE e.server_id = s.id AND e.event IN
  ('delete_requested', 'failed', 'preempted', 'detach_requested', 'attach_failed', 'repaired'))`;

/** What has to be true of claims and allocations. */
export const CLAIM_CHECKS: readonly SqlCheck[] = [
  {
    code: 'check.claim_unwanted',
    sql: `SELECT ${OF_CLAIM}, ${STATUSES} AS detail ${CLAIMS}
      WHERE ${LIVE} AND (s.status IN ('DELETED', 'ERROR', 'SHELVED') OR s.status = 'BUILD' AND s.task_state IN ('scheduling', 'waiting'))`,
    ...BY,
  },
  {
    code: 'check.delete_stuck',
    sql: `SELECT ${OF_CLAIM}, ${STATUSES} AS detail ${CLAIMS}
      WHERE ${LIVE} AND s.status = 'DELETING' AND coalesce(
        (SELECT max(e.created_at) FROM server_events e WHERE e.server_id = s.id AND e.event = 'delete_requested'),
        s.created_at) < long_ago.at`,
    ...BY,
  },
  {
    code: 'check.claim_expired',
    sql: `SELECT ${OF_CLAIM}, json_build_object('expires_at', c.expires_at) AS detail ${CLAIMS}
      WHERE c.status = 'claimed' AND s.status IN ('BUILD', 'ACTIVE') AND (s.task_state IN ('preparing', 'attaching'))
        AND (c.expires_at < long_ago.at OR c.expires_at IS NULL)`,
    ...BY,
  },
  {
    code: 'check.release_stuck',
    sql: `SELECT ${OF_CLAIM}, json_build_object('host_status', h.status) AS detail ${CLAIMS}
      WHERE c.status = 'releasing' AND greatest(c.created_at, ${LAST_RELEASE}) < long_ago.at`,
    ...BY,
  },
  {
    code: 'check.allocation_released_early',
    sql: `SELECT ${OF_ALLOCATION}, json_build_object('allocation_id', a.id, 'claim_status', c.status,
        'parent_address', d.parent_address) AS detail ${ALLOCATIONS}
      WHERE a.released_at IS NOT NULL AND c.status <> 'released'`,
    ...BY,
  },
  {
    code: 'check.allocation_outlives_claim',
    sql: `SELECT ${OF_CLAIM}, json_build_object('addresses', o.addresses) AS detail ${CLAIMS}
      JOIN (SELECT a.claim_id, array_agg(d.address ORDER BY d.address) AS addresses
              FROM allocations a JOIN devices d ON d.id = a.device_id WHERE a.released_at IS NULL GROUP BY a.claim_id) o
        ON o.claim_id = c.id
      WHERE c.status = 'released'`,
    ...BY,
  },
  {
    code: 'check.allocation_server_differs',
    sql: `SELECT ${OF_ALLOCATION}, json_build_object('allocation_id', a.id, 'other', a.server_id) AS detail ${ALLOCATIONS}
      WHERE a.released_at IS NULL AND a.server_id <> c.server_id`,
    ...BY,
  },
  {
    code: 'check.allocation_host_differs',
    sql: `SELECT ${OF_ALLOCATION}, json_build_object('other', o.name) AS detail ${ALLOCATIONS} JOIN hosts o ON o.id = d.host_id
      WHERE a.released_at IS NULL AND d.host_id <> c.host_id`,
    ...BY,
  },
  {
    code: 'check.server_host_differs',
    sql: `SELECT ${OF_CLAIM}, json_build_object('other_id', o.id, 'other', o.name) AS detail ${CLAIMS}
      LEFT JOIN hosts o ON o.id = s.host_id
      WHERE ${LIVE} AND c.kind = 'server' AND s.host_id IS DISTINCT FROM c.host_id
        AND (s.status IN ('ACTIVE', 'DELETING') OR s.status = 'BUILD' AND s.task_state = 'preparing')`,
    ...BY,
  },
];
