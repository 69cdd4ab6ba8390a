import type { Address } from '../address.js';
import { asksForPlace, placeOf, PlacePatterns } from './device-spec-places.js';
import type { Place } from './device-spec-places.js';
import { singleAddress } from './device-spec-address.js';
import type { AddressPattern } from './device-spec-address.js';
import type { PciDevice } from '../device.js';
import { spelledAddress } from '../nova/nova-address.js';

/** What of an entry it is found by; null does not matter. */
export interface IndexedEntry {
  readonly vendorId: string | null;
  readonly productId: string | null;
  readonly address: AddressPattern | null;
  readonly devname: string | null;
  readonly serial: string | null;
  readonly iommuGroup: number | null;
}

/** What entries are looked up by: the facts of a device, or those that another entry asks for. */
export interface Probe {
  readonly vendorId: string | null;
  readonly productId: string | null;
  /** Its own, and its PF's. */
  readonly addresses: readonly Address[];
  /** Interfaces at these addresses. */
  readonly devnames: readonly string[];
  readonly place: Place;
  readonly serial: string | null;
  readonly iommuGroup: number | null;
}

type Bucket = 'address' | 'devname' | 'serial' | 'ids' | 'iommuGroup' | 'vendor' | 'product' | 'rest';
type Keys = readonly (string | number)[];

/**
 * Entries of a whitelist by what they ask for. A device is held against those alone that may mean it, in their order, so
 * that the answers are those of asking every entry.
 */
export class DeviceSpecIndex<Entry extends IndexedEntry> {
  private readonly buckets = new Map<Bucket, Map<string | number, number[]>>();
  private readonly places = new PlacePatterns();

  constructor(private readonly entries: readonly Entry[]) {
    for (const [at, entry] of entries.entries()) this.add(at, entry);
  }

  get size(): number {
    return this.entries.length;
  }

  /** The number of the first entry that may mean the probe and passes the test; -1 when there is none. */
  first(probe: Probe, test: (entry: Entry) => boolean): number {
    let first = this.entries.length;
    for (const list of this.listsFor(probe)) {
      for (const at of list) {
        if (at >= first) break;
        if (test(this.entries[at] as Entry)) first = at;
      }
    }
    return first === this.entries.length ? -1 : first;
  }

  /** The numbers of all entries that may mean the probe and pass the test, in order. */
  all(probe: Probe, test: (entry: Entry) => boolean): number[] {
    return this.listsFor(probe)
      .flatMap((list) => list.filter((at) => test(this.entries[at] as Entry)))
      .sort((a, b) => a - b);
  }

  private add(at: number, entry: Entry): void {
    const found = bucketOf(entry);
    if (found === 'places') return this.places.add(at, entry.address as AddressPattern);
    const [bucket, key] = found;
    const lists = this.buckets.get(bucket) ?? new Map<string | number, number[]>();
    const list = lists.get(key) ?? [];
    list.push(at);
    lists.set(key, list);
    this.buckets.set(bucket, lists);
  }

  private listsFor(probe: Probe): (readonly number[])[] {
    const found: (readonly number[])[] = [this.places.candidates(probe.place)];
    for (const [bucket, lists] of this.buckets) {
      for (const key of keysOf(bucket, probe)) {
        const list = lists.get(key);
        if (list && !found.includes(list)) found.push(list);
      }
    }
    return found;
  }
}

const KNOWN = new WeakMap<readonly IndexedEntry[], unknown>();

/** The index of these entries; a list is indexed once. */
export function indexOf<Entry extends IndexedEntry>(entries: readonly Entry[]): DeviceSpecIndex<Entry> {
  const known = KNOWN.get(entries) as DeviceSpecIndex<Entry> | undefined;
  if (known && known.size === entries.length) return known;
  const made = new DeviceSpecIndex(entries);
  KNOWN.set(entries, made);
  return made;
}

/** What the entries of a device are found by. */
export function probeOf(device: PciDevice, devnames: ReadonlyMap<string, Address>): Probe {
  const addresses = device.parentAddress === null ? [device.address] : [device.address, device.parentAddress];
  const names = namesByAddress(devnames);
  return {
    vendorId: device.vendorId,
    productId: device.productId,
    addresses,
    devnames: addresses.flatMap((address) => names.get(address) ?? []),
    place: placeOf(device.address),
    serial: device.serialNumber,
    iommuGroup: device.iommuGroup,
  };
}

/** The most selective one that it has a value for. */
function bucketOf(entry: IndexedEntry): [Bucket, string | number] | 'places' {
  const { vendorId, productId, address, devname, serial, iommuGroup } = entry;
  const single = address && singleAddress(address);
  if (single !== null) return ['address', single];
  if (devname !== null) return ['devname', devname];
  if (serial !== null) return ['serial', serial];
  if (vendorId !== null && productId !== null) return ['ids', `${vendorId}:${productId}`];
  if (iommuGroup !== null) return ['iommuGroup', iommuGroup];
  // In the nova dialect digits in a regex may name a PF, and so its VFs at other places.
  if (address && asksForPlace(address) && spelledAddress(address) === null) return 'places';
  if (vendorId !== null) return ['vendor', vendorId];
  return productId === null ? ['rest', ''] : ['product', productId];
}

const REST = [''] as const;

function keysOf(bucket: Bucket, probe: Probe): Keys {
  const { vendorId, productId } = probe;
  switch (bucket) {
    case 'address':
      return probe.addresses;
    case 'devname':
      return probe.devnames;
    case 'serial':
      return given(probe.serial);
    case 'ids':
      return given(vendorId === null || productId === null ? null : `${vendorId}:${productId}`);
    case 'iommuGroup':
      return given(probe.iommuGroup);
    case 'vendor':
      return given(vendorId);
    case 'product':
      return given(productId);
    case 'rest':
      return REST;
  }
}

function given(key: string | number | null): Keys {
  return key === null ? [] : [key];
}

const NAMES = new WeakMap<ReadonlyMap<string, Address>, ReadonlyMap<Address, readonly string[]>>();

/** The interfaces of a scan the other way round; found once for all its devices. */
function namesByAddress(devnames: ReadonlyMap<string, Address>): ReadonlyMap<Address, readonly string[]> {
  const known = NAMES.get(devnames);
  if (known) return known;
  const names = new Map<Address, string[]>();
  for (const [name, address] of devnames) names.set(address, [...(names.get(address) ?? []), name]);
  NAMES.set(devnames, names);
  return names;
}
