import type { ServerGroupWish } from '../placement/request.js';
import type { Tx } from './database.js';
import { touchHosts } from './device-states.store.js';
import type { ServerGroupEntity } from './entities/site.entities.js';
import type { ServerStatus } from './entities/workload.entities.js';

export interface ServerGroupRow extends ServerGroupEntity {
  readonly member_count: number;
}

/** A server of a group. */
export interface GroupMember {
  readonly id: string;
  readonly name: string;
  readonly status: ServerStatus;
  readonly host: string | null;
}

export type NewServerGroup = Omit<ServerGroupEntity, 'created_at'>;

const MEMBERS_SHOWN_MAX = 1000;

const GROUPS = `
  SELECT g.id, g.name, g.project_id, g.user_id, g.policy, g.max_server_per_host, g.created_at,
         (SELECT count(*)::int FROM servers WHERE group_id = g.id AND status <> 'DELETED') AS member_count
    FROM server_groups g`;

export async function countServerGroups(tx: Tx, projectId: string): Promise<number> {
  const rows = await tx.query<{ count: number }[]>(
    `SELECT count(*)::integer AS count FROM server_groups WHERE project_id = $1`,
    [projectId],
  );
  return rows[0]?.count ?? 0;
}

/** Oldest first, those after the group with the id `after`; of one project, or of all (null). */
export async function listServerGroups(
  tx: Tx,
  projectId: string | null,
  page: { readonly after: string | null; readonly limit: number },
): Promise<ServerGroupRow[]> {
  return tx.query(
    `${GROUPS}
     WHERE ($1::uuid IS NULL OR (g.created_at, g.id) > (SELECT m.created_at, m.id FROM server_groups m WHERE m.id = $1))
       AND ($3::text IS NULL OR g.project_id = $3)
     ORDER BY g.created_at, g.id LIMIT $2`,
    [page.after, page.limit, projectId],
  );
}

/** As {@link listServerGroups}, after so many. */
export async function skipServerGroups(
  tx: Tx,
  projectId: string | null,
  { offset, limit }: { readonly offset: number; readonly limit: number },
): Promise<ServerGroupRow[]> {
  return tx.query(
    `${GROUPS} WHERE ($1::text IS NULL OR g.project_id = $1) ORDER BY g.created_at, g.id LIMIT $2 OFFSET $3`,
    [projectId, limit, offset],
  );
}

export async function findServerGroup(tx: Tx, id: string): Promise<ServerGroupRow | null> {
  const rows = await tx.query<ServerGroupRow[]>(`${GROUPS} WHERE g.id = $1`, [id]);
  return rows[0] ?? null;
}

/** What a decision needs of a project's group, which cannot be deleted before this transaction has ended. */
export async function holdServerGroup(tx: Tx, id: string, projectId: string): Promise<ServerGroupWish | null> {
  const [group] = await tx.query<ServerGroupWish[]>(
    `SELECT id, name, policy, max_server_per_host AS "maxServerPerHost" FROM server_groups
      WHERE id = $1 AND project_id = $2 FOR KEY SHARE`,
    [id, projectId],
  );
  return group ?? null;
}

/** In the order in which they were asked for; the first thousand. */
export async function findGroupMembers(tx: Tx, id: string): Promise<GroupMember[]> {
  return tx.query(
    `SELECT s.id, s.name, s.status, h.name AS host FROM servers s LEFT JOIN hosts h ON h.id = s.host_id
      WHERE s.group_id = $1 AND s.status <> 'DELETED' ORDER BY s.created_at, s.id LIMIT ${MEMBERS_SHOWN_MAX}`,
    [id],
  );
}

/** Ids of the servers of groups, as {@link findGroupMembers}, by the ids of groups. */
export async function readMemberIds(tx: Tx, groupIds: readonly string[]): Promise<Map<string, readonly string[]>> {
  const rows = await tx.query<{ id: string; members: string[] }[]>(
    `SELECT g.id, ARRAY(SELECT s.id FROM servers s WHERE s.group_id = g.id AND s.status <> 'DELETED'
                         ORDER BY s.created_at, s.id LIMIT ${MEMBERS_SHOWN_MAX}) AS members
       FROM unnest($1::uuid[]) AS g(id)`,
    [groupIds],
  );
  return new Map(rows.map(({ id, members }) => [id, members]));
}

