import type { Tx } from './database.js';
import type { ClaimKind } from './entities/workload.entities.js';
import { type Amounts, excessOf, type QuotaExcess } from './quota-amounts.js';

/**
 * Quotas of projects, kept exactly and without a counter: what a project has is counted from claims and allocations, by one
 * transaction at a time for each project.
 *
 * What counts is what is held: a claim that is not released, also of a server that is being deleted, for its devices are nobody
 * else's yet. A server counts once: while it is tried on another host, or placed again after it made room, the claims that it
 * still gives back elsewhere do not count beside the new one.
 */

/** What the limits of a project are unless it has its own. */
export const EVERY_PROJECT = '*';
export const UNLIMITED = -1;

/** A server that is about to claim something. */
export interface QuotaWish {
  readonly serverId: string;
  readonly projectId: string;
  /** `attach`: comes to what the server has; `server`: takes the place of whatever it is giving back. */
  readonly kind: ClaimKind;
  /** Of servers that are placed together: so many have to fit, or none does. */
  readonly gang: { readonly id: string; readonly countMin: number } | null;
  readonly amounts: Amounts;
  /** Of the devices in `amounts`, whose classes are still to be counted. */
  readonly deviceIds: readonly string[];
  /** false: is only asked about, and takes nothing from those after it. */
  readonly takes: boolean;
}

/**
 * Of servers that are about to claim something, in their order, those whose project would have more than it may. Each that fits
 * counts for those after it.
 *
 * Projects that have a limit on something of this stay locked until the transaction ends; others cost one look at the limits.
 * Call it last before the claims are written: with servers, groups and hosts locked.
 *
 * @returns by server id
 */
export async function checkQuotas(tx: Tx, wanted: readonly QuotaWish[]): Promise<ReadonlyMap<string, QuotaExcess>> {
  const { limits, bound } = await boundBy(tx, wanted);
  if (bound.length === 0) return new Map();
  await lockProjects(tx, projectsOf(bound));
  return judge(bound, limits, await readUsage(tx, projectsOf(bound), limits, bound));
}

/**
 * As {@link checkQuotas} and without locks: others may be faster. For answers before anything is written.
 *
 * @param alone asks whether they could ever fit: as if their projects had nothing
 */
export async function previewQuotas(
  tx: Tx,
  wanted: readonly QuotaWish[],
  { alone = false }: { readonly alone?: boolean } = {},
): Promise<ReadonlyMap<string, QuotaExcess>> {
  const { limits, bound } = await boundBy(tx, wanted);
  if (bound.length === 0) return new Map();
  return judge(bound, limits, alone ? NO_USAGE : await readUsage(tx, projectsOf(bound), limits, bound));
}

/** What a project has of each resource. */
export async function readProjectUsage(tx: Tx, projectId: string): Promise<Amounts> {
  return (await readUsage(tx, [projectId], null, [])).projects.get(projectId) ?? new Map();
}

type Limits = ReadonlyMap<string, Amounts>;

/** The wishes of projects that want something of which they may not have as much as they like, with their classes. */
async function boundBy(
  tx: Tx,
  wanted: readonly QuotaWish[],
): Promise<{ readonly limits: Limits; readonly bound: readonly QuotaWish[] }> {
  const limits = wanted.length === 0 ? new Map<string, Amounts>() : await readLimits(tx, projectsOf(wanted));
  const limited = wanted.filter(({ projectId }) => limits.has(projectId));
  const classified = await withClasses(tx, limited, limits);
  const touched = classified.filter(({ projectId, amounts }) =>
    [...(limits.get(projectId)?.keys() ?? [])].some((resource) => (amounts.get(resource) ?? 0) > 0),
  );
  const projects = new Set(projectsOf(touched));
  return { limits, bound: classified.filter(({ projectId }) => projects.has(projectId)) };
}

/** By project what there is a limit of; a project without any is left out. */
async function readLimits(tx: Tx, projectIds: readonly string[]): Promise<Limits> {
  const rows = await tx.query<{ project_id: string; resource: string; hard_limit: number }[]>(
    `SELECT project_id, resource, hard_limit FROM quotas WHERE project_id = ANY($1) ORDER BY resource`,
    [[...projectIds, EVERY_PROJECT]],
  );
  if (rows.length === 0) return new Map();
  const of = (id: string): [string, number][] =>
    rows.filter((row) => row.project_id === id).map((row) => [row.resource, row.hard_limit]);
  const defaults = of(EVERY_PROJECT);
  const merged = projectIds.map((id) => [id, new Map([...defaults, ...of(id)])] as const);
  for (const [, limits] of merged) {
    for (const [resource, limit] of limits) if (limit === UNLIMITED) limits.delete(resource);
  }
  return new Map(merged.filter(([, limits]) => limits.size > 0));
}

