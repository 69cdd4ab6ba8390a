import type { AliasGroup } from '../pci/alias/alias-fields.js';
import { aliasMatches, hasConditions, isOfKind } from '../pci/alias/alias-match.js';
import { isHeld } from '../pci/device-state.js';
import type { Reason } from './decision.js';
import { isFree } from './device-classes.js';
import { nearMisses, missTexts, type NearMiss } from './near-misses.js';
import { requestLabel, requestPhrase, type DeviceRequest } from './request.js';
import type { Selection } from './select-devices.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';
import { freeCount } from './supply.js';
import { groupKind } from './whole-groups.js';

/** How many servers or devices one sentence names before it only counts them. */
const NAMED_MAX = 5;
/** How much the details of a reason keep. */
const DEVICES_KEPT = 64;
const MISSES_KEPT = 16;

/**
 * Why a host's devices cannot serve: one reason for each request that cannot be served alone; if each could, the one
 * that says what they compete for.
 */
export function explainDevices(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  selection: Exclude<Selection, { outcome: 'feasible' }> | null,
): Reason[] {
  const alone = requests.flatMap((request) => explainRequest(host, request) ?? []);
  if (alone.length > 0 || !selection) return alone;
  return [explainTogether(requests, selection)];
}

function explainRequest(host: HostSnapshot, request: DeviceRequest): Reason | null {
  const kind = groupKind(request);
  const matching = host.devices.filter((device) => aliasMatches(request.specs, device));
  const free = kind === null ? matching.filter((device) => isUsable(host, device)).length : freeCount(host, request);
  if (free >= request.count) return null;
  const details = {
    alias: request.alias,
    ...(request.port && { port: request.port.name }),
    wanted: request.count,
    matching: matching.length,
    free,
    devices: matching.slice(0, DEVICES_KEPT).map((device) => ({
      address: device.address,
      status: device.missing ? 'missing' : device.status,
      server_id: device.owner?.serverId ?? null,
    })),
  };
  const others = request.specs.some(hasConditions) ? otherDevices(host, request) : [];
  const kept = keptBack(others, request);
  // devices of other networks are no news to a port that has some of its own
  const near = request.port && matching.length > 0 ? [] : nearMisses(others, request);
  if (matching.length === 0) return noneMatching(request, kept, near, details);
  const causes = [...causesOf(host, matching, kind), ...(kept ? [kept] : [])];
  const onlyCause = free === 0 && causes.length === 1 && near.length === 0 ? causes[0] : undefined;
  const total = totalText(request, matching.length);
  if (onlyCause) {
    return { code: onlyCause.code, message: `${total}, ${together(matching.length)}${onlyCause.text}`, details };
  }
  const why = [...causes.map((cause) => `${cause.count} ${cause.text}`), ...missTexts(near, request)].join('; ');
  const counts = countsText(request, matching.length, free);
  const message = why === '' ? `${total}, ${counts.replace(/[,;] $/, '')}` : `${total}: ${counts}${why}`;
  return { code: 'device.not_enough_free', message, details: { ...details, ...missDetails(near) } };
}

/** Devices of the right kind that do not satisfy the request. */
function otherDevices(host: HostSnapshot, { specs }: DeviceRequest): SnapshotDevice[] {
  return host.devices.filter((device) => specs.some((spec) => isOfKind(spec, device)) && !aliasMatches(specs, device));
}

function noneMatching(
  request: DeviceRequest,
  kept: ReturnType<typeof keptBack>,
  near: readonly NearMiss[],
  details: Reason['details'],
): Reason {
  const none = `no device ${requestPhrase(request)}`;
  const why = [...(kept ? [`${kept.count} ${kept.text}`] : []), ...missTexts(near, request)];
  if (why.length === 0) return { code: 'device.none_matching', message: none, details };
  return {
    code: kept?.code ?? 'device.near_miss',
    message: `${none}: ${why.join('; ')}`,
    details: { ...details, ...(kept && { exclusive_tags: kept.tags }), ...missDetails(near) },
  };
}