export async function insertServerGroup(tx: Tx, group: NewServerGroup): Promise<void> {
  await tx.query(
    `INSERT INTO server_groups (id, name, project_id, user_id, policy, max_server_per_host) VALUES ($1, $2, $3, $4, $5, $6)`,
    [group.id, group.name, group.project_id, group.user_id, group.policy, group.max_server_per_host],
  );
}

/**
 * Deletes a group; its servers stay, and belong to none. Rows are locked in the order of all others: servers, group, hosts.
 *
 * @returns false when there is no such group
 */
export async function deleteServerGroup(tx: Tx, id: string): Promise<boolean> {
  await tx.query(`SELECT 1 FROM servers WHERE group_id = $1 ORDER BY id FOR NO KEY UPDATE`, [id]);
  const hosts = await tx.query<{ id: string }[]>(
    `SELECT DISTINCT c.host_id AS id FROM claims c JOIN servers s ON s.id = c.server_id
      WHERE s.group_id = $1 AND c.status <> 'released' ORDER BY c.host_id`,
    [id],
  );
  const [, deleted] = (await tx.query(`DELETE FROM server_groups WHERE id = $1`, [id])) as [unknown, number];
  await tx.query(`SELECT 1 FROM hosts WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [hosts.map((host) => host.id)]);
  await touchHosts(
    tx,
    hosts.map((host) => ({ id: host.id, by: 1 })),
  );
  return deleted > 0;
}

/** A server that is about to be claimed on a host. */
export interface GroupPlacement {
  readonly serverId: string;
  readonly hostId: string;
  readonly groupId: string | null;
}

/**
 * Of placements, in their order, those that break the policy of their server's group as the ledger has it now: what two
 * schedulers decided at once on different hosts no host's generation tells. The groups stay locked until the transaction
 * ends, so that the next one sees what this one writes; call it with the servers locked and the hosts not yet.
 *
 * Source: the late check of Nova's compute manager.
 *
 * @returns ids of servers
 */
export async function lockGroupsAndCheck(tx: Tx, placements: readonly GroupPlacement[]): Promise<ReadonlySet<string>> {
  const wanted = [...new Set(placements.flatMap(({ groupId }) => groupId ?? []))];
  if (wanted.length === 0) return new Set();
  // no key update: servers may go on to be put into the group meanwhile
  const groups = await tx.query<Pick<ServerGroupEntity, 'id' | 'policy' | 'max_server_per_host'>[]>(
    `SELECT id, policy, max_server_per_host FROM server_groups WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`,
    [wanted],
  );
  const claims = await tx.query<{ group_id: string; server_id: string; host_id: string }[]>(
    `SELECT s.group_id, s.id AS server_id, c.host_id FROM servers s JOIN claims c ON c.server_id = s.id
      WHERE s.group_id = ANY($1) AND s.host_id = c.host_id AND c.status <> 'released'`,
    [wanted],
  );
  const broken = new Set<string>();
  for (const group of groups) {
    const members = claims
      .filter((claim) => claim.group_id === group.id)
      .map((claim) => ({ serverId: claim.server_id, hostId: claim.host_id }));
    for (const placement of placements.filter(({ groupId }) => groupId === group.id)) {
      const others = members.filter(({ serverId }) => serverId !== placement.serverId);
      if (breaksPolicy(group, placement.hostId, others)) broken.add(placement.serverId);
      else members.push(placement);
    }
  }
  return broken;
}

function breaksPolicy(
  { policy, max_server_per_host }: Pick<ServerGroupEntity, 'policy' | 'max_server_per_host'>,
  hostId: string,
  others: readonly { readonly hostId: string }[],
): boolean {
  const here = others.filter((other) => other.hostId === hostId).length;
  if (policy === 'affinity') return others.length > 0 && here === 0;
  return policy === 'anti-affinity' && here >= max_server_per_host;
}
