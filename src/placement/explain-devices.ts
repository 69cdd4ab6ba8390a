import { aliasMatches } from '../pci/alias.js';
import type { Reason } from './decision.js';
import { isFree } from './device-classes.js';
import type { DeviceRequest } from './request.js';
import type { Selection } from './select-devices.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/** How many servers or devices one sentence names before it only counts them. */
const NAMED_MAX = 5;

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
  const matching = host.devices.filter((device) => aliasMatches(request.specs, device));
  const free = matching.filter((device) => isFree(device) && blockerOf(host, device) === null);
  if (free.length >= request.count) return null;
  const details = {
    alias: request.alias,
    wanted: request.count,
    matching: matching.length,
    free: free.length,
    devices: matching.slice(0, 64).map((device) => ({
      address: device.address,
      status: device.missing ? 'missing' : device.status,
      server_id: device.owner?.serverId ?? null,
    })),
  };
  if (matching.length === 0) {
    return { code: 'device.none_matching', message: `no device of alias ${request.alias}`, details };
  }
  const causes = causesOf(host, matching);
  const onlyCause = free.length === 0 && causes.length === 1 ? causes[0] : undefined;
  const total = `${matching.length} device${matching.length === 1 ? '' : 's'} of alias ${request.alias}`;
  if (onlyCause)
    return { code: onlyCause.code, message: `${total}, ${together(matching.length)}${onlyCause.text}`, details };
  const why = causes.map((cause) => `${cause.count} ${cause.text}`).join('; ');
  const short =
    matching.length < request.count ? `${request.count} wanted, ` : `${request.count} wanted, ${free.length} free`;
  const message =
    why === '' ? `${total}, ${request.count} wanted` : `${total}: ${short}${short.endsWith('free') ? '; ' : ''}${why}`;
  return { code: 'device.not_enough_free', message, details };
}

/** "both " and "all 3 ": the sentence goes on with what all of them are. */
function together(count: number): string {
  return count === 1 ? '' : count === 2 ? 'both ' : `all ${count} `;
}

interface Cause {
  readonly code: string;
  readonly text: string;
  readonly count: number;
}

/** What keeps devices from being free, each cause once. */
function causesOf(host: HostSnapshot, devices: readonly SnapshotDevice[]): Cause[] {
  const owned = devices.filter((device) => device.owner !== null);
  const causes: Cause[] = [];
  if (owned.length > 0) {
    const names = listed([...new Set(owned.map((device) => device.owner?.serverName ?? ''))]);
    causes.push({ code: 'device.all_in_use', text: `allocated to ${names}`, count: owned.length });
  }
  const others = new Map<string, Cause>();
  for (const device of devices) {
    if (device.owner !== null) continue;
    const cause = otherCause(host, device);
    if (!cause) continue;
    others.set(cause.text, { ...cause, count: (others.get(cause.text)?.count ?? 0) + 1 });
  }
  return [...causes, ...others.values()];
}

function otherCause(host: HostSnapshot, device: SnapshotDevice): Omit<Cause, 'count'> | null {
  const gone = device.missing || device.status === 'removed';
  // the VFs of a PF that is handed over are gone as long as it is
  if (device.status === 'unclaimable' || device.status === 'unavailable' || (gone && pfInUse(host, device))) {
    return { code: 'device.relative_in_use', text: `blocked: ${relativeInUse(host, device)}` };
  }
  if (gone) return { code: 'device.missing', text: 'not reported by the host any more' };
  const blocker = blockerOf(host, device);
  return blocker === null ? null : { code: 'device.iommu_group', text: `not safe to hand over: ${blocker}` };
}

function pfInUse(host: HostSnapshot, device: SnapshotDevice): boolean {
  return host.devices.some((other) => other.address === device.parentAddress && other.owner !== null);
}

function relativeInUse(host: HostSnapshot, device: SnapshotDevice): string {
  const isPf = device.deviceType === 'type-PF';
  const users = host.devices.filter(
    (other) =>
      other.owner !== null && (isPf ? other.parentAddress === device.address : other.address === device.parentAddress),
  );
  const what = isPf ? `${users.length} of its VFs ${users.length === 1 ? 'is' : 'are'}` : 'its PF is';
  return `${what} allocated to ${listed([...new Set(users.map((user) => user.owner?.serverName ?? ''))])}`;
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
  const named = (indexes: readonly number[]): string =>
    indexes.map((index) => `${requests[index]?.alias}:${requests[index]?.count}`).join(' and ');
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
      details: { requests: indexes.map((index) => requests[index]?.alias), wanted, free },
    };
  }
  const all = requests.map((_request, index) => index);
  return {
    code: 'device.exclusive',
    message: `${named(all)} cannot be served together: a PF and its VFs, or devices of one IOMMU group, exclude each other`,
    details: {},
  };
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMED_MAX);
  const more = names.length - shown.length;
  if (more > 0) return `${shown.join(', ')} and ${more} more`;
  return shown.length < 2 ? (shown[0] ?? '') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
