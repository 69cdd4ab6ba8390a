import { Injectable, Logger } from '@nestjs/common';
import { BatchIntake } from '../batches/batch-intake.js';
import type {
  AgentHolds,
  AgentOutcome,
  DevicesPrepared,
  DevicesReleased,
  PrepareFailed,
  ReleasedDevice,
} from '../messages/bodies.js';
import type { DevicesCleaned } from '../messages/device-bodies.js';
import type { GuestActed, GuestEnded } from '../messages/server-bodies.js';
import { messageOf } from '../errors.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { finishCleaning } from '../store/cleaning.store.js';
import { failAttach } from '../store/attach.store.js';
import {
  beginRelease,
  confirmClaims,
  deleteWhenReleased,
  finishRelease,
  finishReleases,
  lockClaim,
  lockClaims,
  loseDevices,
  readUnreleasedClaims,
  sendRelease,
  tryElsewhere,
  type LockedClaim,
} from '../store/claim-outcomes.store.js';
import { readPresentEpochs } from '../store/agent-lives.store.js';
import type { Tx } from '../store/database.js';
import { takeGuestAnswer } from '../store/guest-orders.store.js';
import { addGuestEnd } from '../store/guests.store.js';
import { addServerEvents } from '../store/server-events.store.js';
import type { Fault } from '../store/entities/workload.entities.js';
import { Ledger } from '../store/ledger.js';
import { addToOutbox } from '../store/outbox.store.js';
import { settleHeld } from './held-claims.js';
import { askedAgain } from './stale-outcomes.js';

/** Outcomes that come within so many milliseconds are written together, so many at most. No caller waits; a batch has the same statements at any size. */
const BATCH_DELAY_MS = 50;
const BATCH_SIZE_MAX = 512;

/** Carries claims on when their agent answers, when it does not, and when their server is deleted. Every step is idempotent. */
@Injectable()
export class ClaimsService {
  private readonly log = new Logger(ClaimsService.name);
  private readonly intake = new BatchIntake<AgentOutcome, unknown>((outcomes) => this.takeTogether(outcomes), {
    sizeMax: BATCH_SIZE_MAX,
    delayMs: BATCH_DELAY_MS,
  });

  constructor(
    private readonly ledger: Ledger,
    private readonly settings: SchedulerSettings,
  ) {}

  /** Resolves when what the agent has done is in the ledger. */
  async take(outcome: AgentOutcome): Promise<void> {
    const problem = await this.intake.add(outcome);
    if (problem !== null) throw problem;
  }

  /** A guest that the agent had started has ended by itself. The server keeps its devices until somebody deletes it. */
  guestEnded(end: GuestEnded): Promise<void> {
    const message = `Host ${end.host}: the guest has ended by itself at ${end.since}: ${end.message}`;
    return this.ledger.transaction((tx) => addGuestEnd(tx, { ...end, message }));
  }

  /** An agent has done something with a guest, or could not. */
  async guestActed(outcome: GuestActed): Promise<void> {
    const { problem, ...line } = outcome;
    if (problem !== null) this.log.warn({ ...line, message: 'a guest could not be acted on', problem });
    await this.ledger.transaction((tx) => takeGuestAnswer(tx, outcome));
  }

  /** Most outcomes are as awaited, and these are written in one transaction. @returns for each what went wrong, or null */
  private async takeTogether(outcomes: readonly AgentOutcome[]): Promise<unknown[]> {
    const taken = outcomes.length === 1 ? new Set<AgentOutcome>() : await this.takeAwaited(outcomes);
    const problems: unknown[] = [];
    for (const outcome of outcomes) {
      problems.push(taken.has(outcome) ? null : await this.takeAlone(outcome).then(() => null, asProblem));
    }
    return problems;
  }

  /** @returns those that are written; when something is wrong with one, none are: then each is taken alone */
  private async takeAwaited(outcomes: readonly AgentOutcome[]): Promise<ReadonlySet<AgentOutcome>> {
    const byClaim = new Map<string, AgentOutcome[]>();
    for (const outcome of outcomes) {
      const id = claimIdOf(outcome);
      byClaim.set(id, [...(byClaim.get(id) ?? []), outcome]);
    }
    const single = [...byClaim].flatMap(([id, [outcome, ...others]]) =>
      outcome && others.length === 0 && !outcome.prepare_failed ? [[id, outcome] as const] : [],
    );
    try {
      return await this.ledger.transaction(async (tx) => {
        const claims = new Map(
          (
            await lockClaims(
              tx,
              single.map(([id]) => id),
            )
          ).map((claim) => [claim.id, claim]),
        );
        const epochs = await readPresentEpochs(
          tx,
          single.map(([, outcome]) => hostOf(outcome)),
        );
        const known = single.flatMap(([id, outcome]) => {
          const claim = claims.get(id);
          const isPresent = epochOf(outcome) >= (epochs.get(hostOf(outcome)) ?? 0);
          return claim?.hostName === hostOf(outcome) && isPresent ? [{ claim, outcome }] : [];
        });
        const confirmed = known.filter(({ claim, outcome }) => outcome.prepared && isExpected(claim));
        const released = known.filter(
          ({ claim, outcome }) =>
            claim.status === 'releasing' && outcome.released && notRestored(outcome.released).length === 0,
        );
        await confirmClaims(
          tx,
          confirmed.map(({ claim, outcome }) => ({
            claim,
            bindings: outcome.prepared?.bindings ?? [],
            epoch: epochOf(outcome),
          })),
        );
        await finishReleases(
          tx,
          released.map(({ claim }) => claim),
          new Map(released.map(({ claim, outcome }) => [claim.id, outcome.released?.devices ?? []])),
        );
        const settled = known.filter(({ claim, outcome }) => isSettled(claim, outcome));
        return new Set([...confirmed, ...released, ...settled].map(({ outcome }) => outcome));
      });
    } catch (error) {
      this.log.warn({ message: 'outcomes are taken one by one', problem: messageOf(error) });
      return new Set();
    }
  }

