import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { HostEntity } from './inventory.entities.js';

/** `pending`: the agent has not said yet what came of it. `releasing`: it is to end, and the agent has not said yet that it has. */
export const DEVICE_CLAIM_STATES = ['pending', 'enabled', 'refused', 'blocked', 'releasing'] as const;
export type DeviceClaimState = (typeof DEVICE_CLAIM_STATES)[number];

/** Passthrough is enabled on a device and its companions, ahead of use. */
@Entity('device_claims')
@Check('device_claims_state_check', `state IN ('pending', 'enabled', 'refused', 'blocked', 'releasing')`)
@Index('device_claims_host_id_idx', ['host_id'])
@Index('device_claims_unanswered_idx', ['sent_at'], { where: 'answered_at IS NULL' })
export class DeviceClaimEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'device_claims_pkey' }) id: string;
  @Column('uuid')
  @ForeignKey(() => HostEntity, { name: 'device_claims_host_id_fkey', onDelete: 'CASCADE' })
  host_id: string;
  /** What it was made for. */
  @Column('text') address: string;
  @Column('text') state: DeviceClaimState;
  /** Somebody has deleted it: it is gone when the agent has given everything back. */
  @Column('boolean', { default: false }) ends: boolean;
  @Column('text', { nullable: true }) step: string | null;
  @Column('text', { nullable: true }) errno: string | null;
  /** The server or the programs that it waits for. */
  @Column('text', { nullable: true }) held_by: string | null;
  @Column('text', { nullable: true }) message: string | null;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  /** When it was made, or deleted. */
  @Column('timestamptz', { default: () => 'now()' }) asked_at: Date;
  /** When the command went out last. */
  @Column('timestamptz', { default: () => 'now()' }) sent_at: Date;
  /** When the agent first said what came of what was asked. */
  @Column('timestamptz', { nullable: true }) answered_at: Date | null;
}

/** A device is in one claim at most. */
@Entity('device_claim_devices')
@Index('device_claim_devices_claim_id_idx', ['claim_id'])
export class DeviceClaimDeviceEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'device_claim_devices_pkey' }) host_id: string;
  @PrimaryColumn('text', { primaryKeyConstraintName: 'device_claim_devices_pkey' }) address: string;
  @Column('uuid')
  @ForeignKey(() => DeviceClaimEntity, { name: 'device_claim_devices_claim_id_fkey', onDelete: 'CASCADE' })
  claim_id: string;
  /** 0: what the claim was made for; companions follow in address order. */
  @Column('integer') position: number;
  /** The card that was meant. */
  @Column('text') vendor_id: string;
  @Column('text') product_id: string;
  /** That it gets back, as the agent told; null: it had none, or it is not known yet. */
  @Column('text', { nullable: true }) original_driver: string | null;
}
