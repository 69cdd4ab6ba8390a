import { hostname } from 'node:os';
import type { DynamicModule, INestApplication } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import { BusModule } from '../bus/bus.module.js';
import { BerthError } from '../errors.js';
import type { Check } from '../health/health.module.js';
import { agentUser } from '../messages/routes.js';
import type { Settings } from '../settings/settings.js';

export function busOf(settings: Settings, role: string): DynamicModule {
  if (settings.bus.url === null) {
    throw new BerthError('settings.invalid', `bus.url: ${role} needs RabbitMQ; set AMQP_URL`);
  }
  return BusModule.register(settings.bus);
}

/** A bus of this process's own has no users. */
export function assertOneUserWillDo({ bus }: Settings): void {
  if (bus.url === null || bus.agentUsers !== 'per_host') return;
  throw new BerthError(
    'settings.invalid',
    'bus.agent_users: per_host needs schedulers and agents that are processes of their own; `berth all` has one user for both',
  );
}

/** The broker would refuse every message of an agent that has another's user. */
export function assertOwnUser({ bus, agent }: Settings): void {
  if (bus.url === null || bus.agentUsers !== 'per_host' || bus.auth === 'external') return;
  const wanted = agentUser(agent.host ?? hostname().toLowerCase());
  const given = decodeURIComponent(new URL(bus.url).username);
  if (given === wanted) return;
  throw new BerthError(
    'settings.invalid',
    `bus.url: names the user ${given || '(none)'}; with bus.agent_users per_host the agent of this host is ${wanted}`,
  );
}

/** Somebody should look: a host may be in strange hands, or an agent be set up otherwise than this scheduler. */
function sendersCheck(bus: Bus): Record<string, Check> {
  const refused = bus.refused();
  if (!refused) return {};
  const { count, by, at } = refused;
  const what = `${count} messages spoke for hosts that their senders are not`;
  const last = `the last at ${at.toISOString()} by the user ${by ?? '(none)'}`;
  return { senders: { ok: false, advisory: true, message: `${what}, ${last}; they were not taken` } };
}

export function brokerCheck(app: INestApplication): Record<string, Check> {
  const bus = app.get(Bus, { strict: false });
  if (!bus.isReady()) return { broker: { ok: false, message: 'the message broker cannot be reached' } };
  const unheard = bus.unheardQueues();
  if (unheard.length === 0) return { broker: { ok: true }, ...sendersCheck(bus) };
  return { broker: { ok: false, message: `the broker does not deliver from ${unheard.join(', ')}` } };
}
