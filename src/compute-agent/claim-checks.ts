import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { PrepareTarget } from '../messages/bodies.js';
import type { Address } from '../pci/address.js';
import { DRIVER_NAME, isVfioDriver, type BindingMode } from '../pci/binding-mode.js';
import { isBridge, type PciDevice } from '../pci/device.js';
import { isolationUnits } from '../pci/iommu.js';
import { BindingError } from './binding-error.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import type { ClaimRecord } from './journal-state.js';
import type { Journal } from './journal.js';
import { assertUnprotected } from './protection/claim-protection.js';
import { listNames, readLinkName } from './sysfs-read.js';
import { assertUnusedByHost } from './vf-guards.js';
import { isOnVfio, openersOfDevice, type BinderHost } from './vfio-binder-writes.js';
import { openersText } from './vfio-openers.js';

/** What a prepare wants of these checks. */
interface Wanted {
  readonly claimId: string;
  readonly targets: readonly PrepareTarget[];
  readonly adopt?: boolean;
}

/**
 * Everything that can be known before the first write: a claim that fails here has changed nothing, but that a vfio driver's module may
 * have been loaded.
 *
 * @param modes how each of the targets is bound
 * @returns the devices as they are now, in the order of the targets
 * @throws BindingError `device.missing`, `device.changed`, `device.protected`, `binding.refused`, `binding.failed`, at step `check`; at
 *   `sriov_numvfs` for a VF that somebody else uses
 */
export async function checkClaim(
  host: BinderHost,
  wanted: Wanted,
  modes: ReadonlyMap<Address, BindingMode>,
): Promise<PciDevice[]> {
  const { claimId, targets } = wanted;
  const devices = targets.map((target) => deviceAsExpected(host.sysfsRoot, target));
  if (host.protection) assertUnprotected(host.sysfsRoot, host.protection, notHeldYet(host.journal, claimId, devices));
  for (const device of devices) {
    assertPassable(device, modes);
    assertNotHeld(host.journal, claimId, device.address);
    assertWithoutParent(device, devices);
    assertVfsIdle(host, claimId, device);
    if (device.parentAddress !== null) assertNotHeld(host.journal, claimId, device.parentAddress, device.address);
    assertBoundBeforehand(host.sysfsRoot, device, modes);
  }
  const ofVfio = devices.filter(({ address }) => !isNetdev(modes, address));
  for (const group of new Set(ofVfio.map((device) => device.iommuGroup as number))) {
    assertViable(host, claimId, group, ofVfio);
  }
  for (const device of devices) await assertNotInUse(host, wanted, device);
  const bound = [...modes.values()].filter(({ managed, handover }) => managed && handover !== 'netdev');
  for (const driver of new Set(bound.map((mode) => mode.driver))) {
    await loadDriver(host, driver);
  }
  return devices;
}

/**
 * While a PF is handed over it has no VFs: those that exist have to be dispensable.
 *
 * @throws BindingError `binding.refused` when a claim holds a VF or the host uses its network interface (step `check`), or
 *   somebody else's program may have it open (step `sriov_numvfs`): the kernel would wait for that program to let go
 */
export function assertVfsIdle({ sysfsRoot, journal, deviceClaims }: VfHost, claimId: string, device: PciDevice): void {
  for (const vf of virtualFunctions(sysfsRoot, device)) {
    assertNotHeld(journal, claimId, vf, device.address);
    assertNotClaimed(deviceClaims?.holderOf(vf) ?? null, vf, device.address);
    assertUnusedByHost(sysfsRoot, vf, device.address);
    const driver = readLinkName(join(sysfsRoot, PCI_DEVICES, vf, 'driver'));
    if (driver.kind !== 'text' || !isVfioDriver(driver.text)) continue;
    const what = `its VF ${vf} is bound to ${driver.text}, and not by Berth; stop what uses it and unbind it`;
    const { address } = device;
    throw new BindingError('binding.refused', `${address}: ${what}`, { address, step: 'sriov_numvfs' });
  }
}

interface VfHost extends Pick<BinderHost, 'sysfsRoot' | 'deviceClaims'> {
  readonly journal: Pick<Journal, 'holderOf'>;
}

/** A VF that is kept bound ahead of use is as good as in use. */
function assertNotClaimed(claim: ClaimRecord | null, vf: Address, pf: Address): void {
  if (!claim) return;
  throw refusal('binding.refused', pf, `device claim ${claim.serverId} has its VF ${vf}; delete that claim first`);
}

function notHeldYet(journal: Journal, claimId: string, devices: readonly PciDevice[]): PciDevice[] {
  return devices.filter(
    ({ address, driver }) => journal.holderOf(address)?.claimId !== claimId || !isVfioDriver(driver),
  );
}

function deviceAsExpected(sysfsRoot: string, target: PrepareTarget): PciDevice {
  const { device, problems } = readDevice(sysfsRoot, target.address);
  if (!device) {
    throw refusal('device.missing', target.address, `no usable device there (${problems.join('; ')})`);
  }
  if (device.vendorId !== target.vendor_id || device.productId !== target.product_id) {
    const found = `${device.vendorId}:${device.productId}`;
    const expected = `${target.vendor_id}:${target.product_id}`;
    throw refusal('device.changed', target.address, `${found} sits there now, ${expected} was expected`);
  }
  return device;
}

/** What stays with its own driver needs no IOMMU. */
function isNetdev(modes: ReadonlyMap<Address, BindingMode>, address: Address): boolean {
  return modes.get(address)?.handover === 'netdev';
}

