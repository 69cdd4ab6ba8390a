import { Check, Column, Entity, ForeignKey, Generated, Index, PrimaryColumn } from 'typeorm';
import type { WireBinding } from '../../messages/bodies.js';
import type { DeviceRequest, ExcludedHost, PlacementRequest } from '../../placement/request.js';
import { DeviceEntity, HostEntity } from './inventory.entities.js';
import { ServerGroupEntity } from './site.entities.js';

/** `SHELVED`: it has neither host nor devices, and waits to be asked for again. */
export const SERVER_STATUSES = ['BUILD', 'ACTIVE', 'SHELVED', 'ERROR', 'DELETING', 'DELETED'] as const;
export type ServerStatus = (typeof SERVER_STATUSES)[number];
/** How the guest of an ACTIVE server is to be. `error`: an administrator says that it is broken; it keeps what it has. */
export const VM_STATES = ['active', 'stopped', 'paused', 'suspended', 'error'] as const;
export type VmState = (typeof VM_STATES)[number];
/** What is under way with a guest, until its agent answers; the last three until the scheduler has decided. */
export const GUEST_ACTIONS = [
  ...(['stop', 'start', 'reboot', 'reboot_hard', 'pause', 'unpause', 'suspend', 'resume', 'rebuild'] as const),
  ...(['unshelve', 'migrate', 'resize'] as const),
] as const;
export type GuestAction = (typeof GUEST_ACTIONS)[number];
export const TASK_STATES = ['scheduling', 'preparing', 'releasing', 'waiting', 'attaching', 'detaching'] as const;
export type TaskState = (typeof TASK_STATES)[number];
/** `server`: what a server was placed with. `attach`: devices that came to it while it ran. */
export type ClaimKind = 'server' | 'attach';
export type ClaimStatus = 'claimed' | 'allocated' | 'releasing' | 'released';

/** What went wrong, for the user. */
export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The flavor as it was when the server was created. */
export interface FlavorSnapshot {
  readonly id: string;
  readonly name: string;
  readonly vcpus: number;
  readonly ram_mb: number;
  readonly disk_gb: number;
  /** Left out by servers of old: 0. */
  readonly ephemeral_gb?: number;
  readonly swap_mb?: number;
  readonly extra_specs: Readonly<Record<string, string>>;
}

/** `placement`: an orchestrator asked for devices and has a server of its own for them, or none. */
export type ServerKind = 'server' | 'placement';

