import { createConnection, type Socket } from 'node:net';

const ANSWER_MS = 10_000;
const MESSAGE_MAX = 4 * 1024 * 1024;

interface QmpMessage {
  readonly QMP?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class?: string; readonly desc?: string };
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly id?: number;
}

type Listener = (message: QmpMessage) => void;

/** A connection to the control socket of a QEMU, which takes one at a time. */
export class Qmp {
  private readonly listeners = new Set<Listener>();
  private received = '';
  private lastId = 0;
  private lost: Error | null = null;

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.take(text));
    socket.on('error', (error) => this.end(error));
    socket.on('close', () => this.end(new Error('QEMU has closed its control socket')));
  }

  /** @throws Error when there is no QEMU that answers */
  static async connect(path: string): Promise<Qmp> {
    const qmp = new Qmp(createConnection(path));
    try {
      await qmp.next((message) => message.QMP !== undefined, 'a greeting');
      await qmp.command('qmp_capabilities');
      return qmp;
    } catch (error) {
      qmp.close();
      throw error;
    }
  }

  /** Does something with a connection, and closes it. */
  static async using<T>(path: string, work: (qmp: Qmp) => Promise<T>): Promise<T> {
    const qmp = await Qmp.connect(path);
    try {
      return await work(qmp);
    } finally {
      qmp.close();
    }
  }

  /** @throws Error with QEMU's words when it refuses, or when it does not answer in ten seconds */
  async command(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = ++this.lastId;
    const answer = this.next((message) => message.id === id, `an answer to ${execute}`);
    this.socket.write(`${JSON.stringify({ execute, arguments: args, id })}\n`);
    const { error, return: result } = await answer;
    if (error) throw new Error(`QEMU refuses ${execute}: ${error.desc ?? error.class ?? 'no reason given'}`);
    return result;
  }

  /**
   * The next event that matters, from now on.
   *
   * @throws Error when it does not come in time
   */
  async event(
    matters: (name: string, data: Readonly<Record<string, unknown>>) => boolean,
    timeoutMs: number,
  ): Promise<string> {
    const message = await this.next(({ event, data = {} }) => event !== undefined && matters(event, data), 'an event', {
      timeoutMs,
    });
    return message.event as string;
  }

  close(): void {
    this.socket.destroy();
  }

  private next(
    isIt: (message: QmpMessage) => boolean,
    what: string,
    { timeoutMs = ANSWER_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<QmpMessage> {
    return new Promise((resolve, reject) => {
      if (this.lost) return reject(this.lost);
      const end = (): void => {
        clearTimeout(timer);
        this.listeners.delete(listener);
        this.socket.off('close', closed);
      };
      const listener: Listener = (message) => {
        if (!isIt(message)) return;
        end();
        resolve(message);
      };
      const closed = (): void => {
        end();
        reject(this.lost ?? new Error('QEMU has closed its control socket'));
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`QEMU did not send ${what} in ${timeoutMs} ms`));
      }, timeoutMs);
      this.listeners.add(listener);
      this.socket.once('close', closed);
    });
  }

  private take(text: string): void {
    this.received += text;
    if (this.received.length > MESSAGE_MAX) return this.end(new Error('QEMU sends more than it should'));
    const lines = this.received.split('\n');
    this.received = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() === '') continue;
      const message = messageIn(line);
      if (message === null) return this.end(new Error('QEMU sends what is no JSON'));
      for (const listener of this.listeners) listener(message);
    }
  }

  private end(error: Error): void {
    this.lost ??= error;
    this.socket.destroy();
  }
}

function messageIn(line: string): QmpMessage | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}
