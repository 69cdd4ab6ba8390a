import { Check, Column, Entity, ForeignKey, Generated, Index, PrimaryColumn, Unique } from 'typeorm';
import type { ServerGroupWish } from '../../placement/request.js';
import { HostEntity } from './inventory.entities.js';

/** Hosts that an operator put together. */
@Entity('aggregates')
@Unique('aggregates_name_key', ['name'])
@Index('aggregates_number_idx', ['number'])
export class AggregateEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'aggregates_pkey' }) id: string;
  @Column('text') name: string;
  /** Of all its hosts; null: it says nothing of zones. */
  @Column('text', { nullable: true }) availability_zone: string | null;
  @Column('jsonb', { default: {} }) metadata: Record<string, string>;
  /** Counts its changes, those of its hosts among them. */
  @Column('integer', { default: 1 }) generation: number;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
  /** Its id for clients of Nova. */
  @Column('bigint') @Generated('increment') number: number;
}

@Entity('aggregate_hosts')
@Index('aggregate_hosts_host_id_idx', ['host_id'])
export class AggregateHostEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'aggregate_hosts_pkey' })
  @ForeignKey(() => AggregateEntity, { name: 'aggregate_hosts_aggregate_id_fkey', onDelete: 'CASCADE' })
  aggregate_id: string;
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'aggregate_hosts_pkey' })
  @ForeignKey(() => HostEntity, { name: 'aggregate_hosts_host_id_fkey', onDelete: 'CASCADE' })
  host_id: string;
}

/** Servers that have to be together, or apart. Its members are the servers that name it. */
@Entity('server_groups')
@Check('server_groups_policy_check', `policy IN ('affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity')`)
@Check('server_groups_max_server_per_host_check', `max_server_per_host >= 1`)
@Index('server_groups_created_at_idx', ['created_at', 'id'])
export class ServerGroupEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'server_groups_pkey' }) id: string;
  @Column('text') name: string;
  @Column('text') project_id: string;
  @Column('text') policy: ServerGroupWish['policy'];
  /** Of anti-affinity. */
  @Column('integer', { default: 1 }) max_server_per_host: number;
  /** Who made it; empty: that was not written down. */
  @Column('text', { default: '' }) user_id: string;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}
