import type pg from 'pg';
import type { Acknowledged } from './place-load.js';

const PER_QUERY = 5_000;

/**
 * Compares acknowledgements with the ledger.
 *
 * @returns lost: the ledger does not have it, or not with just these devices. double: devices that two had at a time, and keys under
 *   which there are two placements.
 */
export async function compareWithLedger(
  ledger: pg.Client,
  acknowledged: readonly Acknowledged[],
): Promise<{ lost: number; double: number }> {
  let lost = 0;
  for (let from = 0; from < acknowledged.length; from += PER_QUERY) {
    const some = acknowledged.slice(from, from + PER_QUERY);
    const { rows } = await ledger.query<{ id: string; devices: string[] }>(
      `SELECT s.id, array_agg(a.device_id::text ORDER BY a.device_id) AS devices
         FROM servers s JOIN allocations a ON a.server_id = s.id WHERE s.id = ANY($1) GROUP BY s.id`,
      [some.map(({ id }) => id)],
    );
    const known = new Map(rows.map(({ id, devices }) => [id, devices.join()]));
    lost += some.filter(({ id, devices }) => known.get(id) !== [...devices].sort().join()).length;
  }
  const { rows } = await ledger.query<{ count: number }>(
    `SELECT (SELECT count(*) FROM (
               SELECT created_at, lag(coalesce(released_at, 'infinity')) OVER (PARTITION BY device_id ORDER BY created_at) AS before
                 FROM allocations) held
              WHERE created_at < before)::int
          + (SELECT count(*) - count(DISTINCT (project_id, placement_key)) FROM servers WHERE placement_key IS NOT NULL)::int AS count`,
  );
  const keys = new Map(acknowledged.map(({ key, id }) => [key, id]));
  return { lost, double: (rows[0]?.count ?? 0) + (acknowledged.length - keys.size) };
}
