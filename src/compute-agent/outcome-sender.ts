import type { Bus } from '../bus/bus.js';
import type { AgentOutcome } from '../messages/bodies.js';
import { envelope, type Envelope } from '../messages/envelope.js';
import { COMMANDS_PER_MESSAGE_MAX, QUEUES } from '../messages/routes.js';

/** What is carried out within so many milliseconds is told in one message. */
const TOGETHER_MS = 5;

interface Telling {
  readonly outcome: AgentOutcome;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** Tells the centre what has become of commands; those that end at about the same time travel together. */
export class OutcomeSender {
  private waiting: Telling[] = [];
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly bus: Bus) {}

  /** Resolves when the broker has it. */
  send(outcome: AgentOutcome): Promise<void> {
    return new Promise((done, failed) => {
      this.waiting.push({ outcome, done, failed });
      if (this.waiting.length >= COMMANDS_PER_MESSAGE_MAX) void this.flush();
      else this.timer ??= setTimeout(() => void this.flush(), TOGETHER_MS);
    });
  }

  private async flush(): Promise<void> {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const told = this.waiting;
    this.waiting = [];
    if (told.length === 0) return;
    try {
      await this.bus.publish(QUEUES.outcomes, messageOf(told.map(({ outcome }) => outcome)));
      told.forEach(({ done }) => done());
    } catch (error) {
      told.forEach(({ failed }) => failed(error));
    }
  }
}

function messageOf(outcomes: readonly AgentOutcome[]): Envelope {
  const [first] = outcomes;
  if (outcomes.length > 1 || !first) return envelope('agent.outcomes', { outcomes: [...outcomes] });
  if (first.prepared) return envelope('devices.prepared', first.prepared);
  if (first.prepare_failed) return envelope('devices.prepare_failed', first.prepare_failed);
  if (first.released) return envelope('devices.released', first.released);
  return envelope('agent.outcomes', { outcomes: [first] });
}
