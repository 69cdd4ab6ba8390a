import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** One of this folder's programs in a process of its own. It says one thing when it is ready, and ends when it is told anything. */
export class Child<Ready> {
  private constructor(
    private readonly child: ChildProcess,
    readonly ready: Ready,
  ) {}

  /** Node's own arguments are inherited: `node --cpu-prof dist/bench/place.js` profiles all processes. */
  static async start<Ready>(program: string, words: readonly string[]): Promise<Child<Ready>> {
    const child = fork(new URL(program, import.meta.url), [...words], { stdio: ['ignore', 2, 2, 'ipc'] });
    const ended = new AbortController();
    const onExit = (code: number | null): void => ended.abort(new Error(`${program} ended with ${code}`));
    child.once('exit', onExit);
    const [ready] = (await once(child, 'message', { signal: ended.signal })) as [Ready];
    child.removeListener('exit', onExit);
    return new Child(child, ready);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.send('stop');
    await exited;
  }
}
