import type { CheckCode, Found } from '../store/check-found.js';

/** What a kind of finding means. */
interface Words {
  /** `error`: somebody may get, or has, what they must not, or something is lost. `warning`: it costs room, or has to be looked at. */
  readonly severity: 'error' | 'warning';
  /** One sentence. */
  readonly problem: (found: Found) => string;
  readonly repair: string;
  /** Whether `--repair` does it. */
  readonly automatic: boolean;
}

const SETTLE = 'The status is set to what follows from allocations and relatives, and the host is decided on anew.';

/** Every check, in the order of `CHECK_CODES`. */
const WORDS: Readonly<Record<CheckCode, Words>> = {
  'check.device_without_owner': error(
    (found) => `${device(found)} is ${said(found, 'status')}, and no allocation has it.`,
    SETTLE,
  ),
  'check.device_not_taken': error(
    (found) => `${device(found)} is ${said(found, 'status')}, but ${claim(found)} has it.`,
    SETTLE,
  ),
  'check.device_claim_status': error(
    (found) => `${device(found)} is ${said(found, 'status')}, but ${claim(found)} is ${said(found, 'claim_status')}.`,
    SETTLE,
  ),
  'check.device_relatives': error(
    (found) => `${device(found)} is ${said(found, 'status')}; by its PF or VFs it is ${said(found, 'due')}.`,
    SETTLE,
  ),
  'check.pf_and_vf_in_use': byHand(
    (found) =>
      `${device(found)} is a VF of ${said(found, 'parent')}, and both are in use: by ${server(found)} and ${other(found)}.`,
    'Delete one of the two servers, or detach the device from it.',
  ),
  'check.iommu_group_split': byHand(
    (found) =>
      `IOMMU group ${said(found, 'group')} of host ${found.host} is shared by ${server(found)} and ${other(found)}.`,
    'Delete one of the two servers, or detach its devices of the group: the kernel gives a group to one program only.',
  ),
  'check.device_missing': warning(
    (found) => `${device(found)} is ${said(found, 'status')}, but its host does not report it any more.`,
    'The device is removed; it returns with the first report that has it.',
  ),
  'check.device_pending': warning(
    (found) => `${device(found)} is free, but facts of another card at its address wait to be taken over.`,
    'The device takes the facts that were reported last.',
  ),
  'check.device_held_by_agent': warning(
    (found) => `${device(found)} is bound by its agent, as the last report has it, and no allocation has it.`,
    'The agent is asked for a full report; a claim that only its journal has is a finding of its own.',
  ),
  'check.device_rebound': byHand(
    (found) => `${device(found)} belongs to ${server(found)}, but is on ${driverOf(found)}, as the last report has it.`,
    'Find out who took it from vfio-pci; then delete the server, or detach the device.',
  ),
  'check.claim_unwanted': error(
    (found) => `${claim(found)} is ${said(found, 'claim_status')}, but the server is ${serverStatus(found)}.`,
    'The agent is told to give the devices back; they are free when it says so.',
  ),
  'check.delete_stuck': warning(
    (found) => `${claim(found)} is still ${said(found, 'claim_status')}, and the server was to be deleted long ago.`,
    'The agent is told to give the devices back; the server is gone when it says so.',
  ),
  'check.claim_expired': warning(
    (found) => `${claim(found)} should have expired: ${atOf(found, 'expires_at')}.`,
    'The claim expires: its devices are given back, and the server is tried on another host.',
  ),
  'check.release_stuck': warning(
    (found) => `${claim(found)} has been releasing for long; its host is ${said(found, 'host_status')}.`,
    'The agent is told again to give the devices back.',
  ),
  'check.allocation_released_early': error(
    (found) =>
      `${device(found)} was taken from ${claim(found)}, which is ${said(found, 'claim_status')}: its agent never gave it back.`,
    'The claim has the device again, if nobody else has it or a relative.',
  ),
  'check.allocation_outlives_claim': error(
    (found) => `${claim(found)} is released, but still has ${said(found, 'addresses')}.`,
    'The agent is told again to give them back; they are free when it says so.',
  ),
  'check.allocation_server_differs': error(
    (found) => `${device(found)} is allocated to server ${said(found, 'other')}, but ${claim(found)} has it.`,
    'The allocation is given to the server of its claim.',
  ),
  'check.allocation_host_differs': byHand(
    (found) => `${claim(found)} has device ${found.address} of another host, ${said(found, 'other')}.`,
    'Delete the server.',
  ),
  'check.server_host_differs': error(
    (found) =>
      `${server(found)} is said to be on ${text(found.detail['other']) || 'no host'}, but its claim is on ${found.host}.`,
    'The server is put where its claim is.',
  ),
  'check.server_without_claim': error(
    (found) => `${server(found)} is ${serverStatus(found)}, but holds nothing.`,
    'A server that is being prepared is decided on again; one that runs, or a placement, ends in ERROR.',
  ),
  'check.server_claim_status': error(
    (found) => `${server(found)} is ${said(found, 'server_status')}, but its claim is ${said(found, 'claim_status')}.`,
    'A claim that no agent has confirmed is prepared again; the server of one that was confirmed becomes ACTIVE.',
  ),
  'check.delete_finished': warning(
    (found) => `${server(found)} is being deleted, and holds nothing any more.`,
    'The server is deleted.',
  ),
  'check.queue_fields': error(
    (found) => `${server(found)} waits (${serverStatus(found)}), but has no place in the queue, or is on a host.`,
    'It gets the place of somebody who has waited since it was asked for, and no host.',
  ),
  'check.change_lost': warning(
    (found) => `${server(found)} is ${serverStatus(found)}, but nothing is being attached to it or detached.`,
    'The server is at rest again.',
  ),
  'check.group_policy': byHand(
    (found) =>
      `Server group ${text(found.detail['group'])} (${said(found, 'group_id')}, ${said(found, 'policy')}) is broken on ${said(found, 'hosts')}.`,
    'Delete members, and create them again.',
  ),
  'check.group_membership': error(
    (found) =>
      `${server(found)} is counted in group ${text(found.detail['group_id']) || 'none'}, but asked for ${text(found.detail['asked']) || 'none'}.`,
    'The server is counted where it asked to be.',
  ),
  'check.host_oversubscribed': byHand(
    (found) => `Host ${found.host} has given out more than it has: ${overOf(found)}.`,
    'Delete servers there, or raise its ratios; it may have shrunk since they were placed.',
    'warning',
  ),
  'check.host_generation': error(
    (found) =>
      `Host ${found.host} is at generation ${said(found, 'generation')}, but was decided on at ${said(found, 'seen')}.`,
    'The generation is raised above that.',
  ),
  'check.outbox_old': byHand(
    (found) =>
      `${said(found, 'count')} messages for ${said(found, 'queue')} wait since ${text(found.detail['oldest'])}.`,
    'See that a scheduler runs and reaches the broker; they go out by themselves then.',
    'warning',
  ),
  'check.sriov_hold_stale': warning(
    (found) =>
      `${device(found)} is kept from everybody while its VFs are changed, but ${text(found.detail['state']) === '' ? 'nobody wishes that' : `the wish is ${said(found, 'state')}`}.`,
    'The PF and its VFs can be had again.',
  ),
  'check.sriov_pf_gone': byHand(
    (found) => `${said(found, 'vf_count')} VFs are wished of ${found.address} on host ${found.host}, ${pfNow(found)}.`,
    'Put the card back, or forget the wish: `berth sriov unset`.',
    'warning',
  ),
  'check.journal_orphan': error(
    (found) =>
      `The agent of ${found.host} holds ${said(found, 'addresses')} for claim ${found.claim_id}, which is ${text(found.detail['ledger']) === 'released' ? 'released' : text(found.detail['ledger']) === '' ? 'not in the ledger' : 'of another host'}.`,
    'The agent is told to give the devices back.',
  ),
  'check.journal_missing': warning(
    (found) => `${claim(found)} waits for its agent, which does not know of it.`,
    'The agent is told again to prepare it.',
  ),
  'check.journal_lost': error(
    (found) =>
      `${claim(found)} is allocated, but its agent ${text(found.detail['state']) === '' ? 'does not have it' : 'is giving it back'}: ${said(found, 'addresses')}.`,
    'The server has an event; the agent is told again to prepare it. When it cannot, the server ends in ERROR.',
  ),
  'check.journal_devices': byHand(
    (found) =>
      `${claim(found)} has ${said(found, 'held')}, but its agent holds ${said(found, 'addresses')} for server ${found.server_id === found.detail['server_id'] ? 'it' : said(found, 'server_id')}.`,
    'Delete the server: its agent then gives back what it holds.',
  ),
};

