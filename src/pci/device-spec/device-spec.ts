import { BerthError } from '../../errors.js';
import type { Address } from '../address.js';
import { addressMatches, singleAddress } from './device-spec-address.js';
import type { AddressPattern } from './device-spec-address.js';
import { indexOf, probeOf } from './device-spec-index.js';
import { isBridge, isVirtualFunction } from '../device.js';
import type { Offer, PciDevice, Tags } from '../device.js';
import { checkNovaDeviceSpec, matchNovaDeviceSpec, NO_NOVA_HOST, novaHost } from '../nova/nova-device-spec.js';
import type { NovaDeviceSpec, NovaHost, ScannedForNova } from '../nova/nova-device-spec.js';

export const OVERRIDE_KEY = 'override_protection';

/** One entry of the whitelist. What is null does not matter. */
export interface DeviceSpec {
  /** Where a person finds it: `config/agent.yaml:12`. */
  readonly where: string;
  readonly vendorId: string | null;
  readonly productId: string | null;
  readonly address: AddressPattern | null;
  /** Name of a network interface; of a PF, it stands for the VFs too. */
  readonly devname: string | null;
  /** Two to six hex digits that the class code begins with. */
  readonly classPrefix: string | null;
  readonly subsystemVendorId: string | null;
  readonly subsystemProductId: string | null;
  readonly driver: string | null;
  /** Of the card; its VFs have it, too. */
  readonly serial: string | null;
  readonly iommuGroup: number | null;
  readonly numaNode: number | null;
  /** What it matches is not offered, whatever later entries say. */
  readonly exclude: boolean;
  /** The device at the entry's one address is offered although the host needs it itself. */
  readonly overrideProtection: boolean;
  readonly tags: Tags;
  readonly resourceClass: string | null;
  readonly traits: readonly string[];
  /** The entry as Nova reads it, in the nova dialect: then this alone decides what matches. */
  readonly nova: NovaDeviceSpec | null;
}

/** What matching has to know of the host beside the device itself. */
export interface HostContext {
  /** Interface name → address of its device, resolved once for a scan. */
  readonly devnames: ReadonlyMap<string, Address>;
  /** For entries in the nova dialect; left out: a host without network interfaces and PFs. */
  readonly nova?: NovaHost;
}

/** Whether the entry means the device. */
export function matchDeviceSpec(spec: DeviceSpec, device: PciDevice, host: HostContext): boolean {
  if (spec.nova) return matchNovaDeviceSpec(spec.nova, device, host.nova ?? NO_NOVA_HOST);
  return (
    (spec.vendorId === null || spec.vendorId === device.vendorId) &&
    (spec.productId === null || spec.productId === device.productId) &&
    (spec.classPrefix === null || device.classCode.startsWith(spec.classPrefix)) &&
    (spec.subsystemVendorId === null || spec.subsystemVendorId === device.subsystemVendorId) &&
    (spec.subsystemProductId === null || spec.subsystemProductId === device.subsystemProductId) &&
    (spec.driver === null || spec.driver === device.driver) &&
    (spec.serial === null || spec.serial === device.serialNumber) &&
    (spec.iommuGroup === null || spec.iommuGroup === device.iommuGroup) &&
    (spec.numaNode === null || spec.numaNode === device.numaNode) &&
    placeMatches(spec, device, host) &&
    (spec.tags['remote_managed'] !== 'true' || isOfRemoteManagedCard(device))
  );
}

/** How the reason begins with which a device that no entry is about is not offered. */
export const UNMATCHED = 'no device_spec entry matches';

/** What the whitelist makes of a device: the first entry that matches decides. Exactly one of the two is null. */
export function offerDevice(
  specs: readonly DeviceSpec[],
  device: PciDevice,
  host: HostContext,
): { readonly offer: Offer; readonly notOffered: null } | { readonly offer: null; readonly notOffered: string } {
  if (isBridge(device)) return { offer: null, notOffered: 'bridges are never handed out' };
  let entry: number;
  try {
    entry = firstMatch(specs, device, host);
  } catch (error) {
    // only in the nova dialect: a domain of more than four digits, which Nova passes over
    if (!(error instanceof BerthError)) throw error;
    return { offer: null, notOffered: `Nova cannot read ${device.address}: ${error.message}` };
  }
  const spec = specs[entry];
  if (!spec) {
    const ids = `${device.vendorId}:${device.productId}`;
    return { offer: null, notOffered: `${UNMATCHED} ${ids} at ${device.address}` };
  }
  if (spec.exclude) return { offer: null, notOffered: `excluded by entry ${entry + 1} (${spec.where})` };
  if (!spec.nova && spec.tags['one_time_use'] === 'true' && isVirtualFunction(device)) {
    const notOffered = `entry ${entry + 1} (${spec.where}) says one_time_use, which a ${device.deviceType} cannot have`;
    return { offer: null, notOffered };
  }
  return {
    offer: { entry, tags: spec.tags, resourceClass: spec.resourceClass, traits: spec.traits },
    notOffered: null,
  };
}

/**
 * Addresses whose protection is lifted: of entries with `override_protection`, which have one exact address. Wherever such an
 * entry stands; VFs of the address are not meant. In the nova dialect it is a tag like any other, and counts with one exact address only.
 */
export function overriddenAddresses(specs: readonly DeviceSpec[]): Set<Address> {
  const lifting = specs.filter(
    ({ overrideProtection, nova, tags }) => overrideProtection || (nova && /^true$/i.test(tags[OVERRIDE_KEY] ?? '')),
  );
  return new Set(lifting.flatMap(({ address }) => (address && singleAddress(address)) ?? []));
}

function firstMatch(specs: readonly DeviceSpec[], device: PciDevice, host: HostContext): number {
  return indexOf(specs).first(probeOf(device, host.devnames), (spec) => matchDeviceSpec(spec, device, host));
}

/**
 * What Nova checks of entries on the host before it starts; entries of the strict dialect pass.
 *
 * @throws BerthError `device_spec.invalid`
 */
export function checkOnHost(specs: readonly DeviceSpec[], host: HostContext): void {
  for (const { nova } of specs) if (nova) checkNovaDeviceSpec(nova, host.nova ?? NO_NOVA_HOST);
}

/**
 * The context of a scan: whose interface has which name.
 *
 * @param remembered  names resolved by earlier scans: a device bound to vfio-pci has lost its interface, not its entry
 */
export function hostContext(
  devices: readonly ScannedForNova[],
  remembered: ReadonlyMap<string, Address> = new Map(),
): HostContext {
  const devnames = new Map(remembered);
  for (const device of devices) for (const name of device.netdevs) devnames.set(name, device.address);
  return { devnames, nova: novaHost(devices, devnames) };
}

function placeMatches(spec: DeviceSpec, device: PciDevice, host: HostContext): boolean {
  if (spec.devname !== null) return coveredBy(host.devnames.get(spec.devname) ?? null, device);
  if (spec.address === null) return true;
  return addressMatches(spec.address, device.address) || coveredBy(singleAddress(spec.address), device);
}

/** One address stands for its device and, when that is a PF, for the VFs (rule: Nova's `nova/pci/devspec.py`). */
function coveredBy(address: Address | null, device: PciDevice): boolean {
  return address !== null && (device.address === address || device.parentAddress === address);
}

/** A VF of a card that tells a serial number, by which the card's own controller is found (rule: the same). */
function isOfRemoteManagedCard(device: PciDevice): boolean {
  return isVirtualFunction(device) && device.serialNumber !== null && device.serialNumber.trim() !== '';
}
