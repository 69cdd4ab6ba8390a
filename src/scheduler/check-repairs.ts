import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import { readCheckedDevices, takePendingFacts } from '../store/check-devices.store.js';
import type { CheckCode, Found } from '../store/check-found.js';
import * as write from '../store/check-repairs.store.js';
import {
  beginRelease,
  deleteWhenReleased,
  lockClaim,
  readUnreleasedClaims,
  sendRelease,
  type LockedClaim,
} from '../store/claim-outcomes.store.js';
import { sendPrepare } from '../store/claim-rows.store.js';
import type { Tx } from '../store/database.js';
import { mendDeviceStates, readDeviceStates, touchHosts, writeDeviceStates } from '../store/device-states.store.js';
import type { Fault } from '../store/entities/workload.entities.js';
import { addToOutbox } from '../store/outbox.store.js';
import { nudgeServer } from '../store/servers.store.js';
import { endHold } from '../store/sriov-wishes.store.js';
import { statusesDue } from './check-devices.js';

/**
 * `repaired`: done. `begun`: an agent or a scheduler has been told, and does the rest. `refused`: it cannot be done, and nothing
 * was changed.
 */
export type RepairStep = { readonly done: 'repaired' | 'begun' } | { readonly done: 'refused'; readonly why: string };

export interface RepairContext {
  readonly slowMs: number;
  readonly ageingPerMinute: number;
}

type Repair = (tx: Tx, found: Found, context: RepairContext) => Promise<RepairStep>;

const REPAIRED: RepairStep = { done: 'repaired' };
const BEGUN: RepairStep = { done: 'begun' };

/**
 * How each kind is put right. What it is about is locked, and was looked at again, when one of these is called. What has no
 * line here is put right by people; `check.claim_expired` by `ClaimsService`.
 */
export const REPAIRS: Partial<Readonly<Record<CheckCode, Repair>>> = {
  'check.device_without_owner': settleDevices,
  'check.device_not_taken': settleDevices,
  'check.device_claim_status': settleDevices,
  'check.device_relatives': settleDevices,
  'check.device_missing': removeDevice,
  'check.device_pending': takePending,
  'check.device_held_by_agent': askReport,
  'check.claim_unwanted': release,
  'check.delete_stuck': release,
  'check.release_stuck': release,
  'check.allocation_released_early': revive,
  'check.allocation_outlives_claim': releaseAgain,
  'check.allocation_server_differs': async (tx, found) => {
    await write.giveAllocation(tx, idIn(found, 'allocation_id'), found.server_id ?? '');
    return touched(tx, found.host_id);
  },
  'check.server_host_differs': async (tx, found) => {
    await write.moveServer(tx, found.server_id ?? '', found.host_id ?? '');
    return touched(tx, found.host_id, found.detail['other_id'] as string | null);
  },
  'check.server_without_claim': restartOrEnd,
  'check.server_claim_status': followClaim,
  'check.delete_finished': async (tx, found) => {
    await deleteWhenReleased(tx, [found.server_id ?? '']);
    return REPAIRED;
  },
  'check.queue_fields': async (tx, found, { ageingPerMinute }) => {
    await write.mendQueueFields(tx, found.server_id ?? '', ageingPerMinute);
    return REPAIRED;
  },
  'check.change_lost': async (tx, found) => {
    await write.endChange(tx, found.server_id ?? '');
    return touched(tx, found.host_id);
  },
  'check.group_membership': async (tx, found) => {
    await write.setGroup(tx, found.server_id ?? '', found.detail['asked'] as string | null);
    return REPAIRED;
  },
  'check.host_generation': async (tx, found) => {
    const by = Number(found.detail['seen']) + 1 - Number(found.detail['generation']);
    await touchHosts(tx, [{ id: found.host_id ?? '', by }]);
    return REPAIRED;
  },
  'check.sriov_hold_stale': async (tx, found) => {
    await endHold(tx, found.host_id ?? '', found.address ?? '');
    return REPAIRED;
  },
  'check.journal_orphan': releaseOrphan,
  'check.journal_missing': prepareAgain,
  'check.journal_lost': prepareAgain,
};

/** A second host that the repair changes: it is locked with the first. */
export function otherHostOf({ code, detail }: Found): string | null {
  return code === 'check.server_host_differs' ? (detail['other_id'] as string | null) : null;
}

/** All devices of the host: one status follows from the others. */
async function settleDevices(tx: Tx, { host_id: hostId }: Found, { slowMs }: RepairContext): Promise<RepairStep> {
  await settleHost(tx, hostId ?? '', slowMs);
  return REPAIRED;
}

async function settleHost(tx: Tx, hostId: string, slowMs: number): Promise<void> {
  const devices = await readCheckedDevices(tx, [hostId], slowMs);
  const due = statusesDue(devices);
  const mended = devices.flatMap(({ id, address, status: from }) => {
    const to = due.get(id);
    return to === undefined ? [] : [{ device_id: id, host_id: hostId, address, from, to }];
  });
  await mendDeviceStates(tx, mended);
  await touchHosts(tx, [{ id: hostId, by: 1 }]);
}