  private async takeAlone({ prepared, prepare_failed, released }: AgentOutcome): Promise<void> {
    if (prepared) await this.prepared(prepared);
    if (prepare_failed) await this.prepareFailed(prepare_failed);
    if (released) await this.released(released);
  }

  async prepared(outcome: DevicesPrepared): Promise<void> {
    await this.ledger.transaction(async (tx) => {
      const claim = await lockClaimOf(tx, outcome);
      if (claim && isSettled(claim, { prepared: outcome })) return;
      if (claim && (await askedAgain(tx, claim, outcome))) return;
      if (claim && isExpected(claim)) {
        await confirmClaims(tx, [{ claim, bindings: outcome.bindings, epoch: outcome.epoch }]);
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
      const claim = await lockClaimOf(tx, outcome);
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
      const claim = await lockClaimOf(tx, outcome);
      if (claim && (await askedAgain(tx, claim, outcome))) return;
      if (claim?.status !== 'releasing') return;
      await tellNotRestored(tx, claim, outcome);
      await finishRelease(tx, claim, outcome.devices);
    });
    this.log.log({ message: 'released', host: outcome.host, server_id: outcome.server_id, claim_id: outcome.claim_id });
  }

  /** An agent has said what became of a cleaning. */
  async cleaned(outcome: DevicesCleaned): Promise<void> {
    const isFree = await this.ledger.transaction((tx) => finishCleaning(tx, outcome));
    const { host, address, outcome: became, reason } = outcome;
    const line = { message: isFree ? 'cleaned' : `cleaning ${became}`, host, address, reason };
    if (became === 'failed' || became === 'unknown') this.log.warn(line);
    else this.log.log(line);
  }

  /** An agent has said what it holds. */
  holds(told: AgentHolds): Promise<void> {
    return settleHeld(told, this.ledger);
  }

  /** A server was deleted: everything that it holds is given back; it is gone when that is done. */
  async serverDeleted(serverId: string): Promise<void> {
    const claimIds = await readUnreleasedClaims(this.ledger.pool, serverId);
    await this.ledger.transaction((tx) => deleteWhenReleased(tx, [serverId]));
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

function claimIdOf(outcome: AgentOutcome): string {
  return inside(outcome)?.claim_id ?? '';
}

/** Locks the claim that an agent speaks of; null when it is none of its host's: about others' it has nothing to say. */
async function lockClaimOf(
  tx: Tx,
  { claim_id, host }: { readonly claim_id: string; readonly host: string },
): Promise<LockedClaim | null> {
  const claim = await lockClaim(tx, claim_id);
  return claim?.hostName === host ? claim : null;
}

function hostOf(outcome: AgentOutcome): string {
  return inside(outcome)?.host ?? '';
}

function epochOf(outcome: AgentOutcome): number {
  return inside(outcome)?.epoch ?? 0;
}

function inside({ prepared, prepare_failed, released }: AgentOutcome) {
  return prepared ?? prepare_failed ?? released;
}

function asProblem(error: unknown): unknown {
  return error ?? new Error('failed');
}

/**
 * There is nothing to do for it any more. That of a claim which is being given back least of all: its release was sent after its
 * prepare, and is sent again until it is answered.
 */
function isSettled({ status }: LockedClaim, { prepared, released }: AgentOutcome): boolean {
  if (prepared) return status === 'allocated' || status === 'releasing';
  return released !== undefined && status === 'released';
}

/** Devices that are at their host, and not with the driver that they had. */
function notRestored({ devices }: DevicesReleased): readonly ReleasedDevice[] {
  return devices.filter(({ outcome }) => outcome === 'driverless' || outcome === 'restored-other-driver');
}

/** The history of the server is where its bindings are told; the device itself shows what is still wrong with it. */
async function tellNotRestored(tx: Tx, claim: LockedClaim, outcome: DevicesReleased): Promise<void> {
  if (claim.serverKind !== 'server') return;
  const events = notRestored(outcome).map(({ address, outcome: end, driver, step, errno, remedy }) => {
    const at = [step, errno].filter((word) => word !== undefined).join(', ');
    const now = driver === null ? end : `${end} ${driver}`;
    const what = `Host ${claim.hostName}: ${address} ${now}${at === '' ? '' : ` (${at})`}`;
    return { serverId: claim.serverId, event: 'released', message: remedy === undefined ? what : `${what}: ${remedy}` };
  });
  await addServerEvents(tx, events);
}

/** The claim waits for just this. */
function isExpected(claim: LockedClaim): boolean {
  return claim.status === 'claimed' && isAwaited(claim);
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
