import { digitsMatch } from '../device-spec/device-spec-address.js';
import type { AddressDigits, AddressPattern } from '../device-spec/device-spec-address.js';
import { clip, isObject, kindOf } from '../device-spec/device-spec-fields.js';
import type { PciDevice } from '../device.js';
import { novaError } from '../dialect.js';
import type { NovaException } from '../dialect.js';
import { parseNovaAddress, parseNovaAddressText, parseNovaRegexes, spelledAddress } from './nova-address.js';
import { isTruthy, novaBoolean, novaHex, novaInteger, novaStrip, novaText } from './nova-values.js';

/** A device_spec entry as Nova 26.2 reads it. What is null does not matter. */
export interface NovaDeviceSpec {
  readonly vendorId: string | null;
  readonly productId: string | null;
  /** null: a devname counts. */
  readonly address: AddressPattern | null;
  readonly devname: string | null;
  readonly remoteManaged: boolean;
  /** Every other key, with its value as written. */
  readonly tags: Readonly<Record<string, unknown>>;
}

/** What Nova asks the host's sysfs. */
export interface NovaHost {
  /** Interface name → its function, and whether that is an SR-IOV PF. */
  readonly netdevs: ReadonlyMap<string, { readonly address: string; readonly physicalFunction: boolean }>;
  /** Addresses of PFs that can have VFs. */
  readonly physicalFunctions: ReadonlySet<string>;
  /** PF → product id of its VFs. */
  readonly vfProductIds: ReadonlyMap<string, string>;
  /** Address → vendor and product id. */
  readonly deviceIds: ReadonlyMap<string, readonly [string, string]>;
}

/** What an entry is compared with: a device as the hypervisor says it. */
export type NovaDevice = Pick<PciDevice, 'address' | 'vendorId' | 'productId' | 'parentAddress' | 'serialNumber'>;

/** A host without interfaces and PFs. */
export const NO_NOVA_HOST: NovaHost = {
  netdevs: new Map(),
  physicalFunctions: new Set(),
  vfProductIds: new Map(),
  deviceIds: new Map(),
};

/** What of a scanned device Nova would find in sysfs. */
export type ScannedForNova = Pick<
  PciDevice,
  'address' | 'netdevs' | 'sriov' | 'vendorId' | 'productId' | 'parentAddress'
>;

/** What a scan tells of what Nova asks sysfs. A PF without VFs does not tell the product id of its VFs. */
export function novaHost(devices: readonly ScannedForNova[], devnames: ReadonlyMap<string, string>): NovaHost {
  const physicalFunctions = new Set(
    devices.filter(({ sriov }) => sriov !== null && sriov.totalVfs > 0).map(({ address }) => address),
  );
  const netdevs = [...devnames].map(
    ([name, address]) => [name, { address, physicalFunction: physicalFunctions.has(address) }] as const,
  );
  return {
    netdevs: new Map(netdevs),
    physicalFunctions,
    vfProductIds: new Map(
      devices.flatMap(({ parentAddress, productId }) => (parentAddress === null ? [] : [[parentAddress, productId]])),
    ),
    deviceIds: new Map(devices.map(({ address, vendorId, productId }) => [address, [vendorId, productId]])),
  };
}

/** Keys that are not tags. */
const PROPERTIES: ReadonlySet<string> = new Set(['vendor_id', 'product_id', 'address', 'devname']);

/**
 * Reads one entry (rules: Nova 26.2, `nova/pci/devspec.py`). There are no unknown keys: each is a tag.
 *
 * @throws BerthError `device_spec.invalid`; `details.exception` has Nova's name for it, null where Nova breaks off
 */
export function parseNovaDeviceSpec(entry: unknown): NovaDeviceSpec {
  if (!isObject(entry)) {
    throw invalid(
      'PciConfigInvalidSpec',
      `an entry has to be an object like {"vendor_id": "8086"}, not ${kindOf(entry)}`,
    );
  }
  const vendorId = idOf('vendor_id', entry['vendor_id'], novaStrip);
  const productId = idOf('product_id', entry['product_id'], (text) => text);
  const address = entry['address'];
  const devname = entry['devname'];
  if (isTruthy(address) && isTruthy(devname)) {
    throw invalid(
      'PciDeviceInvalidDeviceName',
      'devname: an entry has either an address or a devname; remove one of them',
    );
  }
  const tags = Object.entries(entry).filter(([key]) => !PROPERTIES.has(key));
  return {
    vendorId,
    productId,
    address: isTruthy(devname) ? null : readAddress(isTruthy(address) ? address : '*:*:*.*'),
    devname: isTruthy(devname) ? novaText(devname) : null,
    remoteManaged: novaBoolean(entry['remote_managed']),
    tags: Object.fromEntries(tags),
  };
}

export interface NovaCheckOptions {
  /**
   * Nova asks sysfs for the text of a Python object instead of the address, so that an entry for remote-managed devices by
   * PF address is always refused. True: ask for the address.
   */
  readonly mendPfAddress?: boolean;
}

/**
 * What Nova checks of an entry on the host, when it starts.
 *
 * @throws BerthError `device_spec.invalid` as {@link parseNovaDeviceSpec} does
 */
