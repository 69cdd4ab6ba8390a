import type { PrepareDevices } from '../messages/bodies.js';
import { agentQueue } from '../messages/routes.js';
import type { Address } from '../pci/address.js';
import type { ChosenDevice, Placement } from '../placement/decision.js';
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

/** A device that a placement takes, with what is known of it. */
export interface ClaimedDevice extends ChosenDevice {
  readonly device: SnapshotDevice;
}

interface Batch {
  readonly placed: readonly PlacedNow[];
  readonly hosts: readonly TouchedHost[];
  readonly claimed: ReadonlyMap<PlacedNow, readonly ClaimedDevice[]>;
  readonly claimTimeoutMs: number;
}

/** The arguments of `commit_placements` in their order; see the migration that makes it. */
export function batchValues({ placed, hosts, claimed, claimTimeoutMs }: Batch): unknown[] {
  const classes = classesOf(placed);
  const claims = placed.map((entry) => ({ id: newId(), ...entry, devices: claimed.get(entry) ?? [] }));
  const taken = claims.flatMap((claim) => claim.devices.map((device) => ({ ...device, claim })));
  return [
    ...hostValues(hosts),
    ...classValues(classes),
    ...placementValues(placed, classes),
    ...claimValues(claims),
    ...allocationValues(taken),
    ...parentValues(taken),
    ...auditValues([...transitionBodies(taken.map(transitionOf)), ...auditedClasses(classes)]),
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
  readonly server: PlacedNow['server'];
  readonly decision: Placement;
  readonly devices: readonly ClaimedDevice[];
}

function claimValues(claims: readonly NewClaim[]): unknown[] {
  return [
    plainList(claims.map(({ id }) => id)),
    plainList(claims.map(({ server }) => server.request.vcpus)),
    plainList(claims.map(({ server }) => server.request.memoryMb)),
    plainList(claims.map(({ server }) => server.request.diskGb)),
    claims.map(({ decision: { numaCells } }) => numaCells && JSON.stringify(numaCells)),
    plainList(claims.map(({ devices }) => devices.length)),
    jsonList(claims.map((claim) => JSON.stringify(prepareOf(claim)))),
  ];
}

/** The command without its fence. */
function prepareOf({ id, server, devices }: NewClaim): PrepareDevices {
  const targets = devices.map(({ address, device }) => {
    return { address, vendor_id: device.vendorId, product_id: device.productId };
  });
  return { claim_id: id, server_id: server.id, devices: targets.sort((a, b) => (a.address < b.address ? -1 : 1)) };
}

type Taken = ClaimedDevice & { readonly claim: NewClaim };

function allocationValues(taken: readonly Taken[]): unknown[] {
  return [
    plainList(taken.map(() => newId())),
    plainList(taken.map(({ claim }) => claim.id)),
    plainList(taken.map(({ claim }) => claim.server.id)),
    plainList(taken.map(({ deviceId }) => deviceId)),
    taken.map(({ alias }) => alias),
    plainList(taken.map(({ requestIndex }) => requestIndex)),
  ];
}

/** Host and address of each PF of which a VF is taken. */
function parentValues(taken: readonly Taken[]): unknown[] {
  const parents = new Map(
    taken.flatMap(({ device: { parentAddress }, claim: { decision } }) => {
      return parentAddress === null ? [] : [[`${decision.hostId} ${parentAddress}`, [decision.hostId, parentAddress]]];
    }),
  );
  const all = [...parents.values()] as [hostId: string, address: Address][];
  return [plainList(all.map(([hostId]) => hostId)), all.map(([, address]) => address)];
}

function transitionOf({ deviceId, address, claim: { server, decision } }: Taken): AuditedTransition {
  const device = { device_id: deviceId, host_id: decision.hostId, address };
  return { ...device, event: 'claim', from: 'available', to: 'claimed', server_id: server.id };
}
