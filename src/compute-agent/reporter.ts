import type { Bus } from '../bus/bus.js';
import { messageOf } from '../errors.js';
import type { AgentReport, AgentStamp } from '../messages/bodies.js';
import { contentHash } from '../messages/content-hash.js';
import { envelope } from '../messages/envelope.js';
import { QUEUES, TOPICS } from '../messages/routes.js';
import { toWireDevice } from '../messages/wire-device.js';
import { poolsOf } from '../pci/pool.js';
import type { AgentLog } from './agent-log.js';
import type { LastReport } from './last-report.js';
import type { HostScan } from './sysfs-scanner.js';

export interface ReporterOptions {
  readonly host: string;
  readonly epoch: number;
  readonly scan: () => Promise<HostScan>;
  readonly bus: Bus;
  readonly log: AgentLog;
  readonly scanIntervalMs: number;
  readonly heartbeatIntervalMs: number;
  /** What a former life of the agent reported last; null: not known. */
  readonly lastReport: LastReport | null;
  readonly remember: (report: LastReport) => Promise<void>;
}

/** What readiness asks. */
export interface ReporterStatus {
  /** null: the last scan succeeded; before the first one it says so. */
  readonly scanProblem: string | null;
  /** Whether the broker took a report, or the word that the last one still holds. */
  readonly hasReported: boolean;
}

const PROBLEMS_TOLD_MAX = 20;

type Content = Pick<AgentReport, 'facts' | 'devices'>;

/**
 * Tells the centre what the host has: a numbered full report when something has changed or somebody asks, else a heartbeat
 * with the last report's hash. What cannot be sent is not kept: the next turn looks again and sends what is true then.
 *
 * Invariant: one turn at a time; wishes that come meanwhile are one more turn, however many they are.
 */
export class Reporter {
  private timers: NodeJS.Timeout[] = [];
  private turn: Promise<void> | null = null;
  private next: Promise<void> | null = null;
  private stopped = false;
  /** A full report was asked for and is not sent yet. */
  private owed: boolean;
  private lastSent: { readonly stamp: AgentStamp; readonly settled: string } | null = null;
  private lastSentAt = 0;
  private scanProblem: string | null = 'not scanned yet';
  private told = '';

  constructor(private readonly options: ReporterOptions) {
    this.owed = options.lastReport === null;
  }

  /** Sends the first report and keeps the intervals from then on. Never fails: what cannot be done is tried again. */
  async start(): Promise<void> {
    const { scanIntervalMs, heartbeatIntervalMs } = this.options;
    this.timers = [
      setInterval(() => this.lookAgain(), scanIntervalMs),
      setInterval(() => this.heartbeat(), heartbeatIntervalMs),
    ];
    await this.look();
  }

  /** Scans soon, and reports when something has changed. */
  lookAgain(): void {
    void this.look();
  }

  /** As {@link lookAgain}; resolves when that is done, whatever came of it. */
  look(): Promise<void> {
    return this.whenLooked().catch((error: unknown) => this.tell(error));
  }

  /** Resolves when a full report is sent that was scanned after this call; fails when it could not be. */
  reportFully(): Promise<void> {
    this.owed = true;
    return this.whenLooked();
  }

  /** As {@link reportFully}; a report that cannot be sent now is sent at a later turn. */
  reportOrOwe(): Promise<void> {
    return this.reportFully().catch((error: unknown) => this.tell(error));
  }

  status(): ReporterStatus {
    return { scanProblem: this.scanProblem, hasReported: this.lastSent !== null };
  }

  /** No more turns; resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers) clearInterval(timer);
    await this.turn?.catch(() => undefined);
  }

  /** A turn that begins after this call: the one under way may have read the old state already. */
  private whenLooked(): Promise<void> {
    if (!this.turn) return this.begin();
    this.next ??= this.turn.then(
      () => this.begin(),
      () => this.begin(),
    );
    return this.next;
  }

  private begin(): Promise<void> {
    this.next = null;
    const turn = this.lookAndReport().finally(() => {
      if (this.turn === turn) this.turn = null;
    });
    this.turn = turn;
    return turn;
  }

