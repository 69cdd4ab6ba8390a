import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Channel, ConsumeMessage } from 'amqplib';
import { beforeEach, describe, expect, it } from 'vitest';
import { AmqpAcknowledgements } from './amqp-acknowledgements.js';

/** Writes down what the broker is told: `3+` is "3 and all before it". */
class ToldChannel extends EventEmitter {
  readonly told: string[] = [];
  isClosed = false;

  ack(message: ConsumeMessage, isUpTo = false): void {
    if (this.isClosed) throw new Error('Channel closed');
    this.told.push(`${message.fields.deliveryTag}${isUpTo ? '+' : ''}`);
  }

  nack(message: ConsumeMessage, _isUpTo: boolean, isToComeAgain: boolean): void {
    this.told.push(`${message.fields.deliveryTag} ${isToComeAgain ? 'again' : 'dead'}`);
  }
}

let channel: ToldChannel;
let acknowledgements: AmqpAcknowledgements;
let messages: readonly ConsumeMessage[];

beforeEach(() => {
  channel = new ToldChannel();
  acknowledgements = AmqpAcknowledgements.of(channel as unknown as Channel);
  messages = [1, 2, 3, 4, 5].map((deliveryTag) => ({ fields: { deliveryTag } }) as ConsumeMessage);
  for (const message of messages) acknowledgements.delivered(message);
});

function done(...numbers: readonly number[]): void {
  for (const number of numbers) acknowledgements.done(messages[number - 1] as ConsumeMessage);
}

describe('acknowledgements', () => {
  it('of messages that end together are one, in whatever order they end', async () => {
    done(3, 1, 5, 2, 4);
    expect(channel.told).toEqual([]);
    await turn();
    expect(channel.told).toEqual(['5+']);
  });

  it('never cover a message that is still under way', async () => {
    done(1, 2, 4);
    await turn();
    expect(channel.told).toEqual(['2+', '4']);
    done(3);
    await turn();
    done(5);
    await turn();
    expect(channel.told).toEqual(['2+', '4', '3+', '5+']);
  });

  it('leave out what was refused, which the broker is told at once', async () => {
    done(1, 3);
    acknowledgements.refused(messages[1] as ConsumeMessage, true);
    acknowledgements.refused(messages[3] as ConsumeMessage, false);
    done(5);
    await turn();
    expect(channel.told).toEqual(['2 again', '4 dead', '5+']);
  });

  it('can be told before their time, and then only once', async () => {
    done(1, 2);
    acknowledgements.tell();
    expect(channel.told).toEqual(['2+']);
    await turn();
    expect(channel.told).toEqual(['2+']);
  });

  it('are void when the channel is closed, or about to be', async () => {
    done(1);
    channel.emit('close');
    await turn();
    done(2);
    channel.isClosed = true;
    await turn();
    expect(channel.told).toEqual([]);
  });

  it('are shared by all that use the channel', () => {
    expect(AmqpAcknowledgements.of(channel as unknown as Channel)).toBe(acknowledgements);
    expect(AmqpAcknowledgements.of(new ToldChannel() as unknown as Channel)).not.toBe(acknowledgements);
  });
});
