import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { PrepareTarget, ReleasedDevice, WireBinding } from '../messages/bodies.js';
import type { WireServer } from '../messages/server-bodies.js';
import { VFIO_DRIVER, type BindingMode } from '../pci/binding-mode.js';
import type { Address } from '../pci/address.js';
import type { PciDevice } from '../pci/device.js';
import { BindingError } from './binding-error.js';
import { checkClaim } from './claim-checks.js';
import { PCI_DEVICES } from './device-reader.js';
import type { ClaimRecord, DeviceRecord } from './journal-state.js';
import type { Journal } from './journal.js';
import { readLinkName } from './sysfs-read.js';
import { giveBack, takeFromVfio } from './vfio-binder-restore.js';
import { removeVfs, restoreVfs } from './vfio-binder-sriov.js';
import { describeNetdev } from './netdev/netdev-handover.js';
import { driverOf, overrideOf, unbind, write, type BinderHost } from './vfio-binder-writes.js';

export type { BinderHost } from './vfio-binder-writes.js';

export interface PrepareOrder {
  readonly claimId: string;
  readonly serverId: string;
  readonly targets: readonly PrepareTarget[];
  /** Of which a guest is to be started with them. */
  readonly server?: WireServer;
  /** The claim's number; left out or 0: not known. */
  readonly number?: number;
  /** The claim was prepared before, and this journal was lost: who has its devices open is its own server. */
  readonly adopt?: boolean;
}

/**
 * Binds a claim's devices to vfio-pci, or the variant that their whitelist entries name, all or none; those that somebody else is to
 * have bound are only looked at. Idempotent: what is bound already is looked at again, and what a crash left undone is finished,
 * because the command comes again until it is answered.
 *
 * @throws BindingError with step and errno, after everything done for the claim was undone and the claim was closed; another error
 *   when the journal cannot be written, and the command is to come again
 */
export async function prepareDevices(host: BinderHost, order: PrepareOrder): Promise<WireBinding[]> {
  assertOpen(host.journal, order);
  await finishReleases(host, order);
  const known = host.journal.claim(order.claimId);
  try {
    assertSameDevices(known, order);
    const modes = await modesOf(host, known, order);
    const devices = await checkClaim(host, order, modes);
    const records = known?.devices ?? (await Promise.all(devices.map((device) => recordOf(host, device, modes))));
    await host.guests?.expect(order);
    await host.journal.begin({ claimId: order.claimId, serverId: order.serverId, devices: records });
    for (const record of records) await bind(host, order.claimId, record);
    if (known?.state !== 'prepared' && !order.adopt) await careBeforeUse(host, order.claimId, records);
    const bindings = devices.map((device) => bindingOf(host, order.claimId, device));
    await host.guests?.enter(order, bindings);
    await host.journal.finish(order.claimId);
    return bindings;
  } catch (error) {
    if (!(error instanceof BindingError)) throw error;
    throw await undone(host, order, error);
  }
}

/**
 * Gives a claim's devices back to the drivers they had. A claim that is not known is closed all the same, so that a prepare that
 * comes late is refused. Idempotent. Waits for as long as a program has a device open; `problems` tell who.
 *
 * All devices leave vfio-pci before the first is probed: while any member of an IOMMU group is open, the kernel lets no
 * driver of the host have another.
 *
 * @returns one line for each device, in the claim's order; none for a claim that is not known
 * @throws BindingError when a device cannot be taken from vfio-pci; the claim stays `releasing`, and a repetition goes on
 */
export async function releaseDevices(host: BinderHost, claimId: string, number = 0): Promise<ReleasedDevice[]> {
  // A guest starts, or fails to, before its claim is prepared.
  const wasUsed = host.guests !== undefined || host.journal.claim(claimId)?.state !== 'preparing';
  await host.journal.beginRelease(claimId, number);
  const claim = host.journal.claim(claimId);
  const addresses = claim?.devices.map(({ address }) => address) ?? [];
  await host.guests?.leave(claimId, claim?.serverId ?? null, addresses);
  if (!claim) return [];
  const failures: BindingError[] = [];
  for (const record of claim.devices.toReversed()) {
    await takeFromVfio(host, claimId, record).catch((error: unknown) => failures.push(asBindingError(error)));
  }
  if (wasUsed) await host.care?.prepare(claim);
  const released: ReleasedDevice[] = [];
  for (const record of claim.devices) {
    released.push(await giveBack(host, claimId, record));
    await restoreVfs(host, claimId, record);
  }
  tellProblems(host, claimId, released, failures);
  if (failures[0]) throw failures[0];
  await host.journal.endRelease(claimId);
  return released;
}

