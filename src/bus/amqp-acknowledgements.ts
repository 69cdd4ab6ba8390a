import type { Channel, ConsumeMessage } from 'amqplib';

/**
 * What the broker is told of the messages that one channel has delivered. Messages that are done in one breath are acknowledged
 * together, as far as none before them is still under way: a batch of outcomes is one word to the broker and not hundreds.
 */
export class AmqpAcknowledgements {
  private static readonly known = new WeakMap<Channel, AmqpAcknowledgements>();

  /** In the order of their numbers; true: done. */
  private readonly open = new Map<ConsumeMessage, boolean>();
  /** Done, and the broker is not told yet. */
  private untold: ConsumeMessage[] = [];

  /** Those of a channel, which subscriptions may share: numbers are the channel's. */
  static of(channel: Channel): AmqpAcknowledgements {
    let found = AmqpAcknowledgements.known.get(channel);
    if (!found) AmqpAcknowledgements.known.set(channel, (found = new AmqpAcknowledgements(channel)));
    return found;
  }

  private constructor(private readonly channel: Channel) {
    // the broker has taken everything back
    channel.once('close', () => (this.untold = []));
  }

  delivered(message: ConsumeMessage): void {
    this.open.set(message, false);
  }

  done(message: ConsumeMessage): void {
    this.open.set(message, true);
    if (this.untold.push(message) === 1) setImmediate(() => this.tell());
  }

  /** Back to its queue, or else to the dead letters; at once. */
  refused(message: ConsumeMessage, isToComeAgain: boolean): void {
    this.open.delete(message);
    this.channel.nack(message, false, isToComeAgain);
  }

  /** Tells the broker what is done. To be called before the channel is closed: it would take these messages back. */
  tell(): void {
    const done = this.untold.splice(0);
    if (done.length === 0) return;
    let last: ConsumeMessage | null = null;
    for (const [message, isDone] of this.open) {
      if (!isDone) break;
      this.open.delete(message);
      last = message;
    }
    try {
      if (last) this.channel.ack(last, true);
      for (const message of done) if (this.open.delete(message)) this.channel.ack(message);
    } catch {
      // The channel is about to close: the broker takes them back.
    }
  }
}