@Entity('servers')
@Check('servers_kind_check', `kind IN ('server', 'placement')`)
@Index('servers_one_placement_per_key', ['project_id', 'placement_key'], {
  unique: true,
  where: 'placement_key IS NOT NULL',
})
@Check('servers_status_check', `status IN ('BUILD', 'ACTIVE', 'SHELVED', 'ERROR', 'DELETING', 'DELETED')`)
@Check('servers_vm_state_check', `vm_state IN ('active', 'stopped', 'paused', 'suspended', 'error')`)
@Check(
  'servers_action_check',
  `action IN ('stop', 'start', 'reboot', 'reboot_hard', 'pause', 'unpause', 'suspend', 'resume', 'rebuild', 'unshelve', 'migrate', 'resize')`,
)
@Check('servers_locked_by_check', `locked_by IN ('owner', 'admin')`)
@Check(
  'servers_task_state_check',
  `task_state IN ('scheduling', 'preparing', 'releasing', 'waiting', 'attaching', 'detaching')`,
)
@Index('servers_gang_id_idx', ['gang_id'], { where: `gang_id IS NOT NULL` })
@Index('servers_attaching_idx', ['updated_at'], { where: `attaching IS NOT NULL` })
@Index('servers_queue_idx', ['queue_rank', 'queued_at', 'id'], { where: `task_state = 'waiting'` })
@Index('servers_unfinished_idx', ['updated_at'], { where: `status IN ('BUILD', 'DELETING')` })
@Index('servers_created_at_idx', ['created_at', 'id'])
@Index('servers_project_id_idx', ['project_id'], { where: `status <> 'DELETED'` })
@Index('servers_group_id_idx', ['group_id'], { where: 'group_id IS NOT NULL' })
export class ServerEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'servers_pkey' }) id: string;
  @Column('text') name: string;
  @Column('text') project_id: string;
  @Column('text') status: ServerStatus;
  @Column('text', { nullable: true }) task_state: TaskState | null;
  @Column('jsonb', { nullable: true }) flavor: FlavorSnapshot | null;
  @Column('jsonb') request: PlacementRequest;
  @Column('uuid', { nullable: true })
  @ForeignKey(() => HostEntity, { name: 'servers_host_id_fkey' })
  host_id: string | null;
  @Column('integer', { default: 0 }) attempts: number;
  @Column('jsonb', { default: [] }) excluded_hosts: ExcludedHost[];
  @Column('jsonb', { nullable: true }) fault: Fault | null;
  // Copies of what `request` says, for what looks at many servers; `insertServer` writes both.
  /** Also null when the group was deleted. */
  @Column('uuid', { nullable: true })
  @ForeignKey(() => ServerGroupEntity, { name: 'servers_group_id_fkey', onDelete: 'SET NULL' })
  group_id: string | null;
  @Column('integer', { default: 0 }) priority: number;
  @Column('boolean', { default: false }) preemptible: boolean;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
  /** Of servers that were asked for in one call: the first one's id. */
  @Column('uuid', { nullable: true }) gang_id: string | null;
  /** How many of the call have to fit; null once they are decided on, and of a server that was asked for alone. */
  @Column('integer', { nullable: true }) gang_min: number | null;
  /** Which one of the call it is, from 1. */
  @Column('integer', { nullable: true }) gang_place: number | null;
  /** Whether it waits when there is no room for it. */
  @Column('boolean', { default: false }) waits: boolean;
  @Column('timestamptz', { nullable: true }) queued_at: Date | null;
  /** Who is tried first: the lower. See `queue.store.ts`. */
  @Column('double precision', { nullable: true }) queue_rank: number | null;
  /** The host that is kept for it while it waits. */
  @Column('uuid', { nullable: true })
  @ForeignKey(() => HostEntity, { name: 'servers_nominated_host_id_fkey' })
  nominated_host_id: string | null;
  /** What is to be attached to it, while nothing is decided on that. */
  @Column('jsonb', { nullable: true }) attaching: DeviceRequest[] | null;
  @Column('text', { default: 'server' }) kind: ServerKind;
  /** The idempotency key under which a placement was asked for. */
  @Column('text', { nullable: true }) placement_key: string | null;
  /** Of what was asked for under the key. */
  @Column('text', { nullable: true }) placement_hash: string | null;
  /** Of a placement: where its decision is recorded, with those of others of its kind. */
  @Column('uuid', { nullable: true }) decision_class_id: string | null;
  @Column('text', { default: 'active' }) vm_state: VmState;
  @Column('text', { nullable: true }) action: GuestAction | null;
  /** Members of its project may not touch it. */
  @Column('text', { nullable: true }) locked_by: 'owner' | 'admin' | null;
  @Column('text', { nullable: true }) locked_reason: string | null;
}

