import { Check, Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import type { AliasSpec, NumaPolicy } from '../../pci/alias.js';

@Entity('aliases')
@Unique('aliases_name_key', ['name'])
@Check('aliases_source_check', `source IN ('file', 'rest')`)
@Check('aliases_numa_policy_check', `numa_policy IN ('required', 'preferred', 'legacy', 'socket')`)
export class AliasEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'aliases_pkey' }) id: string;
  @Column('text') name: string;
  @Column('text') numa_policy: NumaPolicy;
  @Column('jsonb') specs: AliasSpec[];
  @Column('text') source: 'file' | 'rest';
  @Column('integer', { default: 1 }) version: number;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
}

@Entity('flavors')
@Unique('flavors_name_key', ['name'])
@Check('flavors_size_check', 'vcpus >= 0 AND ram_mb >= 0 AND disk_gb >= 0')
export class FlavorEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'flavors_pkey' }) id: string;
  @Column('text') name: string;
  @Column('integer') vcpus: number;
  @Column('integer') ram_mb: number;
  @Column('integer') disk_gb: number;
  @Column('jsonb', { default: {} }) extra_specs: Record<string, string>;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}
