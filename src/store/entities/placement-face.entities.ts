import { Check, Column, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm';
import { ServerEntity } from './workload.entities.js';

/** Who was given something through the placement face, and the placement that has it. */
@Entity('placement_consumers')
@Unique('placement_consumers_placement_id_key', ['placement_id'])
export class PlacementConsumerEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'placement_consumers_pkey' }) consumer_id: string;
  @Column('uuid')
  @ForeignKey(() => ServerEntity, { name: 'placement_consumers_placement_id_fkey' })
  placement_id: string;
  @Column('text') user_id: string;
  /** null: nobody said, as before version 1.38. */
  @Column('text', { nullable: true }) consumer_type: string | null;
  @Column('integer', { default: 1 }) generation: number;
}

const NAME_CHECK = `name ~ '^CUSTOM_[A-Z0-9_]{1,248}$'`;

@Entity('custom_traits')
@Check('custom_traits_name_check', NAME_CHECK)
export class CustomTraitEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'custom_traits_pkey' }) name: string;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}

@Entity('custom_resource_classes')
@Check('custom_resource_classes_name_check', NAME_CHECK)
export class CustomResourceClassEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'custom_resource_classes_pkey' }) name: string;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}
