import { messageOf } from '../errors.js';
import type { Address } from '../pci/address.js';
import type { PciDevice } from '../pci/device.js';
import { settingsOfVf, type SriovTarget, type VfSettings } from '../pci/sriov/sriov-target.js';
import { BindingError } from './binding-error.js';
import type { IpProgram } from './ip-program.js';
import type { Journal } from './journal.js';
import { vfAddresses } from './vf-guards.js';

/** A VF that is not as it shall be, and why. */
export interface VfProblem {
  readonly vf: number;
  readonly address: Address;
  readonly step: string;
  readonly message: string;
}

/** Claims of the PF's VFs wait for the end; what is left over comes with the next pass. */
const ALL_LIMIT_MS = 30_000;

interface SettingsHost {
  readonly sysfsRoot: string;
  readonly journal: Journal;
  readonly ip: IpProgram;
}

/** Fields that are set by one call, and the words of that call. */
interface Part {
  readonly name: string;
  readonly fields: readonly (keyof VfSettings)[];
  readonly words: (settings: VfSettings) => readonly string[];
}

/** Trust comes first: some drivers allow the rest only to whom they trust, or take an address from the guest then. */
const PARTS: readonly Part[] = [
  { name: 'trust', fields: ['trust'], words: ({ trust }) => ['trust', onOff(trust)] },
  { name: 'spoof_check', fields: ['spoofCheck'], words: ({ spoofCheck }) => ['spoofchk', onOff(spoofCheck)] },
  { name: 'mac', fields: ['mac'], words: ({ mac }) => ['mac', String(mac)] },
  {
    name: 'vlan',
    fields: ['vlan', 'qos'],
    words: ({ vlan, qos }) => ['vlan', String(vlan), ...(qos === null ? [] : ['qos', String(qos)])],
  },
  { name: 'link_state', fields: ['linkState'], words: ({ linkState }) => ['state', String(linkState)] },
  {
    name: 'rate',
    fields: ['maxTxRate', 'minTxRate'],
    words: ({ maxTxRate, minTxRate }) => [
      ...(maxTxRate === null ? [] : ['max_tx_rate', String(maxTxRate)]),
      ...(minTxRate === null ? [] : ['min_tx_rate', String(minTxRate)]),
    ],
  },
];

/**
 * Sets the VFs of a NIC as they shall be: what differs, through the PF's interface. A VF that a claim holds is left alone: its guest
 * runs with what it has. What one VF refuses keeps no other from being set.
 *
 * @param taken what was set before and the interface does not tell, by PF, VF and part; kept by the caller, and changed here
 * @returns whether something was set, and the VFs that are not as they shall be
 * @throws BindingError at `vf_settings` when the PF has no interface to set them by, or that cannot be read
 */
export async function settleVfSettings(
  host: SettingsHost,
  pf: PciDevice,
  target: SriovTarget,
  taken: Map<string, string>,
): Promise<{ readonly wrote: boolean; readonly problems: readonly VfProblem[] }> {
  if (target.vfs.length === 0) return { wrote: false, problems: [] };
  const addresses = vfAddresses(host.sysfsRoot, pf.address);
  if (addresses.size === 0) return { wrote: false, problems: [] };
  const netdev = interfaceOf(pf);
  const before = await shownBy(host, pf, netdev);
  // Of a VF in use that the interface does not tell of, what was set before it was given away is taken to hold.
  const isTaken = (due: Due): boolean =>
    taken.get(due.key) === due.words.join(' ') || host.journal.holderOf(due.address) !== null;
  const problems: VfProblem[] = [];
  const written: Due[] = [];
  const endsMs = Date.now() + ALL_LIMIT_MS;
  for (const due of dueOf(pf, target, addresses, before, isTaken)) {
    const isLate = Date.now() > endsMs;
    const problem = isLate
      ? problemOf(due, 'check', 'there was no time left for it; it is next')
      : await settle(host, netdev, due);
    if (problem) problems.push(problem);
    else written.push(due);
  }
  if (written.length === 0) return { wrote: false, problems };
  const after = await shownBy(host, pf, netdev);
  for (const due of written) {
    if (contradicts(due, after.get(due.vf)))
      problems.push(problemOf(due, 'read_back', `${due.part.name} was taken, but is not so`));
    else taken.set(due.key, due.words.join(' '));
  }
  return { wrote: true, problems };
}

/** A part of a VF's settings that is otherwise, or not known to be so. */
interface Due {
  readonly vf: number;
  readonly address: Address;
  readonly part: Part;
  readonly words: readonly string[];
  readonly wanted: VfSettings;
  readonly key: string;
}

function dueOf(
  pf: PciDevice,
  target: SriovTarget,
  addresses: ReadonlyMap<number, Address>,
  shown: ReadonlyMap<number, Partial<VfSettings>>,
  isTaken: (due: Due) => boolean,
): Due[] {
  return [...addresses].flatMap(([vf, address]) => {
    const wanted = settingsOfVf(target, vf);
    return PARTS.filter(({ fields }) => fields.some((field) => wanted[field] !== null)).flatMap((part) => {
      const due: Due = {
        vf,
        address,
        part,
        words: part.words(wanted),
        wanted,
        key: `${pf.address}/${vf}/${part.name}`,
      };
      const isTold = part.fields.every((field) => wanted[field] === null || shown.get(vf)?.[field] !== undefined);
      const isDue = isTold ? contradicts(due, shown.get(vf)) : !isTaken(due);
      return isDue ? [due] : [];
    });
  });
}

function contradicts({ part, wanted }: Due, shown: Partial<VfSettings> | undefined): boolean {
  return part.fields.some((field) => {
    const found = shown?.[field];
    return wanted[field] !== null && found !== undefined && found !== wanted[field];
  });
}

async function settle({ journal, ip }: SettingsHost, netdev: string, due: Due): Promise<VfProblem | null> {
  const holder = journal.holderOf(due.address);
  if (holder) {
    const message = `${due.part.name} is set when claim ${holder.claimId} of server ${holder.serverId} gives the VF back`;
    return problemOf(due, 'check', message);
  }
  try {
    await ip.setVf(netdev, due.vf, due.words);
    return null;
  } catch (error) {
    return problemOf(
      due,
      due.part.name,
      `ip link set ${netdev} vf ${due.vf} ${due.words.join(' ')}: ${messageOf(error)}`,
    );
  }
}

function problemOf({ vf, address }: Due, step: string, message: string): VfProblem {
  return { vf, address, step, message };
}

function interfaceOf({ address, netdevs, driver }: PciDevice): string {
  const [netdev] = netdevs;
  if (netdev !== undefined) return netdev;
  const message = `${address}: ${driver ?? 'no driver'} has it and it has no network interface; VFs can be set through one only`;
  throw new BindingError('binding.refused', message, { address, step: 'vf_settings' });
}

async function shownBy({ ip }: SettingsHost, { address }: PciDevice, netdev: string) {
  try {
    return await ip.vfs(netdev);
  } catch (error) {
    const message = `${address}: the VFs of ${netdev} cannot be read: ${messageOf(error)}`;
    throw new BindingError('binding.failed', message, { address, step: 'vf_settings' });
  }
}

function onOff(value: boolean | null): string {
  return value === true ? 'on' : 'off';
}
