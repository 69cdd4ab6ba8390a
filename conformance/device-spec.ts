import type { DeviceType } from '../src/pci/device.js';
import { novaError } from '../src/pci/dialect.js';
import {
  checkNovaDeviceSpec,
  matchNovaDeviceSpec,
  parseNovaDeviceSpec,
  type NovaDevice,
  type NovaDeviceSpec,
  type NovaHost,
} from '../src/pci/nova/nova-device-spec.js';
import { answerOrError, isErrorAnswer } from './errors.js';

export interface SysfsInput {
  readonly physical_functions?: readonly string[];
  readonly netdevs?: Readonly<Record<string, { readonly address: string; readonly physical_function: boolean }>>;
  readonly vf_product_ids?: Readonly<Record<string, string>>;
  readonly device_ids?: Readonly<Record<string, readonly [string, string]>>;
}

export interface DeviceInput {
  readonly address: string;
  readonly vendor_id?: string;
  readonly product_id?: string;
  readonly dev_type: DeviceType;
  readonly parent_addr?: string | null;
  readonly numa_node?: number | null;
  readonly capabilities?: { readonly vpd?: { readonly card_serial_number?: string } };
}

interface DevspecInput {
  readonly entry: string;
  readonly device: DeviceInput;
  readonly sysfs: SysfsInput;
}

interface WhitelistInput {
  readonly entries: readonly string[];
  readonly devices: readonly DeviceInput[];
  readonly sysfs: SysfsInput;
}

/** An object of the whitelist and where it stands: line, position in the line's list. */
export interface PlacedSpec {
  readonly spec: NovaDeviceSpec;
  readonly entry: readonly [number, number];
}

/** One entry, one device. */
export function answerDevspec(input: DevspecInput): unknown {
  return devspec(input, false);
}

/** As {@link answerDevspec}, if Nova asked sysfs for the address of a PF and not for the text of a Python object. */
export function answerMendedDevspec(input: DevspecInput): unknown {
  return devspec(input, true);
}

function devspec({ entry, device, sysfs }: DevspecInput, mendPfAddress: boolean): unknown {
  const host = novaHostOf(sysfs);
  const specs = answerOrError(() => readEntries([entry], host, mendPfAddress), 'parse');
  if (isErrorAnswer(specs)) return specs;
  const spec = specs[0]?.spec;
  const match = answerOrError(
    () => spec !== undefined && matchNovaDeviceSpec(spec, novaDeviceOf(device), host),
    'match',
  );
  if (isErrorAnswer(match)) return match;
  return { match, tags: spec?.tags ?? null };
}

/** All entries, all devices. */
export function answerWhitelist({ entries, devices, sysfs }: WhitelistInput): unknown {
  const host = novaHostOf(sysfs);
  const specs = answerOrError(() => readEntries(entries, host), 'parse');
  if (isErrorAnswer(specs)) return specs;
  return { specs: specs.length, devices: devices.map((device) => assignable(specs, novaDeviceOf(device), host)) };
}

function assignable(specs: readonly PlacedSpec[], device: NovaDevice, host: NovaHost): unknown {
  const found = answerOrError(() => firstMatch(specs, device, host), 'match');
  if (isErrorAnswer(found)) return found;
  return { assignable: found !== null, entry: found?.entry ?? null, tags: found?.spec.tags ?? null };
}

/** The first object that means the device. */
export function firstMatch(specs: readonly PlacedSpec[], device: NovaDevice, host: NovaHost): PlacedSpec | null {
  return specs.find(({ spec }) => matchNovaDeviceSpec(spec, device, host)) ?? null;
}

/** Every object of every line, read in order; the first bad one decides. */
export function readEntries(lines: readonly string[], host: NovaHost, mendPfAddress = false): PlacedSpec[] {
  return lines.flatMap((line, at) =>
    objectsOf(line).map((entry, position) => {
      const spec = parseNovaDeviceSpec(entry);
      checkNovaDeviceSpec(spec, host, { mendPfAddress });
      return { spec, entry: [at, position] as const };
    }),
  );
}

function objectsOf(line: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(line);
    return Array.isArray(value) ? value : [value];
  } catch {
    throw novaError('device_spec.invalid', 'PciConfigInvalidSpec', 'the entry is not JSON');
  }
}

export function novaHostOf(sysfs: SysfsInput): NovaHost {
  const netdevs = Object.entries(sysfs.netdevs ?? {}).map(
    ([name, { address, physical_function }]) => [name, { address, physicalFunction: physical_function }] as const,
  );
  return {
    netdevs: new Map(netdevs),
    physicalFunctions: new Set(sysfs.physical_functions),
    vfProductIds: new Map(Object.entries(sysfs.vf_product_ids ?? {})),
    deviceIds: new Map(Object.entries(sysfs.device_ids ?? {})),
  };
}

/** What a hypervisor left out is left out here, too, so that it is found missing where Nova finds it. */
export function novaDeviceOf(device: DeviceInput): NovaDevice {
  return {
    address: device.address,
    vendorId: device.vendor_id as string,
    productId: device.product_id as string,
    parentAddress: device.parent_addr ?? null,
    serialNumber: device.capabilities?.vpd?.card_serial_number ?? null,
  };
}
