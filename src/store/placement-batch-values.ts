import type { PrepareDevices, PrepareTarget } from '../messages/bodies.js';
import { agentQueue } from '../messages/routes.js';
import type { Placement } from '../placement/decision.js';
import type { PlacementRequest } from '../placement/request.js';
import type { SnapshotDevice } from '../placement/snapshot.js';
import { transitionBodies, type AuditedTransition } from './audit-bodies.js';
import { auditValues } from './audit.store.js';
import type { DecidedServer, NewPlacement, WaitingServer } from './decided-server.js';
import { jsonList, plainList } from './json-list.js';
import { newId } from './new-id.js';
import { auditedClasses, classesOf, type DecisionClass } from './placements.store.js';

/** A new placement that has its place. */
export interface PlacedNow extends DecidedServer {
  readonly server: WaitingServer & { readonly placement: NewPlacement };
  readonly decision: Placement;
}

export interface TouchedHost {
  readonly id: string;
  readonly name: string;
  /** Before the batch. */
  readonly generation: number;
  /** How many of the batch are there. */
  readonly placed: number;
}

interface Batch {
  readonly placed: readonly PlacedNow[];
  readonly hosts: readonly TouchedHost[];
  readonly transitions: readonly AuditedTransition[];
  readonly deviceOf: DeviceOf;
  readonly claimTimeoutMs: number;
}

/** A device as the batch was decided on; null: not known any more. */
export type DeviceOf = (hostId: string, deviceId: string) => SnapshotDevice | null;

/** The arguments of `commit_placements` in their order; see the migration that makes it. */
export function batchValues({ placed, hosts, transitions, deviceOf, claimTimeoutMs }: Batch): unknown[] {
  const classes = classesOf(placed);
  const audited = [...transitionBodies(transitions), ...auditedClasses(classes)];
  return [
    ...hostValues(hosts),
    ...classValues(classes),
    ...placementValues(placed, classes),
    ...claimValues(
      placed.map(({ server, decision }) => ({ id: newId(), server, decision })),
      deviceOf,
    ),
    ...statusValues(transitions),
    ...auditValues(audited),
    claimTimeoutMs,
  ];
}

function hostValues(hosts: readonly TouchedHost[]): unknown[] {
  return [
    plainList(hosts.map(({ id }) => id)),
    plainList(hosts.map(({ generation }) => generation)),
    plainList(hosts.map(({ placed }) => placed)),
    hosts.map(({ name }) => agentQueue(name)),
  ];
}

function classValues(classes: readonly DecisionClass<PlacedNow>[]): unknown[] {
  return [plainList(classes.map(({ id }) => id)), jsonList(classes.map(({ record }) => record))];
}

function placementValues(placed: readonly PlacedNow[], classes: readonly DecisionClass<PlacedNow>[]): unknown[] {
  const classOf = new Map(classes.flatMap(({ id, members }) => members.map((entry) => [entry, id] as const)));
  const requests = new RequestTexts();
  const numbers = plainList(placed.map(({ server }) => requests.numberOf(server)));
  return [
    requests.list(),
    plainList(placed.map(({ server }) => server.id)),
    placed.map(({ server }) => server.name),
    placed.map(({ server }) => server.request.projectId),
    plainList(placed.map(({ decision }) => decision.hostId)),
    numbers,
    plainList(placed.map((entry) => classOf.get(entry) ?? null)),
    placed.map(({ server }) => server.placement.key),
    placed.map(({ server }) => server.placement.hash),
  ];
}

/** Each pair of a request and a flavor is sent once: of equal wishes they are the same objects. */
class RequestTexts {
  private readonly known = new Map<PlacementRequest, { readonly flavor: object | null; readonly number: number }[]>();
  private readonly texts: string[] = [];

  /** Its place in the list, from 0. */
  numberOf({ request, placement: { flavor } }: PlacedNow['server']): number {
    const pairs = this.known.get(request) ?? [];
    const same = pairs.find((pair) => pair.flavor === flavor);
    if (same) return same.number;
    const number = this.texts.push(JSON.stringify({ request, flavor })) - 1;
    this.known.set(request, [...pairs, { flavor, number }]);
    return number;
  }

  list(): string {
    return jsonList(this.texts);
  }
}

interface NewClaim {
  readonly id: string;
  readonly server: WaitingServer;
  readonly decision: Placement;
}

function claimValues(claims: readonly NewClaim[], deviceOf: DeviceOf): unknown[] {
  const taken = claims.flatMap(({ id, server, decision }) =>
    decision.devices.map((device) => ({ ...device, claimId: id, serverId: server.id })),
  );
  return [
    plainList(claims.map(({ id }) => id)),
    plainList(claims.map(({ server }) => server.request.vcpus)),
    plainList(claims.map(({ server }) => server.request.memoryMb)),
    plainList(claims.map(({ server }) => server.request.diskGb)),
    claims.map(({ decision: { numaCells } }) => numaCells && JSON.stringify(numaCells)),
    plainList(claims.map(({ decision }) => decision.devices.length)),
    jsonList(claims.map((claim) => JSON.stringify(prepareOf(claim, deviceOf)))),
    plainList(taken.map(() => newId())),
    plainList(taken.map(({ claimId }) => claimId)),
    plainList(taken.map(({ serverId }) => serverId)),
    plainList(taken.map(({ deviceId }) => deviceId)),
    taken.map(({ alias }) => alias),
    plainList(taken.map(({ requestIndex }) => requestIndex)),
  ];
}

/** The command without its fence. */
function prepareOf({ id, server, decision }: NewClaim, deviceOf: DeviceOf): PrepareDevices {
  const devices = decision.devices.flatMap(({ deviceId, address }): PrepareTarget[] => {
    const card = deviceOf(decision.hostId, deviceId);
    return card ? [{ address, vendor_id: card.vendorId, product_id: card.productId }] : [];
  });
  return { claim_id: id, server_id: server.id, devices: devices.sort((a, b) => (a.address < b.address ? -1 : 1)) };
}

/** A device that changes twice, as a relative of several, ends as the last one left it. */
function statusValues(transitions: readonly AuditedTransition[]): unknown[] {
  const changes = new Map<string, { readonly before: string; readonly after: string }>();
  for (const { device_id, from, to } of transitions) {
    changes.set(device_id, { before: changes.get(device_id)?.before ?? from, after: to });
  }
  const changed = [...changes.values()];
  return [
    plainList([...changes.keys()]),
    plainList(changed.map(({ before }) => before)),
    plainList(changed.map(({ after }) => after)),
  ];
}
