import { BerthError } from '../errors.js';
import type { AuditAnchor } from '../store/audit-chain.js';
import { checkChain, type ChainBreak } from '../store/audit-check.js';
import { findAuditEntry, onStillChain, type AuditEnds } from '../store/audit-views.store.js';
import type { Tx } from '../store/database.js';

export interface AuditReport {
  /** null: the chain is whole. */
  readonly broken: ChainBreak | null;
  /** Checking began after this entry. */
  readonly from: number;
  /** How many follow from there as they were sealed. */
  readonly entries: number;
  /** The last one of them. */
  readonly last: AuditAnchor;
  /** How many rows are not sealed yet. */
  readonly pending: number;
}

/**
 * Checks the chain as it is at this moment.
 *
 * @param from number of the first entry that is looked at; the one before it is taken on trust. null: from the start
 * @param anchor what somebody kept elsewhere
 * @throws BerthError `request.invalid` when `from` or `anchor` are before what is kept; `audit.damaged`
 */
export function verifyAudit(pool: Tx, from: number | null, anchor: AuditAnchor | null): Promise<AuditReport> {
  return onStillChain(pool, async (reader, ends, tx) => {
    const start = await startOf(tx, ends, from);
    if (start === null) return reportOf(ends, { broken: { kind: 'missing', seq: (from ?? 1) - 1 } });
    if (anchor !== null && anchor.seq < start.seq) {
      throw new BerthError(
        'request.invalid',
        `--anchor: entry ${anchor.seq} is before ${start.seq + 1}, the first checked`,
      );
    }
    return reportOf(ends, { ...(await checkChain(reader, start, anchor)), from: start.seq });
  });
}

function reportOf({ start, pending }: AuditEnds, report: Partial<AuditReport>): AuditReport {
  return { broken: null, from: start.seq, entries: 0, last: start, ...report, pending };
}

async function startOf(tx: Tx, { start, head }: AuditEnds, from: number | null): Promise<AuditAnchor | null> {
  if (from === null || from === start.seq + 1) return start;
  if (from > start.seq && from <= head.seq + 1) {
    const entry = await findAuditEntry(tx, from - 1);
    return entry && { seq: entry.seq, hash: entry.hash };
  }
  throw new BerthError('request.invalid', `--from: entries ${start.seq + 1} to ${head.seq} are kept`);
}
