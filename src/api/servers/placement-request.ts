import { BerthError } from '../../errors.js';
import { type AliasDefinition, type NumaPolicy, resolveNumaPolicy } from '../../pci/alias.js';
import {
  DEVICE_REQUESTS_MAX,
  type DeviceRequest,
  DEVICES_PER_SERVER_MAX,
  type GuestCell,
  type PlacementRequest,
} from '../../placement/request.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { readExtraSpecs } from '../flavors/extra-specs.js';

/** Devices that are asked for, before the alias is looked up. */
export interface DeviceWish {
  readonly alias: string;
  readonly count: number;
  /** Of this one request; null: as flavor, image or alias say. */
  readonly numaPolicy: NumaPolicy | null;
}

/** A server's wishes, form-checked. */
export interface ServerWishes {
  readonly name: string;
  readonly projectId: string;
  readonly flavor: FlavorSnapshot | null;
  /** Next to, or instead of, the flavor's. */
  readonly devices: readonly DeviceWish[];
  /** Of a server without flavor. */
  readonly size: { readonly vcpus: number; readonly ramMb: number; readonly diskGb: number };
  /** Image property `hw_pci_numa_affinity_policy`. */
  readonly imagePolicy: string | null;
}

/** All device wishes of a server: the flavor's first, then its own. */
export function deviceWishes(wishes: ServerWishes): readonly DeviceWish[] {
  const devices = demandsOf(wishes.flavor)?.devices ?? [];
  return [...devices.map((device) => ({ ...device, numaPolicy: null })), ...wishes.devices];
}

/**
 * What the scheduler decides on.
 *
 * The NUMA policy of a device: its own, else the flavor's or image's, else the alias's, else legacy (Nova's order).
 *
 * @param aliases has every alias that {@link deviceWishes} names
 * @throws BerthError `server.invalid` above the limits, `numa_policy.invalid`, `numa_policy.conflict`
 */
export function placementRequest(wishes: ServerWishes, aliases: readonly AliasDefinition[]): PlacementRequest {
  const { flavor, size } = wishes;
  const demands = demandsOf(flavor);
  const named = { flavor: demands?.numaPolicy ?? null, image: wishes.imagePolicy };
  // checked even without devices, so that a contradiction does not wait for the first device
  resolveNumaPolicy({ ...named, alias: null });
  const devices = deviceWishes(wishes).map((wish) => deviceRequest(wish, named, aliases));
  assertLimits(devices);
  return {
    serverName: wishes.name,
    projectId: wishes.projectId,
    vcpus: flavor?.vcpus ?? size.vcpus,
    memoryMb: flavor?.ram_mb ?? size.ramMb,
    diskGb: flavor?.disk_gb ?? size.diskGb,
    devices,
    guestCells: demands?.guestCells ?? null,
  };
}

interface Demands {
  readonly devices: readonly { readonly alias: string; readonly count: number }[];
  readonly numaPolicy: NumaPolicy | null;
  readonly guestCells: readonly GuestCell[] | null;
}

function demandsOf(flavor: FlavorSnapshot | null): Demands | null {
  return flavor && readExtraSpecs(flavor.extra_specs, { vcpus: flavor.vcpus, ramMb: flavor.ram_mb });
}

function deviceRequest(
  wish: DeviceWish,
  named: { readonly flavor: string | null; readonly image: string | null },
  aliases: readonly AliasDefinition[],
): DeviceRequest {
  const alias = aliases.find((candidate) => candidate.name === wish.alias);
  if (!alias) throw new BerthError('alias.unknown', `There is no alias "${wish.alias}"`);
  return {
    alias: alias.name,
    count: wish.count,
    specs: alias.specs,
    numaPolicy: wish.numaPolicy ?? resolveNumaPolicy({ ...named, alias: alias.numaPolicy }),
  };
}

function assertLimits(devices: readonly DeviceRequest[]): void {
  if (devices.length > DEVICE_REQUESTS_MAX) {
    throw new BerthError(
      'server.invalid',
      `${devices.length} device requests; a server has at most ${DEVICE_REQUESTS_MAX}`,
    );
  }
  const count = devices.reduce((sum, device) => sum + device.count, 0);
  if (count > DEVICES_PER_SERVER_MAX) {
    throw new BerthError('server.invalid', `${count} devices; a server has at most ${DEVICES_PER_SERVER_MAX}`);
  }
}