/** A finding as it is shown. */
export interface Finding {
  readonly code: CheckCode;
  readonly severity: 'error' | 'warning';
  readonly host: string | null;
  readonly server_id: string | null;
  readonly server: string | null;
  readonly claim_id: string | null;
  readonly device_id: string | null;
  readonly address: string | null;
  readonly problem: string;
  readonly repair: string;
  /** Whether `--repair` does it. */
  readonly automatic: boolean;
}

export function findingOf(found: Found): Finding {
  const { severity, problem, repair, automatic } = WORDS[found.code];
  const { code, host, server_id, server: name, claim_id, device_id, address } = found;
  return {
    ...{ code, severity, host, server_id, server: name, claim_id, device_id, address },
    ...{ problem: problem(found), repair, automatic },
  };
}

export function isAutomatic({ code }: Found): boolean {
  return WORDS[code].automatic;
}

function error(problem: Words['problem'], repair: string): Words {
  return { severity: 'error', problem, repair, automatic: true };
}

function warning(problem: Words['problem'], repair: string): Words {
  return { severity: 'warning', problem, repair, automatic: true };
}

/** Which of several servers has to go is for people to say. */
function byHand(problem: Words['problem'], repair: string, severity: Words['severity'] = 'error'): Words {
  return { severity, problem, repair, automatic: false };
}

