import type { PciDevice } from './device.js';

/**
 * Facts of a device that only selectors look at. What differs between equal cards (serial number) or changes by itself
 * (driver, the link's speed of the moment) is left out: it would take equal devices apart, and a selector's answer would
 * be no longer true when the device is used.
 */
export interface DeviceAttributes {
  readonly classCode: string;
  readonly subsystemVendorId: string | null;
  readonly subsystemProductId: string | null;
  /** Lanes that the link has now; a worn slot has fewer than the card. */
  readonly linkWidth: number | null;
  readonly maxLinkWidth: number | null;
  /** Of the card, in GT/s: idle cards slow their links down. */
  readonly maxLinkSpeedGts: number | null;
  /** VFs that the device can have; 0 when it is no PF. */
  readonly totalVfs: number;
  /** All of the above as one text. */
  readonly key: string;
}

type Facts = Pick<PciDevice, 'classCode' | 'subsystemVendorId' | 'subsystemProductId' | 'link' | 'sriov'>;

/** Far above the number of kinds of cards that a fleet has. */
const SHARED_MAX = 10_000;
const shared = new Map<string, DeviceAttributes>();

/** The attributes of a device; equal ones are one object, so that thousands of hosts do not hold thousands of copies. */
export function attributesOf(device: Facts): DeviceAttributes {
  const { classCode, subsystemVendorId, subsystemProductId, link, sriov } = device;
  const linkWidth = link?.currentWidth ?? null;
  const maxLinkWidth = link?.maxWidth ?? null;
  const maxLinkSpeedGts = speedOf(link?.maxSpeed ?? null);
  const totalVfs = sriov?.totalVfs ?? 0;
  const facts = [classCode, subsystemVendorId, subsystemProductId, linkWidth, maxLinkWidth, maxLinkSpeedGts, totalVfs];
  const key = facts.join();
  const known = shared.get(key);
  if (known) return known;
  const attributes: DeviceAttributes = {
    ...{ classCode, subsystemVendorId, subsystemProductId, linkWidth, maxLinkWidth, maxLinkSpeedGts, totalVfs },
    key,
  };
  // forgetting costs memory, never truth
  if (shared.size >= SHARED_MAX) shared.clear();
  shared.set(key, attributes);
  return attributes;
}

/** `16.0 GT/s PCIe` → 16. */
export function speedOf(text: string | null): number | null {
  const digits = /^(\d{1,4}(?:\.\d{1,3})?) GT\/s/.exec(text ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}
