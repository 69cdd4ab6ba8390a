import type { Bus } from '../bus/bus.js';
import { messageOf } from '../errors.js';
import type { AgentCommand, PrepareDevices, ReleaseDevices, RequestJournal } from '../messages/bodies.js';
import { envelope, type Envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import type { Aftercare } from './aftercare.js';
import { BindingError } from './binding-error.js';
import type { ClaimRecord } from './journal-state.js';
import { KeyedQueue } from './keyed-queue.js';
import { OutcomeSender } from './outcome-sender.js';
import { isBound, prepareDevices, releaseDevices, resumeReleases, type BinderHost } from './vfio-binder.js';

export interface CommandContext {
  readonly host: string;
  readonly epoch: number;
  readonly readOnly: boolean;
  readonly bus: Bus;
  readonly binder: BinderHost;
  /** Commands for one device wait for each other, and for whatever else is in it. Left out: one of its own. */
  readonly queue?: KeyedQueue;
  /** What is done with devices after a server had them; left out: nothing. */
  readonly care?: Aftercare;
  /** Have the configuration files read again, and report; null: this agent has none of its own. */
  readonly reload: (() => Promise<void>) | null;
  /** Ask for a full report; resolves when it is sent. */
  readonly reportFully: () => Promise<void>;
  /** Drivers have changed: look again soon. */
  readonly lookAgain: () => void;
}

/**
 * Carries out the centre's commands. Every command is answered before it is acknowledged, and every one may come again:
 * a crash between the two only makes the answer come twice.
 *
 * What a crash leaves of a prepare is not touched at the next start: the command was not acknowledged, comes again and
 * finishes it; or the centre has given the claim up and sends its release, which undoes it. What it leaves of a release
 * is finished at the start, because nothing else can become of it.
 */
export class CommandConsumer {
  private readonly queue: KeyedQueue;
  /** Devices of claims whose prepare is under way, which the journal may not know yet. */
  private readonly preparing = new Map<string, readonly string[]>();

  private readonly outcomes: OutcomeSender;

  constructor(private readonly context: CommandContext) {
    this.queue = context.queue ?? new KeyedQueue();
    this.outcomes = new OutcomeSender(context.bus);
  }

  /** Begins to finish releases that a crash interrupted; does not wait for them, as a device may still be held open. */
  resume(): void {
    const { binder, lookAgain, readOnly } = this.context;
    const left = binder.journal.claims().filter((claim) => claim.state === 'releasing');
    if (readOnly) return;
    this.context.care?.resume();
    this.bindAgain();
    if (left.length === 0) return;
    const keys = left.flatMap((claim) => this.keysOf(claim.claimId));
    void this.queue
      .run([...new Set(keys)], () => resumeReleases(binder))
      .then(() => this.context.care?.resume())
      .then(lookAgain)
      .catch((error: unknown) =>
        binder.log('error', 'Interrupted releases are not finished', { problem: messageOf(error) }),
      );
  }

  /** After a reboot the journal holds claims whose devices are with their drivers again: their servers want them back. */
  private bindAgain(): void {
    const { binder } = this.context;
    const loose = binder.journal.claims().filter((claim) => claim.state === 'prepared' && !isBound(binder, claim));
    for (const claim of loose) {
      void this.prepareIfHeld(claim).catch((error: unknown) =>
        binder.log('error', 'Devices of a claim are not bound again', { ...claim, problem: messageOf(error) }),
      );
    }
  }

  private async prepareIfHeld({ claimId, serverId, devices }: ClaimRecord): Promise<void> {
    const { binder, bus, lookAgain } = this.context;
    await this.queue.run(this.keysOf(claimId), async () => {
      if (binder.journal.claim(claimId)?.state !== 'prepared') return;
      const targets = devices.map(({ address, vendorId, productId }) => ({
        ...{ address, vendor_id: vendorId, product_id: productId },
      }));
      const answer = await this.prepared({ claim_id: claimId, server_id: serverId, devices: targets });
      if (answer.type === 'devices.prepare_failed') await bus.publish(QUEUES.outcomes, answer);
      binder.log('warn', 'Devices of a claim were not bound any more', { claimId, serverId, outcome: answer.type });
    });
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
      default:
        this.context.binder.log('warn', 'A message that is no command was dropped', { type: message.type });
    }
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
    const addresses = order.devices.map((device) => device.address);
    this.preparing.set(order.claim_id, addresses);
    try {
      await this.queue.run([...new Set([order.claim_id, ...addresses])], () => this.prepareAndAnswer(order));
    } finally {
      this.preparing.delete(order.claim_id);
    }
    this.context.lookAgain();
  }

  private async prepareAndAnswer(order: PrepareDevices): Promise<void> {
    const answer = await this.prepared(order);
    await this.outcomes.send(
      answer.type === 'devices.prepared' ? { prepared: answer.body } : { prepare_failed: answer.body },
    );
    const { log } = this.context.binder;
    const fields = { host: this.context.host, claimId: order.claim_id, serverId: order.server_id };
    if (answer.type === 'devices.prepared') log('info', 'Devices are prepared', fields);
    else log('warn', 'Devices could not be prepared', { ...fields, problem: answer.body.message });
  }

  private async prepared(order: PrepareDevices): Promise<Envelope<'devices.prepared' | 'devices.prepare_failed'>> {
    try {
      this.assertMayBind();
      this.assertForUs(order);
      const { claim_id: claimId, server_id: serverId, devices: targets, claim_number: number = 0 } = order;
      const bindings = await prepareDevices(this.context.binder, { claimId, serverId, targets, number });
      return envelope('devices.prepared', { ...this.signature(order), bindings });
    } catch (error) {
      // Anything else is a fault of the agent (its disk, a bug): the command comes again.
      if (!(error instanceof BindingError)) throw error;
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
  }

  private async release(order: ReleaseDevices): Promise<void> {
    const split = order.split_from ?? null;
    const whole = split === null ? [] : [split.claim_id, ...split.addresses];
    await this.queue.run([...new Set([...this.keysOf(order.claim_id), ...whole])], async () => {
      const { binder, host } = this.context;
      if (split) await binder.journal.split(split.claim_id, order.claim_id, split.addresses);
      if (binder.journal.claim(order.claim_id)) this.assertMayBind();
      const released = await releaseDevices(binder, order.claim_id, order.claim_number);
      const devices = this.context.care?.told(order.claim_id, released) ?? released;
      await this.outcomes.send({ released: { ...this.signature(order), devices } });
      this.context.care?.begin(order.claim_id);
      const outcomes = devices.map(({ address, outcome }) => `${address} ${outcome}`);
      binder.log('info', 'Devices are released', { host, claimId: order.claim_id, outcomes });
    });
    this.context.lookAgain();
  }

  /** Not behind the commands under way: one that waits for a device is what somebody may be looking for. */
  private tellJournal({ asked_at }: RequestJournal): Promise<void> {
    const { host, epoch, binder, bus } = this.context;
    const claims = binder.journal.claims().map(({ claimId, serverId, state, devices }) => {
      return { claim_id: claimId, server_id: serverId, state, addresses: devices.map(({ address }) => address) };
    });
    return bus.publish(QUEUES.outcomes, envelope('agent.journal', { host, epoch, asked_at, claims }));
  }

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
