import { DEFAULT_ZONE } from '../placement/host-defaults.js';
import type { NamePage } from './catalog.store.js';
import type { Tx } from './database.js';
import { touchHosts } from './device-states.store.js';
import { EFFECTIVE_STATUS } from './host-admin.store.js';
import type { AggregateEntity } from './entities/site.entities.js';

/** An aggregate with its hosts. */
export interface AggregateRow extends AggregateEntity {
  /** Names in name order; the first thousand. */
  readonly hosts: readonly string[];
  readonly host_count: number;
}

export type AggregateFields = Pick<AggregateEntity, 'name' | 'availability_zone' | 'metadata'>;

const HOSTS_SHOWN_MAX = 1000;
const NAMES_MAX = 1000;

const aggregatesWith = (hostsMax: number): string => `
  SELECT a.id, a.number, a.name, a.availability_zone, a.metadata, a.generation, a.created_at, a.updated_at,
         (SELECT count(*)::int FROM aggregate_hosts WHERE aggregate_id = a.id) AS host_count,
         ARRAY(SELECT h.name FROM aggregate_hosts m JOIN hosts h ON h.id = m.host_id WHERE m.aggregate_id = a.id
                ORDER BY h.name LIMIT ${hostsMax}) AS hosts
    FROM aggregates a`;

const AGGREGATES = aggregatesWith(HOSTS_SHOWN_MAX);

export async function listAggregates(tx: Tx, page: NamePage): Promise<AggregateRow[]> {
  return tx.query(`${AGGREGATES} WHERE ($1::text IS NULL OR a.name > $1) ORDER BY a.name LIMIT $2`, [
    page.after,
    page.limit,
  ]);
}

export async function findAggregate(tx: Tx, nameOrId: string): Promise<AggregateRow | null> {
  const rows = await tx.query<AggregateRow[]>(
    `${AGGREGATES} WHERE a.name = $1 OR a.id::text = lower($1) ORDER BY (a.id::text = lower($1)) DESC LIMIT 1`,
    [nameOrId],
  );
  return rows[0] ?? null;
}

/** So many aggregates, and hosts of each, are in one answer that has no pages. */
const NUMBERED_MAX = 20_000;

/** With all their hosts, in the order of their numbers; all of them, or the one that is named. */
export async function listNumberedAggregates(
  tx: Tx,
  { id = null, number = null }: { readonly id?: string | null; readonly number?: number | null } = {},
): Promise<AggregateRow[]> {
  return tx.query(
    `${aggregatesWith(NUMBERED_MAX)} WHERE ($1::uuid IS NULL OR a.id = $1) AND ($2::bigint IS NULL OR a.number = $2)
     ORDER BY a.number LIMIT ${NUMBERED_MAX}`,
    [id, number],
  );
}

/** As {@link findAggregate}; other writers of it wait. */
export async function lockAggregate(tx: Tx, nameOrId: string): Promise<AggregateRow | null> {
  const found = await findAggregate(tx, nameOrId);
  if (!found) return null;
  const [locked] = await tx.query<unknown[]>(`SELECT 1 FROM aggregates WHERE id = $1 FOR UPDATE`, [found.id]);
  return locked ? findAggregate(tx, found.id) : null;
}

/** For suggestions. */
export async function aggregateNames(tx: Tx): Promise<string[]> {
  const rows = await tx.query<{ name: string }[]>(`SELECT name FROM aggregates ORDER BY name LIMIT ${NAMES_MAX}`);
  return rows.map((row) => row.name);
}

/** @returns false when there is an aggregate of this name already */
export async function insertAggregate(tx: Tx, id: string, fields: AggregateFields): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `INSERT INTO aggregates (id, name, availability_zone, metadata) VALUES ($1, $2, $3, $4::jsonb)
     ON CONFLICT (name) DO NOTHING RETURNING id`,
    [id, fields.name, fields.availability_zone, JSON.stringify(fields.metadata)],
  );
  return rows.length > 0;
}

/** @returns false when another aggregate has the name */
export async function updateAggregate(tx: Tx, id: string, fields: AggregateFields): Promise<boolean> {
  const taken = await tx.query<unknown[]>(`SELECT 1 FROM aggregates WHERE name = $1 AND id <> $2`, [fields.name, id]);
  if (taken.length > 0) return false;
  await tx.query(
    `UPDATE aggregates SET name = $2, availability_zone = $3, metadata = $4::jsonb, generation = generation + 1,
            updated_at = now() WHERE id = $1`,
    [id, fields.name, fields.availability_zone, JSON.stringify(fields.metadata)],
  );
  return true;
}

export async function deleteAggregate(tx: Tx, id: string): Promise<void> {
  await tx.query(`DELETE FROM aggregates WHERE id = $1`, [id]);
}

export async function isAggregateHost(tx: Tx, id: string, hostId: string): Promise<boolean> {
  const rows = await tx.query<unknown[]>(`SELECT 1 FROM aggregate_hosts WHERE aggregate_id = $1 AND host_id = $2`, [
    id,
    hostId,
  ]);
  return rows.length > 0;
}

