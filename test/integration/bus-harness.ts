import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, connect as connectSocket, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
import { AmqpBus } from '../../src/bus/amqp.bus.js';
import type { Bus } from '../../src/bus/bus.js';
import { InProcessBus } from '../../src/bus/in-process.bus.js';
import { envelope, type Envelope } from '../../src/messages/envelope.js';
import { deadLetterQueue } from '../../src/messages/routes.js';

export const DELIVERY_LIMIT = 2;
export const MESSAGE_BYTES_MAX = 20_000;

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Dead {
  readonly messageId: string;
  readonly bytes: Buffer;
  readonly reason: string;
}

/** What the contract needs to know of an implementation besides the port. */
export interface BusHarness {
  readonly bus: Bus;
  readonly log: LogLine[];
  sendBytes(queue: string, messageId: string, bytes: Buffer): Promise<void>;
  deadLetters(queue: string): Promise<readonly Dead[]>;
  /** Cuts the connection to the broker, if there is one; resolves when the bus has noticed. */
  interrupt(): Promise<void>;
  close(): Promise<void>;
}

export function aQueue(): string {
  return `berth.test.${randomUUID()}`;
}

export function aMessage(): Envelope<'server.requested'> {
  return envelope('server.requested', { server_id: randomUUID() });
}

export async function inProcessHarness(): Promise<BusHarness> {
  const log: LogLine[] = [];
  const settings = { messageBytesMax: MESSAGE_BYTES_MAX, deliveryLimit: DELIVERY_LIMIT };
  const bus = new InProcessBus(settings, (level, message, fields) => log.push({ level, message, fields }));
  return {
    bus,
    log,
    sendBytes: async (queue, messageId, bytes) => bus.publishBytes(queue, messageId, bytes),
    deadLetters: async (queue) =>
      bus.deadLetters(queue).map((dead) => ({ ...dead, messageId: String(dead.messageId) })),
    interrupt: async () => undefined,
    close: () => bus.close(),
  };
}

export interface AmqpHarness extends BusHarness {
  readonly bus: AmqpBus;
  readonly proxy: TcpProxy;
}

/** A bus that reaches the broker through a proxy that can misbehave. */
export async function amqpHarness(url: string): Promise<AmqpHarness> {
  const proxy = await TcpProxy.start(Number(new URL(url).port));
  const log: LogLine[] = [];
  const settings = { url: proxy.urlFor(url), messageBytesMax: MESSAGE_BYTES_MAX, deliveryLimit: DELIVERY_LIMIT };
  const bus = new AmqpBus(settings, (level, message, fields) => log.push({ level, message, fields }));
  return {
    bus,
    log,
    proxy,
    sendBytes: (queue, messageId, bytes) => sendBytes(url, queue, messageId, bytes),
    deadLetters: (queue) => readAll(url, deadLetterQueue(queue)),
    interrupt: async () => {
      proxy.cut();
      while (bus.isReady()) await sleep(5);
    },
    close: async () => {
      await bus.close();
      await proxy.stop();
    },
  };
}

async function sendBytes(url: string, queue: string, messageId: string, bytes: Buffer): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  channel.sendToQueue(queue, bytes, { messageId });
  await channel.waitForConfirms();
  await connection.close();
}

/** Looks at a queue through a connection of its own; what was read goes back when the connection closes. */
async function readAll(url: string, queue: string): Promise<Dead[]> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  const found: Dead[] = [];
  for (let message = await channel.get(queue); message; message = await channel.get(queue)) {
    found.push({
      messageId: String(message.properties.messageId),
      bytes: message.content,
      reason: String(message.properties.headers?.['x-first-death-reason']),
    });
  }
  await connection.close();
  return found;
}

/** A relay between a client and a local port. */
export class TcpProxy {
  private readonly pairs = new Set<{ client: Socket; upstream: Socket }>();
  private server: Server | null = null;
  private isFrozen = false;

  private constructor(
    private readonly upstreamPort: number,
    private port: number,
  ) {}

  static async start(upstreamPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(upstreamPort, 0);
    await proxy.listen();
    return proxy;
  }

  urlFor(url: string): string {
    const through = new URL(url);
    through.hostname = '127.0.0.1';
    through.port = String(this.port);
    return through.href;
  }

  connections(): number {
    return this.pairs.size;
  }

  /** Every connection ends without a word, as when a cable is pulled and a switch resets. */
  cut(): void {
    for (const { client, upstream } of this.pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  }

  /** Nothing passes any more, and nobody is told. (What arrives is thrown away: an end would not be seen unread.) */
  freeze(): void {
    this.isFrozen = true;
    for (const { client, upstream } of this.pairs) {
      client.unpipe().resume();
      upstream.unpipe().resume();
    }
  }

  /** Says something to the broker that no client would say; the broker closes the connection for it. */
  offendBroker(): void {
    for (const { upstream } of this.pairs) upstream.write(Buffer.alloc(64, 0xff));
  }

  async listen(): Promise<void> {
    this.isFrozen = false;
    this.server = createServer((client) => this.relay(client));
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = this.server ? once(this.server, 'close') : null;
    this.server?.close();
    this.cut();
    await closed;
    this.server = null;
  }

  private relay(client: Socket): void {
    const upstream = connectSocket({ port: this.upstreamPort, host: '127.0.0.1', noDelay: true });
    const pair = { client: client.setNoDelay(true), upstream };
    this.pairs.add(pair);
    const end = () => {
      this.pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    if (this.isFrozen) return;
    client.pipe(upstream);
    upstream.pipe(client);
  }
}
