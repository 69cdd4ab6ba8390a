import type { FlavorEntity } from '../../../store/entities/catalog.entities.js';
import { linksOf } from './links.js';

/**
 * A flavor in lists that are not detailed.
 *
 * @param minor of the version that was agreed on
 * @param base  where this process is
 */
export function flavorLink({ id, name, description }: FlavorEntity, minor: number, base: string): object {
  return { id, name, links: linksOf(base, `flavors/${id}`), ...(minor >= 55 ? { description } : {}) };
}

/** A flavor as Nova shows it. */
export function flavorView(flavor: FlavorEntity, minor: number, base: string): object {
  return {
    ...{ id: flavor.id, name: flavor.name, ram: flavor.ram_mb, vcpus: flavor.vcpus, disk: flavor.disk_gb },
    // Nothing is '' before 2.75: clients of then test it for truth.
    swap: flavor.swap_mb === 0 && minor < 75 ? '' : flavor.swap_mb,
    'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeral_gb,
    'OS-FLV-DISABLED:disabled': false,
    'os-flavor-access:is_public': flavor.is_public,
    rxtx_factor: flavor.rxtx_factor,
    links: linksOf(base, `flavors/${flavor.id}`),
    ...(minor >= 55 ? { description: flavor.description } : {}),
    ...(minor >= 61 ? { extra_specs: flavor.extra_specs } : {}),
  };
}

/** Who has access to a flavor. */
export function flavorAccessView(flavorId: string, projects: readonly string[]): object {
  return { flavor_access: projects.map((project) => ({ flavor_id: flavorId, tenant_id: project })) };
}
