import { BerthError, messageOf } from '../errors.js';
import { encodeEnvelope, type Envelope, type MessageType } from '../messages/envelope.js';
import type { BusSettings } from '../settings/settings.js';
import { AmqpLink } from './amqp-link.js';
import type { OutgoingMessage } from './amqp-publisher.js';
import type { AmqpSession } from './amqp-session.js';
import { AmqpSubscription } from './amqp-subscription.js';
import { Bus, type ConsumeOptions, type Handler, type Subscription } from './bus.js';
import type { BusLog } from './bus-log.js';
import { PUBLISH_MS_MAX, UNCONFIRMED_MAX } from './limits.js';
import { MessageWorker } from './message-worker.js';
import { withTimeLimit } from './time-limit.js';

export type AmqpBusSettings = Pick<BusSettings, 'messageBytesMax' | 'deliveryLimit'> & { readonly url: string };

/**
 * The bus over RabbitMQ (3.10 or later).
 *
 *   publish ──► confirm channel ──► quorum queue ──► consumer channel, one for each subscription
 *                                        │ rejected, or delivery limit
 *                                        ▼
 *                                   <queue>.dead
 *
 * It starts with the broker away, and connects when it comes. Each new connection gets a new session with its own
 * confirm channel; the subscriptions attach themselves to it.
 */
export class AmqpBus extends Bus {
  private readonly link: AmqpLink;
  private readonly subscriptions = new Set<AmqpSubscription>();
  private readonly sending = new Set<Promise<void>>();
  private isClosed = false;

  /** @throws BerthError `settings.invalid` when the URL is none of AMQP */
  constructor(
    private readonly settings: AmqpBusSettings,
    private readonly log: BusLog,
  ) {
    super();
    const { url, deliveryLimit } = settings;
    this.link = new AmqpLink({ url, deliveryLimit, onSession: (session) => this.attachAll(session) }, log);
  }

  override async publish<T extends MessageType>(queue: string, message: Envelope<T>): Promise<void> {
    const bytes = encodeEnvelope(message, this.settings.messageBytesMax);
    const sending = this.send(this.readySession(), queue, { id: message.id, type: message.type, bytes });
    this.sending.add(sending);
    try {
      await sending;
    } finally {
      this.sending.delete(sending);
    }
  }

  /** Resolves as soon as the broker delivers; when it is away, at once. */
  override async consume(queue: string, handler: Handler, { prefetch }: ConsumeOptions): Promise<Subscription> {
    if (this.isClosed) throw new BerthError('bus.unavailable', 'The message bus is closed');
    const worker = new MessageWorker({ queue, prefetch, settings: this.settings }, handler, this.log);
    const onStopped = () => this.subscriptions.delete(subscription);
    const subscription: AmqpSubscription = new AmqpSubscription({ queue, prefetch, onStopped }, worker, this.log);
    this.subscriptions.add(subscription);
    const session = this.link.session();
    if (session) await subscription.attach(session);
    return subscription;
  }

  override isReady(): boolean {
    return !this.isClosed && (this.link.session()?.isReady() ?? false);
  }

  override unheardQueues(): readonly string[] {
    return [...this.subscriptions].filter((subscription) => !subscription.isAttached()).map(({ queue }) => queue);
  }

  /** Handlers that are still running may publish until they have ended. */
  override async close(): Promise<void> {
    await Promise.all([...this.subscriptions].map((subscription) => subscription.stop()));
    this.isClosed = true;
    await Promise.allSettled(this.sending);
    await this.link.close();
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

  private async send(session: AmqpSession, queue: string, message: OutgoingMessage): Promise<void> {
    const late = () => new BerthError('bus.unavailable', `The message broker did not confirm in ${PUBLISH_MS_MAX} ms`);
    try {
      await withTimeLimit(session.publish(queue, message), PUBLISH_MS_MAX, late);
    } catch (cause) {
      if (cause instanceof BerthError) throw cause;
      throw new BerthError('bus.unavailable', `The message broker failed: ${messageOf(cause)}`, { cause });
    }
  }

  private async attachAll(session: AmqpSession): Promise<void> {
    await Promise.all([...this.subscriptions].map((subscription) => subscription.attach(session)));
  }
}
