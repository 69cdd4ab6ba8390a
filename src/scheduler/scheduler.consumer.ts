import { Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus, type Subscription } from '../bus/bus.js';
import type { Envelope, MessageType } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import { ClaimsService } from './claims.service.js';
import { InventoryService } from './inventory.service.js';
import { OutagePatience } from './outage-patience.js';
import { SchedulingService } from './scheduling.service.js';

/** Reports are large; those of two batches. Outcomes are written together, as many as there are. */
const PREFETCH = { requests: 256, reports: 64, outcomes: 512 } as const;

/** After these there may be room for somebody in the queue. */
const MAKES_ROOM: ReadonlySet<string> = new Set<MessageType>([
  'agent.report',
  'devices.released',
  'devices.cleaned',
  'devices.prepare_failed',
  'agent.outcomes',
  'server.deleted',
]);

/** Which message wakes whom. A handler that resolves acknowledges; one that throws has the message come again. */
@Injectable()
export class SchedulerConsumer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private subscriptions: readonly Subscription[] = [];
  private readonly patience = new OutagePatience();

  constructor(
    private readonly bus: Bus,
    private readonly scheduling: SchedulingService,
    private readonly inventory: InventoryService,
    private readonly claims: ClaimsService,
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
    this.patience.stop();
    await Promise.all(this.subscriptions.map((subscription) => subscription.stop()));
    await this.scheduling.recorded();
  }

  private async handle(message: Envelope): Promise<void> {
    await this.patience.through(() => this.dispatch(message));
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
        return this.claims.take({ prepared: message.body });
      case 'devices.prepare_failed':
        return this.claims.take({ prepare_failed: message.body });
      case 'devices.released':
        return this.claims.take({ released: message.body });
      case 'devices.cleaned':
        return this.claims.cleaned(message.body);
      case 'agent.outcomes':
        return all(message.body.outcomes.map((outcome) => this.claims.take(outcome)));
      case 'agent.journal':
        return this.inventory.journal(message.body);
      case 'agent.holds':
        return this.claims.holds(message.body);
      case 'guest.ended':
        return this.claims.guestEnded(message.body);
      case 'guest.acted':
        return this.claims.guestActed(message.body);
      case 'devices.prepare':
      case 'devices.release':
      case 'agent.commands':
      case 'report.request':
      case 'agent.reload':
      case 'journal.request':
      case 'cleaning.request':
      case 'sriov.set':
      case 'device_claims.set':
      case 'guest.act':
        throw new Error(`${message.type} is for agents`);
      case 'agent.heartbeat':
        throw new Error(`${message.type} is heard by the leases`);
    }
  }
}

/** One that fails has the message come again, once the others are done: each may come twice. */
async function all(works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
}
