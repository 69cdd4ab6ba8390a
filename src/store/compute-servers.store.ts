import { DEFAULT_ZONE } from '../placement/host-defaults.js';
import type { Tx } from './database.js';
import type { ServerEntity } from './entities/workload.entities.js';
import type { ServerDetails } from './server-details.store.js';

/** Servers as the compute face shows and looks for them. */

/** What state a server is in, in Nova's words. */
export type VmState = 'building' | 'active' | 'error' | 'deleted';

/** A server with all that is shown of it. */
export interface ComputeServerRow
  extends
    Pick<
      ServerEntity,
      'id' | 'name' | 'project_id' | 'status' | 'flavor' | 'request' | 'fault' | 'group_id' | 'gang_id'
    >,
    Pick<ServerEntity, 'gang_place' | 'created_at' | 'updated_at'>,
    ServerDetails {
  readonly vm_state: VmState;
  readonly task: string | null;
  readonly host_name: string | null;
  readonly host_state: 'up' | 'down' | null;
  readonly host_enabled: boolean | null;
  /** Of its host; of one that has none, what was asked for; empty: nothing was. */
  readonly zone: string;
  readonly launched_at: Date | null;
  readonly terminated_at: Date | null;
}

/** What a statement is about. Where nothing of them is used, the two that cost most are left out. */
function tablesOf(...parts: readonly string[]): string {
  const uses = (alias: string): boolean => parts.some((part) => new RegExp(`\\b${alias}\\.`).test(part));
  return `servers s LEFT JOIN server_details d ON d.server_id = s.id LEFT JOIN hosts h ON h.id = s.host_id
          ${uses('z') ? ZONES : ''} ${uses('e') ? MOMENTS : ''}`;
}

const ZONES = `LEFT JOIN LATERAL (
    SELECT a.availability_zone AS name FROM aggregate_hosts m JOIN aggregates a ON a.id = m.aggregate_id
     WHERE m.host_id = s.host_id AND a.availability_zone IS NOT NULL LIMIT 1) z ON true`;
const MOMENTS = `LEFT JOIN LATERAL (
    SELECT min(created_at) FILTER (WHERE event = 'prepared') AS prepared_at,
           min(created_at) FILTER (WHERE event = 'placed') AS placed_at,
           max(created_at) FILTER (WHERE event = 'deleted') AS deleted_at
      FROM server_events WHERE server_id = s.id) e ON true`;

const VM_STATE = `CASE s.status WHEN 'BUILD' THEN 'building' WHEN 'ERROR' THEN 'error' WHEN 'DELETED' THEN 'deleted' ELSE 'active' END`;
const TASK = `CASE s.status WHEN 'DELETING' THEN 'deleting'
  WHEN 'BUILD' THEN CASE s.task_state WHEN 'preparing' THEN 'spawning' ELSE 'scheduling' END END`;
const ZONE = `coalesce(z.name, CASE WHEN s.host_id IS NOT NULL THEN '${DEFAULT_ZONE}' END, s.request #>> '{host,availabilityZone}', '')`;
/** Without devices nothing has to be prepared. */
const LAUNCHED = `CASE WHEN jsonb_array_length(s.request -> 'devices') = 0 THEN e.placed_at ELSE e.prepared_at END`;
/** The first server of the call. */
const FIRST_OF_CALL = `coalesce(s.gang_id, s.id)`;

/** What can be looked for or sorted by: expressions that are texts, or null. */
const TEXTS = {
  uuid: 's.id::text',
  name: 's.name',
  project_id: 's.project_id',
  user_id: 'd.user_id',
  vm_state: VM_STATE,
  task_state: TASK,
  power_state: `CASE WHEN (${VM_STATE}) = 'active' THEN '1' ELSE '0' END`,
  host: 'h.name',
  flavor: `s.flavor ->> 'id'`,
  image: 'd.image_id',
  availability_zone: ZONE,
  reservation_id: `'r-' || replace(${FIRST_OF_CALL}::text, '-', '')`,
  launch_index: `(coalesce(s.gang_place, 1) - 1)::text`,
  key_name: 'd.key_name',
  config_drive: `CASE WHEN d.config_drive THEN 'True' ELSE '' END`,
  description: 'd.description',
  hostname: 'd.hostname',
  access_ip_v4: 'd.access_ipv4',
  access_ip_v6: 'd.access_ipv6',
} as const;