/**
 * One transaction at a time for each project, in one order. Numbers stand for the projects, so two projects may now and then wait for
 * each other in vain; never for ever.
 */
export async function lockProjects(tx: Tx, projectIds: readonly string[]): Promise<void> {
  await tx.query(
    `SELECT pg_advisory_xact_lock(hashtext('berth.quotas'), project)
       FROM (SELECT DISTINCT hashtext(id) AS project FROM unnest($1::text[]) id ORDER BY project) ordered`,
    [projectIds],
  );
}

/** The names of a device's class: the one that its offer says, or the default one; and its ids. */
function classNames(device: string, named: string): string {
  const [vendor, product] = [`${device}.vendor_id`, `${device}.product_id`];
  return `ARRAY['class:' || coalesce(${named}, upper('CUSTOM_PCI_' || ${vendor} || '_' || ${product})),
                'class:' || ${vendor} || ':' || ${product}]`;
}

const NAMED_CLASS = `d.facts #>> '{offer,resource_class}'`;

async function withClasses(tx: Tx, wishes: readonly QuotaWish[], limits: Limits): Promise<readonly QuotaWish[]> {
  const ids = wishes.filter(({ projectId }) => limitsClass(limits.get(projectId))).flatMap((wish) => wish.deviceIds);
  if (ids.length === 0) return wishes;
  const rows = await tx.query<{ id: string; resource: string }[]>(
    `SELECT d.id, unnest(${classNames('d', NAMED_CLASS)}) AS resource FROM devices d WHERE d.id = ANY($1)`,
    [ids],
  );
  const classes = new Map<string, string[]>();
  for (const { id, resource } of rows) classes.set(id, [...(classes.get(id) ?? []), resource]);
  return wishes.map((wish) => {
    const amounts = new Map(wish.amounts);
    for (const resource of wish.deviceIds.flatMap((id) => classes.get(id) ?? [])) {
      amounts.set(resource, (amounts.get(resource) ?? 0) + 1);
    }
    return { ...wish, amounts };
  });
}

function limitsClass(limits: Amounts | undefined): boolean {
  return [...(limits?.keys() ?? [])].some((resource) => resource.startsWith('class:'));
}

interface Usage {
  /** By project. */
  readonly projects: ReadonlyMap<string, Amounts>;
  /** By server of the batch that still gives something back: its part of the project's. */
  readonly own: ReadonlyMap<string, Amounts>;
}

const NO_USAGE: Usage = { projects: new Map(), own: new Map() };

/**
 * One statement for all projects, which adds up early: it may have ten thousand claims to go through. What is being given back does
 * not count when its server has a later claim of its own.
 */
const USAGE = `
  WITH held_once AS MATERIALIZED (
    SELECT s.project_id, CASE WHEN s.id = ANY($2) THEN s.id END AS own, c.id, c.server_id, c.kind, c.status, c.created_at,
           c.vcpus, c.memory_mb, c.disk_gb
      FROM servers s JOIN claims c ON c.server_id = s.id
     WHERE s.project_id = ANY($1) AND s.status <> 'DELETED' AND c.status <> 'released'
  ), held AS MATERIALIZED (
    SELECT project_id, own, id, kind, vcpus, memory_mb, disk_gb FROM held_once h
     WHERE status <> 'releasing' OR NOT EXISTS (
       SELECT 1 FROM claims n WHERE n.server_id = h.server_id AND n.kind = 'server' AND n.status <> 'released'
                                AND n.created_at > h.created_at)
  ), by_alias AS MATERIALIZED (
    SELECT held.project_id, held.own, a.alias, count(*) AS amount
      FROM held JOIN allocations a ON a.claim_id = held.id AND a.released_at IS NULL
     WHERE $3 GROUP BY held.project_id, held.own, a.alias
  )
  SELECT project_id, own, resource, amount::bigint
    FROM (SELECT project_id, own, count(*) FILTER (WHERE kind = 'server') AS servers, sum(vcpus) AS vcpus,
                 sum(memory_mb) AS memory_mb, sum(disk_gb) AS disk_gb FROM held GROUP BY project_id, own) sizes,
         LATERAL (VALUES ('servers', servers), ('vcpus', vcpus), ('memory_mb', memory_mb), ('disk_gb', disk_gb)
         ) AS size(resource, amount)
  UNION ALL SELECT project_id, own, 'devices', sum(amount)::bigint FROM by_alias GROUP BY project_id, own
  UNION ALL SELECT project_id, own, 'alias:' || alias, amount FROM by_alias WHERE alias IS NOT NULL
  UNION ALL SELECT project_id, own, resource, sum(amount)::bigint
    FROM (SELECT held.project_id, held.own, d.vendor_id, d.product_id, ${NAMED_CLASS} AS named,
                 count(*) AS amount
            FROM held JOIN allocations a ON a.claim_id = held.id AND a.released_at IS NULL JOIN devices d ON d.id = a.device_id
           WHERE $4 GROUP BY 1, 2, 3, 4, 5) by_class, LATERAL unnest(${classNames('by_class', 'named')}) AS resource
   GROUP BY project_id, own, resource`;

