import type { DynamicModule, INestApplication } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import { BusModule } from '../bus/bus.module.js';
import { BerthError } from '../errors.js';
import type { Check } from '../health/health.module.js';
import type { Settings } from '../settings/settings.js';

export function busOf(settings: Settings, role: string): DynamicModule {
  if (settings.bus.url === null) {
    throw new BerthError('settings.invalid', `bus.url: ${role} needs RabbitMQ; set AMQP_URL`);
  }
  return BusModule.register(settings.bus);
}

export function brokerCheck(app: INestApplication): Record<string, Check> {
  const bus = app.get(Bus, { strict: false });
  if (!bus.isReady()) return { broker: { ok: false, message: 'the message broker cannot be reached' } };
  const unheard = bus.unheardQueues();
  if (unheard.length === 0) return { broker: { ok: true } };
  return { broker: { ok: false, message: `the broker does not deliver from ${unheard.join(', ')}` } };
}
