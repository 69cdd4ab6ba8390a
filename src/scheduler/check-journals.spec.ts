import { describe, expect, it } from 'vitest';
import type { WireJournalClaim } from '../messages/bodies.js';
import type { KeptJournal, LedgerClaim } from '../store/agent-journals.store.js';
import { compareJournal, UNPREPARED_AFTER_MS } from './check-journals.js';

const HOST = 'h-1';
const A = '0000:83:00.0';
const B = '0000:84:00.0';

const written = (more: Partial<WireJournalClaim> = {}): WireJournalClaim => ({
  claim_id: 'c-1',
  server_id: 's-1',
  state: 'prepared',
  addresses: [A, B],
  ...more,
});

const claim = (more: Partial<LedgerClaim> = {}): LedgerClaim => ({
  id: 'c-1',
  server_id: 's-1',
  server: 'vm',
  host_id: HOST,
  status: 'allocated',
  idle_ms: 60_000,
  split_from: null,
  addresses: [A, B],
  ...more,
});

/** B is being detached. */
const part = (more: Partial<LedgerClaim> = {}): LedgerClaim =>
  claim({ id: 'c-2', split_from: 'c-1', status: 'releasing', addresses: [B], ...more });
const rest = claim({ addresses: [A] });

function codes(claims: readonly LedgerClaim[], journal: readonly WireJournalClaim[]): string[] {
  const kept: KeptJournal = { host_id: HOST, host: 'node-1', claims: journal };
  return compareJournal(kept, claims).map(({ code }) => code);
}

const ORPHAN = 'check.journal_orphan';
const LOST = 'check.journal_lost';
const MISSING = 'check.journal_missing';
const DEVICES = 'check.journal_devices';

describe('a journal and the ledger', () => {
  it.each<[string, readonly LedgerClaim[], readonly WireJournalClaim[], readonly string[]]>([
    ['nothing on either side', [], [], []],
    ['the same', [claim()], [written()], []],
    ['the same in another order', [claim()], [written({ addresses: [B, A] })], []],
    [
      'a claim under way that the agent has begun',
      [claim({ status: 'claimed' })],
      [written({ state: 'preparing' })],
      [],
    ],

    ['a claim that the ledger does not know', [], [written()], [ORPHAN]],
    ['a released claim', [claim({ status: 'released' })], [written()], [ORPHAN]],
    ['one that was released after the question', [claim({ status: 'released', idle_ms: -5 })], [written()], []],
    [
      'one that was released in the moment of the question',
      [claim({ status: 'released', idle_ms: 0 })],
      [written()],
      [],
    ],
    ['a claim of another host', [claim({ host_id: 'h-2' })], [written()], [ORPHAN]],
    ['a claim that is being given back', [claim({ status: 'releasing' })], [written({ state: 'releasing' })], []],
    ['one that was given back, and the answer is under way', [claim({ status: 'releasing' })], [], []],

    ['an allocation that the agent does not have', [claim()], [], [LOST]],
    ['one that it gives back', [claim()], [written({ state: 'releasing' })], [LOST]],
    ['one that came after the question', [claim({ idle_ms: -1 })], [], []],
    ['an allocation of no devices', [claim({ addresses: [] })], [], []],
    ['an allocation on another host', [claim({ host_id: 'h-2' })], [], []],
    ['a claim that may be under way', [claim({ status: 'claimed', idle_ms: UNPREPARED_AFTER_MS })], [], []],
    ['a claim that got lost', [claim({ status: 'claimed', idle_ms: UNPREPARED_AFTER_MS + 1 })], [], [MISSING]],

    ['a device too few', [claim()], [written({ addresses: [A] })], [DEVICES]],
    ['a device too many', [claim({ addresses: [A] })], [written()], [DEVICES]],
    ['another server', [claim()], [written({ server_id: 's-2' })], [DEVICES]],
    ['another device of a claim that changed since', [claim({ idle_ms: -1 })], [written({ addresses: [A] })], []],

    ['a part that the agent has not heard of', [rest, part()], [written()], []],
    [
      'a part that it has parted',
      [rest, part()],
      [written({ addresses: [A] }), written({ claim_id: 'c-2', addresses: [B], state: 'releasing' })],
      [],
    ],
    ['a part that it has given back', [rest, part()], [written({ addresses: [A] })], []],
    ['a part that was over after the question', [rest, part({ status: 'released', idle_ms: -1 })], [written()], []],
    ['a part that was over long before', [rest, part({ status: 'released' })], [written()], [DEVICES]],
    [
      'a part of which nothing stays',
      [claim({ status: 'released', addresses: [] }), part({ addresses: [A, B] })],
      [written()],
      [],
    ],
    [
      'a part of which something else stays',
      [claim({ status: 'released', addresses: [] }), part()],
      [written()],
      [ORPHAN],
    ],
  ])('%s', (_what, claims, journal, expected) => {
    expect(codes(claims, journal)).toEqual(expected);
  });
});
