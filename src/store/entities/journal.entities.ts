import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

export type JournalKind = 'base' | 'policy' | 'host' | 'decision';

/** What rarely changes of hosts that entries name, by content. */
@Entity('journal_facts')
@Index('journal_facts_named_at_idx', ['named_at'])
export class JournalFactsEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'journal_facts_pkey' }) hash: string;
  @Column('json') body: unknown;
  /** When a scheduler named it last for the first time since a base. */
  @Column('timestamptz', { default: () => 'now()' }) named_at: Date;
}

/** What one scheduler process saw and decided, in the order of `seq`. */
@Entity('journal_entries')
@Check('journal_entries_kind_check', `kind IN ('base', 'policy', 'host', 'decision')`)
@Index('journal_entries_bases_idx', ['at', 'run', 'seq'], { where: `kind = 'base'` })
export class JournalEntryEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'journal_entries_pkey' }) run: string;
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'journal_entries_pkey' }) seq: number;
  @Column('text') kind: JournalKind;
  /** By the clock of the process. */
  @Column('timestamptz') at: Date;
  @Column('json') body: unknown;
}
