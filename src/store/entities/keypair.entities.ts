import { Check, Column, Entity, Generated, PrimaryColumn } from 'typeorm';

export const KEYPAIR_TYPES = ['ssh', 'x509'] as const;
export type KeypairType = (typeof KEYPAIR_TYPES)[number];

/** A public key of a user. */
@Entity('keypairs')
@Check('keypairs_type_check', `type IN ('ssh', 'x509')`)
export class KeypairEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'keypairs_pkey' }) user_id: string;
  @PrimaryColumn('text', { primaryKeyConstraintName: 'keypairs_pkey' }) name: string;
  @Column('bigint') @Generated('increment') id: number;
  @Column('text') type: KeypairType;
  @Column('text') public_key: string;
  @Column('text') fingerprint: string;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
}