async function removeDevice(tx: Tx, found: Found): Promise<RepairStep> {
  const hostId = found.host_id ?? '';
  const states = await readDeviceStates(tx, [hostId]);
  states.get(hostId)?.apply('remove', found.address ?? '', null);
  await writeDeviceStates(tx, states.values());
  await takePendingFacts(tx, found.device_id ?? '');
  return touched(tx, hostId);
}

async function takePending(tx: Tx, found: Found, context: RepairContext): Promise<RepairStep> {
  await takePendingFacts(tx, found.device_id ?? '');
  return settleDevices(tx, found, context);
}

async function askReport(tx: Tx, { host }: Found): Promise<RepairStep> {
  const message = envelope('report.request', { reason: 'a check found a device bound for nobody' });
  await addToOutbox(tx, [{ queue: agentQueue(host ?? ''), message }]);
  return BEGUN;
}

async function release(tx: Tx, found: Found): Promise<RepairStep> {
  const claim = await claimOf(tx, found);
  if (claim.status === 'releasing') await sendRelease(tx, claim);
  else await beginRelease(tx, claim);
  return BEGUN;
}

async function releaseAgain(tx: Tx, found: Found, { slowMs }: RepairContext): Promise<RepairStep> {
  const claim = await claimOf(tx, found);
  await write.reopenRelease(tx, claim.id);
  await settleHost(tx, claim.hostId, slowMs); // what is not in use could not be freed
  await sendRelease(tx, claim);
  return BEGUN;
}

async function revive(tx: Tx, found: Found, { slowMs }: RepairContext): Promise<RepairStep> {
  const hostId = found.host_id ?? '';
  const relative = (await readCheckedDevices(tx, [hostId], slowMs)).find((device) => isRelativeInUse(device, found));
  if (relative)
    return { done: 'refused', why: `${relative.address}, a relative of ${found.address}, is in use by now` };
  if (!(await write.reviveAllocation(tx, idIn(found, 'allocation_id')))) {
    return { done: 'refused', why: `somebody else has ${found.address} by now` };
  }
  await settleHost(tx, hostId, slowMs);
  return REPAIRED;
}

type Related = Pick<
  Awaited<ReturnType<typeof readCheckedDevices>>[number],
  'id' | 'address' | 'parent_address' | 'claim_id'
>;

function isRelativeInUse(device: Related, found: Found): boolean {
  if (device.claim_id === null || device.claim_id === found.claim_id) return false;
  return device.parent_address === found.address || device.address === found.detail['parent_address'];
}

const NOTHING_HELD: Fault = {
  code: 'server.claim_lost',
  message: 'A check found that the server holds nothing any more.',
  details: {},
};

/** What was attached goes with what the server was placed with. */
async function restartOrEnd(tx: Tx, found: Found): Promise<RepairStep> {
  const serverId = found.server_id ?? '';
  for (const id of await readUnreleasedClaims(tx, serverId)) {
    const claim = await lockClaim(tx, id);
    if (claim?.status === 'claimed' || claim?.status === 'allocated') await beginRelease(tx, claim);
  }
  if ((await write.restartOrEnd(tx, serverId, NOTHING_HELD)) === 'ended') return REPAIRED;
  await nudgeServer(tx, serverId);
  return BEGUN;
}

async function followClaim(tx: Tx, found: Found): Promise<RepairStep> {
  const serverId = found.server_id ?? '';
  if (found.detail['claim_status'] === 'allocated') {
    await write.setActive(tx, serverId);
    return touched(tx, found.host_id);
  }
  await write.setPreparing(tx, serverId);
  await sendPrepare(tx, [found.claim_id ?? '']);
  await touched(tx, found.host_id);
  return BEGUN;
}

/** The ledger may not know the claim at all. */
async function releaseOrphan(tx: Tx, found: Found): Promise<RepairStep> {
  const body = { claim_id: found.claim_id ?? '', server_id: idIn(found, 'server_id') };
  await addToOutbox(tx, [{ queue: agentQueue(found.host ?? ''), message: envelope('devices.release', body) }]);
  return BEGUN;
}

async function prepareAgain(tx: Tx, found: Found): Promise<RepairStep> {
  await sendPrepare(tx, [found.claim_id ?? '']);
  return BEGUN;
}

async function claimOf(tx: Tx, { claim_id: claimId }: Found): Promise<LockedClaim> {
  const claim = await lockClaim(tx, claimId ?? '');
  if (!claim) throw new Error(`claim ${claimId} is gone`);
  return claim;
}

async function touched(tx: Tx, ...hostIds: readonly (string | null)[]): Promise<RepairStep> {
  await touchHosts(
    tx,
    hostIds.flatMap((id) => (id === null ? [] : [{ id, by: 1 }])),
  );
  return REPAIRED;
}

function idIn({ detail }: Found, key: string): string {
  return detail[key] as string;
}

/**
 * Locks what a finding of a journal is about, and looks whether the ledger still has it so; what the journal says may have changed
 * as well, but the commands are idempotent.
 */
export async function isJournalStillOff(tx: Tx, { code, claim_id: claimId, host_id: hostId }: Found): Promise<boolean> {
  const claim = await lockClaim(tx, claimId ?? '');
  if (code === 'check.journal_missing') return claim?.status === 'claimed';
  if (code === 'check.journal_lost') return claim?.status === 'allocated';
  return claim === null || claim.status === 'released' || claim.hostId !== hostId;
}
