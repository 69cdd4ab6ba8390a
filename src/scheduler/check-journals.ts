import type { WireJournalClaim } from '../messages/bodies.js';
import type { KeptJournal, LedgerClaim } from '../store/agent-journals.store.js';
import type { CheckCode, Found } from '../store/check-found.js';

/** A claim of which nothing is in the journal after so long never reached its agent. */
export const UNPREPARED_AFTER_MS = 30_000;

/**
 * Where the journal of a host's agent and the ledger disagree. Pure.
 *
 * The ledger was read after the journal, so only what had not changed in the ledger since the question can be held against the
 * journal. A part of a claim that is being detached is still the whole claim's to an agent that has not heard of it.
 */
export function compareJournal(journal: KeptJournal, claims: readonly LedgerClaim[]): Found[] {
  const ledger = new Map(claims.map((claim) => [claim.id, claim]));
  const written = new Map(journal.claims.map((claim) => [claim.claim_id, claim]));
  return [
    ...journal.claims.flatMap((claim) => judgeWritten(journal, claim, ledger.get(claim.claim_id), claims)),
    ...claims
      .filter(({ host_id: hostId }) => hostId === journal.host_id)
      .flatMap((claim) => judgeUnwritten(journal, claim, written.get(claim.id))),
  ];
}

/** What the journal holds has to be a claim on this host, and of the same devices. */
function judgeWritten(
  journal: KeptJournal,
  written: WireJournalClaim,
  claim: LedgerClaim | undefined,
  claims: readonly LedgerClaim[],
): Found[] {
  const { claim_id: claimId, server_id: serverId, state, addresses } = written;
  const particulars = { state, addresses, ledger: claim?.status ?? null, server_id: serverId };
  if (!claim) return [of('journal_orphan', journal, { claimId, server: null }, particulars)];
  const parts = claims.filter(
    (part) => part.split_from === claimId && (part.status === 'releasing' || part.idle_ms <= 0),
  );
  const leaving = new Set(parts.flatMap((part) => part.addresses));
  const named = { claimId, server: claim };
  if (claim.status === 'released' || claim.host_id !== journal.host_id) {
    const isPart = addresses.every((address) => leaving.has(address));
    const isOver = claim.idle_ms > 0 && !(claim.status === 'released' && isPart);
    return isOver ? [of('journal_orphan', journal, named, particulars)] : [];
  }
  if (claim.idle_ms <= 0 || claim.status === 'releasing') return [];
  const isShort = claim.addresses.some((address) => !addresses.includes(address));
  const isOver = addresses.some((address) => !claim.addresses.includes(address) && !leaving.has(address));
  if (!isShort && !isOver && serverId === claim.server_id) return [];
  return [of('journal_devices', journal, named, { ...particulars, held: claim.addresses })];
}

/** What the ledger holds has to be in the journal, unless it holds nothing, or there was no time for it yet. */
function judgeUnwritten(journal: KeptJournal, claim: LedgerClaim, written: WireJournalClaim | undefined): Found[] {
  if (claim.addresses.length === 0 || claim.idle_ms <= 0) return [];
  const named = { claimId: claim.id, server: claim };
  const detail = { addresses: claim.addresses, state: written?.state ?? null };
  if (claim.status === 'claimed' && !written && claim.idle_ms > UNPREPARED_AFTER_MS) {
    return [of('journal_missing', journal, named, detail)];
  }
  const isGone = !written || written.state === 'releasing';
  return claim.status === 'allocated' && isGone ? [of('journal_lost', journal, named, detail)] : [];
}

function of(
  code: CheckCode extends `check.${infer Word}` ? Word : never,
  journal: KeptJournal,
  { claimId, server }: { readonly claimId: string; readonly server: LedgerClaim | null },
  detail: Readonly<Record<string, unknown>>,
): Found {
  return {
    code: `check.${code}`,
    host_id: journal.host_id,
    host: journal.host,
    server_id: server?.server_id ?? null,
    server: server?.server ?? null,
    claim_id: claimId,
    device_id: null,
    address: null,
    detail,
  };
}
