import type { Address } from '../pci/address.js';
import { shapeOf, type HostShape } from './host-shape.js';
import type { HostSnapshot } from './snapshot.js';

type Families = ReadonlyMap<Address, readonly number[]>;

const known = new WeakMap<HostShape, Families>();
const NOBODY: readonly number[] = [];

/**
 * Where among a host's devices are one and all that its claim can matter to: a PF with its VFs. Nothing when the host does not have
 * the device.
 */
export function familyOf(host: HostSnapshot, address: Address): readonly number[] {
  const shape = shapeOf(host);
  let families = known.get(shape);
  if (!families) known.set(shape, (families = familiesOf(shape.model)));
  return families.get(address) ?? NOBODY;
}

function familiesOf({ devices }: HostSnapshot): Families {
  const addresses = new Set(devices.map(({ address }) => address));
  const byHead = new Map<Address, number[]>();
  const families = new Map<Address, readonly number[]>();
  for (const [place, { address, parentAddress }] of devices.entries()) {
    const head = parentAddress !== null && addresses.has(parentAddress) ? parentAddress : address;
    const family = byHead.get(head) ?? [];
    byHead.set(head, family);
    family.push(place);
    families.set(address, family);
  }
  return families;
}
