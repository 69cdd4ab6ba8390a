import { canonicalJson } from './canonical-json.js';
import { compareAddresses } from './address.js';
import type { Offer, PciDevice } from './device.js';

/** What devices have to have in common to be counted together (Nova's pool key: `PciDeviceStats`). */
export type PoolKey = Readonly<Record<string, string | number | null>>;

export interface Pool {
  readonly key: PoolKey;
  readonly count: number;
  /** In address order. */
  readonly addresses: readonly string[];
}

type PoolDevice = Pick<
  PciDevice,
  'address' | 'vendorId' | 'productId' | 'deviceType' | 'numaNode' | 'parentAddress'
> & {
  readonly offer: Pick<Offer, 'tags'> | null;
};

/**
 * The pools that offered devices form: product, vendor, NUMA node, device type, every tag, the card (the PF's address,
 * or one's own), and `remote_managed`, which is `false` unless a tag says otherwise. Resource class and traits
 * do not split pools. Fewest tags first, then by the first address.
 *
 * Agent and scheduler both call this, so that what a host reports and what is scheduled cannot drift apart.
 */
export function poolsOf(devices: readonly PoolDevice[]): Pool[] {
  const pools = new Map<string, { key: PoolKey; addresses: string[] }>();
  for (const device of devices) {
    if (!device.offer) continue;
    const key = poolKey(device, device.offer.tags);
    const text = canonicalJson(key);
    const pool = pools.get(text);
    if (pool) pool.addresses.push(device.address);
    else pools.set(text, { key, addresses: [device.address] });
  }
  return [...pools.values()]
    .map(({ key, addresses }) => ({ key, count: addresses.length, addresses: addresses.sort(compareAddresses) }))
    .sort(fewestTagsFirst);
}

function poolKey(device: PoolDevice, tags: Offer['tags']): PoolKey {
  const remoteManaged = device.deviceType === 'type-PCI' ? {} : { remote_managed: 'false' };
  return {
    product_id: device.productId,
    vendor_id: device.vendorId,
    numa_node: device.numaNode,
    dev_type: device.deviceType,
    address: device.parentAddress ?? device.address,
    ...remoteManaged,
    ...tags,
  };
}

function fewestTagsFirst(a: Pool, b: Pool): number {
  return (
    Object.keys(a.key).length - Object.keys(b.key).length ||
    compareAddresses(a.addresses[0] as string, b.addresses[0] as string)
  );
}