function pfNow(found: Found): string {
  if (found.device_id === null) return 'which does not report such a device';
  if (found.detail['is_pf'] === false) return 'which cannot have any';
  return `which was ${said(found, 'wished')} and is ${said(found, 'found')} now`;
}

function device({ address, device_id, host }: Found): string {
  return `Device ${address} of host ${host} (${device_id})`;
}

function server({ server: name, server_id }: Found): string {
  return `Server ${name} (${server_id})`;
}

function claim({ claim_id, server: name, server_id, host }: Found): string {
  return `Claim ${claim_id} of server ${name} (${server_id}) on host ${host}`;
}

function other({ detail }: Found): string {
  return `server ${text(detail['other'])} (${text(detail['other_id'])})`;
}

function serverStatus({ detail }: Found): string {
  return [detail['server_status'], detail['task_state']]
    .map(text)
    .filter((word) => word !== '')
    .join(', ');
}

function driverOf({ detail }: Found): string {
  return text(detail['driver']) || 'no driver';
}

function atOf({ detail }: Found, key: string): string {
  return detail[key] === null ? 'it has no time at all' : text(detail[key]);
}

function overOf({ detail }: Found): string {
  return ['vcpus', 'memory', 'disk'].filter((what) => detail[what] === true).join(', ');
}

function said({ detail }: Found, key: string): string {
  return text(detail[key]) || 'nothing';
}

const LISTED_MAX = 16;

function text(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (!Array.isArray(value)) return typeof value === 'object' ? JSON.stringify(value) : `${value as string | number}`;
  const more = value.length > LISTED_MAX ? ` and ${value.length - LISTED_MAX} more` : '';
  return `${value.slice(0, LISTED_MAX).join(', ')}${more}`;
}
