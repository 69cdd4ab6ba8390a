import { BerthError, messageOf } from '../../errors.js';
import { parseAliasRequest } from '../../pci/alias.js';
import type { PlacementRequest } from '../../placement/request.js';
import { findAliasDefinitions, findFlavor } from '../../store/catalog.store.js';
import type { Tx } from '../../store/database.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { PROJECT_ID } from '../project.js';
import { invalidFields } from '../request-validation.pipe.js';
import { assertAliasesKnown, unknownFlavor } from '../unknown-names.js';
import { type DeviceWish, deviceWishes, placementRequest, type ServerWishes } from './placement-request.js';
import type { ServerWishesBody } from './servers.dto.js';

const VCPUS_DEFAULT = 1;
const RAM_MB_DEFAULT = 512;
const DISK_GB_DEFAULT = 0;

export interface ResolvedRequest {
  readonly flavor: FlavorSnapshot | null;
  readonly request: PlacementRequest;
}

/**
 * Looks up flavor and aliases and makes of a body what the scheduler decides on.
 *
 * @throws BerthError `flavor.unknown`, `alias.unknown`, `server.invalid`, `numa_policy.conflict`, …
 */
export async function resolveRequest(tx: Tx, name: string, body: ServerWishesBody): Promise<ResolvedRequest> {
  assertShape(body);
  const own = ownWishes(body.devices ?? []);
  const flavor = body.flavor === undefined || body.flavor === null ? null : await flavorSnapshot(tx, body.flavor);
  const wishes: ServerWishes = {
    name,
    projectId: PROJECT_ID,
    flavor,
    devices: own,
    size: {
      vcpus: body.vcpus ?? VCPUS_DEFAULT,
      ramMb: body.ram_mb ?? RAM_MB_DEFAULT,
      diskGb: body.disk_gb ?? DISK_GB_DEFAULT,
    },
    imagePolicy: body.image_properties?.hw_pci_numa_affinity_policy ?? null,
  };
  const names = deviceWishes(wishes).map((wish) => wish.alias);
  const aliases = await findAliasDefinitions(tx, names);
  await assertAliasesKnown(
    tx,
    own.map((wish) => wish.alias),
    aliases,
    'devices',
  );
  await assertAliasesKnown(tx, names, aliases, 'flavor');
  return { flavor, request: placementRequest(wishes, aliases) };
}

function assertShape(body: ServerWishesBody): void {
  const sizes = (['vcpus', 'ram_mb', 'disk_gb'] as const).filter(
    (field) => body[field] !== undefined && body[field] !== null,
  );
  const hasFlavor = body.flavor !== undefined && body.flavor !== null;
  if (hasFlavor && sizes.length > 0) {
    throw invalidFields(sizes.map((field) => ({ field, problem: 'comes from the flavor; leave one of them out' })));
  }
  if (!hasFlavor && sizes.length === 0 && (body.devices ?? []).length === 0 && body.devices !== '') {
    throw new BerthError(
      'server.invalid',
      'Name a flavor, or devices like "gpu:1", or a size (vcpus, ram_mb, disk_gb)',
    );
  }
}

function ownWishes(devices: NonNullable<ServerWishesBody['devices']>): DeviceWish[] {
  if (typeof devices !== 'string') {
    return devices.map(({ alias, count, numa_policy }) => ({ alias, count, numaPolicy: numa_policy ?? null }));
  }
  try {
    return parseAliasRequest(devices).map((request) => ({ ...request, numaPolicy: null }));
  } catch (error) {
    throw invalidFields([{ field: 'devices', problem: messageOf(error).replace('pci_passthrough:alias: ', '') }]);
  }
}

async function flavorSnapshot(tx: Tx, idOrName: string): Promise<FlavorSnapshot> {
  const row = await findFlavor(tx, idOrName);
  if (!row) throw await unknownFlavor(tx, idOrName, 'flavor');
  const { id, name, vcpus, ram_mb, disk_gb, extra_specs } = row;
  return { id, name, vcpus, ram_mb, disk_gb, extra_specs };
}
