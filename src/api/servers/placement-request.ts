import { BerthError, messageOf } from '../../errors.js';
import { type AliasDefinition, withExclusiveTags } from '../../pci/alias/alias.js';
import type { NumaPolicy } from '../../pci/alias/numa-policy.js';
import { resolveNumaPolicyAs } from '../../pci/dialect-readers.js';
import type { Dialect } from '../../pci/dialect.js';
import { portSpec } from '../../pci/alias/port.js';
import {
  DEVICE_REQUESTS_MAX,
  type DeviceRequest,
  DEVICES_PER_SERVER_MAX,
  type GuestCell,
  type PlacementRequest,
  type PortRequest,
} from '../../placement/request.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { readExtraSpecs } from '../flavors/extra-specs.js';
import type { RequestRules } from '../request-rules.js';

/** Devices that are asked for, before the alias is looked up. */
export interface DeviceWish {
  readonly alias: string;
  readonly count: number;
  /** Of this one request; null: as flavor, image or alias say. */
  readonly numaPolicy: NumaPolicy | null;
}

/** A port that asks for one device. */
export interface PortWish extends PortRequest {
  /** null: as flavor or image say. */
  readonly numaPolicy: NumaPolicy | null;
}

/** An alias, and which version of it this is. */
export interface KnownAlias extends AliasDefinition {
  readonly version?: number;
}

/** A server's wishes, form-checked. */
export interface ServerWishes {
  readonly name: string;
  readonly projectId: string;
  readonly flavor: FlavorSnapshot | null;
  /** Next to, or instead of, the flavor's. */
  readonly devices: readonly DeviceWish[];
  readonly ports: readonly PortWish[];
  /** Of a server without flavor. */
  readonly size: { readonly vcpus: number; readonly ramMb: number; readonly diskGb: number };
  /** Image property `hw_pci_numa_affinity_policy`. */
  readonly imagePolicy: string | null;
}

/** What a server asks for by alias: the flavor's first, then its own. */
export function deviceWishes(wishes: ServerWishes, dialect: Dialect): readonly DeviceWish[] {
  const devices = demandsOf(wishes.flavor, dialect)?.devices ?? [];
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
export function placementRequest(
  wishes: ServerWishes,
  aliases: readonly KnownAlias[],
  rules: RequestRules,
): PlacementRequest {
  const { flavor, size } = wishes;
  const demands = demandsOf(flavor, rules.dialect);
  const named = { flavor: demands?.numaPolicy ?? null, image: wishes.imagePolicy, dialect: rules.dialect };
  assertPoliciesAgree(named);
  const devices = [
    ...deviceWishes(wishes, rules.dialect).map((wish) => deviceRequest(wish, named, aliases)),
    ...wishes.ports.map((port) => portDeviceRequest(port, named)),
  ].map((device) => ({ ...device, specs: withExclusiveTags(device.specs, rules.exclusiveTags) }));
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

function demandsOf(flavor: FlavorSnapshot | null, dialect: Dialect): Demands | null {
  return flavor && readExtraSpecs(flavor.extra_specs, { vcpus: flavor.vcpus, ramMb: flavor.ram_mb }, dialect);
}

interface NamedPolicies {
  readonly flavor: string | null;
  readonly image: string | null;
  readonly dialect: Dialect;
}

/** Checked even without devices, so that a contradiction does not wait for the first device. */
function assertPoliciesAgree(named: NamedPolicies): void {
  try {
    policyOf(named, null);
  } catch (cause) {
    if (!(cause instanceof BerthError)) throw cause;
    const errors = [{ field: 'image_properties.hw_pci_numa_affinity_policy', problem: messageOf(cause) }];
    throw new BerthError(cause.code, cause.message, { cause, details: { errors } });
  }
}

function deviceRequest(wish: DeviceWish, named: NamedPolicies, aliases: readonly KnownAlias[]): DeviceRequest {
  const alias = aliases.find((candidate) => candidate.name === wish.alias);
  if (!alias) throw new BerthError('alias.unknown', `There is no alias "${wish.alias}"`);
  return {
    alias: alias.name,
    count: wish.count,
    specs: alias.specs,
    numaPolicy: wish.numaPolicy ?? policyOf(named, alias.numaPolicy),
    aliasVersion: alias.version ?? null,
  };
}

function portDeviceRequest({ numaPolicy, ...port }: PortWish, named: NamedPolicies): DeviceRequest {
  return {
    alias: null,
    port,
    count: 1,
    specs: [portSpec(port, named.dialect)],
    numaPolicy: numaPolicy ?? policyOf(named, null),
  };
}

function policyOf({ dialect, ...named }: NamedPolicies, alias: NumaPolicy | null): NumaPolicy {
  return resolveNumaPolicyAs(dialect, { ...named, alias });
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
