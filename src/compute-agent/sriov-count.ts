import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { Address } from '../pci/address.js';
import { isVfioDriver } from '../pci/binding-mode.js';
import type { PciDevice } from '../pci/device.js';
import type { SriovTarget } from '../pci/sriov/sriov-target.js';
import { BindingError, refusedWrite } from './binding-error.js';
import { assertVfsIdle } from './claim-checks.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import type { IpProgram } from './ip-program.js';
import type { Journal } from './journal.js';
import { readText } from './sysfs-read.js';
import { vfAddresses } from './vf-guards.js';
import { assertVfs, vfsOf } from './vfio-binder-sriov.js';
import type { BinderHost } from './vfio-binder-writes.js';

type SriovHost = Pick<BinderHost, 'sysfsRoot' | 'write' | 'journal' | 'deviceClaims' | 'log'>;

export interface CountHost extends SriovHost {
  readonly ip: IpProgram;
  /** Who has VFs; what it does not name may be removed. */
  readonly vfHolders: Pick<Journal, 'holderOf'>;
}

/**
 * Gives a PF as many VFs as it shall have. The kernel goes from one number to another by way of 0 only, so all VFs that there are
 * have to be dispensable, also when there shall be more.
 *
 * @returns whether something was written
 * @throws BindingError at `check`, with nothing touched; at `sriov_drivers_autoprobe` or `sriov_numvfs`, after the VFs that
 *   there were have been made again
 */
export async function settleVfCount(
  host: CountHost,
  pf: PciDevice,
  { vfCount, autoprobe }: Pick<SriovTarget, 'vfCount' | 'autoprobe'>,
): Promise<boolean> {
  const had = vfsOf(pf);
  if (had !== vfCount) await assertChangeable(host, pf, vfCount);
  const switched = autoprobe !== null && (await setAutoprobe(host, pf.address, autoprobe));
  if (had === vfCount) return switched;
  if (had > 0) await setVfs(host, pf.address, 0);
  if (vfCount > 0) await makeOrUndo(host, pf.address, vfCount, had);
  return true;
}

async function makeOrUndo(host: SriovHost, address: Address, wanted: number, had: number): Promise<void> {
  try {
    await setVfs(host, address, wanted);
  } catch (error) {
    if (!(error instanceof BindingError) || had === 0) throw error;
    const now = await madeAgain(host, address, had);
    throw new BindingError('binding.failed', `${error.message}. ${now}`, {
      address,
      step: 'sriov_numvfs',
      cause: error.cause,
    });
  }
}

async function madeAgain(host: SriovHost, address: Address, had: number): Promise<string> {
  try {
    const found = vfsOf(readDevice(host.sysfsRoot, address).device);
    if (found > 0 && found !== had) await setVfs(host, address, 0);
    if (found !== had) await setVfs(host, address, had);
    return `It has its ${had} VFs of before again`;
  } catch (error) {
    return `Its ${had} VFs of before could not be made again: ${messageOf(error)}`;
  }
}

async function assertChangeable(host: CountHost, pf: PciDevice, wanted: number): Promise<void> {
  const { address, driver } = pf;
  const holder = host.journal.holderOf(address);
  if (holder) {
    throw refused(
      address,
      `it is ${holder.state} for claim ${holder.claimId} of server ${holder.serverId}; release that first`,
    );
  }
  const claim = host.deviceClaims?.holderOf(address);
  if (claim) throw refused(address, `device claim ${claim.serverId} keeps it bound; delete that claim first`);
  if (driver === null || isVfioDriver(driver)) {
    throw refused(address, `${driver ?? 'no driver'} has it, and only the PF's own driver makes VFs; bind it to that`);
  }
  const total = pf.sriov?.totalVfs ?? 0;
  if (wanted > total) throw refused(address, `it has at most ${total} VFs (sriov_totalvfs), not ${wanted}`);
  assertVfsIdle({ ...host, journal: host.vfHolders }, '', pf);
  await assertWithoutAddresses(host, address);
}

/** An interface that is down, yet has an address, is about to be used. Where nobody can say, it is asked no further. */
async function assertWithoutAddresses({ sysfsRoot, ip, log }: CountHost, pf: Address): Promise<void> {
  for (const vf of vfAddresses(sysfsRoot, pf).values()) {
    for (const name of readDevice(sysfsRoot, vf).device?.netdevs ?? []) {
      let has: boolean;
      try {
        has = await ip.hasAddresses(name);
      } catch (error) {
        return log('warn', 'Whether interfaces of VFs have addresses is not known', {
          pf,
          name,
          problem: messageOf(error),
        });
      }
      if (has)
        throw refused(pf, `its VF ${vf} is in use by the host: its interface ${name} has an address; remove that`);
    }
  }
}

/** @returns whether it was otherwise */
async function setAutoprobe({ sysfsRoot, write }: SriovHost, address: Address, wanted: boolean): Promise<boolean> {
  const path = `${PCI_DEVICES}/${address}/sriov_drivers_autoprobe`;
  const reading = readText(join(sysfsRoot, path));
  const value = wanted ? '1' : '0';
  if (reading.kind === 'text' && reading.text === value) return false;
  try {
    await write(path, value);
    return true;
  } catch (error) {
    throw refusedWrite(address, 'sriov_drivers_autoprobe', error);
  }
}

/** Writes a number of VFs and reads it back. */
async function setVfs({ sysfsRoot, write }: SriovHost, address: Address, wanted: number): Promise<void> {
  try {
    await write(`${PCI_DEVICES}/${address}/sriov_numvfs`, String(wanted));
  } catch (error) {
    throw refusedWrite(address, 'sriov_numvfs', error);
  }
  assertVfs(sysfsRoot, address, wanted);
}

function refused(address: Address, what: string): BindingError {
  return new BindingError('binding.refused', `${address}: ${what}`, { address, step: 'check' });
}
