import { BerthError } from '../../errors.js';
import { novaSpecOf, saysMoreThanNova } from '../../pci/nova/nova-alias.js';
import type { Address } from '../../pci/address.js';
import type { ChosenDevice, Reason } from '../decision.js';
import { isFree } from '../device-classes.js';
import { classesFor } from '../explain-devices-states.js';
import { explainDevices } from '../explain-devices.js';
import type { Fit } from '../fit-host.js';
import { guestCellsOf, type HostCell } from '../guest-cells.js';
import { freeCells } from '../host-cells.js';
import { requestLabel, type DeviceRequest, type GuestCell, type PlacementRequest } from '../request.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from '../snapshot.js';
import { novaCellChoices } from './cells.js';
import { NovaPools, type PooledDevice, type PoolRequest } from './pools.js';

/** How many choices of host cells are tried; Nova tries all, which for many cells takes hours. */
const CELL_CHOICES_MAX = 1_000;

/**
 * Devices and NUMA cells as Nova 26.2 chooses them: the first choice of host cells that the scheduler's counts support,
 * then devices pool by pool, the last of each first. A policy means nothing to a guest without NUMA cells.
 *
 * What Nova's compute would refuse after its scheduler's yes (a PF and its own VF for one server) is refused here at once.
 * IOMMU groups, which Nova does not know, are respected all the same: a group is taken whole, or not at all.
 */
export function fitHostAsNova(host: HostSnapshot, request: PlacementRequest, policy: PlacementPolicy): Fit {
  const requests = request.devices.map(poolRequest);
  const foreign = request.devices.find((device) => device.specs.some(saysMoreThanNova));
  if (foreign) return refused('PciPassthroughFilter', notNova(foreign));
  if (!supportsAsNova(host, request.devices))
    return refused('PciPassthroughFilter', ...explainAsNova(host, request.devices));
  const pools = poolsOf(host);
  const guestCells = guestCellsOf(request);
  const cells = guestCells === null ? null : cellsFor(freeCells(host, request, policy), guestCells, requests, pools);
  if (guestCells !== null && cells === null) return refused('NUMATopologyFilter', noCells(request, guestCells));
  try {
    const taken = pools.consume(requests, cells);
    const devices = taken.flatMap((ofRequest, requestIndex) =>
      ofRequest.map((device) => chosen(device as SnapshotDevice, request.devices[requestIndex], requestIndex)),
    );
    return { fits: true, devices: [...devices, ...companionsOf(host, devices)], numaCells: cells };
  } catch (error) {
    // also where Nova itself breaks off, as over "PF or VF" in one request
    if (!(error instanceof BerthError)) throw error;
    return refused('PciPassthroughFilter', notTogether(request.devices));
  }
}

/** Whether the counts of the host's pools serve the requests, NUMA left aside: all that Nova's filter asks. */
export function supportsAsNova(host: HostSnapshot, requests: readonly DeviceRequest[]): boolean {
  if (requests.length === 0) return true;
  const counts = COUNTS.get(host) ?? poolsOf(host).schedulersCopy();
  COUNTS.set(host, counts);
  return counts.supports(requests.map(poolRequest), null);
}

/** The scheduler's view of a host's pools: only ever asked, never consumed from. */
const COUNTS = new WeakMap<HostSnapshot, NovaPools>();

/** Why the counts do not serve them: what is the matter with the devices, if that explains it. */
export function explainAsNova(host: HostSnapshot, requests: readonly DeviceRequest[]): readonly Reason[] {
  const ofDevices = explainDevices(host, requests.map(withLowerCaseIds), null);
  return ofDevices.length > 0 ? ofDevices : [tooFew(host, requests)];
}

/** Ids match in either case in Nova; the facts of devices are in lower case. */
export function withLowerCaseIds(request: DeviceRequest): DeviceRequest {
  const lower = (id: string | null): string | null => id?.trim().toLowerCase() ?? null;
  const specs = request.specs.map((spec) => ({
    ...spec,
    vendorId: lower(spec.vendorId),
    productId: lower(spec.productId),
  }));
  return { ...request, specs };
}

