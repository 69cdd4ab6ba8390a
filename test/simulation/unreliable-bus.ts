import { Bus, type ConsumeOptions, type Handler, type Subscription } from '../../src/bus/bus.js';
import { BerthError } from '../../src/errors.js';
import { decodeEnvelope, encodeEnvelope, type Envelope, type MessageType } from '../../src/messages/envelope.js';
import type { Chance } from './chance.js';
import type { Conductor, Life, Operation } from './conductor.js';
import type { SeedRecord } from './record.js';

const BYTES_MAX = 4 * 1024 * 1024;
/** After so many deliveries a message goes to the dead letters, as with the broker's limit. */
const DELIVERIES_MAX = 6;

/** How likely each fault of the network is. */
export interface BusFaults {
  readonly drop: number;
  readonly double: number;
  readonly delay: number;
  readonly reorder: number;
}

export const NO_BUS_FAULTS: BusFaults = { drop: 0, double: 0, delay: 0, reorder: 0 };

interface Kept {
  readonly bytes: Buffer;
  readonly title: string;
  /** The step before which it is not handed out. */
  readonly notBefore: number;
  deliveries: number;
}

/** What the broker holds: messages of queues, as bytes. It loses some, doubles some, and hands them out late and in any order. */
export class Broker {
  private readonly queues = new Map<string, Kept[]>();
  /** Ids of all messages that it ever took, also of those that it lost then. */
  readonly taken = new Set<string>();
  /** Of full reports that it ever took: host, epoch and sequence. */
  readonly reports = new Set<string>();
  /** Topic → the queues of those who listen now. */
  private readonly listeners = new Map<string, Set<string>>();
  faults: BusFaults = NO_BUS_FAULTS;
  step = 0;

  constructor(
    private readonly chance: Chance,
    private readonly record: SeedRecord,
  ) {}

  put(queue: string, message: Envelope): void {
    const bytes = encodeEnvelope(message, BYTES_MAX);
    const title = `${message.type} ${idIn(message)}`;
    const { drop, double, delay } = this.faults;
    this.record.count('messages');
    this.taken.add(message.id);
    if (message.type === 'agent.report') this.reports.add(stampOf(message as Envelope<'agent.report'>));
    if (this.chance.is(drop)) return this.record.fault('message dropped', `${title} for ${queue}`);
    const notBefore = this.chance.is(delay) ? this.step + this.chance.between(2, 12) : 0;
    if (notBefore > 0) this.record.fault('message delayed', `${title} for ${queue}, until step ${notBefore}`);
    this.queueOf(queue).push({ bytes, title, notBefore, deliveries: 0 });
    if (!this.chance.is(double)) return;
    this.record.fault('message doubled', `${title} for ${queue}`);
    this.queueOf(queue).push({ bytes, title, notBefore: this.step + this.chance.below(15), deliveries: 0 });
  }

  /** Everybody who listens now has a copy, with faults of its own. */
  say(topic: string, message: Envelope): void {
    for (const queue of this.listeners.get(topic) ?? []) this.put(queue, message);
  }

  /** @returns the queue of this listener's own, and how it ends */
  join(topic: string, name: string): { readonly queue: string; readonly leave: () => void } {
    const queue = `${topic} for ${name}`;
    const listeners = this.listeners.get(topic) ?? new Set();
    this.listeners.set(topic, listeners.add(queue));
    const leave = (): void => {
      listeners.delete(queue);
      this.queues.delete(queue);
    };
    return { queue, leave };
  }

  /** Queues with messages that can be handed out now. */
  ready(): string[] {
    return [...this.queues.keys()].filter((queue) => this.dueIn(queue).length > 0).toSorted();
  }

  isEmpty(): boolean {
    return [...this.queues.values()].every((kept) => kept.length === 0);
  }

