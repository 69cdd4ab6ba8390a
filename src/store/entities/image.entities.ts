import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

export const IMAGE_VISIBILITIES = ['public', 'private', 'shared'] as const;
/** Who sees an image beside its project: everybody, nobody, or the members. */
export type ImageVisibility = (typeof IMAGE_VISIBILITIES)[number];

/** An image: a name and properties. Its data are nowhere. */
@Entity('images')
@Index('images_created_at_idx', ['created_at', 'id'])
@Index('images_name_idx', ['name'])
@Check('images_visibility_check', `visibility IN ('public', 'private', 'shared')`)
export class ImageEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'images_pkey' }) id: string;
  /** Several images may have one name. */
  @Column('text', { nullable: true }) name: string | null;
  @Column('text') owner_project_id: string;
  @Column('text') visibility: ImageVisibility;
  /** Projects that see a shared image. */
  @Column('text', { array: true, default: [] }) members: string[];
  @Column('boolean') protected: boolean;
  @Column('integer') min_ram_mb: number;
  @Column('integer') min_disk_gb: number;
  @Column('text', { nullable: true }) disk_format: string | null;
  @Column('text', { nullable: true }) container_format: string | null;
  @Column('text', { array: true, default: [] }) tags: string[];
  @Column('jsonb', { default: {} }) properties: Record<string, string>;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
}
