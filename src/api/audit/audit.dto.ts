import { ApiProperty } from '@nestjs/swagger';
import type { AuditEntry } from '../../store/audit-chain.js';
import type { AuditEnds } from '../../store/audit-views.store.js';
import { IdParameter, TextParameter } from '../fields.js';
import { PageQuery } from '../page.js';

export class AuditQuery extends PageQuery {
  @IdParameter({ description: 'Entries that concern this device.' }) device_id?: string;
  @IdParameter({ description: 'Entries that concern this server.' }) server_id?: string;
  @TextParameter({ description: 'Entries that concern this host; name or id.' }) host?: string;
}

export class AuditEntryView {
  @ApiProperty({ type: 'integer', description: 'From 1, without gaps.' }) readonly seq: number;
  @ApiProperty({ type: String, format: 'date-time', description: 'UTC with microseconds.' }) readonly at: string;
  @ApiProperty({ type: String, description: 'The process that wrote it.', example: 'ctl-1:4711' })
  readonly writer: string;
  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description:
      'By `kind`: transitions of devices, decisions, a preemption, drift of a device, or what an administrator did.',
    example: { kind: 'admin', action: 'device.quarantine', actor: 'rest' },
  })
  readonly body: Readonly<Record<string, unknown>>;
  @ApiProperty({ type: String, description: 'Of the entry before.' }) readonly previous_hash: string;
  @ApiProperty({
    type: String,
    description: 'SHA-256 of `previous_hash`, `seq`, `at`, `writer` and the text of `body`.',
  })
  readonly hash: string;
}

export class AuditPageView {
  @ApiProperty({ type: [AuditEntryView] }) readonly entries: readonly AuditEntryView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export class AuditHeadView {
  @ApiProperty({ type: 'integer', description: 'Number of the last entry; 0: there is none.' }) readonly seq: number;
  @ApiProperty({ type: String }) readonly hash: string;
  @ApiProperty({ type: String, description: 'For `berth audit verify --anchor`; keep it elsewhere.' })
  readonly anchor: string;
  @ApiProperty({ type: 'integer', description: 'Entries up to this one are not kept any more.' })
  readonly pruned: number;
  @ApiProperty({ type: 'integer', description: 'Rows that are not sealed yet.' }) readonly pending: number;
}

export function auditEntryView(entry: AuditEntry): AuditEntryView {
  const { seq, at, writer, body, previousHash, hash } = entry;
  return { seq, at, writer, body: JSON.parse(body) as AuditEntryView['body'], previous_hash: previousHash, hash };
}

export function auditHeadView({ start, head, pending }: AuditEnds): AuditHeadView {
  return { ...head, anchor: `${head.seq}:${head.hash}`, pruned: start.seq, pending };
}