export async function addAggregateHost(tx: Tx, id: string, hostId: string): Promise<void> {
  await tx.query(`INSERT INTO aggregate_hosts (aggregate_id, host_id) VALUES ($1, $2)`, [id, hostId]);
  await countGeneration(tx, id);
}

export async function removeAggregateHost(tx: Tx, id: string, hostId: string): Promise<void> {
  await tx.query(`DELETE FROM aggregate_hosts WHERE aggregate_id = $1 AND host_id = $2`, [id, hostId]);
  await countGeneration(tx, id);
}

async function countGeneration(tx: Tx, id: string): Promise<void> {
  await tx.query(`UPDATE aggregates SET generation = generation + 1, updated_at = now() WHERE id = $1`, [id]);
}

/** Locks the hosts of an aggregate, in id order, whose row is locked already. @returns their ids */
export async function lockAggregateHosts(tx: Tx, id: string): Promise<string[]> {
  return lockHostRows(tx, 'id IN (SELECT host_id FROM aggregate_hosts WHERE aggregate_id = $1)', id);
}

/** Locks one host, by name or id. @returns its id; null: there is none */
export async function lockHost(tx: Tx, nameOrId: string): Promise<string | null> {
  const [id] = await lockHostRows(tx, '(name = $1 OR id::text = lower($1))', nameOrId);
  return id ?? null;
}

async function lockHostRows(tx: Tx, condition: string, value: string): Promise<string[]> {
  const rows = await tx.query<{ id: string }[]>(`SELECT id FROM hosts WHERE ${condition} ORDER BY id FOR UPDATE`, [
    value,
  ]);
  return rows.map((row) => row.id);
}

/** The zones of hosts, by host id: all that their aggregates name, in order, which is one at most unless a change went wrong. */
export async function zonesOf(tx: Tx, hostIds: readonly string[]): Promise<Map<string, readonly string[]>> {
  const rows = await tx.query<{ host_id: string; zones: string[] }[]>(
    `SELECT m.host_id, array_agg(DISTINCT a.availability_zone ORDER BY a.availability_zone) AS zones
       FROM aggregate_hosts m JOIN aggregates a ON a.id = m.aggregate_id
      WHERE m.host_id = ANY($1) AND a.availability_zone IS NOT NULL GROUP BY m.host_id`,
    [hostIds],
  );
  return new Map(rows.map((row) => [row.host_id, row.zones]));
}

/** A server that asked for the zone that its host was in. */
export interface ZonedServer {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly zone: string;
}

/** Servers on these hosts that asked for the zone named with their host; at most `limit`. */
export async function serversAskingFor(
  tx: Tx,
  places: readonly { readonly hostId: string; readonly zone: string }[],
  limit: number,
): Promise<ZonedServer[]> {
  if (places.length === 0) return [];
  return tx.query(
    `SELECT s.id, s.name, h.name AS host, p.zone
       FROM unnest($1::uuid[], $2::text[]) AS p(host_id, zone)
       JOIN claims c ON c.host_id = p.host_id AND c.status <> 'released'
       JOIN servers s ON s.id = c.server_id JOIN hosts h ON h.id = c.host_id
      WHERE s.request #>> '{host,availabilityZone}' = p.zone ORDER BY s.name, s.id LIMIT $3`,
    [places.map(({ hostId }) => hostId), places.map(({ zone }) => zone), limit],
  );
}

/** For messages. */
export async function hostNamesOf(tx: Tx, ids: readonly string[]): Promise<string[]> {
  const rows = await tx.query<{ name: string }[]>(`SELECT name FROM hosts WHERE id = ANY($1) ORDER BY name`, [ids]);
  return rows.map((row) => row.name);
}

/** Whoever decided on these hosts as they were has to look again. */
export async function raiseGenerations(tx: Tx, hostIds: readonly string[]): Promise<void> {
  await touchHosts(
    tx,
    hostIds.map((id) => ({ id, by: 1 })),
  );
}

/** A zone and how its hosts are. */
export interface ZoneRow {
  readonly name: string;
  readonly host_count: number;
  readonly hosts_up: number;
  /** Names in name order; the first thousand. */
  readonly hosts: readonly string[];
}

/** Zones that have hosts, in name order; the default one has those of which no aggregate names a zone. */
export async function listZones(tx: Tx, page: NamePage): Promise<ZoneRow[]> {
  return tx.query(
    `SELECT zone AS name, count(*)::int AS host_count,
            (count(*) FILTER (WHERE enabled AND status = 'up'))::int AS hosts_up,
            (array_agg(name ORDER BY name))[1:${HOSTS_SHOWN_MAX}] AS hosts
       FROM (SELECT h.name, h.enabled, ${EFFECTIVE_STATUS} AS status,
                    coalesce((SELECT min(a.availability_zone) FROM aggregate_hosts m
                                JOIN aggregates a ON a.id = m.aggregate_id WHERE m.host_id = h.id), $1) AS zone
               FROM hosts h) placed
      WHERE ($2::text IS NULL OR zone > $2) GROUP BY zone ORDER BY zone LIMIT $3`,
    [DEFAULT_ZONE, page.after, page.limit],
  );
}
