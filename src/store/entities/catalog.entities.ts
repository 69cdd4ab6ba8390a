import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import type { AliasSpec } from '../../pci/alias/alias.js';
import type { NumaPolicy } from '../../pci/alias/numa-policy.js';

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

/** Every version that an alias ever had. A name goes on counting when it is deleted and made again. */
@Entity('alias_versions')
@Check('alias_versions_numa_policy_check', `numa_policy IN ('required', 'preferred', 'legacy', 'socket')`)
@Check('alias_versions_source_check', `source IN ('file', 'rest')`)
@Check('alias_versions_change_check', `change IN ('created', 'changed', 'deleted')`)
export class AliasVersionEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'alias_versions_pkey' }) name: string;
  @PrimaryColumn('integer', { primaryKeyConstraintName: 'alias_versions_pkey' }) version: number;
  @Column('text') numa_policy: NumaPolicy;
  /** Of a version that is a deletion: what was deleted. */
  @Column('jsonb') specs: AliasSpec[];
  @Column('text') source: 'file' | 'rest';
  /** Whose files this is from; null: from none. */
  @Column('text', { nullable: true }) origin: string | null;
  @Column('text') change: 'created' | 'changed' | 'deleted';
  @Column('timestamptz', { default: () => 'now()' }) changed_at: Date;
  /** `rest`, `file:<origin>`, or `forgotten:<origin>`. */
  @Column('text') changed_by: string;
}

/** Whose configuration files define aliases. */
@Entity('alias_origins')
export class AliasOriginEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'alias_origins_pkey' }) origin: string;
  /** When its files were read last. */
  @Column('timestamptz', { default: () => 'now()' }) said_at: Date;
}

/** What the files of an origin say. What holds for all is in `aliases`. */
@Entity('file_aliases')
@Check('file_aliases_numa_policy_check', `numa_policy IN ('required', 'preferred', 'legacy', 'socket')`)
@Index('file_aliases_origin_idx', ['origin'])
export class FileAliasEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'file_aliases_pkey' }) name: string;
  @PrimaryColumn('text', { primaryKeyConstraintName: 'file_aliases_pkey' })
  @ForeignKey(() => AliasOriginEntity, { name: 'file_aliases_origin_fkey', onDelete: 'CASCADE' })
  origin: string;
  @Column('text') numa_policy: NumaPolicy;
  @Column('jsonb') specs: AliasSpec[];
}

@Entity('flavors')
@Unique('flavors_name_key', ['name'])
@Check('flavors_size_check', 'vcpus >= 0 AND ram_mb >= 0 AND disk_gb >= 0')
@Check('flavors_more_disk_check', 'ephemeral_gb >= 0 AND swap_mb >= 0')
export class FlavorEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'flavors_pkey' }) id: string;
  @Column('text') name: string;
  @Column('integer') vcpus: number;
  @Column('integer') ram_mb: number;
  @Column('integer') disk_gb: number;
  @Column('integer', { default: 0 }) ephemeral_gb: number;
  @Column('integer', { default: 0 }) swap_mb: number;
  /** Kept for who asks; nothing is made of it. */
  @Column('double precision', { default: 1 }) rxtx_factor: number;
  /** If not, only projects with access see it, and administrators. */
  @Column('boolean', { default: true }) is_public: boolean;
  @Column('text', { nullable: true }) description: string | null;
  @Column('jsonb', { default: {} }) extra_specs: Record<string, string>;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}

/** Which project may use a flavor that is not public. */
@Entity('flavor_access')
@Index('flavor_access_project_id_idx', ['project_id'])
export class FlavorAccessEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'flavor_access_pkey' })
  @ForeignKey(() => FlavorEntity, { name: 'flavor_access_flavor_id_fkey', onDelete: 'CASCADE' })
  flavor_id: string;
  @PrimaryColumn('text', { primaryKeyConstraintName: 'flavor_access_pkey' }) project_id: string;
}
