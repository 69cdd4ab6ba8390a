import type { DevicesPrepared, DevicesReleased, PrepareFailed } from '../messages/bodies.js';
import { noteLife, presentEpoch } from '../store/agent-lives.store.js';
import { sendRelease, type LockedClaim } from '../store/claim-outcomes.store.js';
import { sendPrepare } from '../store/claim-rows.store.js';
import type { Tx } from '../store/database.js';

type Outcome = DevicesPrepared | PrepareFailed | DevicesReleased;

/**
 * What a former life of an agent said is no word about now: the machine may have booted since, or be another one. The command is sent
 * again, and the present life answers it for itself. So is a command that the agent refused because it was for another installation
 * of the host, as long as the claim waits for it. Neither costs the server an attempt.
 *
 * @returns whether that is all that comes of the outcome
 */
export async function askedAgain(tx: Tx, claim: LockedClaim, outcome: Outcome): Promise<boolean> {
  const isStale = outcome.epoch < (await presentEpoch(tx, outcome.host));
  const incarnation = 'incarnation' in outcome ? outcome.incarnation : undefined;
  const isRefused = 'code' in outcome && outcome.code === 'command.stale' && incarnation !== undefined;
  if (!isStale && !isRefused) return false;
  if (isRefused && !isStale) await noteLife(tx, { host: outcome.host, epoch: outcome.epoch, incarnation });
  if (claim.status === 'claimed') await sendPrepare(tx, [claim.id]);
  if (claim.status === 'releasing') await sendRelease(tx, claim);
  return true;
}
