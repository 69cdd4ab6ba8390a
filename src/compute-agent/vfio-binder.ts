import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { PrepareTarget, ReleasedDevice, WireBinding } from '../messages/bodies.js';
import type { Address } from '../pci/address.js';
import type { PciDevice } from '../pci/device.js';
import type { Aftercare } from './aftercare.js';
import type { AgentLog } from './agent-log.js';
import { BindingError, refusedWrite, type BindingStep } from './binding-error.js';
import { checkClaim, VFIO_DRIVER } from './claim-checks.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import type { ClaimRecord, DeviceRecord } from './journal-state.js';
import type { Journal } from './journal.js';
import type { SysfsWrite } from './kernel.js';
import { errnoOf, readLinkName, readText } from './sysfs-read.js';
import { removeVfs, restoreVfs } from './vfio-binder-sriov.js';

export interface BinderHost {
  readonly sysfsRoot: string;
  readonly write: SysfsWrite;
  readonly journal: Journal;
  readonly log: AgentLog;
  /** Resets and cleanings; left out: there are none. */
  readonly care?: Pick<Aftercare, 'beforeUse' | 'prepare'>;
}

export interface PrepareOrder {
  readonly claimId: string;
  readonly serverId: string;
  readonly targets: readonly PrepareTarget[];
  /** The claim's number; left out or 0: not known. */
  readonly number?: number;
}

/**
 * Binds a claim's devices to vfio-pci, all or none. Idempotent: what is bound already is looked at again, and what a crash
 * left undone is finished, because the command comes again until it is answered.
 *
 * @throws BindingError with step and errno, after everything done for the claim was undone and the claim was closed
 */
export async function prepareDevices(host: BinderHost, order: PrepareOrder): Promise<WireBinding[]> {
  assertOpen(host.journal, order);
  await finishReleases(host, order);
  const known = host.journal.claim(order.claimId);
  try {
    assertSameDevices(known, order);
    const devices = checkClaim(host, order.claimId, order.targets);
    await host.journal.begin({
      claimId: order.claimId,
      serverId: order.serverId,
      devices: known?.devices ?? devices.map((device) => recordOf(host.sysfsRoot, device)),
    });
    for (const device of devices) await bind(host, order.claimId, device);
    if (known?.state !== 'prepared') for (const { address } of devices) await host.care?.beforeUse(address);
    await host.journal.finish(order.claimId);
    return devices.map((device) => bindingOf(host, order.claimId, device));
  } catch (error) {
    if (!(error instanceof BindingError)) throw error;
    throw await undone(host, order, error);
  }
}

/**
 * Gives a claim's devices back to the drivers they had. A claim that is not known is closed all the same, so that a prepare that
 * comes late is refused. Idempotent.
 *
 * All devices leave vfio-pci before the first is probed: while any member of an IOMMU group is open, the kernel lets no
 * driver of the host have another.
 *
 * @returns one line for each device, in the claim's order; none for a claim that is not known
 * @throws BindingError when a device cannot be taken from vfio-pci; the claim stays `releasing`, and a repetition goes on
 */
export async function releaseDevices(host: BinderHost, claimId: string, number = 0): Promise<ReleasedDevice[]> {
  const wasUsed = host.journal.claim(claimId)?.state !== 'preparing';
  await host.journal.beginRelease(claimId, number);
  const claim = host.journal.claim(claimId);
  if (!claim) return [];
  const failures: BindingError[] = [];
  for (const record of claim.devices.toReversed()) {
    await takeFromVfio(host, record).catch((error: unknown) => failures.push(asBindingError(error)));
  }
  if (wasUsed) await host.care?.prepare(claim);
  const released: ReleasedDevice[] = [];
  for (const record of claim.devices) {
    released.push(await giveBack(host, record));
    await restoreVfs(host, claimId, record);
  }
  if (failures[0]) throw failures[0];
  await host.journal.endRelease(claimId);
  return released;
}

