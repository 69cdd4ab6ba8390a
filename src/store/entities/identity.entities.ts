import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A token that Berth has issued. */
@Entity('identity_tokens')
@Index('identity_tokens_expires_at_idx', ['expires_at'])
export class IdentityTokenEntity {
  /** SHA-256, in hex. */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'identity_tokens_pkey' }) token_hash: string;
  @Column('text') user_name: string;
  /** Of the user's line in the htpasswd file: with another password the token is over. */
  @Column('text') credential_hash: string;
  @Column('timestamptz', { default: () => 'now()' }) issued_at: Date;
  @Column('timestamptz') expires_at: Date;
}
