import { withoutServer } from './apply-placement.js';
import type { Placement, Rejection } from './decision.js';
import { isFree } from './device-classes.js';
import { place } from './place.js';
import type { DeviceRequest, PlacementRequest } from './request.js';
import { type Reservations, withoutReservations, withReservations } from './reserved-devices.js';
import type { DeviceReservation, HostSnapshot, Snapshot, SnapshotDevice } from './snapshot.js';

/** A device that is kept for one of the servers that a reservation is for. */
export interface KeptDevice {
  readonly deviceId: string;
  readonly hostId: string;
  /** Which of the servers, from 0. */
  readonly server: number;
  /** Index into the request's `devices`; null: it comes along. */
  readonly requestIndex: number | null;
}

/** One window of a reservation as it is in the ledger. */
export interface KeptWindow {
  readonly request: PlacementRequest;
  readonly kept: readonly KeptDevice[];
  /** Ids of servers that came with the reservation and live. */
  readonly users: ReadonlySet<string>;
  /** What other reservations keep during the window. */
  readonly taken: Reservations;
}

/** What becomes of one of the servers that a device has failed: other devices, or the reasons why there are none. */
export interface Healing {
  readonly server: number;
  /** Ids of what cannot be had any more. */
  readonly lost: readonly string[];
  readonly decision: Placement | Rejection;
}

/**
 * Spares for what a window keeps and what cannot be had: failed, vanished, held, on a host that takes nobody, or in use by a server
 * that did not come with the reservation.
 *
 * As little is changed as will do: on the same host only what is lost, if what is left and the spare satisfy the request together;
 * else all devices of the one server are chosen anew, anywhere. A server's worth that is in use to the last device is left alone: it
 * has been handed over, and what its server makes of it is not the reservation's any more.
 */
export function healReservation(snapshot: Snapshot, window: KeptWindow): Healing[] {
  const plain = snapshot.hosts.map((host) => asUnused(host, window.users));
  const ill = lostServers(snapshot.hosts, window);
  const isIll = (server: number): boolean => ill.some((one) => one.server === server);
  const marks = new Map(window.taken);
  for (const { deviceId, server } of window.kept) if (!isIll(server)) marks.set(deviceId, OWN);
  return ill.map(({ server, lost }) => {
    const hosts = plain.map((host) => withReservations(host, marks));
    const decision = heal({ ...snapshot, hosts }, window.request, keptFor(window, server), lost);
    // what it has, or goes on to hope for, is not the next one's
    const ids = decision.outcome === 'placed' ? decision.devices : keptFor(window, server);
    for (const { deviceId } of ids) marks.set(deviceId, OWN);
    return { server, lost, decision };
  });
}

/** Which servers of a window have lost something, and what, by the hosts of its devices. */
export function lostServers(hosts: readonly HostSnapshot[], window: KeptWindow): Pick<Healing, 'server' | 'lost'>[] {
  const hostOf = new Map(hosts.map((host) => [host.id, asUnused(host, window.users)]));
  const inUse = usedDevices(hosts, window.users);
  const servers = [...new Set(window.kept.map(({ server }) => server))].sort((a, b) => a - b);
  return servers.flatMap((server) => {
    const lost = lostOf(window, server, hostOf);
    const isHandedOver = keptFor(window, server).every(({ deviceId }) => inUse.has(deviceId));
    return lost.length === 0 || isHandedOver ? [] : [{ server, lost }];
  });
}

const OWN: DeviceReservation = { id: 'own', name: 'this one', projectId: '', until: '', isOpen: false };

function asUnused(host: HostSnapshot, users: ReadonlySet<string>): HostSnapshot {
  const here = host.servers.filter(({ id }) => users.has(id));
  const { generation } = host;
  return { ...withoutReservations(here.reduce((left, { id }) => withoutServer(left, id), host)), generation };
}

function usedDevices(hosts: readonly HostSnapshot[], users: ReadonlySet<string>): ReadonlySet<string> {
  const used = hosts.flatMap(({ devices }) => devices.filter(({ owner }) => owner && users.has(owner.serverId)));
  return new Set(used.map(({ id }) => id));
}

function keptFor({ kept }: KeptWindow, server: number): readonly KeptDevice[] {
  return kept.filter((device) => device.server === server);
}

function lostOf(window: KeptWindow, server: number, hostOf: ReadonlyMap<string, HostSnapshot>): string[] {
  const isLost = ({ deviceId, hostId }: KeptDevice): boolean => !canBeHad(hostOf.get(hostId), deviceId);
  return keptFor(window, server)
    .filter(isLost)
    .map(({ deviceId }) => deviceId);
}

function canBeHad(host: HostSnapshot | undefined, deviceId: string): boolean {
  if (!host || host.status !== 'up' || !host.enabled || host.readOnly) return false;
  const device = host.devices.find(({ id }) => id === deviceId);
  const unit = device && host.units.get(device.address);
  if (!device || !unit || unit.blockedBy !== null) return false;
  return isFree(device) && host.devices.every((other) => !unit.members.includes(other.address) || isFree(other));
}

function heal(
  snapshot: Snapshot,
  request: PlacementRequest,
  kept: readonly KeptDevice[],
  lost: readonly string[],
): Placement | Rejection {
  return swap(snapshot, request, kept, lost) ?? place(snapshot, request, []);
}

/** Only what is lost is taken anew, on the same host; null: that does not satisfy the request. */
function swap(
  { hosts, policy }: Snapshot,
  request: PlacementRequest,
  kept: readonly KeptDevice[],
  lost: readonly string[],
): Placement | null {
  const host = hosts.find(({ id }) => id === kept[0]?.hostId);
  const left = new Set(kept.map(({ deviceId }) => deviceId).filter((id) => !lost.includes(id)));
  if (!host || left.size === 0) return null;
  const others = withMarks(host, ({ id }) => left.has(id));
  const spare = place({ hosts: [others], policy }, missingOf(request, kept, lost), []);
  if (spare.outcome === 'rejected') return null;
  const chosen = new Set([...left, ...spare.devices.map(({ deviceId }) => deviceId)]);
  const together = place({ hosts: [withMarks(host, ({ id }) => !chosen.has(id))], policy }, request, []);
  return together.outcome === 'placed' ? together : null;
}

function withMarks(host: HostSnapshot, isOut: (device: SnapshotDevice) => boolean): HostSnapshot {
  return withReservations(host, new Map(host.devices.filter(isOut).map(({ id }) => [id, OWN])));
}

/** The request for as many devices as are lost of each kind; how they lie to the others is asked afterwards. */
function missingOf(request: PlacementRequest, kept: readonly KeptDevice[], lost: readonly string[]): PlacementRequest {
  const count = (index: number): number =>
    kept.filter(({ deviceId, requestIndex }) => requestIndex === index && lost.includes(deviceId)).length;
  const devices = request.devices.map(({ countMax: _most, ...wanted }, index): DeviceRequest => {
    return count(index) > 0 ? { ...wanted, count: count(index) } : { ...wanted, count: 0, specs: [] };
  });
  const { constraints: _constraints, ...rest } = request;
  return { ...rest, guestCells: null, devices };
}
