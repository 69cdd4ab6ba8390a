import { BerthError, messageOf } from '../errors.js';
import { encodeEnvelope, type Envelope, type MessageType } from '../messages/envelope.js';
import { isOfAgents, QUEUES } from '../messages/routes.js';
import { spokenFor } from '../messages/speakers.js';
import type { BusSettings } from '../settings/settings.js';
import { AmqpLink } from './amqp-link.js';
import type { OutgoingMessage } from './amqp-publisher.js';
import type { AmqpSession } from './amqp-session.js';
import { AmqpSubscription, type AmqpSubscriptionOptions } from './amqp-subscription.js';
import { Bus, type ConsumeOptions, type Handler, type Subscription } from './bus.js';
import type { BusLog } from './bus-log.js';
import { ForgedMessages, type Refused } from './forged-messages.js';
import { LISTENER_AT_ONCE, PUBLISH_MS_MAX, UNCONFIRMED_MAX } from './limits.js';
import { MessageWorker } from './message-worker.js';
import { withTimeLimit } from './time-limit.js';

export type AmqpBusSettings = Omit<BusSettings, 'url'> & { readonly url: string };

/**
 * The bus over RabbitMQ (3.10 or later).
 *
 *   publish ──► confirm channel ──► quorum queue ──► consumer channel, one for each subscription
 *                                        │ rejected, or delivery limit
 *                                        ▼
 *                                   <queue>.dead
 *
 *   (messages of agents that have users of their own: ──► topic exchange ──► queue or fanout exchange)
 *
 *   broadcast ──► fanout exchange ──► a queue of each listener's own, in memory, not acknowledged
 *
 * It starts with the broker away, and connects when it comes. Each new connection gets a new session with its own
 * confirm channel; the subscriptions attach themselves to it.
 */
export class AmqpBus extends Bus {
  private readonly link: AmqpLink;
  private readonly subscriptions = new Set<AmqpSubscription>();
  private readonly sending = new Set<Promise<void>>();
  private readonly forged: ForgedMessages;
  private readonly perHost: boolean;
  private isClosed = false;

  /** @throws BerthError `settings.invalid` when the URL is none of AMQP */
  constructor(
    private readonly settings: AmqpBusSettings,
    private readonly log: BusLog,
  ) {
    super();
    this.perHost = settings.agentUsers === 'per_host';
    this.forged = new ForgedMessages(log);
    const session = { deliveryLimit: settings.deliveryLimit, perHost: this.perHost };
    this.link = new AmqpLink({ access: settings, session, onSession: (opened) => this.attachAll(opened) }, log);
  }

  override async publish<T extends MessageType>(queue: string, message: Envelope<T>): Promise<void> {
    const outgoing = this.outgoing(message);
    const session = this.readySession();
    await this.inFlight(this.send(() => session.publish(queue, outgoing)));
  }

  override async broadcast<T extends MessageType>(topic: string, message: Envelope<T>): Promise<void> {
    const outgoing = this.outgoing(message);
    const session = this.readySession();
    await this.inFlight(this.send(() => session.broadcast(topic, outgoing)));
  }

  override listen(topic: string, handler: Handler): Promise<Subscription> {
    return this.subscribe({ queue: topic, prefetch: LISTENER_AT_ONCE, isTopic: true }, handler);
  }

  /** Resolves as soon as the broker delivers; when it is away, at once. */
  override consume(queue: string, handler: Handler, { prefetch, channel }: ConsumeOptions): Promise<Subscription> {
    return this.subscribe({ queue, prefetch, isTopic: false, channelName: channel }, handler);
  }

  override isReady(): boolean {
    return !this.isClosed && (this.link.session()?.isReady() ?? false);
  }

  override localAddress(): string | null {
    return this.link.session()?.localAddress() ?? null;
  }

  override unheardQueues(): readonly string[] {
    return [...this.subscriptions].filter((subscription) => !subscription.isAttached()).map(({ queue }) => queue);
  }

  override refused(): Refused | null {
    return this.forged.refused();
  }

  /** Handlers that are still running may publish until they have ended. */
  override async close(): Promise<void> {
    await Promise.all([...this.subscriptions].map((subscription) => subscription.stop()));
    this.isClosed = true;
    await Promise.allSettled(this.sending);
    await this.link.close();
  }

  private async subscribe(
    options: Omit<AmqpSubscriptionOptions, 'onStopped' | 'deliveryLimit'>,
    handler: Handler,
  ): Promise<Subscription> {
    if (this.isClosed) throw new BerthError('bus.unavailable', 'The message bus is closed');
    const { isTopic, queue } = options;
    const isChecked = this.perHost && isOfAgents(queue);
    const onStopped = () => this.subscriptions.delete(subscription);
    const worker = new MessageWorker(
      {
        ...{ ...options, settings: this.settings, triesOnce: isTopic },
        ...(isChecked && { isGenuine: (message, user) => this.forged.isGenuine(message, user, queue) }),
      },
      isChecked && queue === QUEUES.reports ? this.withCommandQueue(handler) : handler,
      this.log,
    );
    const subscription: AmqpSubscription = new AmqpSubscription(
      { ...options, deliveryLimit: this.settings.deliveryLimit, onStopped },
      worker,
      this.log,
    );
    this.subscriptions.add(subscription);
    const session = this.link.session();
    if (session) await subscription.attach(session);
    return subscription;
  }

  private outgoing<T extends MessageType>(message: Envelope<T>): OutgoingMessage {
    const bytes = encodeEnvelope(message, this.settings.messageBytesMax);
    const [from = null] = this.perHost ? spokenFor(message as Envelope) : [];
    return { id: message.id, type: message.type, bytes, from };
  }

  /** An agent that may declare nothing waits for its queue from its first report on. */
  private withCommandQueue(handler: Handler): Handler {
    return async (message) => {
      const session = this.link.session();
      await Promise.all(spokenFor(message).map((host) => session?.declareFor(host)));
      await handler(message);
    };
  }

  private async inFlight(sending: Promise<void>): Promise<void> {
    this.sending.add(sending);
    try {
      await sending;
    } finally {
      this.sending.delete(sending);
    }
  }

  private readySession(): AmqpSession {
    const session = this.link.session();
    if (this.isClosed) throw new BerthError('bus.unavailable', 'The message bus is closed');
    if (!session) throw new BerthError('bus.unavailable', 'There is no connection to the message broker');
    if (!session.isReady()) {
      throw new BerthError('bus.unavailable', 'The message broker takes no messages: it is short of memory or disk');
    }
    if (this.sending.size >= UNCONFIRMED_MAX) {
      throw new BerthError('bus.unavailable', `${UNCONFIRMED_MAX} messages wait for the message broker already`);
    }
    return session;
  }

  private async send(work: () => Promise<void>): Promise<void> {
    const late = () => new BerthError('bus.unavailable', `The message broker did not confirm in ${PUBLISH_MS_MAX} ms`);
    try {
      await withTimeLimit(work(), PUBLISH_MS_MAX, late);
    } catch (cause) {
      if (cause instanceof BerthError) throw cause;
      throw new BerthError('bus.unavailable', `The message broker failed: ${messageOf(cause)}`, { cause });
    }
  }

  private async attachAll(session: AmqpSession): Promise<void> {
    await Promise.all([...this.subscriptions].map((subscription) => subscription.attach(session)));
  }
}
