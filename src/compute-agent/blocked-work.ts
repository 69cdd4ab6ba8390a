import { messageOf } from '../errors.js';
import type { AgentLog } from './agent-log.js';
import type { BindingProblems } from './binding-problems.js';
import type { KeyedQueue } from './keyed-queue.js';

/** A piece of work on a claim and its devices. */
export interface ClaimWork {
  readonly what: 'prepare' | 'release';
  readonly claimId: string;
  /** Devices of the claim. */
  readonly addresses: readonly string[];
  /** What nothing else may touch meanwhile, the claim and its devices among it. */
  readonly keys: readonly string[];
  readonly run: () => Promise<void>;
}

/**
 * Runs the work of commands in a {@link KeyedQueue}. Work that a blocked device holds up, or that waits behind such work, goes on without
 * the command that brought it: the command is done with, and leaves its place in the broker's window to others. The journal has what is
 * needed to go on after a crash, and the centre asks again for what it hears nothing of.
 */
export class BlockedWork {
  /** What goes on without a command: a repetition of it has nothing to add. */
  private readonly behind = new Set<string>();

  constructor(
    private readonly queue: KeyedQueue,
    private readonly problems: BindingProblems,
    private readonly log: AgentLog,
  ) {}

  /** Resolves when the work has ended, or is blocked. Fails when the work fails before that. */
  async run(work: ClaimWork): Promise<void> {
    const { what, claimId } = work;
    const name = `${what} ${claimId}`;
    if (this.behind.has(name)) return;
    const working = this.queue.run([...new Set(work.keys)], work.run);
    if (await endsUnblocked(this.problems, work, working)) return working;
    this.behind.add(name);
    this.log('warn', 'A command waits for a blocked device; others go on', { claimId, command: what });
    void working
      .catch((error: unknown) => this.log('error', 'Blocked work failed', { claimId, problem: messageOf(error) }))
      .finally(() => this.behind.delete(name));
  }
}

/** Waits until work has ended, well or badly, or is blocked. @returns false: it is blocked, and goes on */
export async function endsUnblocked(
  problems: BindingProblems,
  { claimId, addresses }: Pick<ClaimWork, 'claimId' | 'addresses'>,
  working: Promise<void>,
): Promise<boolean> {
  let unlisten = (): void => undefined;
  const blocked = new Promise<boolean>((resolve) => {
    const look = (): void => {
      if (problems.blocked(claimId, addresses)) resolve(false);
    };
    unlisten = problems.listen(look);
    look();
  });
  const ended = working.then(
    () => true,
    () => true,
  );
  return Promise.race([ended, blocked]).finally(unlisten);
}
