import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A batch of placements in one statement, and rows that cost less to change.
 *
 * `commit_placements` writes what the statements of `claims.store.ts` write, for batches in which all is as it was decided on; where
 * anything is not, it writes nothing, and these go through the batch one by one. Its plans are kept by the connection.
 *
 * Hosts are changed all the time, in columns that no B-tree has from here on: such a change stays on its page. Claims and
 * servers of allocations and hosts of claims need no foreign key: they are written and deleted together. The facts
 * of a device lie beside its row, which is changed four times for each server that has it. What the audit has for a second is not
 * compressed.
 */
export class ClaimBatches1764100000000 implements MigrationInterface {
  name = 'ClaimBatches1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

/**
 * Arrays of equal length belong together: hosts; classes; servers with their claims and the commands to prepare them, which lack what only
 * the database knows; devices of claims, which have to be available; their parents, each once. Locks are
 * taken as everywhere: hosts by id, then what is inserted, in key order.
 *
 * Returns false when a host has changed or is gone, a quota has a say, a device is not as it was, or a key or a device is taken; then
 * nothing is written.
 */
const COMMIT_PLACEMENTS = `
CREATE FUNCTION commit_placements(
  host_ids uuid[], generations bigint[], placed integer[], queues text[],
  class_ids uuid[], class_records json, requests jsonb,
  server_ids uuid[], names text[], project_ids text[], server_hosts uuid[], request_numbers integer[], server_classes uuid[],
  placement_keys text[], placement_hashes text[],
  claim_ids uuid[], vcpus integer[], memory_mb integer[], disk_gb integer[], numa_cells jsonb[], device_counts integer[],
  commands json,
  allocation_ids uuid[], allocation_claims uuid[], allocation_servers uuid[], allocation_devices uuid[], aliases text[],
  request_indexes integer[],
  parent_hosts uuid[], parent_addresses text[],
  audit_writer text, audit_bodies json, claim_timeout_ms integer
) RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  found_rows integer;
  numbers bigint[];
BEGIN
  PERFORM 1 FROM hosts h JOIN unnest(host_ids, generations) AS c(id, generation) USING (id)
    WHERE h.generation = c.generation ORDER BY h.id FOR UPDATE OF h;
  GET DIAGNOSTICS found_rows = ROW_COUNT;
  IF found_rows <> cardinality(host_ids) THEN RETURN false; END IF;
  IF EXISTS (SELECT 1 FROM quotas q WHERE q.project_id = '*' OR q.project_id = ANY(project_ids)) THEN RETURN false; END IF;

  INSERT INTO decision_classes (id, record)
    SELECT * FROM ROWS FROM (unnest(class_ids), json_array_elements(class_records)) AS c(id, record);
  INSERT INTO servers (id, name, project_id, status, task_state, flavor, request, host_id, attempts, priority, kind, placement_key,
                       placement_hash, decision_class_id)
    SELECT c.id, c.name, c.project_id, CASE WHEN c.devices > 0 THEN 'BUILD' ELSE 'ACTIVE' END,
           CASE WHEN c.devices > 0 THEN 'preparing' END, nullif(r -> 'flavor', 'null'), r -> 'request', c.host_id, 1,
           coalesce((r #>> '{request,priority}')::integer, 0), 'placement', c.key, c.hash, c.class
      FROM unnest(server_ids, names, project_ids, server_hosts, request_numbers, server_classes, placement_keys, placement_hashes,
                  device_counts) AS c(id, name, project_id, host_id, request_number, class, key, hash, devices)
      CROSS JOIN LATERAL (SELECT requests -> c.request_number) AS l(r);
  numbers := ARRAY(SELECT nextval('claims_number_seq') FROM generate_series(1, cardinality(claim_ids)));
  INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb, numa_cells, expires_at, number)
    SELECT c.id, c.server_id, c.host_id, 1, CASE WHEN c.devices > 0 THEN 'claimed' ELSE 'allocated' END, c.vcpus, c.memory_mb,
           c.disk_gb, c.numa_cells, CASE WHEN c.devices > 0 THEN now() + claim_timeout_ms * interval '1 millisecond' END, c.number
      FROM unnest(claim_ids, server_ids, server_hosts, vcpus, memory_mb, disk_gb, numa_cells, device_counts, numbers)
        AS c(id, server_id, host_id, vcpus, memory_mb, disk_gb, numa_cells, devices, number);
  INSERT INTO allocations (id, claim_id, server_id, device_id, alias, request_index)
    SELECT * FROM unnest(allocation_ids, allocation_claims, allocation_servers, allocation_devices, aliases, request_indexes);

  UPDATE devices SET status = 'claimed', updated_at = now() WHERE id = ANY(allocation_devices) AND status = 'available';
  GET DIAGNOSTICS found_rows = ROW_COUNT;
  IF found_rows <> cardinality(allocation_devices) OR EXISTS (
    SELECT 1 FROM unnest(parent_hosts, parent_addresses) AS p(host_id, address) JOIN devices f USING (host_id, address)
     WHERE f.status NOT IN ('available', 'unclaimable', 'unavailable', 'removed')
  ) THEN
    RAISE EXCEPTION 'a device is not as it was' USING ERRCODE = 'BR001';
  END IF;
  -- as the state table has it: a parent that was free is not to be claimed any more, whatever became of it before stays
  WITH blocked AS (
    UPDATE devices f SET status = 'unclaimable', updated_at = now()
      FROM unnest(parent_hosts, parent_addresses) AS p(host_id, address)
     WHERE f.host_id = p.host_id AND f.address = p.address AND f.status = 'available' RETURNING f.id, f.host_id, f.address
  )
  INSERT INTO audit_pending (writer, body)
    SELECT audit_writer, json_build_object('kind', 'transition', 'transitions', json_agg(json_build_object(
             'device_id', id, 'host_id', host_id, 'address', address, 'event', 'claim', 'from', 'available', 'to', 'unclaimable',
             'server_id', NULL)))
      FROM blocked HAVING count(*) > 0;
  UPDATE hosts h SET generation = h.generation + c.placed, changed_xid = (pg_current_xact_id()::text)::bigint
    FROM unnest(host_ids, placed) AS c(id, placed) WHERE h.id = c.id;
  INSERT INTO audit_pending (writer, body) SELECT audit_writer, json_array_elements(audit_bodies);

  -- texts put together: to build JSON of values costs several times as much
  INSERT INTO outbox (queue, message)
    SELECT q.queue, ('{"id":"' || gen_random_uuid() || '","type":"agent.commands","sent_at":"' ||
                     to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '","body":{"commands":[' ||
                     string_agg('{"prepare":' || left(c.command::text, -1) ||
                                coalesce(',"claim_number":' || c.number || ',"incarnation":"' || q.incarnation || '"', '') || '}}', ',')
                     || ']}}')::json
      FROM ROWS FROM (unnest(server_hosts, numbers, device_counts), json_array_elements(commands))
             AS c(host_id, number, devices, command)
      JOIN (SELECT h.id AS host_id, t.queue, l.incarnation FROM unnest(host_ids, queues) AS t(id, queue) JOIN hosts h USING (id)
              LEFT JOIN agent_lives l ON l.host_name = h.name AND l.epoch >= h.epoch) q USING (host_id)
     WHERE c.devices > 0 GROUP BY q.host_id, q.queue;
  RETURN true;
EXCEPTION
  -- all that was written above is undone
  WHEN unique_violation OR SQLSTATE 'BR001' THEN RETURN false;
END $$`;

const UP = [
  `ALTER TABLE outbox ALTER COLUMN message TYPE json USING message::json`,
  `DROP INDEX hosts_changed_xid_idx`,
  `CREATE INDEX hosts_changed_xid_idx ON hosts USING brin (changed_xid) WITH (pages_per_range = 1)`,
  `ALTER TABLE allocations DROP CONSTRAINT allocations_server_id_fkey`,
  `ALTER TABLE allocations DROP CONSTRAINT allocations_claim_id_fkey`,
  `ALTER TABLE claims DROP CONSTRAINT claims_host_id_fkey`,
  `ALTER TABLE devices SET (toast_tuple_target = 128)`,
  `ALTER TABLE audit_pending ALTER COLUMN body SET STORAGE EXTERNAL`,
  COMMIT_PLACEMENTS,
];

const DOWN = [
  `DROP FUNCTION commit_placements`,
  `ALTER TABLE audit_pending ALTER COLUMN body SET STORAGE EXTENDED`,
  `ALTER TABLE devices RESET (toast_tuple_target)`,
  `ALTER TABLE claims ADD CONSTRAINT claims_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id)`,
  `ALTER TABLE allocations ADD CONSTRAINT allocations_claim_id_fkey FOREIGN KEY (claim_id) REFERENCES claims (id)`,
  `ALTER TABLE allocations ADD CONSTRAINT allocations_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id)`,
  `DROP INDEX hosts_changed_xid_idx`,
  `CREATE INDEX hosts_changed_xid_idx ON hosts (changed_xid)`,
  `ALTER TABLE outbox ALTER COLUMN message TYPE jsonb USING message::jsonb`,
];
