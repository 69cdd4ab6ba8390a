import { shapeOf } from './host-shape.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import type { HostedServer, HostSnapshot } from './snapshot.js';

/** Hosts of which a decision cannot tell one from the other, but for names and ids. */
export interface HostKind {
  /** The first by name. */
  readonly host: HostSnapshot;
  readonly count: number;
}

/**
 * One of each kind of host, in the order of the hosts.
 *
 * @param request whose hints name servers
 */
export function kindsOf(
  hosts: readonly HostSnapshot[],
  { host: wishes }: PlacementRequest,
  excluded: readonly ExcludedHost[],
): readonly HostKind[] {
  const hinted = new Set([...(wishes?.sameHost ?? []), ...(wishes?.differentHost ?? [])]);
  const tried = new Set(excluded.map(({ hostId }) => hostId));
  const texts = new Map<string, number>();
  const kinds = new Map<string, { host: HostSnapshot; count: number }>();
  for (const host of hosts) {
    const key = `${tried.has(host.id)} ${keyOf(host, hinted, texts)}`;
    const kind = kinds.get(key);
    if (kind) kind.count++;
    else kinds.set(key, { host, count: 1 });
  }
  return [...kinds.values()];
}

/** One of each make of machine, whatever is on it now, in the order of the hosts. */
export function machinesOf(hosts: readonly HostSnapshot[]): readonly HostKind[] {
  const machines = new Map<string, { host: HostSnapshot; count: number }>();
  for (const host of hosts) {
    const { capacity, reserved, allocationRatios, availabilityZone, aggregates, traits, capabilities } = host;
    const site = [capacity, reserved, allocationRatios, availabilityZone, aggregates, traits, capabilities];
    const key = JSON.stringify([shapeOf(host).number, site]);
    const machine = machines.get(key);
    if (machine) machine.count++;
    else machines.set(key, { host, count: 1 });
  }
  return [...machines.values()];
}

/**
 * All that filters, weighers and the choice of devices may look at, names and ids left out.
 *
 * @param texts long texts, numbered: hosts of one make repeat each other, and ten thousand keys have to be small
 */
function keyOf(host: HostSnapshot, hinted: ReadonlySet<string>, texts: Map<string, number>): string {
  const owners = ownersInOrder(host);
  const { id: _id, name: _name, generation: _generation, disabledReason: _why, servers, devices, used, ...rest } = host;
  const { units: _units, groups: _groups, topology: _topology, ...site } = rest;
  const text = JSON.stringify(site);
  const number = texts.get(text) ?? texts.size;
  texts.set(text, number);
  return JSON.stringify([
    ...[number, shapeOf(host).number, used],
    servers.map((server) => serverText(server, hinted, owners.get(server.id) ?? -1)).sort(),
    devices.map(({ status, missing, sharesUsed = 0, owner }) => [
      ...[status, missing, sharesUsed],
      owner === null ? -1 : (owners.get(owner.serverId) ?? -1),
    ]),
  ]);
}

/** Servers are told apart by the first device that they have. */
function ownersInOrder({ devices }: HostSnapshot): ReadonlyMap<string, number> {
  const owners = new Map<string, number>();
  for (const { owner } of devices) if (owner && !owners.has(owner.serverId)) owners.set(owner.serverId, owners.size);
  return owners;
}

function serverText(server: HostedServer, hinted: ReadonlySet<string>, owner: number): string {
  const { id, name: _name, ...shape } = server;
  return JSON.stringify([owner, hinted.has(id) ? id : null, shape]);
}
