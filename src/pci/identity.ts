import { parseAddress, type Address } from './address.js';
import type { PciDevice } from './device.js';

/**
 * What stays the same when a card is plugged into another slot, or the kernel gives its buses other numbers.
 *
 *   card    its maker and serial number, and which of its functions it is: goes where the card goes
 *   place   the way to it in slots, from the host bridge down: bus numbers, which a new card may shift, are not in it
 */
export interface DeviceIdentity {
  /** null: the card tells no serial number. */
  readonly card: string | null;
  readonly place: string;
}

export type Identified = Pick<PciDevice, 'address' | 'vendorId' | 'serialNumber' | 'parentAddress' | 'pciePath'>;

export function identityOf(device: Identified): DeviceIdentity {
  const serial = device.serialNumber?.trim() ?? '';
  const own = functionWithinCard(device);
  const slots = device.pciePath.map((hop) => (hop.startsWith('pci') ? hop : slotOf(hop)));
  const base = device.parentAddress ?? device.address;
  const place = slots.length === 0 ? base : [...slots, slotOf(base)].join('/');
  return {
    card: serial === '' ? null : `${device.vendorId}/${serial}/${own}`,
    place: device.parentAddress === null ? place : `${place}+${own}`,
  };
}

/**
 * The devices by the identity of their cards. A serial number that several have is no identity: there are makers that give all
 * their cards one.
 */
export function uniqueCards<Device extends Identified>(devices: readonly Device[]): Map<string, Device> {
  return uniqueBy(devices, (device) => identityOf(device).card);
}

export function uniquePlaces<Device extends Identified>(devices: readonly Device[]): Map<string, Device> {
  return uniqueBy(devices, (device) => identityOf(device).place);
}

function uniqueBy<Device>(devices: readonly Device[], keyOf: (device: Device) => string | null): Map<string, Device> {
  const found = new Map<string, Device>();
  const doubled = new Set<string>();
  for (const device of devices) {
    const key = keyOf(device);
    if (key === null) continue;
    if (found.has(key)) doubled.add(key);
    found.set(key, device);
  }
  for (const key of doubled) found.delete(key);
  return found;
}

type Card = Pick<PciDevice, 'vendorId' | 'productId' | 'deviceType' | 'serialNumber'>;

/** Whether another card is at the place of a known one. A serial number that is not known on one side says nothing. */
export function isOtherCard(known: Card, now: Card): boolean {
  const { vendorId, productId, deviceType, serialNumber } = known;
  if (vendorId !== now.vendorId || productId !== now.productId || deviceType !== now.deviceType) return true;
  return serialNumber !== null && now.serialNumber !== null && serialNumber !== now.serialNumber;
}

/** Of a VF: how far from its PF, by the numbers that SR-IOV counts with; else slot aside, its function. */
function functionWithinCard({ address, parentAddress }: Identified): string {
  if (parentAddress === null) return `f${parseAddress(address).function}`;
  return `f${parseAddress(parentAddress).function}v${routingId(address) - routingId(parentAddress)}`;
}

/** PCIe's number of a function on its segment: bus, slot, function. */
function routingId(address: Address): number {
  const { bus, slot, function: fn } = parseAddress(address);
  return (bus << 8) | (slot << 3) | fn;
}

/** `0000:41:02.1` → `02.1`. */
function slotOf(address: Address): string {
  return address.slice(address.lastIndexOf(':') + 1);
}
