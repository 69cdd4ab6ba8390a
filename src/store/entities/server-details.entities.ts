import { Check, Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';
import { ServerEntity } from './workload.entities.js';

/** What the compute face keeps of a server and no decision looks at. A server without a row has the defaults. */
@Entity('server_details')
@Check('server_details_disk_config_check', `disk_config IN ('AUTO', 'MANUAL')`)
export class ServerDetailsEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'server_details_pkey' })
  @ForeignKey(() => ServerEntity, { name: 'server_details_server_id_fkey' })
  server_id: string;
  /** Who asked for it; null: not known. */
  @Column('text', { nullable: true }) user_id: string | null;
  @Column('text', { nullable: true }) description: string | null;
  @Column('jsonb', { default: {} }) metadata: Record<string, string>;
  /** In the order in which they came. */
  @Column('text', { array: true, default: [] }) tags: string[];
  @Column('text', { nullable: true }) key_name: string | null;
  @Column('boolean', { default: false }) config_drive: boolean;
  /** In base64, as it was given. */
  @Column('text', { nullable: true }) user_data: string | null;
  @Column('text', { nullable: true }) access_ipv4: string | null;
  @Column('text', { nullable: true }) access_ipv6: string | null;
  /** null: made of the server's name. */
  @Column('text', { nullable: true }) hostname: string | null;
  @Column('text', { nullable: true }) image_id: string | null;
  @Column('text', { default: 'MANUAL' }) disk_config: 'AUTO' | 'MANUAL';
}
