import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

/**
 * The thread's program: bcrypt takes a tenth of a second of a core for each password, and who guesses must not keep everybody's
 * requests waiting for so long. As text, so that it runs from the sources as from what is built of them.
 */
const PROGRAM = `
  const { parentPort, workerData } = require('node:worker_threads');
  const bcrypt = require(workerData);
  parentPort.on('message', ({ id, password, hash }) => {
    parentPort.postMessage({ id, matches: bcrypt.compareSync(password, hash) });
  });
`;

interface Verdict {
  readonly id: number;
  readonly matches: boolean;
}

interface Waiting {
  readonly done: (matches: boolean) => void;
  readonly failed: (error: Error) => void;
}

/** Compares passwords with hashes of bcrypt, one after the other, in a thread of its own that is begun when it is needed. */
export class PasswordChecker {
  private worker: Worker | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private last = 0;

  /** @param hash one of bcrypt, well formed */
  matches(password: string, hash: string): Promise<boolean> {
    return new Promise((done, failed) => {
      const id = ++this.last;
      this.waiting.set(id, { done, failed });
      this.running().postMessage({ id, password, hash }, []);
    });
  }

  private running(): Worker {
    if (this.worker) return this.worker;
    const bcrypt = createRequire(import.meta.url).resolve('bcryptjs');
    const worker = new Worker(PROGRAM, { eval: true, workerData: bcrypt, env: {} });
    worker.unref();
    worker.on('message', ({ id, matches }: Verdict) => {
      this.waiting.get(id)?.done(matches);
      this.waiting.delete(id);
    });
    worker.on('error', (error) => this.onEnd(worker, error));
    worker.on('exit', () => this.onEnd(worker, new Error('the thread that looks at passwords has ended')));
    return (this.worker = worker);
  }

  /** Whoever waits is told; the next one begins a new thread. */
  private onEnd(worker: Worker, error: Error): void {
    if (this.worker !== worker) return;
    this.worker = null;
    for (const { failed } of this.waiting.values()) failed(error);
    this.waiting.clear();
  }
}
