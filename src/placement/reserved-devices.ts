import type { Address } from '../pci/address.js';
import type { Rejection } from './decision.js';
import type { PlacementRequest } from './request.js';
import type { DeviceReservation, HostSnapshot, SnapshotDevice } from './snapshot.js';

const HOSTS_NAMED_MAX = 20;

/** The marks of what a host's devices are kept for, by device id. */
export type Reservations = ReadonlyMap<string, DeviceReservation>;

/**
 * The host with its reserved devices marked, and with them what nobody can have as long as they are kept whole: the VFs of a
 * reserved PF, the PF of a reserved VF.
 */
export function withReservations(host: HostSnapshot, reservations: Reservations): HostSnapshot {
  const own = host.devices.filter(({ id }) => reservations.has(id));
  if (own.length === 0) return host;
  const ofRelatives = relativesOf(host, own, reservations);
  const devices = host.devices.map((device): SnapshotDevice => {
    const reservation = reservations.get(device.id) ?? ofRelatives.get(device.address);
    return reservation ? { ...device, reservation } : device;
  });
  return { ...host, devices };
}

function relativesOf(
  { devices }: HostSnapshot,
  own: readonly SnapshotDevice[],
  reservations: Reservations,
): ReadonlyMap<Address, DeviceReservation> {
  const marks = new Map<Address, DeviceReservation>();
  const markOf = ({ id }: SnapshotDevice): DeviceReservation => {
    return { ...(reservations.get(id) as DeviceReservation), isRelative: true };
  };
  for (const device of own) if (device.parentAddress !== null) marks.set(device.parentAddress, markOf(device));
  const pfs = new Map(own.map((device) => [device.address, device]));
  for (const { address, parentAddress } of devices) {
    const pf = parentAddress === null ? undefined : pfs.get(parentAddress);
    if (pf) marks.set(address, markOf(pf));
  }
  return marks;
}

/** The host with nothing kept for anybody. */
export function withoutReservations(host: HostSnapshot): HostSnapshot {
  if (!host.devices.some(({ reservation }) => reservation)) return host;
  return { ...host, devices: host.devices.map(({ reservation: _kept, ...device }) => device) };
}

/** Whether the request may have what is kept by the mark, now. */
function opens({ reservation, projectId }: PlacementRequest, mark: DeviceReservation | undefined): boolean {
  return mark !== undefined && mark.id === reservation && mark.projectId === projectId && isOpenMark(mark);
}

function isOpenMark({ isOpen, isRelative }: DeviceReservation): boolean {
  return isOpen && !isRelative;
}

/**
 * The hosts with devices that the request's reservation keeps, as the request finds them: these devices are free for it, if
 * nobody has them, and no others are.
 */
export function hostsOfReservation(hosts: readonly HostSnapshot[], request: PlacementRequest): HostSnapshot[] {
  return hosts
    .filter(({ devices }) => devices.some(({ reservation }) => opens(request, reservation)))
    .map((host) => ({ ...host, devices: host.devices.map((device) => asFound(device, request)) }));
}

function asFound(device: SnapshotDevice, request: PlacementRequest): SnapshotDevice {
  const { reservation, ...plain } = device;
  if (opens(request, reservation)) return plain;
  return reservation ? device : { ...device, reservation: elsewhere(request) };
}

/** Stands on devices that are not the reservation's: they are free, but not for who comes with one. */
function elsewhere({ reservation = '', projectId }: PlacementRequest): DeviceReservation {
  return { id: `not ${reservation}`, name: 'nobody', projectId, until: '', isOpen: false, isOutside: true };
}

/** The answer when nothing is kept for the request now: its window has not begun, or is over. */
export function noDeviceKept(hosts: readonly HostSnapshot[], request: PlacementRequest): Rejection {
  const marks = hosts.flatMap(({ devices }) =>
    devices.flatMap(({ reservation: mark }) => (mark && mark.id === request.reservation ? [mark] : [])),
  );
  const isOurs = marks.some((mark) => mark.projectId === request.projectId);
  const when = isOurs ? 'its window has not begun' : 'it has no window now';
  const message = `reservation ${request.reservation} keeps no device for this project: ${when}`;
  const reason = { code: 'reservation.not_active', message, details: { reservation: request.reservation } };
  const names = hosts.slice(0, HOSTS_NAMED_MAX).map(({ name }) => name);
  const filter = 'PciPassthroughFilter';
  return {
    outcome: 'rejected',
    message: `No valid host: ${message} (${filter}).`,
    rejections: hosts.length === 0 ? [] : [{ filter, hosts: names, hostCount: hosts.length, reasons: [reason] }],
    hostsConsidered: hosts.length,
  };
}
