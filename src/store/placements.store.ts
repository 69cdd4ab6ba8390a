import type { Placement } from '../placement/decision.js';
import type { PlacementRequest } from '../placement/request.js';
import { decisionBodies, type AuditBody } from './audit-bodies.js';
import { auditing, auditValues } from './audit.store.js';
import type { Tx } from './database.js';
import { jsonList } from './json-list.js';
import { newId } from './new-id.js';
import type { DecidedServer, WaitingServer } from './decided-server.js';

/** A placement that there is already under a key. */
export interface KnownPlacement {
  readonly id: string;
  readonly key: string;
  readonly hash: string;
}

/** Placements of a project under these keys, deleted ones too. */
export async function findPlacementsByKey(
  tx: Tx,
  projectId: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, KnownPlacement>> {
  if (keys.length === 0) return new Map();
  const rows = (await tx.query(
    `SELECT id, placement_key AS key, placement_hash AS hash FROM servers WHERE project_id = $1 AND placement_key = ANY($2)`,
    [projectId, keys],
  )) as KnownPlacement[];
  return new Map(rows.map((row) => [row.key, row]));
}

type Placed = DecidedServer & { readonly decision: Placement };

/**
 * Writes placements that have their place, with what was decided on them. In key order, so that two transactions which insert the
 * same keys wait for each other instead of for ever.
 *
 * @returns those whose key somebody else has taken meanwhile: they are not written
 */
export async function insertPlacements<T extends Placed>(tx: Tx, placed: readonly T[]): Promise<ReadonlySet<T>> {
  const fresh = inKeyOrder(placed.filter(({ server }) => server.placement !== undefined));
  if (fresh.length === 0) return new Set();
  const classes = await writeClasses(tx, fresh);
  const requests = distinct(fresh.map(({ server }) => server.request));
  const rows = (await tx.query(
    `INSERT INTO servers (id, name, project_id, status, task_state, flavor, request, host_id, attempts, group_id, priority, kind,
                          placement_key, placement_hash, decision_class_id)
     SELECT id, name, project_id, CASE WHEN devices > 0 THEN 'BUILD' ELSE 'ACTIVE' END,
            CASE WHEN devices > 0 THEN 'preparing' END, flavor, r.request, host_id, 1,
            (SELECT g.id FROM server_groups g WHERE g.id = c.group_id), priority, 'placement', key, hash, class
       FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::jsonb[], $6::int[], $7::uuid[], $8::uuid[], $9::int[],
                   $10::text[], $11::text[], $12::uuid[])
         AS c(id, name, project_id, devices, flavor, request_number, host_id, group_id, priority, key, hash, class)
       JOIN jsonb_array_elements($13::jsonb) WITH ORDINALITY AS r(request, number) ON r.number = c.request_number
     ON CONFLICT (project_id, placement_key) WHERE placement_key IS NOT NULL DO NOTHING
     RETURNING id`,
    [
      fresh.map(({ server }) => server.id),
      fresh.map(({ server }) => server.name),
      fresh.map(({ server }) => server.request.projectId),
      fresh.map(({ decision }) => decision.devices.length),
      fresh.map(({ server }) => server.placement?.flavor && JSON.stringify(server.placement.flavor)),
      fresh.map(({ server }) => requests.numbers.get(server.request)),
      fresh.map(({ decision }) => decision.hostId),
      fresh.map(({ server }) => server.request.host?.group?.id ?? null),
      fresh.map(({ server }) => server.request.priority ?? 0),
      fresh.map(({ server }) => server.placement?.key ?? null),
      fresh.map(({ server }) => server.placement?.hash ?? null),
      fresh.map((entry) => classes.get(entry)),
      jsonList(requests.texts),
    ],
  )) as { id: string }[];
  const written = new Set(rows.map((row) => row.id));
  return new Set(fresh.filter(({ server }) => !written.has(server.id)));
}

/** Equal wishes are one object, and are sent once. */
function distinct(requests: readonly PlacementRequest[]): {
  /** Each one's place among the texts, from 1. */
  readonly numbers: ReadonlyMap<PlacementRequest, number>;
  readonly texts: readonly string[];
} {
  const different = [...new Set(requests)];
  return {
    numbers: new Map(different.map((request, index) => [request, index + 1])),
    texts: different.map((request) => JSON.stringify(request)),
  };
}

/** So many runners-up are kept of a class. */
const SCORES_KEPT_MAX = 3;

/** Two transactions that insert the same keys in one order wait for each other instead of for ever. */
export function inKeyOrder<T extends DecidedServer>(decided: readonly T[]): T[] {
  const key = ({ server }: T): string => server.placement?.key ?? '';
  return [...decided].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Equal requests of one batch: what was found about hosts is kept of the first of them, where it went of each. */
export interface DecisionClass<T> {
  readonly id: string;
  readonly members: readonly T[];
  /** JSON of a {@link ClassRecord}. */
  readonly record: string;
}

export function classesOf<T extends Placed>(placed: readonly T[]): DecisionClass<T>[] {
  const byKind = new Map<string, T[]>();
  for (const entry of placed) {
    const kind = kindOf(entry.server);
    const others = byKind.get(kind);
    if (others) others.push(entry);
    else byKind.set(kind, [entry]);
  }
  return [...byKind.values()].map((members) => ({ id: newId(), members, record: JSON.stringify(recordOf(members)) }));
}

export function auditedClasses(classes: readonly DecisionClass<Placed>[]): AuditBody[] {
  const decided = classes.flatMap(({ members, record }) => members.map((entry) => ({ ...entry, record })));
  return decisionBodies(
    decided,
    decided.map(({ record }) => record),
  );
}

async function writeClasses<T extends Placed>(tx: Tx, placed: readonly T[]): Promise<ReadonlyMap<T, string>> {
  const classes = classesOf(placed);
  await tx.query(
    `${auditing(3)} INSERT INTO decision_classes (id, record)
     SELECT * FROM ROWS FROM (unnest($1::uuid[]), json_array_elements($2::json)) AS c(id, record)`,
    [
      classes.map(({ id }) => id),
      jsonList(classes.map(({ record }) => record)),
      ...auditValues(auditedClasses(classes)),
    ],
  );
  return new Map(classes.flatMap(({ id, members }) => members.map((entry) => [entry, id] as const)));
}

function kindOf({ kind, request }: WaitingServer): string {
  return kind ?? JSON.stringify({ ...request, serverName: '' });
}

/** What is kept of the decisions on a class. */
export interface ClassRecord {
  /** The decision on the first one, with the best few of its scores. */
  readonly first: Placement;
  /** Where each went: id → host, its generation, and the score of the host. */
  readonly members: Readonly<Record<string, readonly [host: string, generation: number, score: number | null]>>;
}

function recordOf(members: readonly Placed[]): ClassRecord {
  const [first] = members as readonly [Placed];
  return {
    first: { ...first.decision, scores: first.decision.scores.slice(0, SCORES_KEPT_MAX) },
    members: Object.fromEntries(
      members.map(({ server, decision }) => [
        server.id,
        [decision.hostName, decision.generation, decision.scores[0]?.total ?? null] as const,
      ]),
    ),
  };
}

/** What was decided on a placement and on those of its kind in the same batch; null: nothing is kept of it. */
export async function findPlacementDecision(tx: Tx, id: string): Promise<{ record: ClassRecord; at: Date } | null> {
  const [row] = (await tx.query(
    `SELECT d.record, d.created_at AS at FROM servers s JOIN decision_classes d ON d.id = s.decision_class_id WHERE s.id = $1`,
    [id],
  )) as { record: ClassRecord; at: Date }[];
  return row ?? null;
}

/** A placement with what it holds, as the answer to its call shows it. */
export interface PlacementRow {
  readonly id: string;
  readonly name: string;
  readonly key: string | null;
  readonly project_id: string;
  readonly status: string;
  readonly task_state: string | null;
  readonly host_id: string | null;
  readonly host_name: string | null;
  readonly fault: { readonly code: string; readonly message: string } | null;
  readonly created_at: Date;
  readonly devices: readonly PlacedDeviceRow[];
}

export interface PlacedDeviceRow {
  readonly id: string;
  readonly address: string;
  readonly alias: string | null;
  readonly request_index: number | null;
}

const PLACEMENT_COLUMNS = `
  s.id, s.name, s.placement_key AS key, s.project_id, s.status, s.task_state, s.host_id, h.name AS host_name, s.fault, s.created_at,
  coalesce((SELECT json_agg(json_build_object('id', d.id, 'address', d.address, 'alias', a.alias,
                                              'request_index', a.request_index) ORDER BY a.request_index, length(d.address), d.address)
              FROM claims c JOIN allocations a ON a.claim_id = c.id AND a.released_at IS NULL JOIN devices d ON d.id = a.device_id
             WHERE c.server_id = s.id AND c.status <> 'released'), '[]') AS devices`;

/** Placements with these ids; those that there never were are missing. */
export async function findPlacements(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, PlacementRow>> {
  if (ids.length === 0) return new Map();
  const rows = (await tx.query(
    `SELECT ${PLACEMENT_COLUMNS} FROM servers s LEFT JOIN hosts h ON h.id = s.host_id
      WHERE s.id = ANY($1) AND s.kind = 'placement'`,
    [ids],
  )) as PlacementRow[];
  return new Map(rows.map((row) => [row.id, row]));
}

/** Newest first; deleted ones are left out. */
export async function listPlacements(
  tx: Tx,
  filter: { readonly host: string | null; readonly projectId: string | null },
  page: { readonly after: string | null; readonly limit: number },
): Promise<PlacementRow[]> {
  return tx.query(
    `SELECT ${PLACEMENT_COLUMNS} FROM servers s LEFT JOIN hosts h ON h.id = s.host_id
      WHERE s.kind = 'placement' AND s.status <> 'DELETED'
        AND ($1::text IS NULL OR h.name = $1 OR h.id::text = lower($1))
        AND ($2::text IS NULL OR s.project_id = $2)
        AND ($3::uuid IS NULL OR (s.created_at, s.id) < (SELECT m.created_at, m.id FROM servers m WHERE m.id = $3))
      ORDER BY s.created_at DESC, s.id DESC LIMIT $4`,
    [filter.host, filter.projectId, page.after, page.limit],
  );
}