const TIMES = {
  created_at: 's.created_at',
  updated_at: 's.updated_at',
  launched_at: LAUNCHED,
  terminated_at: 'e.deleted_at',
} as const;

export type TextColumn = keyof typeof TEXTS;
export type SortColumn = TextColumn | keyof typeof TIMES;

export interface ServerOrder {
  readonly column: SortColumn;
  readonly direction: 'asc' | 'desc';
}

/** Part of what servers have to be like; all parts have to hold. */
export type ServerCondition =
  | { readonly kind: 'is'; readonly column: TextColumn; readonly values: readonly string[] }
  | { readonly kind: 'contains'; readonly column: TextColumn; readonly text: string }
  | { readonly kind: 'deleted'; readonly deleted: boolean }
  | { readonly kind: 'changed'; readonly direction: 'since' | 'before'; readonly time: Date }
  /** All of the tags, or at least one of them; or, negated, not so. */
  | {
      readonly kind: 'tags';
      readonly match: 'all' | 'any';
      readonly negated: boolean;
      readonly tags: readonly string[];
    }
  | { readonly kind: 'nothing' };

/** A server's id with some of its texts. */
export interface FoundServer {
  readonly id: string;
  readonly name: string;
  readonly texts: readonly (string | null)[];
}

/**
 * Servers for which all conditions hold, in an order that ids make definite.
 *
 * @param texts what is wanted of each beside its name
 * @param after the last server of the page before; null: from the beginning
 */
export async function findServerIds(
  tx: Tx,
  conditions: readonly ServerCondition[],
  order: readonly ServerOrder[],
  {
    texts,
    after,
    limit,
  }: { readonly texts: readonly TextColumn[]; readonly after: string | null; readonly limit: number },
): Promise<FoundServer[]> {
  const values: unknown[] = [limit];
  const put = (value: unknown): string => `$${values.push(value)}`;
  const keys = sortKeys(order);
  const wanted = [`s.kind = 'server'`, ...conditions.map((condition) => conditionSql(condition, put))];
  if (after !== null) wanted.push(behindMark(keys, 0));
  const sorted = keys.map(({ sql, direction }) => `${sql} ${direction}`).join(', ');
  const shown = texts.map((column) => `(${TEXTS[column]})::text`).join(', ');
  const tables = tablesOf(sorted, shown, ...wanted);
  const mark =
    after === null
      ? ''
      : `WITH mark AS (SELECT ${keys.map(({ sql }, at) => `${sql} AS k${at}`).join(', ')} FROM ${tables} WHERE s.id = ${put(after)}::uuid)`;
  return tx.query(
    `${mark} SELECT s.id, s.name, ARRAY[${shown}]::text[] AS texts FROM ${tables}
      WHERE ${wanted.join(' AND ')} ORDER BY ${sorted} LIMIT $1`,
    values,
  );
}

interface SortKey {
  /** Never null, so that every server has its place. */
  readonly sql: string;
  readonly direction: 'asc' | 'desc';
}

function sortKeys(order: readonly ServerOrder[]): SortKey[] {
  const last = order.at(-1)?.direction ?? 'desc';
  return [
    ...order.map((one) => ({ sql: sortSql(one.column), direction: one.direction })),
    { sql: 's.id', direction: last },
  ];
}

function sortSql(column: SortColumn): string {
  if (column === 'created_at' || column === 'updated_at') return TIMES[column];
  if (column in TIMES) return `coalesce(${TIMES[column as keyof typeof TIMES]}, 'epoch'::timestamptz)`;
  return `coalesce(${TEXTS[column as TextColumn]}, '')`;
}

