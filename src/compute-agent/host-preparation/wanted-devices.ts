import { BerthError } from '../../errors.js';
import { normalizeAddress, type Address } from '../../pci/address.js';
import type { AliasDefinition } from '../../pci/alias/alias.js';
import { singleAddress } from '../../pci/device-spec/device-spec-address.js';
import type { DeviceSpec } from '../../pci/device-spec/device-spec.js';
import { pciId, remark } from './checked-words.js';

/** Devices that vfio-pci is to take at boot, all that have these ids. */
export interface WantedId {
  /** `10de:1bb0`. */
  readonly id: string;
  /** Who asked for it, for people. */
  readonly from: string;
}

/** What was asked for, in words that boot files have: ids, or places. */
export interface WantedDevices {
  readonly ids: readonly WantedId[];
  readonly addresses: readonly Address[];
  /** What whoever installs the files has to know. */
  readonly notes: readonly string[];
}

/**
 * The devices of some aliases.
 *
 * @throws BerthError `alias.unknown`; `request.invalid` for an alias that does not name ids
 */
export function wantedByAliases(aliases: readonly AliasDefinition[], names: readonly string[]): WantedDevices {
  const found = names.map((name) => {
    const alias = aliases.find((one) => one.name === name);
    if (alias) return alias;
    throw new BerthError('alias.unknown', `--alias: "${remark(name)}" is not an alias of the configuration (--config)`);
  });
  return merged(found.map(wantedByAlias));
}

function wantedByAlias({ name, specs }: AliasDefinition): WantedDevices {
  const from = `alias ${remark(name)}`;
  const narrower = specs.some(
    (spec) => spec.selector !== null || spec.traits.length > 0 || Object.keys(spec.tags).length > 0,
  );
  return {
    ids: specs.map(({ vendorId, productId }) => {
      if (vendorId !== null && productId !== null) return { id: pciId(vendorId, productId), from };
      const message = `${from}: has no vendor_id and product_id, so boot files cannot name its devices; take --device-spec and --sysfs-root on the host`;
      throw new BerthError('request.invalid', message);
    }),
    addresses: [],
    notes: narrower
      ? [`${from} asks for tags, traits or a selector as well; boot files take all devices with its ids.`]
      : [],
  };
}

/**
 * The devices of a whitelist, as far as it names them without knowledge of a host.
 *
 * @throws BerthError `request.invalid` for an entry that goes by something else than ids or one address
 */
export function wantedBySpecs(specs: readonly DeviceSpec[]): WantedDevices {
  if (specs.length === 0) throw new BerthError('request.invalid', '--device-spec: the file has no device_spec entry');
  return merged(specs.map(wantedBySpec));
}

function wantedBySpec(spec: DeviceSpec, index: number): WantedDevices {
  const from = `entry ${index + 1} (${remark(spec.where)})`;
  if (spec.exclude) throw notNameable(from, 'exclude');
  const address = spec.address && singleAddress(spec.address);
  // an address says more than ids beside it
  if (address !== null) return { ids: [], addresses: [normalizeAddress(address)], notes: [] };
  const by = narrowedBy(spec);
  if (by !== null || spec.vendorId === null || spec.productId === null) throw notNameable(from, by ?? 'no product_id');
  return { ids: [{ id: pciId(spec.vendorId, spec.productId), from }], addresses: [], notes: [] };
}

function narrowedBy(spec: DeviceSpec): string | null {
  if (spec.address !== null && Object.values(spec.address).some(({ kind }) => kind !== 'any')) return 'address';
  const others = { devname: spec.devname, class: spec.classPrefix, driver: spec.driver, serial: spec.serial };
  const subsystem = { subsystem: spec.subsystemVendorId ?? spec.subsystemProductId };
  const place = { iommu_group: spec.iommuGroup, numa_node: spec.numaNode };
  const [name] = Object.entries({ ...others, ...subsystem, ...place }).find(([, value]) => value !== null) ?? [null];
  return name;
}

function notNameable(from: string, by: string): BerthError {
  const message = `${from}: ${by}: boot files name devices by ids or by one address; on the host itself add --sysfs-root /sys, then its devices are looked up`;
  return new BerthError('request.invalid', message);
}

/** All that any of them asks for, each once. */
export function merged(parts: readonly WantedDevices[]): WantedDevices {
  const ids = new Map<string, WantedId>();
  for (const wanted of parts.flatMap((part) => part.ids)) if (!ids.has(wanted.id)) ids.set(wanted.id, wanted);
  return {
    ids: [...ids.values()],
    addresses: [...new Set(parts.flatMap((part) => part.addresses))],
    notes: parts.flatMap((part) => part.notes),
  };
}
