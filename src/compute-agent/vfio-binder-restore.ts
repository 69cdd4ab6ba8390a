import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { ReleasedDevice } from '../messages/bodies.js';
import { isVfioDriver, VFIO_DRIVER } from '../pci/binding-mode.js';
import type { Address } from '../pci/address.js';
import { BindingError } from './binding-error.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import type { DeviceRecord } from './journal-state.js';
import { takeNetdevBack } from './netdev/netdev-handover.js';
import { awaitClosed, driverOf, overrideOf, unbind, write, type BinderHost } from './vfio-binder-writes.js';

/**
 * Takes a claim's device from the driver that the agent gave it, as soon as no program has it open, and takes the override away.
 *
 * @throws BindingError when the kernel refuses
 */
export async function takeFromVfio(host: BinderHost, claimId: string, record: DeviceRecord): Promise<void> {
  const { address } = record;
  const ours = record.vfioDriver ?? VFIO_DRIVER;
  if (record.netdev && isOurs(host.sysfsRoot, record)) return takeNetdevBack(host, address, record.netdev);
  if (record.managed === false || record.originalDriver === ours || !isOurs(host.sysfsRoot, record)) return;
  if (driverOf(host.sysfsRoot, address) === ours) {
    await awaitClosed(host, claimId, address);
    await unbind(host, claimId, address);
  }
  if ((await overrideOf(host, address)) !== ours) return;
  // A line feed clears it; of an empty text nothing would be written at all.
  const value = overrideBefore(record) ?? '\n';
  const at = { claimId, address, step: 'driver_override' } as const;
  await write(host, at, `${PCI_DEVICES}/${address}/driver_override`, value);
}

/** An override to vfio-pci that was there while another driver had the device would keep that driver away. */
function overrideBefore({ originalOverride, originalDriver }: DeviceRecord): string | null {
  return isVfioDriver(originalOverride) && originalOverride !== originalDriver ? null : originalOverride;
}

/**
 * Brings a device back to the driver that it had. Whoever takes it after the kernel's own search is told, not fought; while nobody does, the
 * driver itself is asked, then its module loaded.
 */
export async function giveBack(host: BinderHost, claimId: string, record: DeviceRecord): Promise<ReleasedDevice> {
  const { address, originalDriver } = record;
  if (!isOurs(host.sysfsRoot, record)) return { address, outcome: 'missing', driver: null };
  const before = driverOf(host.sysfsRoot, address);
  if (record.managed === false) return { address, outcome: 'restored', driver: before };
  const failure =
    originalDriver !== null && before === null ? await bringBack(host, claimId, record, originalDriver) : null;
  const driver = driverOf(host.sysfsRoot, address);
  if (driver === originalDriver) return { address, outcome: 'restored', driver };
  const outcome = driver === null ? 'driverless' : 'restored-other-driver';
  const remedy = remedyFor(record, driver, failure);
  const released: ReleasedDevice = {
    ...{ address, outcome, driver, step: failure?.step ?? 'read_back' },
    ...(failure !== null && failure.errno !== null && failure.errno !== 'unknown' && { errno: failure.errno }),
    remedy: remedy.slice(0, REMEDY_MAX),
  };
  host.log('warn', 'A released device is not with the driver that it had', { claimId, ...released, originalDriver });
  return released;
}

/** What the wire takes. */
const REMEDY_MAX = 1000;

/** @returns why no driver has the device; null when one has */
async function bringBack(
  host: BinderHost,
  claimId: string,
  record: DeviceRecord,
  original: string,
): Promise<BindingError | null> {
  const { address } = record;
  const bind = (): Promise<void> =>
    write(host, { claimId, address, step: 'bind' }, `bus/pci/drivers/${original}/bind`, address);
  const attempts: (() => Promise<void>)[] = [
    () => write(host, { claimId, address, step: 'drivers_probe' }, 'bus/pci/drivers_probe', address),
    ...(existsSync(join(host.sysfsRoot, 'bus/pci/drivers', original))
      ? [bind]
      : [() => load(host, address, record.originalModule ?? original), bind]),
  ];
  let failure: BindingError | null = null;
  for (const attempt of attempts) {
    try {
      await attempt();
    } catch (error) {
      if (!(error instanceof BindingError)) throw error;
      failure = error;
      if (error.step === 'modprobe') break;
    }
    if (driverOf(host.sysfsRoot, address) !== null) return null;
  }
  return failure;
}

async function load(host: BinderHost, address: Address, module: string): Promise<void> {
  try {
    await host.loadModule(module);
  } catch (cause) {
    const message = `${address}: its module could not be loaded: ${messageOf(cause)}`;
    throw new BindingError('binding.failed', message, { address, step: 'modprobe', cause });
  }
}

function remedyFor({ address, originalDriver }: DeviceRecord, driver: string | null, failure: BindingError | null) {
  if (originalDriver === null) return `unbind it from ${driver}, if nobody is to have it: it had no driver before`;
  if (driver !== null) {
    return `${driver} was quicker than ${originalDriver}: write ${address} to /sys/bus/pci/drivers/${driver}/unbind and to ${originalDriver}/bind`;
  }
  const why = failure === null ? 'the driver did not take it; see the kernel log (dmesg)' : failure.message;
  return `load ${originalDriver} (modprobe), and write ${address} to /sys/bus/pci/drivers_probe: ${why}`;
}

/** Another card at the address is none of ours; a device that another tool had bound stays with it. */
function isOurs(sysfsRoot: string, record: DeviceRecord): boolean {
  const { device } = readDevice(sysfsRoot, record.address);
  return device !== null && device.vendorId === record.vendorId && device.productId === record.productId;
}
