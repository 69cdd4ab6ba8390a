import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

/** How much of one resource a project may have. */
@Entity('quotas')
@Check('quotas_hard_limit_check', `hard_limit >= -1`)
export class QuotaEntity {
  /** `*`: of every project that has none of its own. */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'quotas_pkey' }) project_id: string;
  /** `servers`, `vcpus`, `memory_mb`, `disk_gb`, `devices`, `alias:NAME`, `class:NAME`, `class:VENDOR:PRODUCT`, `kept:NAME`. */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'quotas_pkey' }) resource: string;
  /** -1: no limit, also where the default is one. */
  @Column('bigint') hard_limit: number;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
}
