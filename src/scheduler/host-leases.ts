import type { AgentStamp } from '../messages/bodies.js';

/** What the ledger knows of a host's agent. */
export interface LedgerHost {
  readonly id: string;
  readonly name: string;
  readonly status: 'up' | 'down';
  readonly epoch: number;
  readonly sequence: number;
  readonly hash: string;
}

/** A host that lives with a new epoch, and has what the ledger has of it. */
export interface Adoption extends AgentStamp {
  readonly id: string;
}

export interface ToDo {
  readonly adopt: readonly Adoption[];
  /** Hosts that have to report in full. */
  readonly ask: readonly string[];
}

/** Names beyond this many are not listened to. */
const HOSTS_MAX = 200_000;
/** Hosts that are asked for a report, or adopted, at one time. */
export const AT_ONCE_MAX = 500;
/** A host that counts a report more than the ledger has sent one just now. */
const REPORT_UNDER_WAY_MS = 5_000;
const ASK_AGAIN_MS_FIRST = 5_000;
const ASK_AGAIN_MS_MAX = 120_000;

/**
 * When each host was last heard of, and what it said, in the memory of one scheduler. Pure: the clock, in milliseconds
 * that never go back, is passed in.
 *
 *   heartbeat ──► as the ledger has it ──────────────────────────────► the lease runs on; nothing else
 *                 │ new epoch, the ledger's hash, host up ───────────► adopt
 *                 │ host unknown or down, another hash ──────────────► ask for a full report
 *                 └ former epoch ────────────────────────────────────► not heard at all
 *   nothing for half of the time ────────────────────────────────────► ask once: perhaps we alone are deaf
 *   nothing for the whole time ──────────────────────────────────────► silent
 *
 * Who could not hear does not know who was silent: every lease begins anew when hearing does.
 */
export class HostLeases {
  private readonly hosts = new Map<string, Lease>();
  /** Hosts whose last word is not what the ledger has. */
  private readonly open = new Set<string>();
  private hearingSince: number | null = null;
  private lookedAt: number | null = null;

  constructor(private readonly silentAfterMs: number) {}

  /** Takes over what the ledger has. A host whose report or new life somebody has taken in meanwhile was heard of. */
  know(rows: readonly LedgerHost[], now: number): void {
    for (const row of rows) {
      const lease = this.leaseOf(row.name);
      if (!lease) continue;
      const { known } = lease;
      if (!known || known.epoch !== row.epoch || known.sequence !== row.sequence || known.status !== row.status) {
        renew(lease, now);
        lease.asked = 0;
      }
      lease.known = row;
      this.sort(row.name, lease, now);
    }
  }

  /** A heartbeat. One of a former life of the agent says nothing. */
  hear({ host, epoch, sequence, hash }: AgentStamp, now: number): void {
    const lease = this.leaseOf(host);
    if (!lease) return;
    const { known, said } = lease;
    if ((known && epoch < known.epoch) || (said && epoch < said.epoch)) return;
    renew(lease, now);
    if (said && said.epoch === epoch && said.sequence > sequence) return;
    lease.said = { host, epoch, sequence, hash };
    this.sort(host, lease, now);
  }

  /** Whether a host has said what the ledger does not have, as far as it is known here. */
  hasOpen(): boolean {
    return this.open.size > 0;
  }

  /**
   * What is to be done about hosts that say something else than the ledger. Each host is asked ever more rarely, and no more
   * while many have not answered yet: their reports wait to be taken in, and to have them again makes that longer.
   */
  toDo(now: number): ToDo {
    const adopt: Adoption[] = [];
    const due: [string, Lease][] = [];
    let unanswered = 0;
    for (const name of this.open) {
      const lease = this.hosts.get(name);
      if (!lease?.said) continue;
      const { known, said } = lease;
      if (known?.status === 'up' && said.epoch > known.epoch && said.hash === known.hash) {
        if (adopt.length < AT_ONCE_MAX) adopt.push({ ...said, id: known.id });
      } else if (lease.askAt <= now) due.push([name, lease]);
      else if (lease.asked > 0 && now - lease.askedAt < ASK_AGAIN_MS_FIRST) unanswered += 1;
    }
    // first those that were not asked yet
    const asked = due.sort(([, a], [, b]) => a.asked - b.asked).slice(0, Math.max(0, AT_ONCE_MAX - unanswered));
    for (const [, lease] of asked) {
      lease.askedAt = now;
      lease.askAt = now + Math.min(ASK_AGAIN_MS_MAX, ASK_AGAIN_MS_FIRST * 2 ** lease.asked);
      lease.asked += 1;
    }
    return { adopt, ask: asked.map(([name]) => name) };
  }

  /**
   * Says whether we can hear now; to be called every second or so. A process that stood still for long has not heard
   * either, whatever it thinks.
   */
  look(canHear: boolean, now: number): void {
    const stoodStill = this.lookedAt !== null && now - this.lookedAt >= this.silentAfterMs / 2;
    this.lookedAt = now;
    if (!canHear) this.hearingSince = null;
    else if (this.hearingSince === null || stoodStill) this.hearingSince = now;
  }

  /** Hosts that were not heard of for half of the time, each once: a living one answers, and the ledger tells us. */
  doubtful(now: number): string[] {
    const found = [...this.quiet(now, this.silentAfterMs / 2)].filter(({ doubted }) => !doubted).slice(0, AT_ONCE_MAX);
    for (const lease of found) lease.doubted = true;
    return found.flatMap(({ known }) => (known ? [known.name] : []));
  }

  /** Hosts that are up in the ledger and were not heard of in time. */
  silent(now: number): LedgerHost[] {
    return [...this.quiet(now, this.silentAfterMs)].flatMap(({ known }) => (known ? [known] : []));
  }

  private *quiet(now: number, forMs: number): Generator<Lease> {
    const { hearingSince } = this;
    if (hearingSince === null || now - hearingSince < forMs) return;
    for (const lease of this.hosts.values()) {
      if (lease.known?.status === 'up' && now - Math.max(lease.heardAt, hearingSince) >= forMs) yield lease;
    }
  }

  private leaseOf(name: string): Lease | null {
    const found = this.hosts.get(name);
    if (found || this.hosts.size >= HOSTS_MAX) return found ?? null;
    const lease: Lease = { known: null, said: null, heardAt: 0, doubted: false, asked: 0, askedAt: 0, askAt: 0 };
    this.hosts.set(name, lease);
    return lease;
  }

  private sort(name: string, lease: Lease, now: number): void {
    const { known, said } = lease;
    if (!said || !isNews(known, said)) return void this.open.delete(name);
    if (this.open.has(name)) return;
    this.open.add(name);
    const since = known?.epoch === said.epoch ? known.sequence : 0;
    if (said.sequence > since) lease.askAt = Math.max(lease.askAt, now + REPORT_UNDER_WAY_MS);
  }
}

interface Lease {
  known: LedgerHost | null;
  said: AgentStamp | null;
  heardAt: number;
  doubted: boolean;
  /** How often in a row it was asked for a report. */
  asked: number;
  askedAt: number;
  askAt: number;
}

function renew(lease: Lease, now: number): void {
  lease.heardAt = now;
  lease.doubted = false;
}

/** A heartbeat that was overtaken by a later report of the same life is no news. */
function isNews(known: LedgerHost | null, said: AgentStamp): boolean {
  if (!known || known.status === 'down') return true;
  if (said.epoch !== known.epoch) return said.epoch > known.epoch;
  return said.sequence >= known.sequence && said.hash !== known.hash;
}
