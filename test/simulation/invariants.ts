import type { DataSource } from 'typeorm';
import type { Machine } from './hosts-on-disk.js';
import type { World } from './world.js';

/** What holds in the ledger after every step, whatever has gone wrong before: each is a query that finds nothing. */
const RULES: Readonly<Record<string, string>> = {
  'a device has two live owners': `
    SELECT d.address AS what FROM allocations a JOIN devices d ON d.id = a.device_id
     WHERE a.released_at IS NULL GROUP BY d.id, d.address HAVING count(*) > 1`,
  'a PF is in use together with one of its VFs': `
    SELECT pf.address || ' and ' || vf.address AS what FROM held pf JOIN held vf
        ON vf.host_id = pf.host_id AND vf.parent_address = pf.address`,
  'an IOMMU group is split between servers': `
    SELECT host || ' group ' || iommu_group AS what FROM held WHERE iommu_group IS NOT NULL
     GROUP BY host, iommu_group HAVING count(DISTINCT server_id) > 1`,
  'a device in use does not have the status of its claim': `
    SELECT host || ' ' || address || ' is ' || status || ', its claim ' || claim_status AS what FROM held
     WHERE NOT CASE claim_status WHEN 'claimed' THEN status = 'claimed' WHEN 'allocated' THEN status = 'allocated'
                                 WHEN 'releasing' THEN status IN ('claimed', 'allocated') ELSE false END`,
  'a device is in use without an owner': `
    SELECT h.name || ' ' || d.address || ' is ' || d.status AS what FROM devices d JOIN hosts h ON h.id = d.host_id
     WHERE d.status IN ('claimed', 'allocated')
       AND NOT EXISTS (SELECT 1 FROM allocations a WHERE a.device_id = d.id AND a.released_at IS NULL)`,
  'an allocation is not of its claim': `
    SELECT address AS what FROM held WHERE server_id <> claim_server_id OR host_id <> claim_host_id`,
  'a server does not agree with its claims': `
    SELECT s.name || ' is ' || s.status || ' ' || coalesce(s.task_state, '') || ' with ' || c.claims AS what
      FROM servers s CROSS JOIN LATERAL (
        SELECT coalesce(string_agg(kind || ' ' || status, ', '), 'no claim') AS claims,
               count(*) FILTER (WHERE kind = 'server' AND status = 'claimed') AS claimed,
               count(*) FILTER (WHERE kind = 'server' AND status = 'allocated') AS allocated,
               count(*) FILTER (WHERE kind = 'attach' AND status = 'claimed') AS attaching,
               count(*) FILTER (WHERE status IN ('claimed', 'allocated') AND host_id IS DISTINCT FROM s.host_id) AS elsewhere,
               count(*) FILTER (WHERE split_from IS NOT NULL AND status = 'releasing') AS detaching,
               count(*) FILTER (WHERE status <> 'released') AS held
          FROM claims WHERE server_id = s.id) c
     WHERE NOT CASE s.status
       WHEN 'ACTIVE' THEN c.claimed = 0 AND c.allocated = 1 AND elsewhere = 0
            AND c.attaching = (s.task_state = 'attaching' AND s.attaching IS NULL)::int::bigint
            AND (s.task_state = 'detaching') IS NOT DISTINCT FROM CASE WHEN s.task_state IS NULL THEN NULL ELSE detaching > 0 END
       WHEN 'BUILD' THEN c.allocated = 0 AND c.attaching = 0 AND c.claimed = (s.task_state = 'preparing')::int::bigint AND elsewhere = 0
       WHEN 'SHELVED' THEN c.claimed + c.allocated + c.attaching = 0 AND s.host_id IS NULL
       WHEN 'ERROR' THEN c.claimed + c.allocated + c.attaching = 0 AND s.fault IS NOT NULL
       WHEN 'DELETED' THEN held = 0
       ELSE true END`,
  'a deleted server holds a device': `
    SELECT address AS what FROM held JOIN servers s ON s.id = held.server_id WHERE s.status = 'DELETED'`,
  'a placement was moved': `
    SELECT s.name || ' has had ' || count(*) || ' claims' AS what FROM servers s JOIN claims c ON c.server_id = s.id
     WHERE s.kind = 'placement' GROUP BY s.id, s.name HAVING count(*) > 1 OR s.status IN ('BUILD') AND s.task_state <> 'preparing'`,
  'there are two placements of one key': `
    SELECT placement_key AS what FROM servers WHERE placement_key IS NOT NULL GROUP BY 1 HAVING count(*) > 1`,
  'more is claimed than the host has': `
    SELECT h.name || ': ' || sum(c.vcpus) || ' of ' || h.vcpus || ' vCPUs, ' || sum(c.memory_mb) || ' of ' || h.memory_mb || ' MB' AS what
      FROM claims c JOIN hosts h ON h.id = c.host_id WHERE c.status <> 'released'
     GROUP BY h.id HAVING sum(c.vcpus) > h.vcpus OR sum(c.memory_mb) > h.memory_mb`,
};