function cellsFor(
  hostCells: readonly HostCell[],
  guestCells: readonly GuestCell[],
  requests: readonly PoolRequest[],
  pools: NovaPools,
): readonly number[] | null {
  let left = CELL_CHOICES_MAX;
  for (const choice of novaCellChoices(hostCells, guestCells, pools.pools, requests.length > 0)) {
    if (supports(pools, requests, choice)) return choice;
    if (--left === 0) break;
  }
  return null;
}

/** Nova breaks off where a policy asks for sockets that the host does not tell; here that is a no. */
function supports(pools: NovaPools, requests: readonly PoolRequest[], cells: readonly number[]): boolean {
  try {
    return pools.supports(requests, cells);
  } catch (error) {
    if (error instanceof BerthError) return false;
    throw error;
  }
}

/** Free devices in address order, as a compute service has them after its start. */
function poolsOf(host: HostSnapshot): NovaPools {
  const untouched = new Set(host.devices.filter(isFree).map(({ address }) => address));
  const free = new Map<Address, PooledDevice>();
  for (const device of host.devices) {
    const unit = host.units.get(device.address);
    if (unit?.blockedBy === null && unit.members.every((member) => untouched.has(member))) {
      free.set(device.address, device);
    }
  }
  const pools = new NovaPools(host.numaCells.length > 0 ? host.numaCells : null, (device) =>
    relativesOf(host, device).flatMap((address) => free.get(address) ?? []),
  );
  for (const device of free.values()) pools.add(device);
  return pools;
}

/** What cannot be given to anybody else once the device is taken: its family, and its IOMMU group. */
function relativesOf(host: HostSnapshot, device: PooledDevice): Address[] {
  const children = host.devices.filter((other) => other.parentAddress === device.address).map(({ address }) => address);
  const parent = device.parentAddress === null ? [] : [device.parentAddress];
  const group = host.units.get(device.address)?.members ?? [];
  return [...children, ...parent, ...group].filter((address) => address !== device.address);
}

function chosen(device: SnapshotDevice, request: DeviceRequest | undefined, requestIndex: number): ChosenDevice {
  const { id: deviceId, address } = device;
  return {
    deviceId,
    address,
    alias: request?.alias ?? null,
    ...(request?.port ? { port: request.port.name } : {}),
    requestIndex,
  };
}

function companionsOf(host: HostSnapshot, devices: readonly ChosenDevice[]): ChosenDevice[] {
  const taken = new Set(devices.map(({ address }) => address));
  const members = new Set(devices.flatMap(({ address }) => host.units.get(address)?.members ?? []));
  return host.devices
    .filter(({ address }) => members.has(address) && !taken.has(address))
    .map(({ id, address }) => ({ deviceId: id, address, alias: null, requestIndex: null }));
}

function poolRequest({ count, specs, numaPolicy }: DeviceRequest): PoolRequest {
  return { count, specs: specs.map(novaSpecOf), numaPolicy };
}

function refused(filter: 'PciPassthroughFilter' | 'NUMATopologyFilter', ...reasons: readonly Reason[]): Fit {
  return { fits: false, filter, reasons };
}

function notNova(request: DeviceRequest): Reason {
  return {
    code: 'alias.not_nova',
    message: `${requestLabel(request)} says what Nova 26.2 does not know (traits, selector, group, …); leave that out, or set compat to strict`,
    details: { alias: request.alias },
  };
}

function tooFew(host: HostSnapshot, requests: readonly DeviceRequest[]): Reason {
  return {
    code: 'device.too_few_in_pools',
    message: `too few free devices in the pools that match ${labels(requests)}`,
    details: { requests: requests.map(requestLabel), classes: classesFor(host, requests.map(withLowerCaseIds)) },
  };
}

function notTogether(requests: readonly DeviceRequest[]): Reason {
  return {
    code: 'device.not_together',
    message: `${labels(requests)}: a PF and its VFs, or devices of one IOMMU group, cannot both be given out`,
    details: { requests: requests.map(requestLabel) },
  };
}

function noCells({ devices }: PlacementRequest, guestCells: readonly GuestCell[]): Reason {
  return {
    code: 'numa.no_cell_fits',
    message: `no choice of host NUMA cells holds the guest's ${guestCells.length} and has ${labels(devices)} near`,
    details: { requests: devices.map(requestLabel) },
  };
}

function labels(requests: readonly DeviceRequest[]): string {
  return requests.map(requestLabel).join(', ');
}
