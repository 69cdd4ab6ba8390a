import { canonicalJson } from './canonical-json.js';
import { compareAddresses, type Address } from './address.js';
import type { ReportedDevice } from './device.js';
import type { DeviceStatus } from './device-state.js';
import { isOtherCard } from './identity.js';

export interface KnownDevice {
  readonly device: ReportedDevice;
  readonly status: DeviceStatus;
  readonly inUse: boolean;
  /** The last report did not have it, or had another card at its place: what is known of it is older. */
  readonly isStale?: boolean;
}

export interface Reconciliation {
  /** Never seen before. */
  readonly added: readonly ReportedDevice[];
  /** Seen before, with other facts or another offer. */
  readonly changed: readonly ReportedDevice[];
  /** Was removed, is there again. */
  readonly returned: readonly ReportedDevice[];
  /** Not there any more; `inUse` ones keep their allocation, and somebody has to be told. */
  readonly vanished: readonly { readonly address: Address; readonly inUse: boolean }[];
  /** In use and no longer offered: whoever has one keeps it, and nobody gets it afterwards. Is among `changed`, too. */
  readonly withdrawn: readonly Address[];
}

/**
 * Compares what the ledger knows of a host with what its agent reports. Pure: the same report twice changes nothing.
 * Each list is in address order.
 */
export function reconcileInventory(known: readonly KnownDevice[], reported: readonly ReportedDevice[]): Reconciliation {
  const before = new Map(known.map((entry) => [entry.device.address, entry]));
  const seen = new Set(reported.map((device) => device.address));
  const sorted = [...reported].sort(byAddress);
  const existing = sorted.filter((device) => before.has(device.address));
  const isRemoved = (device: ReportedDevice): boolean => before.get(device.address)?.status === 'removed';
  return {
    added: sorted.filter((device) => !before.has(device.address)),
    returned: existing.filter(isRemoved),
    changed: existing.filter((device) => !isRemoved(device) && differs(before.get(device.address)?.device, device)),
    vanished: known
      .filter((entry) => !seen.has(entry.device.address) && entry.status !== 'removed')
      .map((entry) => ({ address: entry.device.address, inUse: entry.inUse }))
      .sort(byAddress),
    withdrawn: existing
      .filter((device) => isWithdrawn(before.get(device.address), device))
      .map(({ address }) => address),
  };
}

function byAddress(a: { address: Address }, b: { address: Address }): number {
  return compareAddresses(a.address, b.address);
}

/** Another card at the address is another matter: that waits until the first one is freed. */
function isWithdrawn(known: KnownDevice | undefined, device: ReportedDevice): boolean {
  if (known?.inUse !== true || known.device.offer === null || device.offer !== null) return false;
  return !isOtherCard(known.device, device);
}

function differs(a: ReportedDevice | undefined, b: ReportedDevice): boolean {
  return canonicalJson(a) !== canonicalJson(b);
}
