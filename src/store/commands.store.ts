import type { PrepareDevices, ReleaseDevices } from '../messages/bodies.js';
import { envelope, type Envelope } from '../messages/envelope.js';
import { agentQueue, COMMANDS_PER_MESSAGE_MAX } from '../messages/routes.js';
import type { Tx } from './database.js';
import { addToOutbox } from './outbox.store.js';

/** The body of each command. */
interface Bodies {
  readonly 'devices.prepare': PrepareDevices;
  readonly 'devices.release': ReleaseDevices;
}

/** A command to the agent of one host. */
export interface Command<T extends keyof Bodies> {
  /** The host's name. */
  readonly host: string;
  readonly body: Bodies[T];
}

/** Writes commands to the outbox; those to one agent travel together, up to {@link COMMANDS_PER_MESSAGE_MAX} of them. */
export async function sendCommands<T extends keyof Bodies>(
  tx: Tx,
  type: T,
  commands: readonly Command<T>[],
): Promise<void> {
  const byHost = new Map<string, Bodies[T][]>();
  for (const { host, body } of commands) {
    const bodies = byHost.get(host);
    if (bodies) bodies.push(body);
    else byHost.set(host, [body]);
  }
  const lines = [...byHost].flatMap(([host, bodies]) =>
    chunks(bodies).map((some) => ({ queue: agentQueue(host), message: messageOf(type, some) })),
  );
  await addToOutbox(tx, lines);
}

function messageOf<T extends keyof Bodies>(type: T, bodies: readonly Bodies[T][]): Envelope {
  const [first] = bodies;
  if (first && bodies.length === 1) return envelope(type, first as never) as Envelope;
  return envelope('agent.commands', {
    commands: bodies.map((body) => (type === 'devices.prepare' ? { prepare: body } : { release: body })) as never,
  });
}

function chunks<T>(items: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let from = 0; from < items.length; from += COMMANDS_PER_MESSAGE_MAX) {
    parts.push(items.slice(from, from + COMMANDS_PER_MESSAGE_MAX));
  }
  return parts;
}