  /** Has a consumer handle a message. `settled` is to be called when all operations have ended. */
  deliver(queue: string, subscriber: Subscriber): Delivery | null {
    const due = this.dueIn(queue);
    const reorders = due.length > 1 && this.chance.is(this.faults.reorder);
    const kept = reorders ? this.chance.one(due) : due[0];
    if (!kept) return null;
    if (reorders && kept !== due[0]) this.record.fault('message reordered', `${kept.title} of ${queue}`);
    const place = this.queueOf(queue).indexOf(kept);
    this.queueOf(queue).splice(place, 1);
    const { life, handler } = subscriber;
    const operation = life.conductor.start(life, `handles ${kept.title}`, async () => {
      await handler(decodeEnvelope(kept.bytes, BYTES_MAX));
      // between the end of the handler and the broker's knowing of it
      await life.conductor.point(life, 'handled', kept.title, () => Promise.resolve());
    });
    const settled = (): void => {
      if (operation.state === 'done' || isTopic(queue)) return; // who listens misses what fails
      kept.deliveries += 1;
      if (kept.deliveries >= DELIVERIES_MAX) this.record.fault('message buried', `${kept.title} of ${queue}`);
      else this.queueOf(queue).splice(Math.min(place, this.queueOf(queue).length), 0, kept);
    };
    return { operation, settled };
  }

  /** What can be handed out now. */
  dueIn(queue: string): readonly Kept[] {
    return this.queueOf(queue).filter(({ notBefore }) => notBefore <= this.step);
  }

  private queueOf(name: string): Kept[] {
    const known = this.queues.get(name);
    if (known) return known;
    const queue: Kept[] = [];
    this.queues.set(name, queue);
    return queue;
  }
}

export interface Delivery {
  readonly operation: Operation;
  readonly settled: () => void;
}

export interface Subscriber {
  readonly life: Life;
  readonly handler: Handler;
}

/** The port to the broker of one life: every sending is a point of the conductor. */
export class BusOfLife extends Bus {
  readonly handlers = new Map<string, Handler>();

  constructor(
    private readonly broker: Broker,
    private readonly conductor: Conductor,
    private readonly life: Life,
  ) {
    super();
  }

  override publish<T extends MessageType>(queue: string, message: Envelope<T>): Promise<void> {
    const sent = async (): Promise<void> => this.broker.put(queue, message as Envelope);
    return this.conductor.point(this.life, 'bus', `sends ${message.type} to ${queue}`, sent);
  }

  override async consume(queue: string, handler: Handler, _options: ConsumeOptions): Promise<Subscription> {
    this.handlers.set(queue, handler);
    return { stop: async () => void this.handlers.delete(queue) };
  }

  override broadcast<T extends MessageType>(topic: string, message: Envelope<T>): Promise<void> {
    const said = async (): Promise<void> => this.broker.say(topic, message as Envelope);
    return this.conductor.point(this.life, 'bus', `says ${message.type} to ${topic}`, said);
  }

  override async listen(topic: string, handler: Handler): Promise<Subscription> {
    const { queue, leave } = this.broker.join(topic, this.life.name);
    this.handlers.set(queue, handler);
    this.life.ends.push(async () => leave());
    return { stop: async () => leave() };
  }

  override isReady(): boolean {
    return true;
  }

  override unheardQueues(): readonly string[] {
    return [];
  }

  override async close(): Promise<void> {
    this.handlers.clear();
  }
}

export function busAway(): BerthError {
  return new BerthError('bus.unavailable', 'The message broker cannot be reached');
}

/** Whether this is the queue of one who listens: what is in it is handed out once. */
export function isTopic(queue: string): boolean {
  return queue.includes(' for ');
}

/** Of which report, or heartbeat, this is. */
export function stampOf({ body }: Envelope<'agent.report'>): string {
  return `${body.host} ${body.epoch} ${body.sequence}`;
}

function idIn({ body }: Envelope): string {
  const words = body as { claim_id?: string; server_id?: string; host?: string; sequence?: number };
  const [claim, server] = [words.claim_id, words.server_id].map((id) => id?.slice(-8));
  if (claim !== undefined) return `of claim ${claim}, server ${server}`;
  return server !== undefined ? `of server ${server}` : `of ${words.host ?? 'a host'} ${words.sequence ?? ''}`;
}
