import type { Tx } from './database.js';

/** Everything that a check looks for. What each means, and its repair, is in `scheduler/check-words.ts`. */
export const CHECK_CODES = [
  'check.device_without_owner',
  'check.device_not_taken',
  'check.device_claim_status',
  'check.device_relatives',
  'check.pf_and_vf_in_use',
  'check.iommu_group_split',
  'check.device_missing',
  'check.device_pending',
  'check.device_held_by_agent',
  'check.device_rebound',
  'check.claim_unwanted',
  'check.delete_stuck',
  'check.claim_expired',
  'check.release_stuck',
  'check.allocation_released_early',
  'check.allocation_outlives_claim',
  'check.allocation_server_differs',
  'check.allocation_host_differs',
  'check.server_host_differs',
  'check.server_without_claim',
  'check.server_claim_status',
  'check.delete_finished',
  'check.queue_fields',
  'check.change_lost',
  'check.group_policy',
  'check.group_membership',
  'check.host_oversubscribed',
  'check.host_generation',
  'check.outbox_old',
  'check.sriov_hold_stale',
  'check.sriov_pf_gone',
  'check.journal_orphan',
  'check.journal_missing',
  'check.journal_lost',
  'check.journal_devices',
] as const;
export type CheckCode = (typeof CHECK_CODES)[number];

/** One disagreement: what it is about, and particulars for its sentence and its repair. */
export interface Found {
  readonly code: CheckCode;
  readonly host_id: string | null;
  readonly host: string | null;
  readonly server_id: string | null;
  readonly server: string | null;
  readonly claim_id: string | null;
  readonly device_id: string | null;
  readonly address: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Where to look; null: everywhere. What is about no host is left out when a host is named, and so on. */
export interface CheckScope {
  readonly hostId: string | null;
  readonly serverId: string | null;
  readonly claimId: string | null;
}

export const EVERYWHERE: CheckScope = { hostId: null, serverId: null, claimId: null };

export interface CheckLimits {
  /** Findings of one kind. */
  readonly max: number;
  /** After so many milliseconds something that should be over soon is a finding. */
  readonly slowMs: number;
}

/** A check that one statement makes. */
export interface SqlCheck {
  readonly code: CheckCode;
  /** `SELECT … WHERE …` with the columns of {@link Found} but for `code`; `$1` is the time before which is long ago. */
  readonly sql: string;
  /** The columns by which it can be narrowed. */
  readonly host?: string;
  readonly server?: string;
  readonly claim?: string;
}

/** What the check finds within the scope, at most `max + 1`; nothing when the scope is none that it knows. */
export async function runSqlCheck(
  tx: Tx,
  check: SqlCheck,
  scope: CheckScope,
  { max, slowMs }: CheckLimits,
): Promise<Found[]> {
  const wanted = [
    { column: check.host, id: scope.hostId },
    { column: check.server, id: scope.serverId },
    { column: check.claim, id: scope.claimId },
  ].filter(({ id }) => id !== null);
  if (wanted.some(({ column }) => column === undefined)) return [];
  const narrowed = wanted.map(({ column }, index) => ` AND ${column} = $${index + 3}`).join('');
  const rows = await tx.query<Omit<Found, 'code'>[]>(
    `WITH long_ago AS (SELECT now() - $1::float8 * interval '1 millisecond' AS at)
     ${check.sql}${narrowed} ORDER BY 1, 3, 5, 7 LIMIT $2`,
    [slowMs, max + 1, ...wanted.map(({ id }) => id)],
  );
  return rows.map((row) => ({ ...row, code: check.code }));
}

/** Runs `work` on one consistent view of the ledger, which it cannot change. */
export function consistently<T>(tx: Tx, work: (view: Tx) => Promise<T>): Promise<T> {
  return tx.transaction('REPEATABLE READ', async (view) => {
    await view.query(`SET TRANSACTION READ ONLY`);
    return work(view);
  });
}
