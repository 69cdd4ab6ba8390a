import { Injectable, Logger } from '@nestjs/common';
import type { AgentHolds, DevicesPrepared, DevicesReleased, PrepareFailed } from '../messages/bodies.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { failAttach } from '../store/attach.store.js';
import {
  beginRelease,
  confirmClaim,
  deleteWhenReleased,
  finishRelease,
  lockClaim,
  loseDevices,
  readUnreleasedClaims,
  sendRelease,
  tryElsewhere,
  type LockedClaim,
} from '../store/claim-outcomes.store.js';
import { noteClaimEpoch } from '../store/agent-lives.store.js';
import type { Tx } from '../store/database.js';
import type { Fault } from '../store/entities/workload.entities.js';
import { Ledger } from '../store/ledger.js';
import { addToOutbox } from '../store/outbox.store.js';
import { settleHeld } from './held-claims.js';
import { askedAgain } from './stale-outcomes.js';

/** Carries claims on when their agent answers, when it does not, and when their server is deleted. Every step is idempotent. */
@Injectable()
export class ClaimsService {
  private readonly log = new Logger(ClaimsService.name);

  constructor(
    private readonly ledger: Ledger,
    private readonly settings: SchedulerSettings,
  ) {}

  async prepared(outcome: DevicesPrepared): Promise<void> {
    await this.ledger.transaction(async (tx) => {
      const claim = await lockClaim(tx, outcome.claim_id);
      if (claim?.status === 'allocated') return;
      if (claim && (await askedAgain(tx, claim, outcome))) return;
      if (claim?.status === 'claimed' && isAwaited(claim)) {
        await confirmClaim(tx, claim, outcome.bindings);
        await noteClaimEpoch(tx, claim.id, outcome.epoch);
      } else if (claim?.status === 'claimed') {
        await beginRelease(tx, claim);
      } else {
        // the claim was given up meanwhile, but the agent has bound the devices: it must not keep them
        await releaseAgain(tx, outcome);
      }
    });
    this.log.log({ message: 'prepared', host: outcome.host, server_id: outcome.server_id, claim_id: outcome.claim_id });
  }

  /**
   * The agent has undone what it did for the claim. Only of a claim that still waits is this the end: the release of one
   * that was given up meanwhile has an answer of its own, and its server may wait for another host by now.
   */
  async prepareFailed(outcome: PrepareFailed): Promise<void> {
    this.log.warn({ ...outcome, message: 'prepare failed', problem: outcome.message });
    await this.ledger.transaction(async (tx) => {
      const claim = await lockClaim(tx, outcome.claim_id);
      if (claim && (await askedAgain(tx, claim, outcome))) return;
      if (claim?.status === 'claimed') {
        await finishRelease(tx, claim);
        if (claim.kind === 'attach') await failAttach(tx, claim, faultOf(outcome));
        else await tryElsewhere(tx, claim, faultOf(outcome), this.settings.attemptsMax);
      } else if (claim?.status === 'allocated') {
        // the command came twice (a crash before its acknowledgement), and the second time the devices were not there
        await beginRelease(tx, claim);
        if (claim.kind === 'attach') await failAttach(tx, claim, faultOf(outcome));
        else await loseServer(tx, claim, faultOf(outcome));
      }
    });
  }

  async released(outcome: DevicesReleased): Promise<void> {
    await this.ledger.transaction(async (tx) => {
      const claim = await lockClaim(tx, outcome.claim_id);
      if (claim && (await askedAgain(tx, claim, outcome))) return;
      if (claim?.status === 'releasing') await finishRelease(tx, claim);
    });
    this.log.log({ message: 'released', host: outcome.host, server_id: outcome.server_id, claim_id: outcome.claim_id });
  }

  /** An agent has said what it holds. */
  holds(told: AgentHolds): Promise<void> {
    return settleHeld(told, this.ledger);
  }

  /** A server was deleted: everything that it holds is given back; it is gone when that is done. */
  async serverDeleted(serverId: string): Promise<void> {
    const claimIds = await readUnreleasedClaims(this.ledger.pool, serverId);
    await this.ledger.transaction((tx) => deleteWhenReleased(tx, serverId));
    for (const claimId of claimIds) {
      await this.ledger.transaction(async (tx) => {
        const claim = await lockClaim(tx, claimId);
        if (claim?.serverStatus === 'DELETING' && isLive(claim)) await beginRelease(tx, claim);
      });
    }
  }

  /** The agent did not answer in time: the server is tried elsewhere; the devices stay taken until the agent gives them back. */
  async expire(claimId: string): Promise<void> {
    await this.ledger.transaction(async (tx) => {
      const claim = await lockClaim(tx, claimId);
      if (claim?.status !== 'claimed') return;
      await beginRelease(tx, claim);
      const seconds = Math.round(this.settings.claimTimeoutMs / 1000);
      const message = `The agent of host ${claim.hostName} did not prepare the devices within ${seconds} s.`;
      const fault: Fault = { code: 'claim.expired', message, details: {} };
      if (claim.kind === 'attach') await failAttach(tx, claim, fault);
      else await tryElsewhere(tx, claim, fault, this.settings.attemptsMax);
      this.log.warn({ message: 'claim expired', host: claim.hostName, server_id: claim.serverId, claim_id: claimId });
    });
  }

  /** Asks again for a release that nobody has answered yet. */
  async remindRelease(claimId: string): Promise<void> {
    await this.ledger.transaction(async (tx) => {
      const claim = await lockClaim(tx, claimId);
      if (claim?.status === 'releasing') await sendRelease(tx, claim);
    });
  }
}

/** The server is still where the devices were to make it. */
function isAwaited({ kind, serverStatus, taskState }: LockedClaim): boolean {
  return kind === 'attach' ? serverStatus === 'ACTIVE' && taskState === 'attaching' : serverStatus === 'BUILD';
}

function isLive(claim: LockedClaim): boolean {
  return claim.status === 'claimed' || claim.status === 'allocated';
}

/** The server has nothing any more: what was attached to it goes with what it was placed with. */
async function loseServer(tx: Tx, claim: LockedClaim, fault: Fault): Promise<void> {
  await loseDevices(tx, claim, fault);
  for (const id of await readUnreleasedClaims(tx, claim.serverId)) {
    const other = await lockClaim(tx, id);
    if (other?.kind === 'attach' && isLive(other)) await beginRelease(tx, other);
  }
}

function faultOf({ code, message, address, step, errno, host }: PrepareFailed): Fault {
  const where = address === null ? '' : ` ${address}`;
  return { code, message: `Preparing${where} failed: ${message}`, details: { address, step, errno, host } };
}

async function releaseAgain(tx: Tx, outcome: DevicesPrepared): Promise<void> {
  const body = { claim_id: outcome.claim_id, server_id: outcome.server_id };
  await addToOutbox(tx, [{ queue: agentQueue(outcome.host), message: envelope('devices.release', body) }]);
}
