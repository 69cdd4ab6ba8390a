import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Subscription } from '../bus/bus.js';
import type { BusLog } from '../bus/bus-log.js';
import { messageOf } from '../errors.js';
import type { Envelope } from '../messages/envelope.js';
import { agentQueue, QUEUES, TOPICS } from '../messages/routes.js';
import type { HostContent } from './host-kinds.js';
import { seededRandom } from './seeded-random.js';
import { sharedKind, SimulatedAgent } from './simulated-agent.js';

export interface FleetOptions {
  readonly hosts: number;
  /** In turn: host n has the content of kind n modulo their number. */
  readonly kinds: readonly HostContent[];
  readonly heartbeatIntervalMs: number;
  /** How long an agent takes to bind or to give back. */
  readonly latencyMs: number;
  /** Of a hundred percent 1: how many prepares the kernel refuses. */
  readonly failureRate: number;
  readonly seed: number;
}

export interface FleetCounts {
  readonly reports: number;
  readonly heartbeats: number;
  readonly prepared: number;
  readonly failed: number;
  readonly released: number;
  /** What the broker did not take; it is said again later. */
  readonly unsent: number;
}

/** Queues on one channel. */
const QUEUES_PER_CHANNEL = 500;
const PREFETCH = 8;
const AT_ONCE = 64;
const BEATS_PER_TICK_MS = 100;

/**
 * The agents of N hosts in one process, over the real bus with the real messages. Few channels, one clock: at each beat
 * of it the hosts whose turn it is say that they live, so that heartbeats are spread over their interval.
 */
export class FleetSimulator {
  readonly agents: readonly SimulatedAgent[];
  private readonly random: () => number;
  private readonly tally = { reports: 0, heartbeats: 0, prepared: 0, failed: 0, released: 0, unsent: 0 };
  /** Hosts that have something to report. */
  private readonly owed = new Set<SimulatedAgent>();
  private subscriptions: Subscription[] = [];
  private clock: NodeJS.Timeout | null = null;
  private reporting: Promise<void> | null = null;
  private beatAt = 0;
  private nextToBeat = 0;
  private stopped = false;

  constructor(
    private readonly bus: Bus,
    private readonly options: FleetOptions,
    private readonly log: BusLog,
  ) {
    const kinds = options.kinds.map(sharedKind);
    const now = Date.now();
    this.random = seededRandom(options.seed);
    this.agents = Array.from({ length: options.hosts }, (_unused, index) => {
      const kind = kinds[index % kinds.length];
      if (!kind) throw new RangeError('a fleet has one kind of host at least');
      return new SimulatedAgent(fleetHostName(index), kind, now);
    });
  }

  /** Resolves when every host takes commands and has reported. */
  async start(): Promise<void> {
    await inTurns(this.agents, AT_ONCE, (agent, index) => this.takeCommands(agent, index));
    this.report(this.agents);
    await this.reported();
    this.beatAt = performance.now();
    this.clock = setInterval(() => this.beat(), BEATS_PER_TICK_MS);
  }

  /** Every host's agent starts again at the same moment; each says at once that it lives with a new epoch. */
  async restartAll(): Promise<void> {
    const now = Date.now();
    for (const agent of this.agents) agent.restart(now);
    await inTurns(this.agents, AT_ONCE, (agent) => this.sayHeartbeat(agent));
  }

  /** Changes a device of a host; its agent reports that at once. @returns the device's address */
  async changeDevice(index: number): Promise<string | null> {
    const agent = this.agents[index];
    const address = agent?.toggleDevice() ?? null;
    if (agent && address !== null) {
      this.report([agent]);
      await this.reported();
    }
    return address;
  }

  counts(): FleetCounts {
    return { ...this.tally };
  }

  async stop(): Promise<void> {
    this.stopped = true;
    if (this.clock) clearInterval(this.clock);
    await Promise.all(this.subscriptions.map((subscription) => subscription.stop()));
    await this.reporting;
  }

  private async takeCommands(agent: SimulatedAgent, index: number): Promise<void> {
    const channel = `fleet ${Math.floor(index / QUEUES_PER_CHANNEL)}`;
    const handle = (message: Envelope): Promise<void> => this.obey(agent, message);
    this.subscriptions.push(await this.bus.consume(agentQueue(agent.host), handle, { prefetch: PREFETCH, channel }));
  }

  private async obey(agent: SimulatedAgent, message: Envelope): Promise<void> {
    switch (message.type) {
      case 'devices.prepare': {
        await sleep(this.options.latencyMs);
        const answer = agent.prepare(message.body, this.random() < this.options.failureRate);
        await this.bus.publish(QUEUES.outcomes, answer);
        this.tally[answer.type === 'devices.prepared' ? 'prepared' : 'failed'] += 1;
        break;
      }
      case 'devices.release':
        await sleep(this.options.latencyMs);
        await this.bus.publish(QUEUES.outcomes, agent.release(message.body));
        this.tally.released += 1;
        break;
      case 'sriov.set':
        await sleep(this.options.latencyMs);
        agent.setSriov(message.body);
        break;
      case 'report.request':
      case 'agent.reload':
        break;
      default:
        return this.log('warn', 'A message that is no command was dropped', { type: message.type });
    }
    this.report([agent]);
  }

  /** Has these hosts report in full, soon; wishes of one host that come meanwhile are one report. */
  private report(agents: readonly SimulatedAgent[]): void {
    for (const agent of agents) this.owed.add(agent);
    this.reporting ??= this.reportOwed().finally(() => (this.reporting = null));
  }

  private async reported(): Promise<void> {
    while (this.reporting) await this.reporting;
  }

  private async reportOwed(): Promise<void> {
    while (this.owed.size > 0 && !this.stopped) {
      const turn = [...this.owed];
      this.owed.clear();
      const unsent = this.tally.unsent;
      await inTurns(turn, AT_ONCE, (agent) => this.sayReport(agent));
      if (this.tally.unsent > unsent) await sleep(500);
    }
  }

  private async sayReport(agent: SimulatedAgent): Promise<void> {
    try {
      await this.bus.publish(QUEUES.reports, agent.report());
      this.tally.reports += 1;
    } catch (error) {
      this.owed.add(agent);
      this.unsent(error);
    }
  }

  private async sayHeartbeat(agent: SimulatedAgent): Promise<void> {
    try {
      await this.bus.broadcast(TOPICS.heartbeats, agent.heartbeat());
      this.tally.heartbeats += 1;
    } catch (error) {
      this.unsent(error);
    }
  }

  /** The share of hosts whose turn has come since the last time. */
  private beat(): void {
    const now = performance.now();
    const perHostMs = this.options.heartbeatIntervalMs / this.agents.length;
    const due = Math.min(this.agents.length, Math.floor((now - this.beatAt) / perHostMs));
    this.beatAt += due * perHostMs;
    for (let count = 0; count < due; count++) {
      const agent = this.agents[this.nextToBeat % this.agents.length];
      this.nextToBeat += 1;
      if (agent) void this.sayHeartbeat(agent);
    }
  }

  private unsent(error: unknown): void {
    if (this.tally.unsent++ % 1_000 === 0) {
      this.log('warn', 'the broker does not take what hosts say', { problem: messageOf(error) });
    }
  }
}

export function fleetHostName(index: number): string {
  return `fleet-${String(index + 1).padStart(5, '0')}`;
}

async function inTurns<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as T, index);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
