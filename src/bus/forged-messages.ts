import type { Envelope } from '../messages/envelope.js';
import { agentUser } from '../messages/routes.js';
import { spokenFor } from '../messages/speakers.js';
import type { BusLog } from './bus-log.js';

const USERS_COUNTED_MAX = 1_000;

/** What was refused since this process began. */
export interface Refused {
  readonly count: number;
  /** The user of the broker that sent the last of them; null: it did not say. */
  readonly by: string | null;
  readonly at: Date;
}

/**
 * Whether messages of agents come from who they speak for. The broker lets nobody set another's name as `user_id`, so what is there
 * is true.
 */
export class ForgedMessages {
  private readonly counts = new Map<string | null, number>();
  private latest: Refused | null = null;

  constructor(private readonly log: BusLog) {}

  /** null: none were. */
  refused(): Refused | null {
    return this.latest;
  }

  /** Whether the message may be handled; one that may not is counted, and told now and then. */
  isGenuine(message: Envelope, user: string | null, queue: string): boolean {
    const hosts = spokenFor(message);
    if (hosts.length > 0 && hosts.every((host) => agentUser(host) === user)) return true;
    const count = (this.counts.get(user) ?? 0) + 1;
    if (this.counts.size < USERS_COUNTED_MAX || this.counts.has(user)) this.counts.set(user, count);
    this.latest = { count: (this.latest?.count ?? 0) + 1, by: user, at: new Date() };
    // whoever forges messages must not be able to fill the log with them
    if (Number.isInteger(Math.log2(count))) {
      const fields = { queue, user, hosts: hosts.slice(0, 10), type: message.type, messageId: message.id, count };
      this.log('error', 'message refused: it speaks for a host that its sender is not', fields);
    }
    return false;
  }
}
