import { BerthError, messageOf } from '../../errors.js';
import { parseAliasRequestAs } from '../../pci/dialect-readers.js';
import type { Dialect } from '../../pci/dialect.js';
import type { PlacementRequest } from '../../placement/request.js';
import { findAliasDefinitions } from '../../store/catalog.store.js';
import type { Tx } from '../../store/database.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { findFlavor } from '../../store/flavors.store.js';
import { type Caller, isAdmin } from '../identity/caller.js';
import type { RequestRules } from '../request-rules.js';
import { invalidFields } from '../request-validation.pipe.js';
import { assertAliasesKnown, unknownFlavor } from '../unknown-names.js';
import {
  type DeviceWish,
  deviceWishes,
  placementRequest,
  type PortWish,
  type ServerWishes,
} from './placement-request.js';
import { hostWishes, imageWishes } from './host-wishes.js';
import { reservationWish } from './reservation-wish.js';
import type { DeviceWishBody, PortBody, ServerWishesBody } from './servers.dto.js';

const VCPUS_DEFAULT = 1;
const RAM_MB_DEFAULT = 512;
const DISK_GB_DEFAULT = 0;

/** What is to be, and whose. */
export interface Wisher {
  readonly name: string;
  readonly projectId: string;
  /** Whether flavors that the project has no access to will do: an administrator asks. */
  readonly anyFlavor: boolean;
}

/** Whoever asks, as one who wishes something for the own project. */
export function wisherOf(caller: Caller, name: string): Wisher {
  return { name, projectId: caller.projectId, anyFlavor: isAdmin(caller) };
}

export interface ResolvedRequest {
  readonly flavor: FlavorSnapshot | null;
  readonly request: PlacementRequest;
}

/**
 * Looks up flavor and aliases and makes of a body what the scheduler decides on.
 *
 * @throws BerthError `flavor.unknown`, `alias.unknown`, `server_group.unknown`, `server.invalid`, `numa_policy.conflict`, …
 */
export async function resolveRequest(
  tx: Tx,
  { name, projectId, anyFlavor }: Wisher,
  body: ServerWishesBody,
  rules: RequestRules,
): Promise<ResolvedRequest> {
  assertShape(body);
  const own = ownWishes(body.devices ?? [], rules.dialect);
  const image = imageWishes(body.image_properties ?? {});
  const flavor = await flavorSnapshot(tx, body.flavor ?? null, anyFlavor ? null : projectId);
  const wishes: ServerWishes = {
    name,
    projectId,
    flavor,
    devices: own,
    ports: portWishes(body.ports ?? []),
    size: {
      vcpus: body.vcpus ?? VCPUS_DEFAULT,
      ramMb: body.ram_mb ?? RAM_MB_DEFAULT,
      diskGb: body.disk_gb ?? DISK_GB_DEFAULT,
    },
    imagePolicy: image.policy,
    host: await hostWishes(tx, body, image, projectId),
    topology: body.topology ?? null,
    cpuPolicy: body.cpu_policy ?? null,
    priority: body.priority ?? null,
    preemptible: body.preemptible ?? null,
  };
  const names = deviceWishes(wishes, rules.dialect).map((wish) => wish.alias);
  const aliases = await findAliasDefinitions(tx, names);
  await assertAliasesKnown(
    tx,
    own.map((wish) => wish.alias),
    aliases,
    'devices',
  );
  await assertAliasesKnown(tx, names, aliases, 'flavor');
  const reservation = await reservationWish(tx, body, projectId);
  return { flavor, request: { ...placementRequest(wishes, aliases, rules), ...reservation } };
}

function assertShape(body: ServerWishesBody): void {
  const sizes = (['vcpus', 'ram_mb', 'disk_gb'] as const).filter(
    (field) => body[field] !== undefined && body[field] !== null,
  );
  const hasFlavor = body.flavor !== undefined && body.flavor !== null;
  if (hasFlavor && sizes.length > 0) {
    throw invalidFields(sizes.map((field) => ({ field, problem: 'comes from the flavor; leave one of them out' })));
  }
  const asksForDevices = body.devices === '' || [body.devices, body.ports].some((list) => (list ?? []).length > 0);
  if (!hasFlavor && sizes.length === 0 && !asksForDevices) {
    throw new BerthError(
      'server.invalid',
      'Name a flavor, or devices like "gpu:1", or ports, or a size (vcpus, ram_mb, disk_gb)',
    );
  }
}

function ownWishes(devices: NonNullable<ServerWishesBody['devices']>, dialect: Dialect): DeviceWish[] {
  if (typeof devices !== 'string') {
    assertRanges(devices);
    return devices.map(({ alias, count, count_max, numa_policy }) => ({
      ...{ alias, count, numaPolicy: numa_policy ?? null },
      ...(count_max === undefined || count_max === null ? {} : { countMax: count_max }),
    }));
  }
  try {
    return parseAliasRequestAs(dialect, devices).map((request) => ({ ...request, numaPolicy: null }));
  } catch (error) {
    throw invalidFields([{ field: 'devices', problem: messageOf(error).replace('pci_passthrough:alias: ', '') }]);
  }
}

function assertRanges(devices: readonly DeviceWishBody[]): void {
  const errors = devices.flatMap(({ count, count_max }, index) =>
    (count_max ?? count) < count ? [{ field: `devices[${index}].count_max`, problem: `is below count, ${count}` }] : [],
  );
  if (errors.length > 0) throw invalidFields(errors);
}

/** Ports without a name get one by their place; two of one name could not be told apart. */
function portWishes(ports: readonly PortBody[]): PortWish[] {
  const wishes = ports.map((port, index) => ({
    name: port.name ?? `port${index}`,
    vnicType: port.vnic_type,
    physicalNetwork: port.physical_network,
    trusted: port.trusted ?? null,
    numaPolicy: port.numa_policy ?? null,
  }));
  const errors = wishes.flatMap(({ name }, index) => {
    const first = wishes.findIndex((other) => other.name === name);
    if (first === index) return [];
    return [{ field: `ports[${index}].name`, problem: `"${name}" is the name of ports[${first}]; take another one` }];
  });
  if (errors.length > 0) throw invalidFields(errors);
  return wishes;
}

async function flavorSnapshot(tx: Tx, id: string | null, projectId: string | null): Promise<FlavorSnapshot | null> {
  if (id === null) return null;
  const row = await findFlavor(tx, { id, orName: true, projectId });
  if (!row) throw await unknownFlavor(tx, { id, projectId }, 'flavor');
  const { name, vcpus, ram_mb, disk_gb, ephemeral_gb, swap_mb, extra_specs } = row;
  return { id: row.id, name, vcpus, ram_mb, disk_gb, ephemeral_gb, swap_mb, extra_specs };
}