  private async lookAndReport(): Promise<void> {
    if (this.stopped) return;
    const scan = await this.scanned();
    const content: Content = { facts: scan.facts, devices: scan.devices.map(toWireDevice) };
    const settled = contentHash(withoutLinkState(content));
    if (!this.owed && settled === this.lastSent?.settled) return;
    if (!this.owed && !this.lastSent && restingHash(content) === this.options.lastReport?.resting) {
      return this.announce(this.options.lastReport.hash, settled);
    }
    const owed = this.owed;
    this.owed = false;
    try {
      await this.send(scan, content, settled);
      this.told = '';
    } catch (error) {
      this.owed ||= owed;
      throw error;
    }
  }

  /** A new life on a host as the former one reported it: the centre takes over the epoch, or asks for a report. */
  private async announce(hash: string, settled: string): Promise<void> {
    const { host, epoch, bus, log } = this.options;
    const stamp: AgentStamp = { host, epoch, sequence: 0, hash };
    await bus.broadcast(TOPICS.heartbeats, envelope('agent.heartbeat', stamp));
    this.lastSent = { stamp, settled };
    this.lastSentAt = Date.now();
    log('info', 'The host is as it was reported last', { host, epoch });
  }

  private async scanned(): Promise<HostScan> {
    try {
      const scan = await this.options.scan();
      this.scanProblem = null;
      return scan;
    } catch (error) {
      this.scanProblem = messageOf(error);
      throw error;
    }
  }

  private async send(scan: HostScan, content: Content, settled: string): Promise<void> {
    const { host, epoch, bus, log } = this.options;
    const sequence = (this.lastSent?.stamp.sequence ?? 0) + 1;
    const stamp: AgentStamp = { host, epoch, sequence, hash: contentHash(content) };
    const pools = poolsOf(scan.devices).map(({ key, count }) => ({ key: { ...key }, count }));
    await bus.publish(QUEUES.reports, envelope('agent.report', { ...stamp, ...content, pools }));
    this.lastSent = { stamp, settled };
    this.lastSentAt = Date.now();
    await this.options.remember({ hash: stamp.hash, resting: restingHash(content) });
    const offered = scan.devices.filter((device) => device.offer !== null).length;
    log('info', 'Report sent', { host, epoch, sequence, devices: scan.devices.length, offered });
    this.tellProblems(scan);
  }

  private tellProblems({ problems }: HostScan): void {
    const { host, log } = this.options;
    for (const { address, problem } of problems.slice(0, PROBLEMS_TOLD_MAX)) {
      log('warn', 'A part of the host is not usable', { host, address, problem });
    }
    const left = problems.length - PROBLEMS_TOLD_MAX;
    if (left > 0) log('warn', 'More parts of the host are not usable', { host, left });
  }

  /** A host that cannot be looked at has no heartbeat: nobody knows whether anything has changed. */
  private heartbeat(): void {
    const due = Date.now() - this.lastSentAt >= this.options.heartbeatIntervalMs / 2;
    if (this.turn || !due || this.scanProblem !== null || !this.lastSent) return;
    const turn = this.options.bus
      .broadcast(TOPICS.heartbeats, envelope('agent.heartbeat', this.lastSent.stamp))
      .then(() => {
        this.lastSentAt = Date.now();
      })
      .catch((error: unknown) => this.tell(error))
      .finally(() => {
        if (this.turn === turn) this.turn = null;
      });
    this.turn = turn;
  }

  /** The same failure is told once, not at every interval. */
  private tell(error: unknown): void {
    const problem = messageOf(error);
    if (problem === this.told) return;
    this.told = problem;
    this.options.log('error', 'The host could not be reported', { host: this.options.host, problem });
  }
}

/**
 * A GPU at rest lowers its link's speed and raises it again with work. That alone is no news; a report for another
 * reason carries it.
 */
function withoutLinkState({ facts, devices }: Content): Content {
  const settled = devices.map((device) => ({
    ...device,
    link: device.link && { ...device.link, current_speed: null, current_width: null },
  }));
  return { facts, devices: settled };
}

/** What a restart of the agent alone does not change: when its configuration was read is no news either. */
function restingHash(content: Content): string {
  const { facts, devices } = withoutLinkState(content);
  const { configuration = null } = facts;
  return contentHash({
    facts: { ...facts, configuration: configuration && { ...configuration, loaded_at: null } },
    devices,
  });
}
