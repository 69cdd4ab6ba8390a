import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** What transactions wrote and the sealer has not taken yet. */
@Entity('audit_pending')
export class AuditPendingEntity {
  @PrimaryColumn('bigint', {
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'audit_pending_pkey',
  })
  id: number;
  @Column('timestamptz', { default: () => 'clock_timestamp()' }) at: Date;
  @Column('text') writer: string;
  @Column('json') body: unknown;
}

/** A link of the chain; `seq` has no gaps. */
@Entity('audit_entries')
@Index('audit_entries_subjects_idx', { synchronize: false })
export class AuditEntryEntity {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'audit_entries_pkey' }) seq: number;
  @Column('timestamptz') at: Date;
  @Column('text') writer: string;
  @Column('json') body: unknown;
  /** Ids of the devices, hosts and servers in the body, to find it by. */
  @Column('uuid', { array: true }) subjects: string[];
  @Column('text') previous_hash: string;
  @Column('text') hash: string;
}

/** `start`: the last entry that was pruned; `head`: the last one that was sealed. */
@Entity('audit_anchors')
@Check('audit_anchors_name_check', `name IN ('start', 'head')`)
export class AuditAnchorEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'audit_anchors_pkey' }) name: 'start' | 'head';
  @Column('bigint') seq: number;
  @Column('text') hash: string;
  @Column('timestamptz', { default: () => 'now()' }) at: Date;
}
