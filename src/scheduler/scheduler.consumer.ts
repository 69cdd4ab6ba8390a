import { Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus, type Subscription } from '../bus/bus.js';
import type { Envelope, MessageType } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import { ClaimsService } from './claims.service.js';
import { InventoryService } from './inventory.service.js';
import { OutboxRelay } from './outbox-relay.js';
import { SchedulingService } from './scheduling.service.js';

/** Reports are large. */
const PREFETCH = { requests: 256, reports: 16, outcomes: 64 } as const;

/** After these there may be room for somebody in the queue. */
const MAKES_ROOM: ReadonlySet<string> = new Set<MessageType>([
  'agent.report',
  'devices.released',
  'devices.prepare_failed',
  'server.deleted',
]);

/** Which message wakes whom. A handler that resolves acknowledges; one that throws has the message come again. */
@Injectable()
export class SchedulerConsumer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private subscriptions: readonly Subscription[] = [];

  constructor(
    private readonly bus: Bus,
    private readonly scheduling: SchedulingService,
    private readonly inventory: InventoryService,
    private readonly claims: ClaimsService,
    private readonly relay: OutboxRelay,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const handle = (message: Envelope): Promise<void> => this.handle(message);
    this.subscriptions = await Promise.all([
      this.bus.consume(QUEUES.requests, handle, { prefetch: PREFETCH.requests }),
      this.bus.consume(QUEUES.reports, handle, { prefetch: PREFETCH.reports }),
      this.bus.consume(QUEUES.outcomes, handle, { prefetch: PREFETCH.outcomes }),
    ]);
  }

  /** Finishes what is in the handlers and returns the rest, while database and broker are still there. */
  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.subscriptions.map((subscription) => subscription.stop()));
    await this.scheduling.recorded();
  }

  private async handle(message: Envelope): Promise<void> {
    await this.dispatch(message);
    this.relay.nudge();
    // nobody waits for it, and what goes wrong is made good by the next sweep
    if (MAKES_ROOM.has(message.type)) void this.scheduling.lookAtQueue().catch(() => undefined);
  }

  private dispatch(message: Envelope): Promise<void> {
    switch (message.type) {
      case 'server.requested':
        return this.scheduling.schedule(message.body.server_id);
      case 'server.deleted':
        return this.claims.serverDeleted(message.body.server_id);
      case 'agent.report':
        return this.inventory.report(message.body);
      case 'devices.prepared':
        return this.claims.prepared(message.body);
      case 'devices.prepare_failed':
        return this.claims.prepareFailed(message.body);
      case 'devices.released':
        return this.claims.released(message.body);
      case 'devices.prepare':
      case 'devices.release':
      case 'report.request':
      case 'agent.reload':
        throw new Error(`${message.type} is for agents`);
      case 'agent.heartbeat':
        throw new Error(`${message.type} is heard by the leases`);
    }
  }
}