/** Whether all devices of a claim that was prepared are still bound, which a reboot ends. What others bind is theirs to bind again. */
export function isBound(host: BinderHost, claim: ClaimRecord): boolean {
  return claim.devices.every(
    ({ address, managed, vfioDriver, netdev }) =>
      managed === false || netdev !== undefined || driverOf(host.sysfsRoot, address) === (vfioDriver ?? VFIO_DRIVER),
  );
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

/** A claim keeps the modes that it was begun with, whatever the whitelist says by now. */
export async function modesOf(
  host: BinderHost,
  known: ClaimRecord | null,
  { targets }: Pick<PrepareOrder, 'targets'>,
): Promise<ReadonlyMap<Address, BindingMode>> {
  const modes = new Map<Address, BindingMode>();
  for (const { address } of targets) {
    const record = known?.devices.find((device) => device.address === address);
    modes.set(
      address,
      record
        ? {
            ...{ managed: record.managed !== false, driver: record.vfioDriver ?? VFIO_DRIVER },
            ...(record.netdev && { handover: 'netdev' as const }),
          }
        : await host.modeOf(address),
    );
  }
  return modes;
}

async function recordOf(
  host: BinderHost,
  device: PciDevice,
  modes: ReadonlyMap<Address, BindingMode>,
): Promise<DeviceRecord> {
  const { address, vendorId, productId, driver, netdevs } = device;
  const mode = modes.get(address);
  const module = moduleOf(host.sysfsRoot, driver);
  return {
    ...{ address, vendorId, productId },
    originalDriver: driver,
    originalNetdevs: netdevs,
    originalOverride: await overrideOf(host, address),
    ...(module !== null && module !== driver && { originalModule: module }),
    ...(mode?.managed === false && { managed: false }),
    ...(mode && mode.driver !== VFIO_DRIVER && { vfioDriver: mode.driver }),
    ...(mode?.handover === 'netdev' && { netdev: await describeNetdev(host, device) }),
  };
}

/** The module that a driver is of, which may have another name; null: it is built in, or there is none. */
function moduleOf(sysfsRoot: string, driver: string | null): string | null {
  if (driver === null) return null;
  const reading = readLinkName(join(sysfsRoot, 'bus/pci/drivers', driver, 'module'));
  return reading.kind === 'text' ? reading.text : null;
}

/**
 * The override comes first: it changes nothing by itself, so a kernel that refuses it leaves the device at work, and between
 * unbinding and probing no other driver can take the device. VFs go before that, as only the PF's own driver can remove them.
 */
async function bind(host: BinderHost, claimId: string, record: DeviceRecord): Promise<void> {
  const { address, vfioDriver: driver = VFIO_DRIVER } = record;
  if (record.managed === false || record.netdev || driverOf(host.sysfsRoot, address) === driver) return;
  await removeVfs(host, claimId, address);
  await write(host, { claimId, address, step: 'driver_override' }, `${PCI_DEVICES}/${address}/driver_override`, driver);
  if (driverOf(host.sysfsRoot, address) !== null) await unbind(host, claimId, address);
  await write(host, { claimId, address, step: 'drivers_probe' }, 'bus/pci/drivers_probe', address);
  if (driverOf(host.sysfsRoot, address) === driver) return;
  await explainReadBack(host, claimId, address, driver);
}

/** What its server may have open already, or somebody else binds, is left alone. */
async function careBeforeUse(host: BinderHost, claimId: string, records: readonly DeviceRecord[]): Promise<void> {
  for (const { address, managed, netdev } of records) {
    if (managed !== false && !netdev) await host.care?.beforeUse(claimId, address);
  }
}

/** `drivers_probe` reports success even when no driver took the device; `bind` says why. */
async function explainReadBack(host: BinderHost, claimId: string, address: Address, wanted: string): Promise<void> {
  await write(host, { claimId, address, step: 'read_back' }, `bus/pci/drivers/${wanted}/bind`, address);
  const driver = driverOf(host.sysfsRoot, address);
  if (driver === wanted) return;
  const found = driver === null ? 'has no driver' : `is bound to ${driver}`;
  throw new BindingError('binding.failed', `${address}: after drivers_probe it ${found}; see the kernel log (dmesg)`, {
    address,
    step: 'read_back',
  });
}

function bindingOf(host: BinderHost, claimId: string, device: PciDevice): WireBinding {
  const record = host.journal.claim(claimId)?.devices.find(({ address }) => address === device.address);
  return {
    address: device.address,
    driver: driverOf(host.sysfsRoot, device.address) ?? record?.vfioDriver ?? VFIO_DRIVER,
    original_driver: record?.originalDriver ?? null,
    iommu_group: device.iommuGroup,
    ...(record?.netdev && { netdev: record.netdev.name }),
  };
}

/** Undoes the claim and closes it; the answer is the failure that caused it, with what could not be undone. */
async function undone(host: BinderHost, order: PrepareOrder, failure: BindingError): Promise<BindingError> {
  const problem = await releaseOrTell(host, order.claimId, order.number);
  if (problem === null) return failure;
  // The journal could not be written: the claim would be bound again at the next start, though its failure had been told.
  if (!host.journal.isReleased(order.claimId)) throw new Error(problem, { cause: failure });
  const { code, address, step: failedStep, cause } = failure;
  const message = `${failure.message}. Undoing it failed as well: ${problem}`;
  return new BindingError(code, message, { address, step: failedStep, cause });
}

/** What the reports are to show of a release until it is put right. */
function tellProblems(
  { problems }: BinderHost,
  claimId: string,
  released: readonly ReleasedDevice[],
  failures: readonly BindingError[],
): void {
  for (const { address, outcome, errno = null, remedy = '' } of released) {
    const before = problems.of(address);
    // A release that is tried again has failed since the first time.
    const since = before?.state === 'refused' && before.claimId === claimId ? before.since : Date.now();
    const common = { claimId, heldBy: null, since } as const;
    const failure = failures.find((one) => one.address === address);
    if (failure) {
      const { step, message } = failure;
      const of = { step: step ?? 'unbind', errno: failure.errno, remedy: message } as const;
      problems.set({ ...common, address, state: 'refused', ...of });
    } else if (outcome === 'driverless') {
      problems.set({ ...common, address, state: 'driverless', step: 'bind', errno, remedy });
    } else problems.clear(address);
  }
}

function asBindingError(error: unknown): BindingError {
  if (error instanceof BindingError) return error;
  throw error;
}