/** Of rows in the order of the keys: those after the marked one. The first comparison alone is what an index serves. */
function behindMark(keys: readonly SortKey[], at: number): string {
  const { sql, direction } = keys[at] as SortKey;
  const sign = direction === 'asc' ? '>' : '<';
  const mark = `(SELECT k${at} FROM mark)`;
  if (at === keys.length - 1) return `${sql} ${sign} ${mark}`;
  return `(${sql} ${sign}= ${mark} AND (${sql} ${sign} ${mark} OR ${behindMark(keys, at + 1)}))`;
}

function conditionSql(condition: ServerCondition, put: (value: unknown) => string): string {
  switch (condition.kind) {
    case 'is':
      return `(${TEXTS[condition.column]}) = ANY(${put(condition.values)}::text[])`;
    case 'contains':
      return `strpos(coalesce(${TEXTS[condition.column]}, ''), ${put(condition.text)}) > 0`;
    case 'deleted':
      return condition.deleted ? `s.status = 'DELETED'` : `s.status <> 'DELETED'`;
    case 'changed':
      return `s.updated_at ${condition.direction === 'since' ? '>=' : '<='} ${put(condition.time)}::timestamptz`;
    case 'tags': {
      const sign = condition.match === 'all' ? '@>' : '&&';
      const holds = `coalesce(d.tags, '{}') ${sign} ${put(condition.tags)}::text[]`;
      return condition.negated ? `NOT (${holds})` : holds;
    }
    case 'nothing':
      return 'false';
  }
}

/**
 * All that is shown of servers, in the order of the ids; who is not there is left out.
 *
 * @param withUserData what users gave their servers may be long
 */
export async function readComputeServers(
  tx: Tx,
  ids: readonly string[],
  { withUserData }: { readonly withUserData: boolean },
): Promise<ComputeServerRow[]> {
  const rows = await tx.query<ComputeServerRow[]>(
    `SELECT s.id, s.name, s.project_id, s.status, s.flavor, s.request, s.fault, s.group_id, s.gang_id, s.gang_place,
            s.created_at, s.updated_at, ${VM_STATE} AS vm_state, ${TASK} AS task,
            h.name AS host_name, h.status AS host_state, h.enabled AS host_enabled, ${ZONE} AS zone,
            ${LAUNCHED} AS launched_at, e.deleted_at AS terminated_at,
            d.user_id, d.description, coalesce(d.metadata, '{}') AS metadata, coalesce(d.tags, '{}') AS tags, d.key_name,
            coalesce(d.config_drive, false) AS config_drive, CASE WHEN $2 THEN d.user_data END AS user_data,
            d.access_ipv4, d.access_ipv6, d.hostname, d.image_id, coalesce(d.disk_config, 'MANUAL') AS disk_config
       FROM ${tablesOf(ZONE, LAUNCHED)} WHERE s.id = ANY($1) AND s.kind = 'server'`,
    [ids, withUserData],
  );
  const known = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => known.get(id) ?? []);
}

/** Of a zone and a host, by name, which are not there. The zone of hosts that no aggregate gives one is always there. */
export async function findUnknownPlaces(
  tx: Tx,
  { zone, host }: { readonly zone: string | null; readonly host: string | null },
): Promise<{ readonly zone: boolean; readonly host: boolean }> {
  const [found] = await tx.query<{ zone: boolean; host: boolean }[]>(
    `SELECT $1::text <> '${DEFAULT_ZONE}' AND NOT EXISTS (SELECT 1 FROM aggregates WHERE availability_zone = $1) AS zone,
            $2::text IS NOT NULL AND NOT EXISTS (SELECT 1 FROM hosts WHERE name = $2) AS host`,
    [zone, host],
  );
  return { zone: found?.zone ?? false, host: found?.host ?? false };
}
