/**
 * Where each message goes. Queues are durable quorum queues, each with a dead-letter queue `<name>.dead`; but for those of
 * the agents, which are many: classic queues with one dead-letter queue together (`docs/decisions/0014`).
 *
 *   scheduler ◄── berth.requests    server.requested, server.deleted        (relay, from the outbox)
 *   scheduler ◄── berth.reports     agent.report                            (agents; large)
 *   schedulers ◄─ berth.heartbeats  agent.heartbeat                         (agents; broadcast: every scheduler hears every one)
 *   scheduler ◄── berth.outcomes    devices.prepared, .prepare_failed, .released, agent.outcomes (several), agent.journal,
 *                                   agent.holds, devices.cleaned, guest.ended, guest.acted   (agents)
 *   agent     ◄── berth.agent.HOST  devices.prepare, devices.release, agent.commands (several), report.request,
 *                                   agent.reload, journal.request, cleaning.request, sriov.set,
 *                                   device_claims.set, guest.act  (relay)
 *
 * Where each agent has a user of the broker of its own, agents send everything to one topic exchange, under keys that end in their
 * host's name, and the broker lets none of them use another's (`docs/decisions/0023`):
 *
 *   agent ──► berth.agents ──reports.HOST────► berth.reports
 *                          ──outcomes.HOST───► berth.outcomes
 *                          ──heartbeats.HOST─► berth.heartbeats, the broadcast
 */
export const QUEUES = {
  requests: 'berth.requests',
  reports: 'berth.reports',
  /** Of agents that know no broadcasts yet: a scheduler says again what comes here. */
  heartbeats: 'berth.heartbeats',
  outcomes: 'berth.outcomes',
} as const;

/** So many commands travel to an agent in one message, and so many of its outcomes back. */
export const COMMANDS_PER_MESSAGE_MAX = 256;
/** What is said to whoever listens, and kept by nobody. */
export const TOPICS = { heartbeats: 'berth.heartbeats' } as const;

/** What agents send to when each has a user of its own. */
export const AGENTS_EXCHANGE = 'berth.agents';

/** The key under which a host's agent sends what goes to a queue or a topic there. */
export function agentKey(destination: string, hostName: string): string {
  return `${destination.replace(/^berth\./, '')}.${hostName}`;
}

/** The broker's user of one host's agent: also what a certificate has to be called by which it logs in. */
export function agentUser(hostName: string): string {
  return agentQueue(hostName);
}

/** Whether what is said there is said by agents. */
export function isOfAgents(destination: string): boolean {
  return OF_AGENTS.has(destination);
}

/** The command queue of one host's agent. */
export function agentQueue(hostName: string): string {
  return `${AGENT_QUEUES}${hostName}`;
}

export function isAgentQueue(queue: string): boolean {
  return queue.startsWith(AGENT_QUEUES);
}

export function deadLetterQueue(queue: string): string {
  return isAgentQueue(queue) ? 'berth.agents.dead' : `${queue}.dead`;
}

const AGENT_QUEUES = 'berth.agent.';
const OF_AGENTS: ReadonlySet<string> = new Set([
  ...[QUEUES.reports, QUEUES.outcomes, QUEUES.heartbeats],
  TOPICS.heartbeats,
]);

/**
 * Host names are DNS names: they become queue names, which have 255 bytes at most, and must not be able to name another
 * queue.
 */
export const HOST_NAME =
  /^(?=.{1,238}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
