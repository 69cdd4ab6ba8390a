import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { ServerEntity } from './workload.entities.js';

/** Something that somebody asked for of a server: who, by which request, and what came of it. */
@Entity('server_actions')
@Check('server_actions_result_check', `result IN ('success', 'error')`)
@Index('server_actions_server_id_idx', ['server_id', 'id'])
@Index('server_actions_open_idx', ['server_id'], { where: 'finished_at IS NULL' })
@Index('server_actions_asked_idx', ['asked_at'], { where: 'finished_at IS NULL AND asked_at IS NOT NULL' })
export class ServerActionEntity {
  @PrimaryColumn('bigint', {
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'server_actions_pkey',
  })
  id: number;
  @Column('uuid')
  @ForeignKey(() => ServerEntity, { name: 'server_actions_server_id_fkey' })
  server_id: string;
  /** Nova's word: `create`, `stop`, `reboot`, … */
  @Column('text') action: string;
  /** `req-` and a UUID. */
  @Column('text') request_id: string;
  @Column('text') user_id: string;
  /** Of who asked. */
  @Column('text') project_id: string;
  /** Whose agent was asked; null: none. */
  @Column('text', { nullable: true }) host_name: string | null;
  @Column('timestamptz', { default: () => 'clock_timestamp()' }) started_at: Date;
  /** When its agent was asked last; null: no agent has to answer. */
  @Column('timestamptz', { nullable: true }) asked_at: Date | null;
  @Column('timestamptz', { nullable: true }) finished_at: Date | null;
  @Column('text', { nullable: true }) result: 'success' | 'error' | null;
  /** What went wrong. */
  @Column('text', { nullable: true }) message: string | null;
}

/** A server that leaves a host, or was to. */
@Entity('server_moves')
@Check('server_moves_kind_check', `kind IN ('evacuation', 'migration', 'resize')`)
@Check('server_moves_status_check', `status IN ('accepted', 'done', 'failed')`)
@Index('server_moves_server_id_idx', ['server_id', 'id'])
@Index('server_moves_created_at_idx', ['created_at', 'id'])
export class ServerMoveEntity {
  @PrimaryColumn('integer', {
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'server_moves_pkey',
  })
  id: number;
  @Column('uuid') uuid: string;
  @Column('uuid')
  @ForeignKey(() => ServerEntity, { name: 'server_moves_server_id_fkey' })
  server_id: string;
  @Column('text') kind: 'evacuation' | 'migration' | 'resize';
  @Column('text') status: 'accepted' | 'done' | 'failed';
  @Column('text', { nullable: true }) source_host: string | null;
  @Column('text', { nullable: true }) target_host: string | null;
  @Column('text', { nullable: true }) flavor_id: string | null;
  @Column('text') user_id: string;
  @Column('text') project_id: string;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
}
