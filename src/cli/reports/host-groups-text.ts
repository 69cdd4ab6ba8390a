import { counted, table } from './preview-text.js';

/** What is read of the answer of `GET /v1/hosts/{host}/iommu-groups`. */
export interface HostGroups {
  readonly host: string;
  readonly iommu: { readonly state: string; readonly problem: string | null; readonly remedy: string | null };
  readonly groups: readonly HostGroup[];
  readonly left_out: number;
  readonly ungrouped_count: number;
}

interface HostGroup {
  readonly group: number;
  readonly state: string;
  readonly blocker: { readonly reason: string; readonly remedy: string } | null;
  readonly members: readonly GroupMember[];
  readonly members_count: number;
}

interface GroupMember {
  readonly address: string;
  readonly vendor_id: string;
  readonly product_id: string;
  readonly class_code: string;
  readonly driver: string | null;
  readonly bridge: boolean;
  readonly offered: boolean;
  readonly status: string;
  readonly server: { readonly name: string } | null;
  readonly protection: readonly string[];
}

/** The groups for a person at a terminal: each with its members, then what is in the way and what to do. */
export function hostGroupsText({ host, iommu, groups, left_out, ungrouped_count }: HostGroups): string {
  const rows = groups.flatMap(rowsOf);
  const blockers = groups.flatMap(({ group, blocker }) =>
    blocker ? [`group ${group}: ${blocker.reason}`, `  → ${blocker.remedy}`] : [],
  );
  return [
    `${host}: ${counted(groups.length, 'IOMMU group', 'IOMMU groups')}`,
    ...(iommu.problem === null ? [] : ['', `${iommu.problem}: nothing can be handed over`, `  → ${iommu.remedy}`]),
    ...(rows.length === 0 ? [] : ['', ...table(['group', 'state', 'address', 'device', 'class', 'driver', ''], rows)]),
    ...(blockers.length === 0 ? [] : ['', ...blockers]),
    ...(left_out === 0 ? [] : ['', `${left_out} more are left out; name one with --group, or a state with --state.`]),
    ...(iommu.problem !== null || ungrouped_count === 0
      ? []
      : ['', `${counted(ungrouped_count, 'device has', 'devices have')} no group and cannot be handed over.`]),
    '',
  ].join('\n');
}

/** Number and state stand in the first row only. */
function rowsOf({ group, state, members, members_count }: HostGroup): string[][] {
  const rows = members.map((member, at) => [...(at === 0 ? [String(group), state] : ['', '']), ...cellsOf(member)]);
  const more = members_count - members.length;
  return more > 0 ? [...rows, ['', '', `and ${more} more`]] : rows;
}

function cellsOf(member: GroupMember): string[] {
  const { address, vendor_id, product_id, class_code, driver } = member;
  return [address, `${vendor_id}:${product_id}`, class_code.slice(0, 4), driver ?? '-', standingOf(member)];
}

function standingOf({ bridge, offered, status, server, protection }: GroupMember): string {
  if (server) return `in use by ${server.name}`;
  const needed = protection.length > 0 ? `needed by the host: ${protection.join(', ')}` : '';
  if (offered) return [status, needed].filter((text) => text !== '').join(', ');
  if (needed !== '') return needed;
  return bridge ? 'bridge' : 'not offered';
}