const HELD = `held AS (
  SELECT a.server_id, d.host_id, h.name AS host, d.address, d.parent_address, d.iommu_group, d.status, c.status AS claim_status,
         c.server_id AS claim_server_id, c.host_id AS claim_host_id
    FROM allocations a JOIN claims c ON c.id = a.claim_id JOIN devices d ON d.id = a.device_id JOIN hosts h ON h.id = d.host_id
   WHERE a.released_at IS NULL)`;

const QUERY = `WITH ${HELD} ${Object.entries(RULES)
  .map(([rule, sql]) => `SELECT '${rule}' AS rule, what FROM (${sql}) AS found`)
  .join(' UNION ALL ')}`;

/** A function, because Postgres keeps its plan: to plan the rules takes longer than to look. For `database.ts`. */
export const RULES_FUNCTION = `
  CREATE FUNCTION broken_rules() RETURNS TABLE (rule text, what text) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  BEGIN RETURN QUERY ${QUERY}
    UNION ALL (SELECT 'relayed', id FROM relayed EXCEPT SELECT 'relayed', message->>'id' FROM outbox)
    UNION ALL SELECT 'came back', host || ' ' || epoch || ' ' || sequence FROM came_back;
  END $$`;

/** @returns what does not hold, each a sentence */
export async function brokenInvariants(world: World): Promise<string[]> {
  const { source, broker, machines } = world;
  const found = (await source.query('SELECT rule, what FROM broken_rules()')) as { rule: string; what: string }[];
  const of = (kind: string): string[] => found.flatMap(({ rule, what }) => (rule === kind ? [what] : []));
  return [
    ...found.filter(({ rule }) => rule in RULES).map(({ rule, what }) => `${rule}: ${what}`),
    ...of('relayed')
      .filter((id) => !broker.taken.has(id))
      .map((id) => `a message left the outbox and never reached the broker: ${id}`),
    ...of('came back')
      .filter((stamp) => !broker.reports.has(stamp))
      .map((stamp) => `a host came back, and no report says so: ${stamp}`),
    ...(await world.placements.broken(source)),
    ...(await world.quota.broken(source)),
    ...(await boundButFree(source, machines)),
  ];
}

/**
 * What an agent has bound, or is binding, is taken in the ledger: by the claim that the agent knows, or by one that was split
 * from it. (What it is giving back may be free already: when undoing a failed claim fails as well, the next claim finishes that.)
 */
async function boundButFree(source: DataSource, machines: readonly Machine[]): Promise<string[]> {
  const held = machines.flatMap(({ name, journal }) =>
    journal
      .filter(({ state }) => state !== 'releasing')
      .flatMap(({ claimId, devices }) => devices.map(({ address }) => ({ name, claimId, address }))),
  );
  if (held.length === 0) return [];
  const free = (await source.query(
    `SELECT j.name || ' ' || j.address || ' of claim ' || left(j.claim_id::text, 8) AS what
       FROM unnest($1::text[], $2::uuid[], $3::text[]) AS j(name, claim_id, address)
      WHERE NOT EXISTS (
        SELECT 1 FROM allocations a JOIN claims c ON c.id = a.claim_id JOIN devices d ON d.id = a.device_id
          JOIN hosts h ON h.id = d.host_id
         WHERE a.released_at IS NULL AND h.name = j.name AND d.address = j.address AND j.claim_id IN (c.id, c.split_from))`,
    [held.map(({ name }) => name), held.map(({ claimId }) => claimId), held.map(({ address }) => address)],
  )) as { what: string }[];
  return free.map(({ what }) => `an agent holds what is free in the ledger: ${what}`);
}
