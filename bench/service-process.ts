import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export type ToService = { readonly type: 'agents'; readonly hosts: number } | { readonly type: 'stop' };
export type FromService = { readonly type: 'listening'; readonly url: string } | { readonly type: 'ready' };

/** `service.ts` in a process of its own, as seen from here. */
export class ServiceProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(databaseUrl: string): Promise<ServiceProcess> {
    // Node's own arguments are inherited: `node --cpu-prof dist/bench/main.js rest` profiles both processes
    const child = fork(new URL('./service.js', import.meta.url), [databaseUrl], { stdio: 'inherit' });
    const message = await answerOf(child);
    if (message.type !== 'listening') throw new Error(`the service said ${message.type} before it listened`);
    return new ServiceProcess(child, message.url);
  }

  /** Resolves when the agents of so many hosts answer. */
  async simulateAgents(hosts: number): Promise<void> {
    const answer = answerOf(this.child);
    this.child.send({ type: 'agents', hosts } satisfies ToService);
    await answer;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.send({ type: 'stop' } satisfies ToService);
    await exited;
  }
}

/** @throws Error when the process ends instead */
async function answerOf(child: ChildProcess): Promise<FromService> {
  const ended = new AbortController();
  const onExit = (code: number | null): void => ended.abort(new Error(`the service ended with ${code}`));
  child.once('exit', onExit);
  try {
    const [message] = (await once(child, 'message', { signal: ended.signal })) as [FromService];
    return message;
  } finally {
    child.removeListener('exit', onExit);
  }
}
