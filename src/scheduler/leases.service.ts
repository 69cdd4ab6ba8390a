import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { Bus, Subscription } from '../bus/bus.js';
import { messageOf } from '../errors.js';
import { envelope, type Envelope } from '../messages/envelope.js';
import { agentQueue, QUEUES, TOPICS } from '../messages/routes.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { adoptEpochs, readHostStamps, silenceHosts } from '../store/host-leases.store.js';
import { Ledger } from '../store/ledger.js';
import { AT_ONCE_MAX, HostLeases } from './host-leases.js';

const TICK_MS_MAX = 1_000;
const OLD_AGENTS_PREFETCH = 2_000;

/**
 * Listens to heartbeats. In the steady state they cost the ledger nothing: it is read when a host says what we do not
 * know of it, and once a sweep; written when a host lives with a new epoch, and when hosts are silent.
 */
@Injectable()
export class LeasesService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly log = new Logger(LeasesService.name);
  private readonly leases: HostLeases;
  private subscriptions: readonly Subscription[] = [];
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;
  /** Ledger changes are known up to this transaction. */
  private horizon = 0;
  private sweptAt = -Infinity;
  private told = '';

  constructor(
    private readonly ledger: Ledger,
    private readonly bus: Bus,
    private readonly settings: Pick<SchedulerSettings, 'hostSilentAfterMs' | 'sweepIntervalMs'>,
  ) {
    this.leases = new HostLeases(settings.hostSilentAfterMs);
  }

  async onApplicationBootstrap(): Promise<void> {
    const again = (message: Envelope): Promise<void> => this.bus.broadcast(TOPICS.heartbeats, message);
    this.subscriptions = await Promise.all([
      this.bus.listen(TOPICS.heartbeats, async (message) => this.hear(message)),
      this.bus.consume(QUEUES.heartbeats, again, { prefetch: OLD_AGENTS_PREFETCH }),
    ]);
    this.next();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    await Promise.all(this.subscriptions.map((subscription) => subscription.stop()));
    await this.running;
  }

  private hear(message: Envelope): void {
    if (message.type === 'agent.heartbeat') this.leases.hear(message.body, performance.now());
  }

  private next(): void {
    if (this.stopped) return;
    this.timer = setTimeout(
      () => {
        this.running = this.tick().finally(() => this.next());
      },
      Math.min(TICK_MS_MAX, this.settings.sweepIntervalMs),
    );
  }

  /** Compares what was heard with the ledger, and does what follows from it. Never throws. */
  async tick(): Promise<void> {
    try {
      const sweepIsDue = performance.now() - this.sweptAt >= this.settings.sweepIntervalMs;
      this.leases.look(this.bus.isReady() && this.bus.unheardQueues().length === 0, performance.now());
      if (sweepIsDue || this.leases.hasOpen()) await this.follow();
      await this.settle();
      if (sweepIsDue) await this.sweep();
      this.told = '';
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== this.told) this.log.warn({ message: 'heartbeats cannot be compared with the ledger', problem });
      this.told = problem;
    }
  }

  private async follow(): Promise<void> {
    const { hosts, horizon } = await readHostStamps(this.ledger.pool, this.horizon);
    this.leases.know(hosts, performance.now());
    this.horizon = horizon;
  }

  private async settle(): Promise<void> {
    let adopted = 0;
    for (let more = this.leases.hasOpen(); more;) {
      const { adopt, ask } = this.leases.toDo(performance.now());
      const hosts = adopt.length === 0 ? [] : await this.ledger.transaction((tx) => adoptEpochs(tx, adopt));
      this.leases.know(hosts, performance.now());
      adopted += hosts.length;
      await this.ask(ask, 'the ledger does not have your last report');
      // a whole fleet that starts again does not wait for as many ticks; who was not adopted is looked up first
      more = hosts.length === AT_ONCE_MAX;
    }
    if (adopted > 0) this.log.log({ message: 'hosts live with a new epoch, and nothing else is new', count: adopted });
  }

  private async sweep(): Promise<void> {
    this.sweptAt = performance.now();
    await this.ask(this.leases.doubtful(performance.now()), 'you were not heard of');
    const silent = this.leases.silent(performance.now());
    if (silent.length === 0) return;
    const after = this.settings.hostSilentAfterMs;
    const names = await this.ledger.transaction((tx) => silenceHosts(tx, silent, after));
    for (const host of names) this.log.warn({ message: 'host is silent', host });
    await this.follow();
  }

  /** Straight over the bus: an ask that is lost is repeated, as long as the host says what we do not know. */
  private async ask(hosts: readonly string[], reason: string): Promise<void> {
    const asked = await Promise.allSettled(
      hosts.map((host) => this.bus.publish(agentQueue(host), envelope('report.request', { reason }))),
    );
    const failed = asked.filter(({ status }) => status === 'rejected').length;
    if (failed > 0) this.log.warn({ message: 'hosts could not be asked for a report', count: failed });
  }
}
