import type { AliasGroup } from '../pci/alias/alias-fields.js';
import type { Address } from '../pci/address.js';
import { memberKey, pfsWithVfsOf } from './device-classes.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';
import { groupKind, takenWith, wholeGroups, type WholeGroup } from './whole-groups.js';

/** How many groups are tried on one host; far above what real hosts need. */
const GROUP_STEPS_MAX = 2000;

/** A group given to a request. */
export interface GroupPick extends WholeGroup {
  readonly requestIndex: number;
}

/** One way to serve all requests for groups. */
export interface GroupChoice {
  readonly picks: readonly GroupPick[];
  /** What is left for the requests for single devices. */
  readonly host: HostSnapshot;
}

/**
 * Every way to serve the requests for groups, best groups first; `null` at the end when it was given up.
 *
 * Of groups that nothing tells apart only the first is tried, and groups of one request in one order only: eight equal
 * cards are one way, not 8!. A group goes to one request as a whole: its other members serve nobody else. What comes along
 * only for its IOMMU group may, and so may a second group of it.
 */
export function* groupChoices(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  cells: readonly number[] | null,
): Generator<GroupChoice | null> {
  const wanted = requests.flatMap((request, index) =>
    groupKind(request) === null ? [] : Array.from({ length: request.count }, () => index),
  );
  const lists = requests.map((request) => wholeGroups(host, request, cells));
  const kinds = [...new Set(requests.map(groupKind))].filter((kind) => kind !== null);
  const budget = { left: GROUP_STEPS_MAX };
  yield* pick(host, { wanted, lists, kinds, budget }, [], 0);
  if (budget.left < 0) yield null;
}

interface Task {
  /** Index of the request of each group that has to be picked. */
  readonly wanted: readonly number[];
  /** What each request can have, best first. */
  readonly lists: readonly (readonly WholeGroup[])[];
  readonly kinds: readonly AliasGroup[];
  readonly budget: { left: number };
}

function* pick(host: HostSnapshot, task: Task, picks: readonly GroupPick[], from: number): Generator<GroupChoice> {
  const requestIndex = task.wanted[picks.length];
  if (requestIndex === undefined) return yield { picks, host };
  const list = task.lists[requestIndex] ?? [];
  const byAddress = new Map(host.devices.map((device) => [device.address, device]));
  const pfs = pfsWithVfsOf(host);
  const tried = new Set<string>();
  for (let at = from; at < list.length; at++) {
    if (--task.budget.left < 0) return;
    const group = list[at] as WholeGroup;
    const addresses = group.members.map((member) => member.address);
    const now = takenWith(host, addresses, byAddress);
    if (!now) continue;
    const key = keyOf(host, { ...group, ...now }, task.kinds, pfs);
    if (tried.has(key)) continue;
    tried.add(key);
    const next = task.wanted[picks.length + 1] === requestIndex ? at + 1 : 0;
    yield* pick(without(host, now), task, [...picks, { ...group, ...now, requestIndex }], next);
  }
}

/** Groups with one key are interchangeable: equal devices, grouped equally, tied to the same others. */
function keyOf(
  host: HostSnapshot,
  { device, members, taken }: WholeGroup,
  kinds: readonly AliasGroup[],
  pfs: ReadonlySet<Address | null>,
): string {
  const places = new Map(taken.map(({ address }, place) => [address, place]));
  const within = (addresses: readonly Address[]): string =>
    addresses.map((address) => places.get(address) ?? address).join();
  const parts = taken.map((one) => [
    memberKey(one, pfs),
    within(host.units.get(one.address)?.members ?? []),
    ...kinds.map((kind) => within(host.groups[kind].get(one.address)?.members ?? [])),
    ...kinds.map((kind) => host.groups[kind].get(one.address)?.blockedBy ?? null),
  ]);
  return JSON.stringify([parts, within([device.address]), within(members.map(({ address }) => address))]);
}

/** The host once a group is taken: what only comes along can still be asked for, PF and VFs exclude each other. */
function without(host: HostSnapshot, { members, taken }: Pick<WholeGroup, 'members' | 'taken'>): HostSnapshot {
  const gone = new Set(members.map(({ address }) => address));
  const all = new Set(taken.map(({ address }) => address));
  const parents = new Set(taken.map(({ parentAddress }) => parentAddress));
  const isOut = ({ address, parentAddress }: SnapshotDevice): boolean =>
    gone.has(address) || parents.has(address) || (parentAddress !== null && all.has(parentAddress));
  const units = new Map(host.units);
  for (const { address } of taken) {
    const unit = host.units.get(address);
    if (unit && !gone.has(address)) units.set(address, { ...unit, members: [address] });
  }
  return { ...host, devices: host.devices.filter((device) => !isOut(device)), units };
}
