import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { HostEntity } from './inventory.entities.js';
import type { PlacementRequest } from '../../placement/request.js';
import { type FlavorSnapshot, ServerEntity } from './workload.entities.js';

/** `open`: to be moved. `left`: it has devices elsewhere, or waits for some. `stuck`: it stays, and nobody tries again. */
export type EvacuationState = 'open' | 'left' | 'stuck' | 'needs_owner';

/** The latest life of an agent that has said what it holds; by the host's name, as it may speak before its first report. */
@Entity('agent_lives')
export class AgentLifeEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'agent_lives_pkey' }) host_name: string;
  @Column('bigint') epoch: number;
  /** Of its journal. */
  @Column('uuid') incarnation: string;
}

/** A host that an administrator has removed, for whoever still knows it. */
@Entity('removed_hosts')
@Index('removed_hosts_changed_xid_idx', ['changed_xid'])
export class RemovedHostEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'removed_hosts_pkey' }) id: string;
  @Column('text') name: string;
  @Column('bigint') changed_xid: number;
  @Column('timestamptz', { default: () => 'now()' }) removed_at: Date;
}

/** A server that is, or was, to leave a host. */
@Entity('evacuations')
@Check('evacuations_state_check', `state IN ('open', 'left', 'stuck', 'needs_owner')`)
@Index('evacuations_open_idx', ['host_id'], { where: `state = 'open'` })
export class EvacuationEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'evacuations_pkey' })
  @ForeignKey(() => HostEntity, { name: 'evacuations_host_id_fkey', onDelete: 'CASCADE' })
  host_id: string;
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'evacuations_pkey' })
  @ForeignKey(() => ServerEntity, { name: 'evacuations_server_id_fkey' })
  server_id: string;
  @Column('text') state: EvacuationState;
  /** Why it has not left. */
  @Column('text', { nullable: true }) problem: string | null;
  /** What the administrator said. */
  @Column('text', { nullable: true }) reason: string | null;
  /** Tried again while there is no room. */
  @Column('boolean') waits: boolean;
  /** It leaves also when there is no room. */
  @Column('boolean') force: boolean;
  @Column('timestamptz', { default: () => 'now()' }) asked_at: Date;
  /** What it asks for from then on; null: what it asks for now. */
  @Column('jsonb', { nullable: true }) request: PlacementRequest | null;
  @Column('jsonb', { nullable: true }) flavor: FlavorSnapshot | null;
}
