import type { ServerGroupView } from '../../server-groups/server-groups.dto.js';

/** From this minor version on a group has one policy, and rules. */
export const RULES_SINCE = 64;

type Group = Pick<ServerGroupView, 'id' | 'name' | 'project_id' | 'user_id' | 'policy' | 'max_server_per_host'>;

/** @param members ids of servers */
export function computeServerGroupView(group: Group, members: readonly string[], minor: number): object {
  const { id, name, policy, project_id, user_id, max_server_per_host } = group;
  // one is what anti-affinity means when nobody says more
  const rules = max_server_per_host > 1 ? { max_server_per_host } : {};
  return {
    ...{ id, name },
    ...(minor >= RULES_SINCE ? { policy, rules } : { policies: [policy], metadata: {} }),
    members,
    ...(minor >= 13 ? { project_id, user_id } : {}),
  };
}