function assertPassable(device: PciDevice, modes: ReadonlyMap<Address, BindingMode>): void {
  if (isBridge(device)) throw refusal('binding.refused', device.address, 'a bridge is never handed over');
  if (device.iommuGroup === null && !isNetdev(modes, device.address)) {
    const remedy = 'turn the IOMMU on (intel_iommu=on or amd_iommu=on, and in the firmware)';
    throw refusal('binding.refused', device.address, `no IOMMU group: the host has no IOMMU or has it off; ${remedy}`);
  }
}

/** Handing the PF over removes the VF. */
function assertWithoutParent(device: PciDevice, devices: readonly PciDevice[]): void {
  if (!devices.some(({ address }) => address === device.parentAddress)) return;
  const what = `it is a VF of ${device.parentAddress}, which the same claim wants`;
  throw refusal('binding.refused', device.address, what);
}

function assertNotHeld(
  journal: Pick<Journal, 'holderOf'>,
  claimId: string,
  held: Address,
  wanted: Address = held,
): void {
  const holder = journal.holderOf(held);
  if (!holder || holder.claimId === claimId) return;
  const whose = held === wanted ? 'it is' : `its relative ${held} is`;
  const what = `${whose} ${holder.state} for claim ${holder.claimId} of server ${holder.serverId}; release that first`;
  throw refusal('binding.refused', wanted, what);
}

function virtualFunctions(sysfsRoot: string, device: PciDevice): Address[] {
  if (device.sriov === null || device.sriov.numVfs === 0) return [];
  const dir = join(sysfsRoot, PCI_DEVICES, device.address);
  return readdirSync(dir)
    .filter((name) => /^virtfn\d+$/.test(name))
    .map((name) => readLinkName(join(dir, name)))
    .flatMap((reading) => (reading.kind === 'text' ? [reading.text] : []));
}

/** The kernel lets a group be opened only when no member is left to a driver of the host. */
function assertViable(
  { sysfsRoot, journal }: { readonly sysfsRoot: string; readonly journal: Journal },
  claimId: string,
  group: number,
  devices: readonly PciDevice[],
): void {
  const claimed = new Set(devices.map((device) => device.address));
  const names = listNames(join(sysfsRoot, `kernel/iommu_groups/${group}/devices`));
  const members = names.map((name) => readDevice(sysfsRoot, name).device).filter((device) => device !== null);
  for (const member of members) if (!claimed.has(member.address)) assertNotHeldAlong(journal, claimId, member);
  const units = isolationUnits(members.map((member) => ({ ...member, offered: claimed.has(member.address) })));
  for (const address of claimed) {
    const blocker = units.get(address)?.blockedBy;
    if (blocker) throw refusal('binding.refused', address, blocker);
  }
}

/** Two servers must not share a group: the kernel gives it to one program. */
function assertNotHeldAlong(journal: Journal, claimId: string, member: PciDevice): void {
  const holder = journal.holderOf(member.address);
  if (!holder || holder.claimId === claimId) return;
  const what = `IOMMU group ${member.iommuGroup} is in use by claim ${holder.claimId} of server ${holder.serverId}`;
  throw refusal('binding.refused', member.address, what);
}

/** `managed: no`: Berth does not bind it, so that somebody else has to have done so. */
function assertBoundBeforehand(
  sysfsRoot: string,
  { address, driver }: PciDevice,
  modes: ReadonlyMap<Address, BindingMode>,
): void {
  if (modes.get(address)?.managed !== false || isOnVfio(sysfsRoot, address)) return;
  const found = driver === null ? 'it has no driver' : `it is bound to ${driver}`;
  const remedy = 'bind it to a vfio driver beforehand, or take managed: no from its whitelist entry';
  throw refusal('binding.refused', address, `its whitelist entry says managed: no, but ${found}; ${remedy}`);
}

/**
 * What another tool has on vfio and somebody has open is somebody's guest. A claim that the journal has, or that is taken over after the
 * journal was lost, may be open: its own server runs.
 */
async function assertNotInUse(host: BinderHost, { claimId, adopt }: Wanted, { address }: PciDevice): Promise<void> {
  if (adopt || host.journal.claim(claimId) || !isOnVfio(host.sysfsRoot, address)) return;
  const openers = await openersOfDevice(host, address);
  if (openers.length === 0) return;
  const remedy = 'it is left alone; end that, or take the device from the whitelist';
  throw refusal('binding.refused', address, `not bound by Berth, and ${openersText(openers)} has it open; ${remedy}`);
}

async function loadDriver(host: BinderHost, driver: string): Promise<void> {
  const at = { address: null, step: 'modprobe' } as const;
  if (!DRIVER_NAME.test(driver)) {
    const named = JSON.stringify(driver.slice(0, 64));
    throw new BindingError('binding.refused', `vfio_driver: ${named} is not the name of a driver`, at);
  }
  const directory = join(host.sysfsRoot, 'bus/pci/drivers', driver);
  if (existsSync(directory)) return;
  const remedy = `run \`modprobe ${driver}\` and see the kernel log (dmesg)`;
  try {
    await host.loadModule(driver);
  } catch (cause) {
    const message = `The driver ${driver} could not be loaded: ${messageOf(cause).slice(0, 500)}; ${remedy}`;
    throw new BindingError('binding.failed', message, { ...at, cause });
  }
  if (existsSync(directory)) return;
  throw new BindingError(
    'binding.failed',
    `The driver ${driver} is not there after its module was loaded; ${remedy}`,
    at,
  );
}

function refusal(code: 'device.missing' | 'device.changed' | 'binding.refused', address: Address, what: string) {
  return new BindingError(code, `${address}: ${what}`, { address, step: 'check' });
}