/** Whether all devices of a claim that was prepared are still bound, which a reboot ends. */
export function isBound(host: BinderHost, claim: ClaimRecord): boolean {
  return claim.devices.every(({ address }) => driverOf(host.sysfsRoot, address) === VFIO_DRIVER);
}

/** Goes on with what a crash interrupted: of a release, the devices are half-way back to the host. */
export async function resumeReleases(host: BinderHost): Promise<void> {
  for (const claim of host.journal.claims()) {
    if (claim.state === 'releasing') await releaseOrTell(host, claim.claimId);
  }
}

function assertOpen(journal: Journal, { claimId, number }: PrepareOrder): void {
  if (!journal.isReleased(claimId, number)) return;
  throw new BindingError('claim.released', `Claim ${claimId} was released before; it is never prepared again`, {
    address: null,
    step: 'check',
  });
}

/** A device that hangs in a release which failed is not lost: whoever wants it next finishes that release. */
async function finishReleases(host: BinderHost, order: PrepareOrder): Promise<void> {
  for (const { address } of order.targets) {
    const holder = host.journal.holderOf(address);
    if (holder?.state === 'releasing') await releaseOrTell(host, holder.claimId);
  }
}

async function releaseOrTell(host: BinderHost, claimId: string, number = 0): Promise<string | null> {
  try {
    await releaseDevices(host, claimId, number);
    return null;
  } catch (error) {
    host.log('error', 'Devices of a claim could not be given back', { claimId, problem: messageOf(error) });
    return messageOf(error);
  }
}

function assertSameDevices(known: ClaimRecord | null, order: PrepareOrder): void {
  const wanted = order.targets.map((target) => target.address);
  if (new Set(wanted).size !== wanted.length) {
    throw new BindingError('binding.refused', 'A device is named twice', { address: null, step: 'check' });
  }
  const had = known?.devices.map((device) => device.address);
  if (!had || (had.length === wanted.length && had.every((address) => wanted.includes(address)))) return;
  throw new BindingError(
    'binding.refused',
    `Claim ${order.claimId} was prepared for ${had.join(', ')}, not for ${wanted.join(', ')}`,
    { address: null, step: 'check' },
  );
}

function recordOf(sysfsRoot: string, device: PciDevice): DeviceRecord {
  return {
    address: device.address,
    vendorId: device.vendorId,
    productId: device.productId,
    originalDriver: device.driver,
    originalNetdevs: device.netdevs,
    originalOverride: overrideOf(sysfsRoot, device.address),
  };
}

/**
 * The override comes first: it changes nothing by itself, so a kernel that refuses it leaves the device at work, and between
 * unbinding and probing no other driver can take the device. VFs go before that, as only the PF's own driver can remove them.
 */
async function bind(host: BinderHost, claimId: string, { address }: PciDevice): Promise<void> {
  if (driverOf(host.sysfsRoot, address) === VFIO_DRIVER) return;
  await removeVfs(host, claimId, address);
  await step(host, address, 'driver_override', `${PCI_DEVICES}/${address}/driver_override`, VFIO_DRIVER);
  if (driverOf(host.sysfsRoot, address) !== null) await unbind(host, address);
  await step(host, address, 'drivers_probe', 'bus/pci/drivers_probe', address);
  if (driverOf(host.sysfsRoot, address) === VFIO_DRIVER) return;
  await explainReadBack(host, address);
}

/** `drivers_probe` reports success even when no driver took the device; `bind` says why. */
async function explainReadBack(host: BinderHost, address: Address): Promise<void> {
  await step(host, address, 'read_back', `bus/pci/drivers/${VFIO_DRIVER}/bind`, address);
  const driver = driverOf(host.sysfsRoot, address);
  if (driver === VFIO_DRIVER) return;
  const found = driver === null ? 'has no driver' : `is bound to ${driver}`;
  throw new BindingError('binding.failed', `${address}: after drivers_probe it ${found}; see the kernel log (dmesg)`, {
    address,
    step: 'read_back',
  });
}

