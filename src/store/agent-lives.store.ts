import type { AgentHolds, WireHeldClaim } from '../messages/bodies.js';
import type { Tx } from './database.js';

/** What goes with a command; nothing for an agent whose present life has not said what it holds: it may be an older one. */
export interface CommandFence {
  readonly claim_number?: number;
  readonly incarnation?: string;
}

/** The fence of a claim `c` on a host `h`, as SQL. */
export const FENCE = `coalesce((SELECT json_build_object('claim_number', c.number, 'incarnation', l.incarnation)
  FROM agent_lives l WHERE l.host_name = h.name AND l.epoch >= h.epoch), '{}'::json)`;

/** @returns false when a later life has spoken already */
export async function noteLife(tx: Tx, { host, epoch, incarnation }: Omit<AgentHolds, 'claims'>): Promise<boolean> {
  const rows = (await tx.query(
    `INSERT INTO agent_lives (host_name, epoch, incarnation) VALUES ($1, $2, $3)
     ON CONFLICT (host_name) DO UPDATE SET epoch = excluded.epoch, incarnation = excluded.incarnation
       WHERE agent_lives.epoch <= excluded.epoch
     RETURNING host_name`,
    [host, epoch, incarnation],
  )) as unknown[];
  if (rows.length === 0) return false;
  const later = (await tx.query(`SELECT 1 FROM hosts WHERE name = $1 AND epoch > $2`, [host, epoch])) as unknown[];
  return later.length === 0;
}

/** The number of the agent's present life, as far as is known, whichever message told it first. */
export async function presentEpoch(tx: Tx, host: string): Promise<number> {
  return (await readPresentEpochs(tx, [host])).get(host) ?? 0;
}

/** {@link presentEpoch} of several hosts; those that nobody knows are missing. */
export async function readPresentEpochs(tx: Tx, hosts: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const rows = (await tx.query(
    `SELECT n.host, greatest(h.epoch, l.epoch) AS epoch FROM unnest($1::text[]) AS n(host)
       LEFT JOIN hosts h ON h.name = n.host LEFT JOIN agent_lives l ON l.host_name = n.host
      WHERE h.epoch IS NOT NULL OR l.epoch IS NOT NULL`,
    [[...new Set(hosts)]],
  )) as { host: string; epoch: number }[];
  return new Map(rows.map((row) => [row.host, row.epoch]));
}

/** A present agent. */
export interface AgentLife {
  readonly incarnation: string;
  /** Whether it starts guests, and has to be told of servers. */
  readonly startsGuests: boolean;
}

/** What commands to these hosts are to have beside the numbers of their claims, by the hosts' names; see {@link FENCE}. */
export async function readAgentLives(tx: Tx, hostIds: readonly string[]): Promise<ReadonlyMap<string, AgentLife>> {
  const rows = (await tx.query(
    `SELECT h.name, l.incarnation, h.compute_driver IS NOT NULL AS "startsGuests"
       FROM hosts h JOIN agent_lives l ON l.host_name = h.name AND l.epoch >= h.epoch
      WHERE h.id = ANY($1)`,
    [hostIds],
  )) as (AgentLife & { readonly name: string })[];
  return new Map(rows.map((row) => [row.name, row]));
}

/**
 * Ids of claims that earlier lives of the agent have prepared and this one does not hold, or has not finished to bind again; none that
 * has no devices.
 */
export async function readMissed(tx: Tx, { host, epoch, claims }: AgentHolds): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT c.id FROM claims c JOIN hosts h ON h.id = c.host_id
      WHERE h.name = $1 AND c.status = 'allocated' AND coalesce(c.epoch, 0) < $2 AND c.id <> ALL($3)
        AND EXISTS (SELECT 1 FROM allocations a WHERE a.claim_id = c.id AND a.released_at IS NULL)
      ORDER BY c.id`,
    [host, epoch, claims.flatMap(({ claim_id: id, preparing }) => (preparing === true ? [] : [id]))],
  )) as { id: string }[];
  return rows.map((row) => row.id);
}

/** Claims that the agent holds and the ledger has closed, or never had: they are to be given back. */
export async function readOrphans(tx: Tx, { host, claims }: AgentHolds): Promise<WireHeldClaim[]> {
  return tx.query(
    `SELECT o.claim_id, o.server_id FROM unnest($2::uuid[], $3::uuid[]) AS o(claim_id, server_id)
      WHERE NOT EXISTS (SELECT 1 FROM claims c JOIN hosts h ON h.id = c.host_id
                         WHERE c.id = o.claim_id AND c.status <> 'released' AND h.name = $1)`,
    [host, claims.map((claim) => claim.claim_id), claims.map((claim) => claim.server_id)],
  );
}
