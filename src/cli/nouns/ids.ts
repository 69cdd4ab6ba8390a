import { BerthError } from '../../errors.js';
import { idOf, isId } from '../verbs/find.js';
import type { Session } from '../verbs/session.js';

/** Names or ids in, ids out. Flavors, hosts, aggregates and aliases are found by their names by the REST face itself. */
export function serverId({ rest, ask }: Session, server: string): Promise<string> {
  return idOf(server, 'server', 'server.unknown', async (name) => {
    const { servers } = await ask(rest.GET('/v1/servers', { params: { query: { name } } }));
    return servers;
  });
}

export function serverGroupId({ rest, every }: Session, group: string): Promise<string> {
  return idOf(group, 'server group', 'server_group.unknown', () =>
    every((query) => rest.GET('/v1/server-groups', { params: { query } })),
  );
}

export function reservationId({ rest, every }: Session, reservation: string): Promise<string> {
  return idOf(reservation, 'reservation', 'reservation.unknown', () =>
    every((query) => rest.GET('/v1/reservations', { params: { query } })),
  );
}

/** A device has no name, but an address on a host: `gpu-1/0000:83:00.0`. */
export async function deviceId({ rest, every }: Session, device: string): Promise<string> {
  if (isId(device)) return device;
  const at = device.lastIndexOf('/');
  if (at < 1) throw new BerthError('request.invalid', `"${device}" is neither the id of a device nor HOST/ADDRESS`);
  const [host, address] = [device.slice(0, at), device.slice(at + 1)];
  const devices = await every((query) => rest.GET('/v1/devices', { params: { query: { ...query, host } } }));
  const found = devices.find((one) => one.address === address || one.address === `0000:${address}`);
  if (found) return found.id;
  throw new BerthError('device.unknown', `host ${host} has no device at ${address}`);
}
