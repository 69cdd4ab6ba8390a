import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

/** So many orders can be under way; one that the kernel blocks for ever costs one of them. */
export const CONTROL_PORTS = 4;
const ORDER_MS_MAX = 30_000;

export interface ExecResult {
  readonly exitCode: number;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

interface Port {
  readonly socket: Socket;
  received: string;
  onText: () => void;
}

/**
 * Gives orders to a guest, over serial ports of which QEMU makes a socket each. It does not depend on the guest's network,
 * which tests may take away.
 */
export class Control {
  private readonly free: Port[] = [];
  private readonly waiting: ((port: Port) => void)[] = [];
  private readonly servers: Server[] = [];

  private constructor(readonly files: readonly string[]) {}

  /** Listens where QEMU will connect to. */
  static async listen(folder: string): Promise<Control> {
    const control = new Control(Array.from({ length: CONTROL_PORTS }, (_, index) => `${folder}/control.${index}`));
    await Promise.all(control.files.map((file) => control.open(file)));
    return control;
  }

  /**
   * Runs a shell script in the guest. It may start programs that stay, if these write elsewhere.
   *
   * @throws Error when it does not end in time; its port is given up then
   */
  async exec(script: string, timeoutMs = ORDER_MS_MAX): Promise<ExecResult> {
    const deadline = Date.now() + timeoutMs;
    const port = await this.port(deadline, script);
    const mark = `mark-${randomBytes(9).toString('hex')}`;
    const answer = new Promise<ExecResult>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`the guest did not end in ${timeoutMs} ms: ${script}\n${port.received}`)),
        Math.max(0, deadline - Date.now()),
      );
      port.received = '';
      port.onText = () => {
        const end = new RegExp(`\n${mark} (\\d+)\n`).exec(port.received);
        if (!end) return;
        clearTimeout(late);
        resolve({ exitCode: Number(end[1]), output: port.received.slice(0, end.index) });
      };
    });
    port.socket.write(`${mark}\n${script}\n${mark}\n`);
    const result = await answer;
    port.onText = () => undefined;
    this.release(port);
    return result;
  }

  close(): void {
    for (const server of this.servers) server.close();
    for (const file of this.files) rmSync(file, { force: true });
  }

  private open(file: string): Promise<void> {
    const server = createServer((socket) => {
      const port: Port = { socket, received: '', onText: () => undefined };
      socket.setEncoding('utf8');
      socket.on('error', () => undefined); // the machine ended
      socket.on('data', (text: string) => {
        port.received += text;
        port.onText();
      });
      this.release(port);
    });
    this.servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(file, resolve);
    });
  }

  private async port(deadline: number, script: string): Promise<Port> {
    const free = this.free.shift();
    if (free) return free;
    return new Promise((resolve, reject) => {
      const take = (port: Port): void => {
        clearTimeout(late);
        resolve(port);
      };
      const late = setTimeout(
        () => {
          this.waiting.splice(this.waiting.indexOf(take), 1);
          reject(new Error(`no port of the guest became free for: ${script}`));
        },
        Math.max(0, deadline - Date.now()),
      );
      this.waiting.push(take);
    });
  }

  private release(port: Port): void {
    const next = this.waiting.shift();
    if (next) next(port);
    else this.free.push(port);
  }
}
