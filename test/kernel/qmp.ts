import { createServer, type Server, type Socket } from 'node:net';

const ANSWER_MS_MAX = 20_000;

interface QmpAnswer {
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly id?: number;
}

/** QEMU's own control socket: plugging and unplugging are done here. */
export class Qmp {
  private socket: Socket | null = null;
  private received = '';
  private lastId = 0;
  private readonly pending = new Map<number, (answer: QmpAnswer) => void>();
  private readonly greeted: Promise<void>;

  private constructor(
    private readonly server: Server,
    readonly file: string,
  ) {
    this.greeted = new Promise((resolve) => {
      server.once('connection', (socket) => {
        this.socket = socket;
        socket.setEncoding('utf8');
        socket.on('error', () => undefined); // QEMU ended
        socket.on('data', (text: string) => this.take(text));
        resolve();
      });
    });
  }

  /** Listens where QEMU will connect to. */
  static async listen(file: string): Promise<Qmp> {
    const server = createServer();
    const qmp = new Qmp(server, file);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(file, resolve);
    });
    return qmp;
  }

  /** Once, before the first command. */
  async connected(): Promise<void> {
    await this.greeted;
    await this.command('qmp_capabilities');
  }

  /** @throws Error with QEMU's words when it refuses */
  async command(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = ++this.lastId;
    const answer = await new Promise<QmpAnswer>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`QEMU did not answer ${execute}`)), ANSWER_MS_MAX);
      this.pending.set(id, (found) => {
        clearTimeout(late);
        resolve(found);
      });
      this.socket?.write(`${JSON.stringify({ execute, arguments: args, id })}\n`);
    });
    this.pending.delete(id);
    if (answer.error) throw new Error(`QEMU refused ${execute}: ${answer.error.desc}`);
    return answer.return;
  }

  close(): void {
    this.socket?.destroy();
    this.server.close();
  }

  private take(text: string): void {
    this.received += text;
    const lines = this.received.split('\n');
    this.received = lines.pop() ?? '';
    for (const line of lines) {
      const answer = JSON.parse(line) as QmpAnswer;
      if (answer.id !== undefined) this.pending.get(answer.id)?.(answer);
    }
  }
}
