import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A batch of placements in one statement, and rows that cost less to change.
 *
 * `commit_placements` writes what the statements of `claims.store.ts` write, for batches in which all is as it was decided on; where
 * anything is not, it writes nothing, and these go through the batch one by one. Its plans are kept by the connection.
 *
 * Hosts are changed all the time, in columns that no B-tree has from here on: such a change stays on its page. The servers of
 * allocations and the hosts of claims need no foreign key, for an allocation goes with its claim and a claim with its host. The facts
 * of a device lie beside its row, which is changed four times for each server that has it.
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
 * Arrays of equal length belong together: hosts; classes; requests; servers with their claims; devices of claims; devices of which the
 * status changes. Locks are taken as everywhere: hosts by id, then what is inserted, in key order.
 *
 * Returns false when a host has changed or is gone, or a quota has a say. Raises BR001 when a device is not as it was, and what the
 * constraints say when a key or a device is taken; then nothing is written.
 */
const COMMIT_PLACEMENTS = `
CREATE FUNCTION commit_placements(
  host_ids uuid[], generations bigint[], placed integer[], queues text[],
  class_ids uuid[], class_records json, requests jsonb,
  server_ids uuid[], names text[], project_ids text[], server_hosts uuid[], request_numbers integer[], server_classes uuid[],
  placement_keys text[], placement_hashes text[],
  claim_ids uuid[], vcpus integer[], memory_mb integer[], disk_gb integer[], numa_cells jsonb[], device_counts integer[],
  allocation_ids uuid[], allocation_claims uuid[], allocation_devices uuid[], aliases text[], request_indexes integer[],
  changed_devices uuid[], statuses_before text[], statuses_after text[],
  audit_writer text, audit_bodies json, claim_timeout_ms integer
) RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off SET enable_mergejoin = off SET enable_hashjoin = off
AS $$
DECLARE
  found_rows integer;
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
  INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb, numa_cells, expires_at)
    SELECT c.id, c.server_id, c.host_id, 1, CASE WHEN c.devices > 0 THEN 'claimed' ELSE 'allocated' END, c.vcpus, c.memory_mb,
           c.disk_gb, c.numa_cells, CASE WHEN c.devices > 0 THEN now() + claim_timeout_ms * interval '1 millisecond' END
      FROM unnest(claim_ids, server_ids, server_hosts, vcpus, memory_mb, disk_gb, numa_cells, device_counts)
        AS c(id, server_id, host_id, vcpus, memory_mb, disk_gb, numa_cells, devices);
  INSERT INTO allocations (id, claim_id, server_id, device_id, alias, request_index)
    SELECT a.id, a.claim_id, c.server_id, a.device_id, a.alias, a.request_index
      FROM unnest(allocation_ids, allocation_claims, allocation_devices, aliases, request_indexes)
        AS a(id, claim_id, device_id, alias, request_index) JOIN claims c ON c.id = a.claim_id;

  UPDATE devices d SET status = c.after, updated_at = now()
    FROM unnest(changed_devices, statuses_before, statuses_after) AS c(id, before, after)
    WHERE d.id = c.id AND d.status = c.before;
  GET DIAGNOSTICS found_rows = ROW_COUNT;
  IF found_rows <> cardinality(changed_devices) THEN
    RAISE EXCEPTION 'a device is not as it was' USING ERRCODE = 'BR001';
  END IF;
  UPDATE hosts h SET generation = h.generation + c.placed, changed_xid = (pg_current_xact_id()::text)::bigint
    FROM unnest(host_ids, placed) AS c(id, placed) WHERE h.id = c.id;
  INSERT INTO audit_pending (writer, body) SELECT audit_writer, json_array_elements(audit_bodies);

  INSERT INTO outbox (queue, message)
    SELECT q.queue, json_build_object(
             'id', gen_random_uuid(), 'type', 'agent.commands',
             'sent_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
             'body', json_build_object('commands', json_agg(json_build_object('prepare', p.command) ORDER BY p.number)))
      FROM unnest(host_ids, queues) AS q(host_id, queue)
      JOIN (SELECT c.host_id, c.number,
                   CASE WHEN l.incarnation IS NULL
                     THEN json_build_object('claim_id', c.id, 'server_id', c.server_id, 'devices', a.devices)
                     ELSE json_build_object('claim_id', c.id, 'server_id', c.server_id, 'devices', a.devices,
                                            'claim_number', c.number, 'incarnation', l.incarnation)
                   END AS command
              FROM (SELECT a.claim_id,
                           json_agg(json_build_object('address', d.address, 'vendor_id', d.vendor_id, 'product_id', d.product_id)
                                    ORDER BY d.address) AS devices
                      FROM unnest(allocation_claims, allocation_devices) AS a(claim_id, device_id)
                      JOIN devices d ON d.id = a.device_id GROUP BY a.claim_id) a
              JOIN claims c ON c.id = a.claim_id JOIN hosts h ON h.id = c.host_id
              LEFT JOIN agent_lives l ON l.host_name = h.name AND l.epoch >= h.epoch) p ON p.host_id = q.host_id
     GROUP BY q.host_id, q.queue;
  RETURN true;
END $$`;

const UP = [
  `ALTER TABLE outbox ALTER COLUMN message TYPE json USING message::json`,
  `DROP INDEX hosts_changed_xid_idx`,
  `CREATE INDEX hosts_changed_xid_idx ON hosts USING brin (changed_xid) WITH (pages_per_range = 1)`,
  `ALTER TABLE allocations DROP CONSTRAINT allocations_server_id_fkey`,
  `ALTER TABLE claims DROP CONSTRAINT claims_host_id_fkey`,
  `ALTER TABLE devices SET (toast_tuple_target = 128)`,
  COMMIT_PLACEMENTS,
];

const DOWN = [
  `DROP FUNCTION commit_placements`,
  `ALTER TABLE devices RESET (toast_tuple_target)`,
  `ALTER TABLE claims ADD CONSTRAINT claims_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id)`,
  `ALTER TABLE allocations ADD CONSTRAINT allocations_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id)`,
  `DROP INDEX hosts_changed_xid_idx`,
  `CREATE INDEX hosts_changed_xid_idx ON hosts (changed_xid)`,
  `ALTER TABLE outbox ALTER COLUMN message TYPE jsonb USING message::jsonb`,
];
