import type { SqlCheck } from './check-found.js';
import { HELD_BECAUSE } from './sriov-wishes.store.js';

const ABOUT = `h.id AS host_id, h.name AS host, NULL::uuid AS server_id, NULL::text AS server, NULL::uuid AS claim_id`;

/** What has to be true of wishes about VFs, and of PFs that are reserved for as long as their VFs go and come. */
export const SRIOV_CHECKS: readonly SqlCheck[] = [
  {
    code: 'check.sriov_hold_stale',
    sql: `SELECT ${ABOUT}, d.address, d.id AS device_id, json_build_object('state', w.state) AS detail
      FROM devices d JOIN hosts h ON h.id = d.host_id
      LEFT JOIN sriov_wishes w ON w.host_id = d.host_id AND w.address = d.address
      WHERE (d.status = 'reserved' AND d.status_reason = '${HELD_BECAUSE}' AND w.holds IS NOT TRUE
             OR w.holds AND w.state <> 'applying')`,
    host: 'h.id',
  },
  {
    // a PF that is handed over is still reported with what it can have
    code: 'check.sriov_pf_gone',
    sql: `SELECT ${ABOUT}, w.address, d.id AS device_id,
        json_build_object('vf_count', w.vf_count, 'wished', w.vendor_id || ':' || w.product_id,
          'found', d.vendor_id || ':' || d.product_id, 'is_pf', d.facts->'sriov' <> 'null') AS detail
      FROM long_ago, sriov_wishes w JOIN hosts h ON h.id = w.host_id
      LEFT JOIN devices d ON d.host_id = w.host_id AND d.address = w.address AND d.status <> 'removed'
      WHERE h.status = 'up' AND w.asked_at < long_ago.at
        AND (d.id IS NULL OR d.facts->'sriov' = 'null' OR (d.vendor_id, d.product_id) <> (w.vendor_id, w.product_id))`,
    host: 'h.id',
  },
];
