import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import type { WireVfProblem } from '../../messages/sriov-bodies.js';
import { HostEntity } from './inventory.entities.js';

/** `applying`: the agent has not said yet what came of it. */
export const SRIOV_STATES = ['applying', 'applied', 'refused'] as const;
export type SriovState = (typeof SRIOV_STATES)[number];

/** What an administrator wishes of the VFs of one PF. */
@Entity('sriov_wishes')
@Check('sriov_wishes_state_check', `state IN ('applying', 'applied', 'refused')`)
@Check('sriov_wishes_vf_count_check', `vf_count BETWEEN 0 AND 65535`)
@Index('sriov_wishes_applying_idx', ['sent_at'], { where: `state = 'applying'` })
export class SriovWishEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'sriov_wishes_pkey' })
  @ForeignKey(() => HostEntity, { name: 'sriov_wishes_host_id_fkey', onDelete: 'CASCADE' })
  host_id: string;
  @PrimaryColumn('text', { primaryKeyConstraintName: 'sriov_wishes_pkey' }) address: string;
  /** Of the host's wishes when it was made. */
  @Column('bigint') revision: number;
  /** The card that was meant. */
  @Column('text') vendor_id: string;
  @Column('text') product_id: string;
  @Column('integer') vf_count: number;
  @Column('boolean', { nullable: true }) autoprobe: boolean | null;
  @Column('jsonb', { nullable: true }) vfs: Record<string, unknown> | null;
  @Column('text') state: SriovState;
  /** Whether the PF is reserved until the agent has answered, so that none of its VFs is given to anybody. */
  @Column('boolean') holds: boolean;
  @Column('text', { nullable: true }) step: string | null;
  @Column('text', { nullable: true }) errno: string | null;
  @Column('text', { nullable: true }) message: string | null;
  @Column('jsonb', { default: [] }) vf_problems: WireVfProblem[];
  @Column('timestamptz', { default: () => 'now()' }) asked_at: Date;
  /** When the command went out last. */
  @Column('timestamptz', { default: () => 'now()' }) sent_at: Date;
  @Column('timestamptz', { nullable: true }) answered_at: Date | null;
}
