import { BerthError, messageOf } from '../../errors.js';
import { type AliasDefinition, withExclusiveTags } from '../../pci/alias/alias.js';
import type { NumaPolicy } from '../../pci/alias/numa-policy.js';
import { resolveNumaPolicyAs } from '../../pci/dialect-readers.js';
import type { Dialect } from '../../pci/dialect.js';
import { portSpec } from '../../pci/alias/port.js';
import {
  CONSTRAINTS_MAX,
  DEVICE_REQUESTS_MAX,
  type DeviceRequest,
  DEVICES_PER_SERVER_MAX,
  type HostWishes,
  type PlacementRequest,
  type PortRequest,
  type TopologyConstraint,
} from '../../placement/request.js';
import { parseTopology, resolveTopology, type TopologyWish } from '../../placement/topology-text.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { wholeDiskGb } from '../flavors/disk.js';
import { type FlavorDemands, readExtraSpecs, TOPOLOGY_KEY } from '../flavors/extra-specs.js';
import type { RequestRules } from '../request-rules.js';

/** Devices that are asked for, before the alias is looked up. */
export interface DeviceWish {
  readonly alias: string;
  readonly count: number;
  /** So many where there are as many; `count` when left out. */
  readonly countMax?: number;
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
  /** Without what the flavor asks of a host. */
  readonly host: HostWishes;
  /** Next to the flavor's; null: none. */
  readonly topology: string | null;
  /** null: as the flavor says. */
  readonly cpuPolicy: 'shared' | 'dedicated' | null;
  readonly priority: number | null;
  readonly preemptible: boolean | null;
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
    diskGb: flavor ? wholeDiskGb(flavor) : size.diskGb,
    devices,
    guestCells: demands?.guestCells ?? null,
    ...whatIsAsked(wishes, demands, constraintsOf(wishes.topology, demands?.topology ?? [], devices)),
  };
}

/** Equal wishes have to be equal requests: what says the same as leaving it out is left out. */
function whatIsAsked(
  wishes: ServerWishes,
  demands: FlavorDemands | null,
  constraints: readonly TopologyConstraint[],
): Partial<PlacementRequest> {
  const host = { ...wishes.host, ...demands?.host };
  const priority = wishes.priority ?? demands?.priority ?? 0;
  return {
    ...((wishes.cpuPolicy ?? demands?.cpuPolicy) === 'dedicated' ? { cpuPolicy: 'dedicated' } : {}),
    ...(constraints.length === 0 ? {} : { constraints }),
    ...(Object.keys(host).length === 0 ? {} : { host }),
    ...(priority === 0 ? {} : { priority }),
    ...((wishes.preemptible ?? demands?.preemptible) ? { preemptible: true } : {}),
  };
}

function constraintsOf(
  own: string | null,
  ofFlavor: readonly TopologyWish[],
  devices: readonly DeviceRequest[],
): readonly TopologyConstraint[] {
  try {
    const wishes = [...ofFlavor, ...(own === null ? [] : parseTopology(own))];
    if (wishes.length <= CONSTRAINTS_MAX) return wishes.length === 0 ? [] : resolveTopology(wishes, devices);
    throw new BerthError('topology.invalid', `topology: ${wishes.length} clauses; at most ${CONSTRAINTS_MAX}`);
  } catch (cause) {
    if (!(cause instanceof BerthError)) throw cause;
    const problem = cause.message.replace(/^topology: /, '');
    const field = own === null ? `flavor, extra_specs.${TOPOLOGY_KEY}` : 'topology';
    throw new BerthError(cause.code, `${field}: ${problem}`, { cause, details: { errors: [{ field, problem }] } });
  }
}

function demandsOf(flavor: FlavorSnapshot | null, dialect: Dialect): FlavorDemands | null {
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
    ...(wish.countMax !== undefined && wish.countMax > wish.count ? { countMax: wish.countMax } : {}),
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
  const count = devices.reduce((sum, device) => sum + (device.countMax ?? device.count), 0);
  if (count > DEVICES_PER_SERVER_MAX) {
    throw new BerthError('server.invalid', `${count} devices; a server has at most ${DEVICES_PER_SERVER_MAX}`);
  }
}
