import type { Bus } from '../bus/bus.js';
import { messageOf } from '../errors.js';
import type { SetDeviceClaims } from '../messages/device-claim-bodies.js';
import type { AgentCommand, PrepareDevices, ReleaseDevices, RequestJournal } from '../messages/bodies.js';
import { envelope, type Envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import { type ActOnGuest, GUEST_MESSAGE_MAX } from '../messages/server-bodies.js';
import type { SetSriov } from '../messages/sriov-bodies.js';
import type { Aftercare } from './aftercare.js';
import { BindingError } from './binding-error.js';
import { BlockedWork } from './blocked-work.js';
import type { Guests } from './compute-driver/guests.js';
import type { DeviceClaimKeeper } from './device-claim-keeper.js';
import type { ClaimRecord } from './journal-state.js';
import { KeyedQueue } from './keyed-queue.js';
import { OutcomeSender } from './outcome-sender.js';
import type { SriovKeeper } from './sriov-keeper.js';
import { isBound, prepareDevices, releaseDevices, type BinderHost } from './vfio-binder.js';

export interface CommandContext {
  readonly host: string;
  readonly epoch: number;
  readonly readOnly: boolean;
  readonly bus: Bus;
  readonly binder: BinderHost;
  /** What is done with devices after a server had them; left out: nothing. */
  readonly care?: Aftercare;
  /** Have the configuration files read again, and report; null: this agent has none of its own. */
  readonly reload: (() => Promise<void>) | null;
  /** Ask for a full report; resolves when it is sent. */
  readonly reportFully: () => Promise<void>;
  /** null: this agent keeps no VFs. */
  readonly sriov?: Pick<SriovKeeper, 'take'> | null;
  /** null: this agent keeps no devices bound ahead of use. */
  readonly deviceClaims?: Pick<DeviceClaimKeeper, 'take'> | null;
  /** null: this agent runs no guests. */
  readonly guests?: Pick<Guests, 'act'> | null;
  /** Shared with whoever else works on devices; left out: one of its own. */
  readonly queue?: KeyedQueue;
  /** Drivers have changed: look again soon. */
  readonly lookAgain: () => void;
}

/**
 * Carries out the centre's commands. Every command is answered before it is acknowledged, and every one may come again:
 * a crash between the two only makes the answer come twice. One whose device is blocked is acknowledged, and answered when it has ended.
 *
 * What a crash leaves half done is finished at the next start, without the centre: no device stays without a driver because the
 * broker is away. A claim that the centre has given up meanwhile is undone by its release, which comes when the broker does.
 */
export class CommandConsumer {
  private readonly work: BlockedWork;
  /** Devices of claims whose prepare is under way, which the journal may not know yet. */
  private readonly preparing = new Map<string, readonly string[]>();

  private readonly outcomes: OutcomeSender;

  constructor(private readonly context: CommandContext) {
    const { bus, binder, lookAgain } = context;
    this.outcomes = new OutcomeSender(bus);
    this.work = new BlockedWork(context.queue ?? new KeyedQueue(), binder.problems, binder.log);
    binder.problems.listen(lookAgain);
  }

  /** Begins to finish what a crash or a reboot interrupted; does not wait for it, as a device may still be held open. */
  resume(): void {
    const { binder, readOnly } = this.context;
    if (readOnly) return;
    this.context.care?.resume();
    for (const claim of binder.journal.claims()) {
      const isLeft = claim.state === 'releasing' || claim.state === 'preparing' || !isBound(binder, claim);
      if (!isLeft) continue;
      const resumed = claim.state === 'releasing' ? this.releaseAgain(claim) : this.prepareAgain(claim);
      void resumed.catch((error: unknown) =>
        binder.log('error', 'What was interrupted could not be finished', { ...claim, problem: messageOf(error) }),
      );
    }
  }

  private async releaseAgain({ claimId, serverId, devices }: ClaimRecord): Promise<void> {
    const addresses = devices.map(({ address }) => address);
    const keys = this.keysOf(claimId);
    const run = async (): Promise<void> => {
      if (!this.context.binder.journal.claim(claimId)) return;
      await this.releaseAndAnswer({ claim_id: claimId, server_id: serverId });
    };
    await this.work.run({ what: 'release', claimId, addresses, keys, run });
    this.context.lookAgain();
  }

  /** The server wants its devices back, or has not got them yet: the driver that a device had may be gone from it already. */
  private async prepareAgain({ claimId, serverId, devices, state }: ClaimRecord): Promise<void> {
    const { binder, lookAgain } = this.context;
    const targets = devices.map(({ address, vendorId, productId }) => ({
      ...{ address, vendor_id: vendorId, product_id: productId },
    }));
    const run = async (): Promise<void> => {
      if (binder.journal.claim(claimId)?.state !== state) return;
      const answer = await this.prepared({ claim_id: claimId, server_id: serverId, devices: targets });
      binder.log('warn', 'A claim was not bound, or not any more', { claimId, serverId, outcome: answer.type });
      // What was prepared before is the centre's knowledge already.
      if (answer.type === 'devices.prepare_failed' || state === 'preparing') await this.answer(answer);
    };
    const addresses = devices.map(({ address }) => address);
    await this.work.run({ what: 'prepare', claimId, addresses, keys: this.keysOf(claimId), run });
    lookAgain();
  }

  /** Throws only when the command should come again. */
  async handle(message: Envelope): Promise<void> {
    switch (message.type) {
      case 'devices.prepare':
        return this.prepare(message.body);
      case 'devices.release':
        return this.release(message.body);
      case 'agent.commands':
        return this.carryOut(message.body.commands);
      case 'report.request':
        await Promise.all([this.tellHeld(), this.context.reportFully()]);
        return;
      case 'agent.reload':
        return this.context.reload ? this.context.reload() : this.context.reportFully();
      case 'journal.request':
        return this.tellJournal(message.body);
      case 'cleaning.request':
        return this.tellCleaning(message.body.claim_id, message.body.address);
      case 'sriov.set':
        return this.setVfs(message.body);
      case 'device_claims.set':
        return this.setDeviceClaims(message.body);
      case 'guest.act':
        // A guest may take its time to end, and other commands must not wait for it; what a crash loses is asked again.
        void this.actOnGuest(message.body).catch((error: unknown) =>
          this.context.binder.log('error', 'A guest could not be acted on', {
            ...message.body,
            problem: messageOf(error),
          }),
        );
        return;
      default:
        this.context.binder.log('warn', 'A message that is no command was dropped', { type: message.type });
    }
  }

  /** What came of it is in the report, with the VFs that there are then. */
  private async setVfs(order: SetSriov): Promise<void> {
    await this.context.sriov?.take(order);
    await this.context.reportFully();
  }

  private async setDeviceClaims(order: SetDeviceClaims): Promise<void> {
    await this.context.deviceClaims?.take(order);
    await this.context.reportFully();
  }

  private async actOnGuest(order: ActOnGuest): Promise<void> {
    const { host, epoch, bus, guests } = this.context;
    const problem = (await guests?.act(order)) ?? null;
    const { server_id, order: number } = order;
    const acted = { host, epoch, server_id, order: number, problem: problem?.slice(0, GUEST_MESSAGE_MAX) ?? null };
    await bus.publish(QUEUES.outcomes, envelope('guest.acted', acted));
  }

  /** All of them are carried out, whatever becomes of the others; when one has to come again, they all do. */
  private async carryOut(commands: readonly AgentCommand[]): Promise<void> {
    const ends = await Promise.allSettled(
      commands.map(async ({ prepare, release }) => {
        if (prepare) await this.prepare(prepare);
        if (release) await this.release(release);
      }),
    );
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  }

  private async prepare(order: PrepareDevices): Promise<void> {
    const { claim_id: claimId } = order;
    const addresses = order.devices.map((device) => device.address);
    const refusal = this.blockedByAnother(order, addresses);
    if (refusal) return this.refuse(order, refusal);
    this.preparing.set(claimId, addresses);
    const run = async (): Promise<void> => {
      try {
        await this.prepareAndAnswer(order);
      } finally {
        this.preparing.delete(claimId);
      }
    };
    await this.work.run({ what: 'prepare', claimId, addresses, keys: [claimId, ...addresses], run });
    this.context.lookAgain();
  }

  /** Another claim's device that hangs is not waited for: there are other hosts. */
  private blockedByAnother({ claim_id: claimId }: PrepareDevices, addresses: readonly string[]): BindingError | null {
    const { journal, problems } = this.context.binder;
    const problem = problems.blocked(claimId, addresses);
    if (!problem || problem.claimId === claimId || journal.claim(claimId)) return null;
    const { address, step, heldBy, remedy } = problem;
    const who = heldBy === null ? '' : `, held by ${heldBy}`;
    const message = `${address}: claim ${problem.claimId} still has it, blocked at ${step}${who}; ${remedy}`;
    return new BindingError('binding.refused', message, { address, step: 'check' });
  }

  private async refuse(order: PrepareDevices, refusal: BindingError): Promise<void> {
    await this.context.binder.journal.beginRelease(order.claim_id, order.claim_number);
    await this.answer(this.failed(order, refusal));
  }

  private async prepareAndAnswer(order: PrepareDevices): Promise<void> {
    const answer = await this.prepared(order);
    await this.answer(answer);
    const { log } = this.context.binder;
    const fields = { host: this.context.host, claimId: order.claim_id, serverId: order.server_id };
    if (answer.type === 'devices.prepared') log('info', 'Devices are prepared', fields);
    else log('warn', 'Devices could not be prepared', { ...fields, problem: answer.body.message });
  }

  private answer(answer: Envelope<'devices.prepared' | 'devices.prepare_failed'>): Promise<void> {
    return this.outcomes.send(
      answer.type === 'devices.prepared' ? { prepared: answer.body } : { prepare_failed: answer.body },
    );
  }

  private async prepared(order: PrepareDevices): Promise<Envelope<'devices.prepared' | 'devices.prepare_failed'>> {
    try {
      this.assertMayBind();
      this.assertForUs(order);
      const {
        claim_id: claimId,
        server_id: serverId,
        devices: targets,
        claim_number: number = 0,
        adopt,
        server,
      } = order;
      const asked = { claimId, serverId, targets, number, adopt: adopt === true, ...(server && { server }) };
      const bindings = await prepareDevices(this.context.binder, asked);
      return envelope('devices.prepared', { ...this.signature(order), bindings });
    } catch (error) {
      // Anything else is a fault of the agent (its disk, a bug): the command comes again.
      if (!(error instanceof BindingError)) throw error;
      return this.failed(order, error);
    }
  }

  private failed(order: PrepareDevices, error: BindingError): Envelope<'devices.prepare_failed'> {
    return envelope('devices.prepare_failed', {
      ...this.signature(order),
      code: error.code,
      message: error.message.slice(0, 2000),
      address: error.address,
      step: error.step,
      errno: error.errno,
      ...(error.code === 'command.stale' && { incarnation: this.context.binder.journal.incarnation as string }),
    });
  }

  private async release(order: ReleaseDevices): Promise<void> {
    const { claim_id: claimId } = order;
    const split = order.split_from ?? null;
    const whole = split === null ? [] : [split.claim_id, ...split.addresses];
    const keys = [...this.keysOf(claimId), ...whole];
    const addresses = keys.filter((key) => key !== claimId && key !== split?.claim_id);
    const run = async (): Promise<void> => {
      const { binder } = this.context;
      if (split) await binder.journal.split(split.claim_id, claimId, split.addresses);
      if (binder.journal.claim(claimId)) this.assertMayBind();
      await this.releaseAndAnswer(order);
    };
    await this.work.run({ what: 'release', claimId, addresses, keys, run });
    this.context.lookAgain();
  }

  private async releaseAndAnswer(order: ReleaseDevices): Promise<void> {
    const { binder, host } = this.context;
    const released = await releaseDevices(binder, order.claim_id, order.claim_number);
    const devices = this.context.care?.told(order.claim_id, released) ?? released;
    await this.outcomes.send({ released: { ...this.signature(order), devices } });
    this.context.care?.begin(order.claim_id);
    const outcomes = devices.map(({ address, outcome }) => `${address} ${outcome}`);
    binder.log('info', 'Devices are released', { host, claimId: order.claim_id, outcomes });
  }

  /** Not behind the commands under way: one that waits for a device is what somebody may be looking for. */
  private tellJournal({ asked_at }: RequestJournal): Promise<void> {
    const { host, epoch, binder, bus } = this.context;
    const claims = binder.journal.claims().map(({ claimId, serverId, state, devices }) => {
      return { claim_id: claimId, server_id: serverId, state, addresses: devices.map(({ address }) => address) };
    });
    return bus.publish(QUEUES.outcomes, envelope('agent.journal', { host, epoch, asked_at, claims }));
  }

  /** What became of the cleaning of a device after a claim. */
  async tellCleaning(claimId: string, address: string): Promise<void> {
    const record = this.context.care?.asked(claimId, address) ?? null;
    await this.context.bus.publish(
      QUEUES.outcomes,
      envelope('devices.cleaned', {
        ...{ host: this.context.host, epoch: this.context.epoch, claim_id: claimId, address },
        outcome: record?.state ?? 'unknown',
        reason: record?.problem?.slice(0, 1000) ?? null,
      }),
    );
  }

  /** Tells the centre what the journal holds, so that ledger and host come to agree. */
  async tellHeld(): Promise<void> {
    const { host, epoch, bus, binder } = this.context;
    const claims = binder.journal.claims().map(({ claimId, serverId, state }) => {
      return { claim_id: claimId, server_id: serverId, ...(state === 'preparing' && { preparing: true }) };
    });
    const incarnation = binder.journal.incarnation as string;
    await bus.publish(QUEUES.outcomes, envelope('agent.holds', { host, epoch, incarnation, claims }));
  }

  /** The claim and its devices, so that nothing else touches these meanwhile. */
  private keysOf(claimId: string): string[] {
    const recorded = this.context.binder.journal.claim(claimId)?.devices.map((device) => device.address);
    return [...new Set([claimId, ...(this.preparing.get(claimId) ?? []), ...(recorded ?? [])])];
  }

  /** A command for a former installation of this host may be years old; whether it still holds only the centre knows. */
  private assertForUs({ claim_id: claimId, incarnation }: PrepareDevices): void {
    const { journal } = this.context.binder;
    if (incarnation === undefined || incarnation === journal.incarnation || journal.claim(claimId)) return;
    const message = `Claim ${claimId} was made for a former installation of this host`;
    throw new BindingError('command.stale', message, { address: null, step: 'check' });
  }

  private assertMayBind(): void {
    if (!this.context.readOnly) return;
    throw new BindingError('binding.refused', 'this agent only looks: read_only is set', {
      address: null,
      step: 'check',
    });
  }

  private signature(order: { readonly claim_id: string; readonly server_id: string }) {
    const { host, epoch } = this.context;
    return { host, epoch, claim_id: order.claim_id, server_id: order.server_id };
  }
}
