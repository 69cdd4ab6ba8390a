import type { AgentOutcome } from './bodies.js';
import type { Envelope } from './envelope.js';

/** The hosts that a message of an agent speaks for, each once; none: it is a message of the centre. */
export function spokenFor(message: Envelope): readonly string[] {
  switch (message.type) {
    case 'agent.report':
    case 'agent.heartbeat':
    case 'agent.holds':
    case 'agent.journal':
    case 'devices.prepared':
    case 'devices.prepare_failed':
    case 'devices.released':
    case 'devices.cleaned':
    case 'guest.ended':
    case 'guest.acted':
      return [message.body.host];
    case 'agent.outcomes':
      return [...new Set(message.body.outcomes.flatMap(hostsOf))];
    case 'server.requested':
    case 'server.deleted':
    case 'devices.prepare':
    case 'devices.release':
    case 'agent.commands':
    case 'report.request':
    case 'agent.reload':
    case 'journal.request':
    case 'cleaning.request':
    case 'guest.act':
    case 'sriov.set':
    case 'device_claims.set':
      return [];
  }
}

function hostsOf({ prepared, prepare_failed, released }: AgentOutcome): string[] {
  return [prepared, prepare_failed, released].flatMap((one) => (one ? [one.host] : []));
}
