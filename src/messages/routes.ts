/**
 * Where each message goes. Queues are durable quorum queues; each has its dead-letter queue `<name>.dead`.
 *
 *   scheduler ◄── berth.requests    server.requested, server.deleted        (relay, from the outbox)
 *   scheduler ◄── berth.reports     agent.report                            (agents; large)
 *   scheduler ◄── berth.heartbeats  agent.heartbeat                         (agents; small and many)
 *   scheduler ◄── berth.outcomes    devices.prepared, .prepare_failed, .released, agent.outcomes (several), agent.journal,
 *                                   agent.holds   (agents)
 *   agent     ◄── berth.agent.HOST  devices.prepare, devices.release, agent.commands (several), report.request,
 *                                   agent.reload, journal.request  (relay)
 */
export const QUEUES = {
  requests: 'berth.requests',
  reports: 'berth.reports',
  heartbeats: 'berth.heartbeats',
  outcomes: 'berth.outcomes',
} as const;

/** So many commands travel to an agent in one message, and so many of its outcomes back. */
export const COMMANDS_PER_MESSAGE_MAX = 256;

/** The command queue of one host's agent. */
export function agentQueue(hostName: string): string {
  return `berth.agent.${hostName}`;
}

export function deadLetterQueue(queue: string): string {
  return `${queue}.dead`;
}

/**
 * Host names are DNS names: they become queue names, which have 255 bytes at most, and must not be able to name another
 * queue.
 */
export const HOST_NAME =
  /^(?=.{1,238}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
