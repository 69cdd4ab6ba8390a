import type { AgentJournal, WireJournalClaim } from '../messages/bodies.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import type { Tx } from './database.js';
import type { ClaimStatus } from './entities/workload.entities.js';
import { addToOutbox } from './outbox.store.js';

/** A host whose agent is asked, or would be. */
export interface AskedHost {
  readonly id: string;
  readonly name: string;
  readonly status: 'up' | 'down';
}

/**
 * Asks the agents of all hosts, or of one, what their journals hold. Those of silent hosts are not asked: what waits in their
 * queues would be answered long after.
 *
 * @returns when it was asked, by the database's clock, and all hosts, also those that are down
 */
export async function askJournals(
  tx: Tx,
  hostId: string | null,
): Promise<{ readonly askedAt: string; readonly hosts: readonly AskedHost[] }> {
  const [clock] = (await tx.query(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS now`,
  )) as [{ now: string }];
  const hosts = await tx.query<AskedHost[]>(
    `SELECT id, name, status FROM hosts WHERE $1::uuid IS NULL OR id = $1 ORDER BY name`,
    [hostId],
  );
  const awake = hosts.filter(({ status }) => status === 'up');
  await addToOutbox(
    tx,
    awake.map(({ name }) => ({
      queue: agentQueue(name),
      message: envelope('journal.request', { asked_at: clock.now }),
    })),
  );
  return { askedAt: clock.now, hosts };
}

/** Keeps an answer, unless a later one is there. One of an unknown host, or of a former life of its agent, is dropped. */
export async function absorbJournal(tx: Tx, { host, epoch, asked_at, claims }: AgentJournal): Promise<void> {
  await tx.query(
    `INSERT INTO agent_journals (host_id, epoch, asked_at, at, claims)
     SELECT id, $2::bigint, $3::timestamptz, now(), $4::jsonb FROM hosts WHERE name = $1 AND epoch <= $2::bigint
     ON CONFLICT (host_id) DO UPDATE SET epoch = excluded.epoch, asked_at = excluded.asked_at, at = excluded.at, claims = excluded.claims
      WHERE (agent_journals.epoch, agent_journals.asked_at) <= (excluded.epoch, excluded.asked_at)`,
    [host, epoch, asked_at, JSON.stringify(claims)],
  );
}

/** Of these hosts, those that have answered a question of this time or a later one. */
export async function readAnswered(tx: Tx, hostIds: readonly string[], askedAt: string): Promise<string[]> {
  const rows = await tx.query<{ host_id: string }[]>(
    `SELECT host_id FROM agent_journals WHERE host_id = ANY($1) AND asked_at >= $2::timestamptz`,
    [hostIds, askedAt],
  );
  return rows.map((row) => row.host_id);
}

/** A host's journal, as its agent told it. */
export interface KeptJournal {
  readonly host_id: string;
  readonly host: string;
  readonly claims: readonly WireJournalClaim[];
}

export async function readJournals(tx: Tx, hostIds: readonly string[]): Promise<KeptJournal[]> {
  return tx.query(
    `SELECT j.host_id, h.name AS host, j.claims FROM agent_journals j JOIN hosts h ON h.id = j.host_id
      WHERE j.host_id = ANY($1) ORDER BY h.name`,
    [hostIds],
  );
}

/** A claim as the ledger has it, next to a journal. */
export interface LedgerClaim {
  readonly id: string;
  readonly server_id: string;
  readonly server: string;
  readonly host_id: string;
  readonly status: ClaimStatus;
  /** For how long it had its status when the agents were asked; negative: it changed afterwards. */
  readonly idle_ms: number;
  /** The claim whose devices these were before they were to be detached; null: it is no such part. */
  readonly split_from: string | null;
  /** What it holds; of a part of another claim also what it held. */
  readonly addresses: readonly string[];
}

/**
 * What the ledger says of the claims of these hosts that hold something, of all that their journals name, and of what was parted
 * from these since.
 *
 * @param askedAt of the question
 */
export async function readClaimsBeside(
  tx: Tx,
  hostIds: readonly string[],
  named: readonly string[],
  askedAt: string,
): Promise<LedgerClaim[]> {
  return tx.query(
    `SELECT c.id, c.server_id, s.name AS server, c.host_id, c.status, c.split_from,
            (extract(epoch FROM $3::timestamptz - c.updated_at) * 1000)::float8 AS idle_ms,
            coalesce((SELECT json_agg(d.address ORDER BY d.address) FROM allocations a JOIN devices d ON d.id = a.device_id
                       WHERE a.claim_id = c.id AND (a.released_at IS NULL OR c.split_from IS NOT NULL)), '[]') AS addresses
       FROM claims c JOIN servers s ON s.id = c.server_id
      WHERE c.host_id = ANY($1) AND c.status <> 'released'
         OR c.id = ANY($2)
         OR c.split_from = ANY($2) AND c.updated_at >= $3::timestamptz`,
    [hostIds, named, askedAt],
  );
}