/** @param limits which resources are to be counted; null: all */
async function readUsage(
  tx: Tx,
  projectIds: readonly string[],
  limits: Limits | null,
  bound: readonly QuotaWish[],
): Promise<Usage> {
  const replacing = bound.filter(({ kind }) => kind === 'server').map(({ serverId }) => serverId);
  const isLimited = (kind: RegExp): boolean =>
    limits === null || projectIds.some((id) => [...(limits.get(id)?.keys() ?? [])].some((name) => kind.test(name)));
  const rows = await tx.query<{ project_id: string; own: string | null; resource: string; amount: number }[]>(USAGE, [
    ...[projectIds, replacing, isLimited(/^(?:devices$|alias:)/), isLimited(/^class:/)],
  ]);
  const [projects, own] = [new Map<string, Map<string, number>>(), new Map<string, Map<string, number>>()];
  for (const { project_id, own: serverId, resource, amount } of rows) {
    add(projects, project_id, resource, amount);
    if (serverId !== null) add(own, serverId, resource, amount);
  }
  return { projects, own };
}

function add(table: Map<string, Map<string, number>>, key: string, resource: string, amount: number): void {
  const amounts = table.get(key) ?? new Map<string, number>();
  amounts.set(resource, (amounts.get(resource) ?? 0) + amount);
  table.set(key, amounts);
}

/** Counts the batch in its order. Those that are placed together take their places when the first of them has its turn. */
function judge(wishes: readonly QuotaWish[], limits: Limits, { projects, own }: Usage): Map<string, QuotaExcess> {
  const excesses = new Map<string, QuotaExcess>();
  const used = new Map(projects);
  for (const together of gangsOf(wishes)) {
    const { refused, after } = takeInOrder(together, limits, { used, own });
    const [first] = refused.values();
    const countMin = together[0]?.gang?.countMin ?? 0;
    const isTooFew = first !== undefined && together.length - refused.size < countMin;
    if (isTooFew) for (const { serverId } of together) excesses.set(serverId, refused.get(serverId) ?? first);
    else for (const [serverId, excess] of refused) excesses.set(serverId, excess);
    if (!isTooFew) for (const [id, amounts] of after) used.set(id, amounts);
  }
  return excesses;
}

/** In the order of their first members; a server that is alone is a list of one. */
function gangsOf(wishes: readonly QuotaWish[]): Iterable<readonly QuotaWish[]> {
  const gangs = new Map<string, QuotaWish[]>();
  for (const wish of wishes) {
    const key = wish.gang?.id ?? wish.serverId;
    const gang = gangs.get(key);
    if (gang) gang.push(wish);
    else gangs.set(key, [wish]);
  }
  return gangs.values();
}

function takeInOrder(
  wishes: readonly QuotaWish[],
  limits: Limits,
  { used, own }: { readonly used: ReadonlyMap<string, Amounts>; readonly own: ReadonlyMap<string, Amounts> },
): { readonly refused: ReadonlyMap<string, QuotaExcess>; readonly after: ReadonlyMap<string, Amounts> } {
  const refused = new Map<string, QuotaExcess>();
  const after = new Map<string, Amounts>();
  for (const { serverId, projectId, kind, amounts, takes } of wishes) {
    const has = after.get(projectId) ?? used.get(projectId) ?? NOTHING;
    const others = kind === 'server' ? sum(has, own.get(serverId) ?? NOTHING, -1) : has;
    const excess = excessOf(projectId, limits.get(projectId) ?? NOTHING, others, amounts);
    if (excess) refused.set(serverId, excess);
    else if (takes) after.set(projectId, sum(others, amounts, 1));
  }
  return { refused, after };
}

const NOTHING: Amounts = new Map();

function sum(amounts: Amounts, more: Amounts, sign: 1 | -1): Amounts {
  if (more.size === 0) return amounts;
  const all = new Map(amounts);
  for (const [resource, amount] of more) all.set(resource, (all.get(resource) ?? 0) + sign * amount);
  return all;
}

function projectsOf(wishes: readonly QuotaWish[]): string[] {
  return [...new Set(wishes.map(({ projectId }) => projectId))];
}