@Entity('claims')
@Check('claims_status_check', `status IN ('claimed', 'allocated', 'releasing', 'released')`)
@Check('claims_kind_check', `kind IN ('server', 'attach')`)
@Index('claims_one_live_per_server', ['server_id'], {
  unique: true,
  where: `kind = 'server' AND status IN ('claimed', 'allocated')`,
})
@Index('claims_one_attach_under_way', ['server_id'], {
  unique: true,
  where: `kind = 'attach' AND status = 'claimed'`,
})
@Index('claims_live_host_idx', ['host_id'], { where: `status <> 'released'` })
@Index('claims_server_id_idx', ['server_id'])
@Index('claims_split_from_idx', ['split_from'], { where: `split_from IS NOT NULL` })
export class ClaimEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'claims_pkey' }) id: string;
  @Column('uuid')
  @ForeignKey(() => ServerEntity, { name: 'claims_server_id_fkey' })
  server_id: string;
  @Column('uuid') host_id: string;
  @Column('integer') attempt: number;
  @Column('text') status: ClaimStatus;
  @Column('integer') vcpus: number;
  @Column('integer') memory_mb: number;
  @Column('integer') disk_gb: number;
  @Column('jsonb', { nullable: true }) numa_cells: number[] | null;
  @Column('timestamptz', { nullable: true }) expires_at: Date | null;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
  @Column('text', { default: 'server' }) kind: ClaimKind;
  /** The claim that had the devices before they were to be detached: to the agent they are still that one's. */
  @Column('uuid', { nullable: true }) split_from: string | null;
  /** A later claim has a higher one: see `docs/decisions/0018`. */
  @Column('bigint') @Generated('increment') number: number;
  /** Of the agent that prepared it. */
  @Column('bigint', { nullable: true }) epoch: number | null;
}

@Entity('allocations')
@Index('allocations_one_live_owner_per_device', ['device_id'], { unique: true, where: 'released_at IS NULL' })
@Index('allocations_claim_id_idx', ['claim_id'])
export class AllocationEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'allocations_pkey' }) id: string;
  @Column('uuid') claim_id: string;
  @Column('uuid') server_id: string;
  @Column('uuid')
  @ForeignKey(() => DeviceEntity, { name: 'allocations_device_id_fkey' })
  device_id: string;
  /** null: a companion, taken because it shares the IOMMU group of a requested device. */
  @Column('text', { nullable: true }) alias: string | null;
  @Column('integer', { nullable: true }) request_index: number | null;
  @Column('jsonb', { nullable: true }) binding: WireBinding | null;
  @Column('timestamptz', { nullable: true }) released_at: Date | null;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}

@Entity('decisions')
@Check('decisions_outcome_check', `outcome IN ('placed', 'rejected')`)
@Index('decisions_server_id_idx', ['server_id', 'created_at'])
export class DecisionEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'decisions_pkey' }) id: string;
  @Column('uuid')
  @ForeignKey(() => ServerEntity, { name: 'decisions_server_id_fkey' })
  server_id: string;
  @Column('integer') attempt: number;
  @Column('text') outcome: 'placed' | 'rejected';
  @Column('uuid', { nullable: true })
  @ForeignKey(() => HostEntity, { name: 'decisions_host_id_fkey' })
  host_id: string | null;
  /** To the letter: its hash is in the audit. */
  @Column('json') record: Record<string, unknown>;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}

/** What was decided on equal requests of one batch. */
@Entity('decision_classes')
export class DecisionClassEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'decision_classes_pkey' }) id: string;
  @Column('json') record: Record<string, unknown>;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}

@Entity('server_events')
@Index('server_events_server_id_idx', ['server_id', 'id'])
export class ServerEventEntity {
  @PrimaryColumn('bigint', {
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'server_events_pkey',
  })
  id: number;
  @Column('uuid')
  @ForeignKey(() => ServerEntity, { name: 'server_events_server_id_fkey' })
  server_id: string;
  @Column('text') event: string;
  @Column('text') message: string;
  @Column('timestamptz', { default: () => 'clock_timestamp()' }) created_at: Date;
}

@Entity('outbox')
export class OutboxEntity {
  @PrimaryColumn('bigint', {
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'outbox_pkey',
  })
  id: number;
  @Column('text') queue: string;
  @Column('json') message: Record<string, unknown>;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}

@Entity('idempotency_keys')
export class IdempotencyKeyEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'idempotency_keys_pkey' }) project_id: string;
  @PrimaryColumn('text', { primaryKeyConstraintName: 'idempotency_keys_pkey' }) key: string;
  @Column('text') request_hash: string;
  @Column('text') resource_id: string;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}
