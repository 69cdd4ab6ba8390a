import type { Address } from '../pci/address.js';
import { withheldText } from './explain-withheld.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/** How many kinds of hosts are known at once; forgetting costs time and memory, never truth. */
const SHAPES_MAX = 4096;

/**
 * What is the same for all hosts that are built alike: devices at the same addresses, with the same facts, groups and
 * neighbourhoods. Which devices serve a request depends on this and on what is free, so hosts of one shape share answers.
 */
export interface HostShape {
  readonly number: number;
  /** The first host of the shape: its facts stand for those of all. */
  readonly model: HostSnapshot;
}

const shapes = new Map<string, HostShape>();
let lastNumber = 0;
/** By the host's `units`, which a host keeps as long as its devices are the same. */
const byUnits = new WeakMap<HostSnapshot['units'], HostShape>();

/** What is known of one host; one record for all of it, since every host that a decision makes gets one. */
interface Known {
  readonly shape: HostShape;
  state: string | null;
  like: HostSnapshot | null;
}

const byHost = new WeakMap<HostSnapshot, Known>();

/** The shape of a host. */
export function shapeOf(host: HostSnapshot): HostShape {
  return knownOf(host).shape;
}

/** Says that a host was made of another one by changing who has its devices: it is of the same shape, which need not be looked up. */
export function keepsShape(host: HostSnapshot, before: HostSnapshot): HostSnapshot {
  byHost.set(host, { shape: shapeOf(before), state: null, like: null });
  return host;
}

function knownOf(host: HostSnapshot): Known {
  let known = byHost.get(host);
  if (!known) byHost.set(host, (known = { shape: lookUp(host), state: null, like: null }));
  return known;
}

function lookUp(host: HostSnapshot): HostShape {
  const before = byUnits.get(host.units);
  if (before && isLike(host, before.model)) return before;
  const text = shapeText(host);
  const shape = shapes.get(text) ?? { number: ++lastNumber, model: host };
  if (shapes.size >= SHAPES_MAX) shapes.clear();
  shapes.set(text, shape);
  byUnits.set(host.units, shape);
  return shape;
}

/** The host, with everything that is equal to what another host of its shape has held once for all of them. */
export function withSharedFacts(host: HostSnapshot): HostSnapshot {
  const { model } = shapeOf(host);
  if (model === host) return host;
  const isSame = JSON.stringify(host.withheld) === JSON.stringify(model.withheld);
  return {
    ...host,
    ...(isSame && model.withheld && { withheld: model.withheld }),
    numaCells: model.numaCells,
    units: model.units,
    groups: model.groups,
    topology: model.topology,
    devices: host.devices.map((device, at) => {
      const { id, status, owner, missing, sharesUsed, reservation } = device;
      const own = { ...(sharesUsed !== undefined && { sharesUsed }), ...(reservation && { reservation }) };
      return { ...(model.devices[at] as SnapshotDevice), id, status, owner, missing, ...own };
    }),
  };
}

/** What of a host changes from placement to placement, as far as its devices go: equal texts, equal choices. */
export function stateOf(host: HostSnapshot): string {
  const known = knownOf(host);
  return (known.state ??= stateText(host));
}

function stateText(host: HostSnapshot): string {
  let text = '';
  for (const { status, missing, sharesUsed, reservation } of host.devices) {
    const free = reservation ? 'r' : missing ? 'm' : sharesUsed ? `(${sharesUsed})` : 'a';
    text += status === 'available' ? free : '-';
  }
  return text;
}

/** How many hosts stand for others at once. */
const ALIKE_MAX = 20_000;
const alike = new Map<string, HostSnapshot>();

/** A host of the same shape with the same devices free: what is true of the ones is true of the others, but for ids and owners. */
export function hostLike(host: HostSnapshot): HostSnapshot {
  const known = knownOf(host);
  return (known.like ??= likeOf(host));
}

function likeOf(host: HostSnapshot): HostSnapshot {
  const key = `${shapeOf(host).number} ${stateOf(host)}`;
  const like = alike.get(key) ?? host;
  if (alike.size >= ALIKE_MAX) alike.clear();
  alike.set(key, like);
  return like;
}

/** Whether the host's facts are the very objects and texts of the model. */
function isLike(host: HostSnapshot, model: HostSnapshot): boolean {
  if (host === model) return true;
  const { devices } = model;
  return (
    host.numaCells === model.numaCells &&
    host.groups === model.groups &&
    host.topology === model.topology &&
    keepsBackLike(host, model) &&
    host.devices.length === devices.length &&
    host.devices.every((device, at) => hasFactsOf(device, devices[at] as SnapshotDevice))
  );
}

/** What is told of it with names is asked of each host itself. */
function keepsBackLike(host: HostSnapshot, model: HostSnapshot): boolean {
  return host.withheld === model.withheld || withheldText(host) === withheldText(model);
}

function hasFactsOf(a: SnapshotDevice, b: SnapshotDevice): boolean {
  return (
    a.address === b.address &&
    a.attributes === b.attributes &&
    a.tags === b.tags &&
    a.traits === b.traits &&
    a.vendorId === b.vendorId &&
    a.productId === b.productId &&
    a.deviceType === b.deviceType &&
    a.parentAddress === b.parentAddress &&
    a.numaNode === b.numaNode &&
    a.resourceClass === b.resourceClass &&
    a.acsRedirect === b.acsRedirect
  );
}

function shapeText(host: HostSnapshot): string {
  const { devices, units, groups, topology, numaCells } = host;
  const parts = devices.map((device) => {
    const { id: _id, status: _status, owner: _owner, missing: _missing, sharesUsed: _shares, ...known } = device;
    const { reservation: _reservation, attributes, tags, ...plain } = known;
    const { address } = device;
    const own = [units.get(address), groups.slot.get(address), groups.card.get(address), topology.get(address)];
    return [plain, attributes.key, sorted(tags), own];
  });
  return JSON.stringify([parts, numaCells, pathsBetween(topology), ...(host.withheld ? [withheldText(host)] : [])]);
}

function sorted(tags: SnapshotDevice['tags']): [string, string | null][] {
  return Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Neighbourhoods of what is not offered: they say which switches hang side by side. */
function pathsBetween(topology: HostSnapshot['topology']): [Address, unknown][] {
  return [...topology];
}