export function checkNovaDeviceSpec(spec: NovaDeviceSpec, host: NovaHost, options: NovaCheckOptions = {}): void {
  const target = targetOf(spec, host);
  if (!target) {
    if (!spec.remoteManaged) return;
    throw invalid(
      'PciDeviceRemoteManagedNotPresent',
      `devname: there is no interface "${clip(spec.devname ?? '')}" on this host`,
    );
  }
  if (!spec.remoteManaged || !target.pf) return;
  if (!target.isPrintable && options.mendPfAddress !== true) {
    throw invalid(
      'PciDeviceNotFoundById',
      'remote_managed: Nova cannot look up a PF by its address; name its interface by devname',
    );
  }
  checkRemoteManaged(spec, target.pf, host);
}

/**
 * Whether the entry means the device. A PF's own address covers its VFs; an interface is looked up again each time.
 *
 * @throws BerthError `device_spec.invalid` when the device's address is nothing that Nova can read
 */
export function matchNovaDeviceSpec(spec: NovaDeviceSpec, device: NovaDevice, host: NovaHost): boolean {
  const target = targetOf(spec, host);
  if (!target) return false;
  if (typeof device.vendorId !== 'string' || typeof device.productId !== 'string') {
    throw invalid(null, 'the device has no vendor_id or product_id');
  }
  // Nova computes all of it before it looks at any of it: a bad address is an error even if the ids differ
  const covers = addressCovers(target, device);
  return (
    (spec.vendorId === null || spec.vendorId === device.vendorId) &&
    (spec.productId === null || spec.productId === device.productId) &&
    covers &&
    (!spec.remoteManaged || Boolean(device.serialNumber))
  );
}

interface Target {
  readonly pattern: AddressPattern;
  /** The PF that the address names, if it names one. */
  readonly pf: string | null;
  /** Whether Nova can look the PF up in sysfs again: only where an interface led to it. */
  readonly isPrintable: boolean;
}

/** null: the entry's interface is not there. */
function targetOf(spec: NovaDeviceSpec, host: NovaHost): Target | null {
  if (spec.devname === null) return spec.address && patternTarget(spec.address, host);
  const interfaceOf = host.netdevs.get(spec.devname);
  if (!interfaceOf) return null;
  const { address, physicalFunction } = interfaceOf;
  if (!physicalFunction) return patternTarget(parseNovaAddressText(address), host);
  const pattern = exactly(parseNovaAddress(address));
  return { pattern, pf: spelledAddress(pattern) ?? address, isPrintable: true };
}

function patternTarget(pattern: AddressPattern, host: NovaHost): Target {
  return { pattern, pf: namedPf(pattern, host), isPrintable: false };
}

function namedPf(pattern: AddressPattern, host: NovaHost): string | null {
  const address = spelledAddress(pattern);
  return address !== null && host.physicalFunctions.has(address) ? address : null;
}

function addressCovers({ pattern, pf }: Target, device: NovaDevice): boolean {
  if (pf !== null && isTruthy(device.parentAddress) && digitsMatch(pattern, parseNovaAddress(device.parentAddress)))
    return true;
  return digitsMatch(pattern, parseNovaAddress(device.address));
}

function checkRemoteManaged(spec: NovaDeviceSpec, pf: string, host: NovaHost): void {
  const vfProduct = host.vfProductIds.get(pf);
  const ids = host.deviceIds.get(pf);
  if (vfProduct === undefined || !ids)
    throw invalid('PciDeviceNotFoundById', `remote_managed: the ids of PF ${pf} are not known`);
  // an unreadable sriov_vf_device
  if (vfProduct === '') throw invalid(null, `remote_managed: the product id of the VFs of ${pf} cannot be read`);
  const [vendor, product] = ids;
  const vendorFits = spec.vendorId === null || spec.vendorId === vendor;
  if (vendorFits && spec.productId === vfProduct) return;
  if (vendorFits && (spec.productId === null || spec.productId === product)) {
    throw invalid(
      'PciDeviceInvalidPFRemoteManaged',
      `remote_managed: ${pf} is a PF; give the product_id of its VFs (${vfProduct})`,
    );
  }
  throw invalid(
    'PciConfigInvalidSpec',
    `remote_managed: the VFs of ${pf} are ${vendor}:${vfProduct}, not what the entry says`,
  );
}

function idOf(key: string, value: unknown, prepare: (text: string) => string): string | null {
  if (value === undefined) return null;
  if (typeof value !== 'string')
    throw invalid(null, `${key}: has to be a text like "8086" or "*", not ${kindOf(value)}`);
  const text = prepare(value);
  if (text === '*') return null;
  const number = novaInteger(text, 16);
  if (number === null || number > 0xffff) {
    throw invalid('PciConfigInvalidSpec', `${key}: "${clip(value)}" is not hex up to ffff, and not "*"`);
  }
  return novaHex(number, 4);
}

function readAddress(value: unknown): AddressPattern {
  if (typeof value === 'string') return parseNovaAddressText(value);
  if (isObject(value)) return parseNovaRegexes(value);
  throw invalid(
    'PciDeviceWrongAddressFormat',
    `address: has to be a text or an object of regexes, not ${kindOf(value)}`,
  );
}

function exactly({ domain, bus, slot, function: fn }: AddressDigits): AddressPattern {
  return {
    domain: { kind: 'exact', digits: domain },
    bus: { kind: 'exact', digits: bus },
    slot: { kind: 'exact', digits: slot },
    function: { kind: 'exact', digits: fn },
  };
}

function invalid(exception: NovaException, message: string): Error {
  return novaError('device_spec.invalid', exception, message);
}
