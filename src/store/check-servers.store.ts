import type { SqlCheck } from './check-found.js';

const OF_SERVER = `h.id AS host_id, h.name AS host, s.id AS server_id, s.name AS server, NULL::uuid AS claim_id,
  NULL::text AS address, NULL::uuid AS device_id`;
const WITHOUT_HOST = `NULL::uuid AS host_id, NULL::text AS host, s.id AS server_id, s.name AS server, NULL::uuid AS claim_id,
  NULL::text AS address, NULL::uuid AS device_id`;
const SERVERS = `FROM long_ago, servers s LEFT JOIN hosts h ON h.id = s.host_id`;
const STATUSES = `json_build_object('server_status', s.status, 'task_state', s.task_state)`;
const LIVE_CLAIM = `SELECT 1 FROM claims c WHERE c.server_id = s.id AND c.kind = 'server' AND c.status IN ('claimed', 'allocated')`;
const PREPARING = `s.status = 'BUILD' AND s.task_state = 'preparing'`;

/** The group that the server asked for, when it is still there. */
const ASKED_GROUP = `(SELECT g.id FROM server_groups g WHERE g.id = (s.request #>> '{host,group,id}')::uuid)`;

/** Members of groups that hold something where they are; one that was sent elsewhere is no member where it was. */
const MEMBERS = `SELECT m.group_id, c.host_id, count(*) AS count FROM servers m
  JOIN claims c ON c.server_id = m.id AND c.host_id = m.host_id AND c.kind = 'server' AND c.status <> 'released'
  WHERE m.group_id IS NOT NULL GROUP BY m.group_id, c.host_id`;

/** What has to be true of servers, the queue, and groups. */
export const SERVER_CHECKS: readonly SqlCheck[] = [
  {
    code: 'check.server_without_claim',
    sql: `SELECT ${OF_SERVER}, ${STATUSES} AS detail ${SERVERS}
      WHERE (s.status = 'ACTIVE' OR ${PREPARING}) AND NOT EXISTS (${LIVE_CLAIM})`,
    ...{ host: 's.host_id', server: 's.id' },
  },
  {
    code: 'check.server_claim_status',
    sql: `SELECT h.id AS host_id, h.name AS host, s.id AS server_id, s.name AS server, c.id AS claim_id,
        NULL::text AS address, NULL::uuid AS device_id,
        json_build_object('server_status', s.status, 'claim_status', c.status) AS detail
      FROM long_ago, servers s JOIN claims c ON c.server_id = s.id AND c.kind = 'server' JOIN hosts h ON h.id = c.host_id
      WHERE (s.status = 'ACTIVE' AND c.status = 'claimed' OR ${PREPARING} AND c.status = 'allocated')`,
    ...{ host: 'c.host_id', server: 's.id', claim: 'c.id' },
  },
  {
    code: 'check.delete_finished',
    sql: `SELECT ${OF_SERVER}, ${STATUSES} AS detail ${SERVERS}
      WHERE s.status = 'DELETING' AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.server_id = s.id AND c.status <> 'released')`,
    ...{ host: 's.host_id', server: 's.id' },
  },
  {
    code: 'check.queue_fields',
    sql: `SELECT ${WITHOUT_HOST}, ${STATUSES} AS detail FROM long_ago, servers s
      WHERE s.task_state = 'waiting'
        AND (s.status <> 'BUILD' OR s.queued_at IS NULL OR s.queue_rank IS NULL OR s.host_id IS NOT NULL)`,
    server: 's.id',
  },
  {
    code: 'check.change_lost',
    sql: `SELECT ${OF_SERVER}, ${STATUSES} AS detail ${SERVERS}
      WHERE (s.attaching IS NOT NULL AND (s.status <> 'ACTIVE' OR s.task_state IS DISTINCT FROM 'attaching')
          OR s.task_state IN ('attaching', 'detaching') AND s.status <> 'ACTIVE'
          OR s.task_state = 'attaching' AND s.attaching IS NULL AND NOT EXISTS
             (SELECT 1 FROM claims c WHERE c.server_id = s.id AND c.kind = 'attach' AND c.status = 'claimed')
          OR s.task_state = 'detaching' AND NOT EXISTS
             (SELECT 1 FROM claims c WHERE c.server_id = s.id AND c.split_from IS NOT NULL AND c.status = 'releasing'))`,
    ...{ host: 's.host_id', server: 's.id' },
  },
  {
    code: 'check.group_membership',
    sql: `SELECT ${WITHOUT_HOST}, json_build_object('group_id', s.group_id, 'asked', ${ASKED_GROUP}) AS detail
      FROM long_ago, servers s
      WHERE s.status <> 'DELETED' AND (s.group_id IS NOT NULL OR s.request #>> '{host,group,id}' IS NOT NULL)
        AND s.group_id IS DISTINCT FROM ${ASKED_GROUP}`,
    server: 's.id',
  },
  {
    code: 'check.group_policy',
    sql: `SELECT NULL::uuid AS host_id, NULL::text AS host, NULL::uuid AS server_id, NULL::text AS server,
        NULL::uuid AS claim_id, NULL::text AS address, NULL::uuid AS device_id,
        json_build_object('group_id', g.id, 'group', g.name, 'policy', g.policy, 'max', g.max_server_per_host,
                          'hosts', m.hosts) AS detail
      FROM long_ago, server_groups g JOIN LATERAL
        (SELECT count(*) AS spread, max(p.count) AS most, array_agg(h.name ORDER BY h.name) AS hosts
           FROM (${MEMBERS}) p JOIN hosts h ON h.id = p.host_id WHERE p.group_id = g.id) m ON true
      WHERE (g.policy = 'affinity' AND m.spread > 1 OR g.policy = 'anti-affinity' AND m.most > g.max_server_per_host)`,
  },
];