function missDetails(near: readonly NearMiss[]): Reason['details'] {
  if (near.length === 0) return {};
  const told = near.slice(0, MISSES_KEPT).map(({ alternative, condition, because, addresses }) => ({
    ...{ alternative, condition, because },
    devices: addresses.slice(0, DEVICES_KEPT),
  }));
  return { near_misses: told };
}

function totalText(request: DeviceRequest, matching: number): string {
  return `${matching} device${matching === 1 ? '' : 's'} ${requestPhrase(request)}`;
}

function countsText(request: DeviceRequest, matching: number, free: number): string {
  const kind = groupKind(request);
  if (kind !== null) return `${request.count} whole ${kind}${request.count === 1 ? '' : 's'} wanted, ${free} free; `;
  return matching < request.count ? `${request.count} wanted, ` : `${request.count} wanted, ${free} free; `;
}

/** "both " and "all 3 ": the sentence goes on with what all of them are. */
function together(count: number): string {
  return count === 1 ? '' : count === 2 ? 'both ' : `all ${count} `;
}

/** Of devices of the right kind those that only an exclusive tag keeps from the request, and what to do about it; null: none. */
function keptBack(
  others: readonly SnapshotDevice[],
  request: DeviceRequest,
): (Cause & { readonly tags: readonly string[] }) | null {
  if (others.length === 0) return null;
  const exclusive = [...new Set(request.specs.flatMap((spec) => spec.withoutTags))];
  const tagged = others.filter(({ tags }) => exclusive.some((tag) => Object.hasOwn(tags, tag)));
  if (tagged.length === 0) return null;
  const open = request.specs.map((spec) => ({ ...spec, withoutTags: [] }));
  const kept = tagged.filter((device) => aliasMatches(open, device));
  if (kept.length === 0) return null;
  const tags = exclusive.filter((tag) => kept.some((device) => Object.hasOwn(device.tags, tag)));
  const text =
    `kept for requests that name ${listed(tags)}: ask by a port, write the tag into the alias (REST or YAML), ` +
    'or change pci.exclusive_tags';
  return { code: 'device.exclusive_tag', text, count: kept.length, tags };
}

interface Cause {
  readonly code: string;
  readonly text: string;
  readonly count: number;
}

/** What keeps devices from being free, each cause once. */
function causesOf(host: HostSnapshot, devices: readonly SnapshotDevice[], kind: AliasGroup | null): Cause[] {
  const owned = devices.filter((device) => device.owner !== null);
  const causes: Cause[] = [];
  if (owned.length > 0) {
    const names = listed([...new Set(owned.map((device) => device.owner?.serverName ?? ''))]);
    causes.push({ code: 'device.all_in_use', text: `allocated to ${names}`, count: owned.length });
  }
  const others = new Map<string, Cause>();
  for (const device of devices) {
    if (device.owner !== null) continue;
    const cause = otherCause(host, device) ?? (kind && groupCause(host, device, kind));
    if (!cause) continue;
    others.set(cause.text, { ...cause, count: (others.get(cause.text)?.count ?? 0) + 1 });
  }
  return [...causes, ...others.values()];
}

function otherCause(host: HostSnapshot, device: SnapshotDevice): Omit<Cause, 'count'> | null {
  if (isHeld(device.status)) return { code: 'device.held', text: device.status };
  const gone = device.missing || device.status === 'removed';
  // the VFs of a PF that is handed over are gone as long as it is
  if (device.status === 'unclaimable' || device.status === 'unavailable' || (gone && pfInUse(host, device))) {
    return { code: 'device.relative_in_use', text: `blocked: ${relativeInUse(host, device)}` };
  }
  if (gone) return { code: 'device.missing', text: 'not reported by the host any more' };
  const blocker = blockerOf(host, device);
  return blocker === null ? null : { code: 'device.iommu_group', text: `not safe to hand over: ${blocker}` };
}

function isUsable(host: HostSnapshot, device: SnapshotDevice): boolean {
  return isFree(device) && blockerOf(host, device) === null;
}

