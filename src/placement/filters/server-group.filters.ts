import type { Reason } from '../decision.js';
import type { ServerGroupWish } from '../request.js';
import type { HostSnapshot } from '../snapshot.js';
import type { Filter, JudgedRequest } from './filter.js';

/** At most so many members of a group on one host (`max_server_per_host`, one when the group does not say). */
export const serverGroupAntiAffinityFilter: Filter = {
  name: 'ServerGroupAntiAffinityFilter',
  passes: (host, { request }) => isRoomFor(groupOf(request, 'anti-affinity'), host),
  explain: (host, { request }) => {
    const group = groupOf(request, 'anti-affinity');
    return group === null || isRoomFor(group, host) ? [] : [tooMany(group, membersOn(host, group))];
  },
};

/** Members of a group on the hosts that have one already; the first one anywhere. */
export const serverGroupAffinityFilter: Filter = {
  name: 'ServerGroupAffinityFilter',
  passes: (host, { groupHosts }) => groupHosts === undefined || groupHosts.includes(host.id),
  explain: (host, { request, groupHosts }) =>
    groupHosts === undefined || groupHosts.includes(host.id) ? [] : [elsewhere(request, groupHosts.length)],
};

/**
 * Which hosts the members of the request's group keep it to: ids, in the order of the hosts; undefined when its policy is
 * another, or no member is anywhere yet. Known from all hosts together, and so told to the filter.
 */
export function groupHostsOf(hosts: readonly HostSnapshot[], request: JudgedRequest): readonly string[] | undefined {
  const group = groupOf(request, 'affinity');
  if (group === null) return undefined;
  const ids = hosts.filter((host) => membersOn(host, group) > 0).map(({ id }) => id);
  return ids.length > 0 ? ids : undefined;
}

/** How many members of the request's group are on a host. */
export function groupMembers(host: HostSnapshot, request: JudgedRequest): number {
  const group = request.host?.group;
  return group ? membersOn(host, group) : 0;
}

function groupOf({ host }: JudgedRequest, policy: ServerGroupWish['policy']): ServerGroupWish | null {
  return host?.group?.policy === policy ? host.group : null;
}

function isRoomFor(group: ServerGroupWish | null, host: HostSnapshot): boolean {
  return group === null || membersOn(host, group) < group.maxServerPerHost;
}

function membersOn({ servers }: HostSnapshot, { id }: ServerGroupWish): number {
  return servers.reduce((count, { groupId }) => (groupId === id ? count + 1 : count), 0);
}

function tooMany({ name, maxServerPerHost: most }: ServerGroupWish, found: number): Reason {
  return {
    code: 'group.anti_affinity',
    message: `${found} of server group ${name} here already, at most ${most} on one host`,
    details: { group: name, found, max_server_per_host: most },
  };
}

function elsewhere({ host }: JudgedRequest, hosts: number): Reason {
  const name = host?.group?.name ?? '';
  return {
    code: 'group.affinity',
    message: `server group ${name} keeps together and is on ${hosts} other host${hosts === 1 ? '' : 's'}, not here`,
    details: { group: name, hosts },
  };
}