/** A driver that let go meanwhile is no failure. */
async function unbind(host: BinderHost, address: Address): Promise<void> {
  try {
    await host.write(`${PCI_DEVICES}/${address}/driver/unbind`, address);
  } catch (error) {
    if (driverOf(host.sysfsRoot, address) !== null) throw refusedWrite(address, 'unbind', error);
  }
}

async function step(host: BinderHost, address: Address, name: BindingStep, path: string, value: string): Promise<void> {
  try {
    await host.write(path, value);
  } catch (error) {
    throw refusedWrite(address, name, error);
  }
}

function bindingOf(host: BinderHost, claimId: string, device: PciDevice): WireBinding {
  const record = host.journal.claim(claimId)?.devices.find(({ address }) => address === device.address);
  return {
    address: device.address,
    driver: VFIO_DRIVER,
    original_driver: record?.originalDriver ?? null,
    iommu_group: device.iommuGroup,
  };
}

/** Undoes the claim and closes it; the answer is the failure that caused it, with what could not be undone. */
async function undone(host: BinderHost, order: PrepareOrder, failure: BindingError): Promise<BindingError> {
  const problem = await releaseOrTell(host, order.claimId, order.number);
  if (problem === null) return failure;
  const { code, address, step: failedStep, cause } = failure;
  const message = `${failure.message}. Undoing it failed as well: ${problem}`;
  return new BindingError(code, message, { address, step: failedStep, cause });
}

/** Another card at the address is none of ours; a device that another tool had bound stays with it. */
function isOurs(sysfsRoot: string, record: DeviceRecord): boolean {
  const { device } = readDevice(sysfsRoot, record.address);
  return device !== null && device.vendorId === record.vendorId && device.productId === record.productId;
}

async function takeFromVfio(host: BinderHost, record: DeviceRecord): Promise<void> {
  const { address } = record;
  if (record.originalDriver === VFIO_DRIVER || !isOurs(host.sysfsRoot, record)) return;
  if (driverOf(host.sysfsRoot, address) === VFIO_DRIVER) await unbind(host, address);
  if (overrideOf(host.sysfsRoot, address) !== VFIO_DRIVER) return;
  // An override to vfio-pci that was there before would keep the old driver away. A line feed clears it; of an empty text
  // nothing would be written at all.
  const before = record.originalOverride === VFIO_DRIVER ? null : record.originalOverride;
  await step(host, address, 'driver_override', `${PCI_DEVICES}/${address}/driver_override`, before ?? '\n');
}

async function giveBack(host: BinderHost, record: DeviceRecord): Promise<ReleasedDevice> {
  const { address } = record;
  if (!isOurs(host.sysfsRoot, record)) return { address, outcome: 'missing', driver: null };
  if (record.originalDriver !== null && driverOf(host.sysfsRoot, address) === null) {
    await host.write('bus/pci/drivers_probe', address).catch((error: unknown) => {
      host.log('warn', 'No driver took a released device', { address, errno: errnoOf(error) });
    });
  }
  const driver = driverOf(host.sysfsRoot, address);
  return { address, outcome: outcomeOf(record, driver), driver };
}

function outcomeOf(record: DeviceRecord, driver: string | null): ReleasedDevice['outcome'] {
  if (driver === record.originalDriver) return 'restored';
  return driver === null ? 'driverless' : 'restored-other-driver';
}

function asBindingError(error: unknown): BindingError {
  if (error instanceof BindingError) return error;
  throw error;
}

function driverOf(sysfsRoot: string, address: Address): string | null {
  const reading = readLinkName(join(sysfsRoot, PCI_DEVICES, address, 'driver'));
  return reading.kind === 'text' ? reading.text : null;
}

/** The kernel prints an override that is not set as `(null)`. */
function overrideOf(sysfsRoot: string, address: Address): string | null {
  const reading = readText(join(sysfsRoot, PCI_DEVICES, address, 'driver_override'));
  return reading.kind === 'text' && reading.text !== '' && reading.text !== '(null)' ? reading.text : null;
}