/** Why a device that is free itself is not free as a whole slot or card. */
function groupCause(host: HostSnapshot, device: SnapshotDevice, kind: AliasGroup): Omit<Cause, 'count'> | null {
  const group = host.groups[kind].get(device.address);
  if (!group) return null;
  const cause = (text: string): Omit<Cause, 'count'> => ({ code: 'device.group', text: `not whole: ${text}` });
  if (group.blockedBy !== null) return cause(group.blockedBy);
  for (const address of group.members) {
    const member = host.devices.find((other) => other.address === address);
    if (member && isUsable(host, member)) continue;
    return cause(`its ${kind} also has ${address}, which is ${member ? stateText(host, member) : 'gone'}`);
  }
  return null;
}

function stateText(host: HostSnapshot, device: SnapshotDevice): string {
  if (device.owner) return `allocated to ${device.owner.serverName}`;
  if (device.missing) return 'not reported any more';
  return device.status === 'available' ? `not safe to hand over: ${blockerOf(host, device)}` : device.status;
}

function pfInUse(host: HostSnapshot, device: SnapshotDevice): boolean {
  return host.devices.some((other) => other.address === device.parentAddress && other.owner !== null);
}

function relativeInUse(host: HostSnapshot, device: SnapshotDevice): string {
  const isPf = device.deviceType === 'type-PF';
  const relatives = host.devices.filter((other) =>
    isPf ? other.parentAddress === device.address : other.address === device.parentAddress,
  );
  const users = relatives.filter((other) => other.owner !== null);
  const held = relatives.filter((other) => isHeld(other.status));
  const what = (count: number): string => (isPf ? `${count} of its VFs ${count === 1 ? 'is' : 'are'}` : 'its PF is');
  if (users.length === 0) return `${what(held.length)} ${listed([...new Set(held.map((other) => other.status))])}`;
  return `${what(users.length)} allocated to ${listed([...new Set(users.map((user) => user.owner?.serverName ?? ''))])}`;
}

/** Why a device's IOMMU group cannot be handed over now, null when it can. */
function blockerOf(host: HostSnapshot, device: SnapshotDevice): string | null {
  const unit = host.units.get(device.address);
  if (!unit) return 'its IOMMU group is not known';
  if (unit.blockedBy !== null) return unit.blockedBy;
  if (unit.members.length === 1) return null;
  const taken = host.devices.find((other) => unit.members.includes(other.address) && !isFree(other));
  if (!taken || taken.address === device.address) return null;
  return `IOMMU group ${unit.iommuGroup} also holds ${taken.address}, which is ${taken.status}`;
}

function explainTogether(
  requests: readonly DeviceRequest[],
  selection: Exclude<Selection, { outcome: 'feasible' }>,
): Reason {
  const named = (indexes: readonly number[]): string => indexes.map((index) => labelAt(requests, index)).join(' and ');
  if (selection.outcome === 'budget') {
    return {
      code: 'device.search_budget',
      message: 'the search for devices was given up after its step limit',
      details: {},
    };
  }
  if (selection.competition) {
    const { requests: indexes, wanted, free } = selection.competition;
    return {
      code: 'device.compete',
      message: `${named(indexes)} compete for the same devices: ${wanted} wanted, ${free} free`,
      details: { requests: indexes.map((index) => requests[index]?.alias ?? labelAt(requests, index)), wanted, free },
    };
  }
  const all = requests.map((_request, index) => index);
  return {
    code: 'device.exclusive',
    message:
      `${named(all)} cannot be served together: a PF and its VFs, devices of one IOMMU group, or of one slot or card that ` +
      'is wanted whole, exclude each other',
    details: {},
  };
}

function labelAt(requests: readonly DeviceRequest[], index: number): string {
  const request = requests[index];
  return request ? requestLabel(request) : '';
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMED_MAX);
  const more = names.length - shown.length;
  if (more > 0) return `${shown.join(', ')} and ${more} more`;
  return shown.length < 2 ? (shown[0] ?? '') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
