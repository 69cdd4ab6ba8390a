import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The ledger. Every constraint has a name; `allocations_one_live_owner_per_device` is what makes a double allocation
 * impossible, whatever the code does.
 *
 * `changed_xid` is the transaction that last changed a row: readers that follow changes ask for everything at or
 * above the oldest transaction that was still running when they last asked, and so miss nothing.
 */
export class Ledger1763600000000 implements MigrationInterface {
  name = 'Ledger1763600000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const UP = [
  `CREATE TABLE hosts (
     id uuid NOT NULL,
     name text NOT NULL,
     status text NOT NULL,
     enabled boolean NOT NULL DEFAULT true,
     disabled_reason text,
     epoch bigint NOT NULL,
     report_sequence bigint NOT NULL,
     report_hash text NOT NULL,
     generation bigint NOT NULL DEFAULT 0,
     changed_xid bigint NOT NULL DEFAULT 0,
     last_seen_at timestamptz NOT NULL,
     vcpus integer NOT NULL,
     memory_mb bigint NOT NULL,
     disk_gb bigint NOT NULL,
     numa_cells jsonb NOT NULL,
     kernel text,
     kernel_kind text NOT NULL,
     read_only boolean NOT NULL,
     agent_version text NOT NULL,
     created_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT hosts_pkey PRIMARY KEY (id),
     CONSTRAINT hosts_name_key UNIQUE (name),
     CONSTRAINT hosts_status_check CHECK (status IN ('up', 'down')),
     CONSTRAINT hosts_kernel_kind_check CHECK (kernel_kind IN ('live', 'simulated'))
   )`,
  `CREATE INDEX hosts_changed_xid_idx ON hosts (changed_xid)`,
  `CREATE TABLE devices (
     id uuid NOT NULL,
     host_id uuid NOT NULL,
     address text NOT NULL,
     vendor_id text NOT NULL,
     product_id text NOT NULL,
     device_type text NOT NULL,
     parent_address text,
     numa_node integer,
     iommu_group integer,
     offered boolean NOT NULL,
     status text NOT NULL,
     facts jsonb NOT NULL,
     pending_facts jsonb,
     missing_since timestamptz,
     updated_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT devices_pkey PRIMARY KEY (id),
     CONSTRAINT devices_host_address_key UNIQUE (host_id, address),
     CONSTRAINT devices_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id),
     CONSTRAINT devices_status_check CHECK (status IN
       ('available', 'claimed', 'allocated', 'unclaimable', 'unavailable', 'removed'))
   )`,
  `CREATE INDEX devices_vendor_product_idx ON devices (vendor_id, product_id)`,
  `CREATE TABLE aliases (
     id uuid NOT NULL,
     name text NOT NULL,
     numa_policy text NOT NULL,
     specs jsonb NOT NULL,
     source text NOT NULL,
     version integer NOT NULL DEFAULT 1,
     created_at timestamptz NOT NULL DEFAULT now(),
     updated_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT aliases_pkey PRIMARY KEY (id),
     CONSTRAINT aliases_name_key UNIQUE (name),
     CONSTRAINT aliases_source_check CHECK (source IN ('file', 'rest')),
     CONSTRAINT aliases_numa_policy_check CHECK (numa_policy IN ('required', 'preferred', 'legacy', 'socket'))
   )`,
  `CREATE TABLE flavors (
     id text NOT NULL,
     name text NOT NULL,
     vcpus integer NOT NULL,
     ram_mb integer NOT NULL,
     disk_gb integer NOT NULL,
     extra_specs jsonb NOT NULL DEFAULT '{}',
     created_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT flavors_pkey PRIMARY KEY (id),
     CONSTRAINT flavors_name_key UNIQUE (name),
     CONSTRAINT flavors_size_check CHECK (vcpus >= 0 AND ram_mb >= 0 AND disk_gb >= 0)
   )`,
  `CREATE TABLE servers (
     id uuid NOT NULL,
     name text NOT NULL,
     project_id text NOT NULL,
     status text NOT NULL,
     task_state text,
     flavor jsonb,
     request jsonb NOT NULL,
     host_id uuid,
     attempts integer NOT NULL DEFAULT 0,
     excluded_hosts jsonb NOT NULL DEFAULT '[]',
     fault jsonb,
     created_at timestamptz NOT NULL DEFAULT now(),
     updated_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT servers_pkey PRIMARY KEY (id),
     CONSTRAINT servers_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id),
     CONSTRAINT servers_status_check CHECK (status IN ('BUILD', 'ACTIVE', 'ERROR', 'DELETING', 'DELETED')),
     CONSTRAINT servers_task_state_check CHECK (task_state IN ('scheduling', 'preparing', 'releasing'))
   )`,
  `CREATE INDEX servers_unfinished_idx ON servers (updated_at) WHERE status IN ('BUILD', 'DELETING')`,
  `CREATE INDEX servers_created_at_idx ON servers (created_at, id)`,
  `CREATE TABLE claims (
     id uuid NOT NULL,
     server_id uuid NOT NULL,
     host_id uuid NOT NULL,
     attempt integer NOT NULL,
     status text NOT NULL,
     vcpus integer NOT NULL,
     memory_mb integer NOT NULL,
     disk_gb integer NOT NULL,
     numa_cells jsonb,
     expires_at timestamptz,
     created_at timestamptz NOT NULL DEFAULT now(),
     updated_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT claims_pkey PRIMARY KEY (id),
     CONSTRAINT claims_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id),
     CONSTRAINT claims_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id),
     CONSTRAINT claims_status_check CHECK (status IN ('claimed', 'allocated', 'releasing', 'released'))
   )`,
  `CREATE UNIQUE INDEX claims_one_live_per_server ON claims (server_id) WHERE status IN ('claimed', 'allocated')`,
  `CREATE INDEX claims_live_host_idx ON claims (host_id) WHERE status <> 'released'`,
  `CREATE INDEX claims_server_id_idx ON claims (server_id)`,
  `CREATE TABLE allocations (
     id uuid NOT NULL,
     claim_id uuid NOT NULL,
     server_id uuid NOT NULL,
     device_id uuid NOT NULL,
     alias text,
     request_index integer,
     binding jsonb,
     released_at timestamptz,
     created_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT allocations_pkey PRIMARY KEY (id),
     CONSTRAINT allocations_claim_id_fkey FOREIGN KEY (claim_id) REFERENCES claims (id),
     CONSTRAINT allocations_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id),
     CONSTRAINT allocations_device_id_fkey FOREIGN KEY (device_id) REFERENCES devices (id)
   )`,
  `CREATE UNIQUE INDEX allocations_one_live_owner_per_device ON allocations (device_id) WHERE released_at IS NULL`,
  `CREATE INDEX allocations_claim_id_idx ON allocations (claim_id)`,
  `CREATE TABLE decisions (
     id uuid NOT NULL,
     server_id uuid NOT NULL,
     attempt integer NOT NULL,
     outcome text NOT NULL,
     host_id uuid,
     record jsonb NOT NULL,
     created_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT decisions_pkey PRIMARY KEY (id),
     CONSTRAINT decisions_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id),
     CONSTRAINT decisions_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id),
     CONSTRAINT decisions_outcome_check CHECK (outcome IN ('placed', 'rejected'))
   )`,
  `CREATE INDEX decisions_server_id_idx ON decisions (server_id, created_at)`,
  `CREATE TABLE server_events (
     id bigint GENERATED ALWAYS AS IDENTITY,
     server_id uuid NOT NULL,
     event text NOT NULL,
     message text NOT NULL,
     created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
     CONSTRAINT server_events_pkey PRIMARY KEY (id),
     CONSTRAINT server_events_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id)
   )`,
  `CREATE INDEX server_events_server_id_idx ON server_events (server_id, id)`,
  `CREATE TABLE outbox (
     id bigint GENERATED ALWAYS AS IDENTITY,
     queue text NOT NULL,
     message jsonb NOT NULL,
     created_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT outbox_pkey PRIMARY KEY (id)
   )`,
  `CREATE TABLE idempotency_keys (
     project_id text NOT NULL,
     key text NOT NULL,
     request_hash text NOT NULL,
     resource_id text NOT NULL,
     created_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT idempotency_keys_pkey PRIMARY KEY (project_id, key)
   )`,
];

const DOWN = [
  'idempotency_keys',
  'outbox',
  'server_events',
  'decisions',
  'allocations',
  'claims',
  'servers',
  'flavors',
  'aliases',
  'devices',
  'hosts',
].map((table) => `DROP TABLE ${table}`);
