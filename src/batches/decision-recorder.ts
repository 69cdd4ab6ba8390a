import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { messageOf } from '../errors.js';
import { ENGINE_VERSION } from '../placement/engine-version.js';
import { freezeBuild, freezeHost, sharesBuild } from '../placement/frozen-snapshot.js';
import type { PlacementRequest } from '../placement/request.js';
import type { HostSnapshot, PlacementPolicy } from '../placement/snapshot.js';
import type { JournalSettings } from '../settings/settings.js';
import type { DecidedServer } from '../store/claims.store.js';
import { writeJournal, writeJournalFacts, type JournalLine } from '../store/journal.store.js';
import type { Ledger } from '../store/ledger.js';
import type { SnapshotCache } from '../store/snapshot.store.js';
import {
  chosenOf,
  decisionHash,
  textHash,
  type BaseBody,
  type DecisionMember,
  type HostBody,
} from './decision-recorder-bodies.js';

/** So many are turned into text at once, a host counts as several: other work of the process is held up for some milliseconds at most. */
const LINES_PER_WRITE = 250;
const LINES_PER_HOST = 4;
/** With more than so many waiting to be written, beside those of a base, the database is too slow for us. */
const WAITING_MAX = 20_000;
/** A base is written again after so many entries: it is a small part of the journal, and a replay has little to read. */
const ENTRIES_PER_BASE = 10_000;
const ENTRIES_PER_BASE_AND_HOST = 20;
const PAUSE_MS = 5_000;
const FLUSH_AFTER_MS = 100;

/** One question to the engine, and its answers. */
export interface Answer {
  /** One server; or several that were decided with `placeTogether`. */
  readonly decided: readonly DecidedServer[];
  /** The smallest number of those that were decided together; null: one by itself. */
  readonly together: number | null;
  readonly policy: PlacementPolicy;
}

type Entry = { readonly seq: number; readonly atMs: number } & (
  | { readonly kind: 'base'; readonly body: BaseBody }
  | { readonly kind: 'policy'; readonly text: string }
  | { readonly kind: 'host'; readonly host: HostSnapshot }
  | ({ readonly kind: 'decision' } & Answer)
);
type Content = Entry extends infer E ? (E extends Entry ? Omit<E, 'seq' | 'atMs'> : never) : never;

/** What can be replayed without a break: from a base on. */
interface Stretch {
  readonly sinceMs: number;
  readonly entriesMax: number;
  entries: number;
  /** In force, and as JSON; null: not said yet. */
  policy: PlacementPolicy | null;
  policyText: string | null;
}

/**
 * Writes down what this process decides, in order and with all that a decision depends on: it can be decided again, to
 * the letter (`berth replay`).
 *
 * A stretch of the journal begins with a base, which is all hosts, and goes on with what changes. A host that changes
 * because a decision is put ahead of its commit is not written: it follows from the decision. What the recorder is told
 * it only remembers, for hosts and decisions are values; it turns them into text when it writes, and nobody waits for
 * that. When a write fails, placing goes on: the stretch ends, and the next one says how many decisions were lost.
 */
export class DecisionRecorder {
  private readonly log = new Logger(DecisionRecorder.name);
  private readonly run = randomUUID();
  private readonly isOn: boolean;
  private seq = 0;
  private waiting: Entry[] = [];
  private writing: Promise<void> | null = null;
  private soon: NodeJS.Timeout | null = null;
  /** null: nothing is recorded until the next base. */
  private stretch: Stretch | null = null;
  /** Hashes of what is in `journal_facts` and was named since the base. */
  private facts = new Set<string>();
  private lost = 0;
  private pausedUntilMs = 0;

  /** @param pauseMs how long nothing is recorded after a write that failed */
  constructor(
    private readonly ledger: Ledger,
    private readonly cache: SnapshotCache,
    private readonly settings: JournalSettings,
    private readonly pauseMs = PAUSE_MS,
  ) {
    this.isOn = settings.keepHours > 0;
    if (this.isOn) {
      // a journal has no word for a host that is gone: what follows begins with a base
      cache.follow(
        (host) => this.changed(host),
        () => (this.stretch = null),
      );
    }
  }

  /**
   * Takes down a question that was asked about all hosts of the cache, and its answers. To be called before anything is
   * put into the cache because of it; then, who is placed is put there, in order (`putAhead`).
   */
  answered(answer: Answer): void {
    if (!this.isOn) return;
    const stretch = this.current(Date.now());
    if (!stretch) {
      this.lost += answer.decided.length;
      return;
    }
    this.sayPolicy(stretch, answer.policy);
    this.add(stretch, { kind: 'decision', ...answer });
    this.limit();
  }

  /** {@link flush} a moment later, together with what comes meanwhile: nobody waits for it. */
  flushSoon(): void {
    this.soon ??= setTimeout(() => {
      this.soon = null;
      void this.flush();
    }, FLUSH_AFTER_MS);
  }

  /** Writes what there is to be written. Never fails; calls that come while one runs end with it. */
  flush(): Promise<void> {
    this.writing ??= this.write().finally(() => (this.writing = null));
    return this.writing;
  }

  private changed(host: HostSnapshot): void {
    if (!this.stretch) return;
    this.add(this.stretch, { kind: 'host', host });
    this.limit();
    if (this.waiting.length >= LINES_PER_WRITE) void this.flush();
  }

  /** The stretch that goes on, or a new one; null while nothing is recorded. */
  private current(nowMs: number): Stretch | null {
    const { stretch } = this;
    const isOld = stretch !== null && nowMs - stretch.sinceMs >= this.settings.baseIntervalMs;
    if (stretch && !isOld && stretch.entries < stretch.entriesMax) return stretch;
    return nowMs < this.pausedUntilMs ? null : this.begin(nowMs);
  }

  private begin(nowMs: number): Stretch {
    const hosts = this.cache.list();
    const entriesMax = ENTRIES_PER_BASE + ENTRIES_PER_BASE_AND_HOST * hosts.length;
    const stretch: Stretch = { sinceMs: nowMs, entriesMax, entries: 0, policy: null, policyText: null };
    this.stretch = stretch;
    this.facts = new Set();
    this.add(stretch, { kind: 'base', body: { engine: ENGINE_VERSION, hosts: hosts.length, lost: this.lost } });
    this.lost = 0;
    for (const host of hosts) this.add(stretch, { kind: 'host', host });
    return stretch;
  }

  /** A batch is decided by one policy object, and that of the next one mostly says the same. */
  private sayPolicy(stretch: Stretch, policy: PlacementPolicy): void {
    if (policy === stretch.policy) return;
    const text = JSON.stringify(policy);
    if (text !== stretch.policyText) this.add(stretch, { kind: 'policy', text });
    stretch.policy = policy;
    stretch.policyText = text;
  }

  private add(stretch: Stretch, content: Content): void {
    stretch.entries++;
    this.waiting.push({ seq: this.seq++, atMs: Date.now(), ...content });
  }

  private limit(): void {
    if (this.waiting.length <= WAITING_MAX + this.cache.list().length) return;
    this.giveUp(this.waiting.splice(0), 'the database is too slow');
  }

  private async write(): Promise<void> {
    while (this.waiting.length > 0) {
      const entries = this.waiting.splice(0, portionOf(this.waiting));
      try {
        await this.writeSome(entries);
        if (this.stretch && this.pausedUntilMs > 0) this.recovered();
      } catch (error) {
        this.giveUp([...entries, ...this.waiting.splice(0)], messageOf(error));
      }
    }
  }

  private async writeSome(entries: readonly Entry[]): Promise<void> {
    const { facts } = this;
    const unknown = new Map<string, string>();
    const name = (hash: string, text: string): void => {
      if (!facts.has(hash)) unknown.set(hash, text);
    };
    const lines = joined(entries).map((entry): JournalLine => {
      const { seq, kind, atMs } = entry;
      return { seq, kind, atMs, body: bodyOf(entry, name) };
    });
    if (unknown.size > 0) await writeJournalFacts(this.ledger.pool, unknown);
    for (const hash of unknown.keys()) facts.add(hash);
    await writeJournal(this.ledger.pool, this.run, lines);
  }

  /** What is lost once makes all that follows it worthless, up to the next base. */
  private giveUp(entries: readonly Entry[], problem: string): void {
    for (const entry of entries) {
      if (entry.kind === 'decision') this.lost += entry.decided.length;
      if (entry.kind === 'base') this.lost += entry.body.lost;
    }
    // an outage is told once, not with every attempt to go on
    if (this.pausedUntilMs === 0) {
      this.log.warn({ message: 'decisions are made, but not recorded: they cannot be replayed', problem });
    }
    this.stretch = null;
    this.pausedUntilMs = Date.now() + this.pauseMs;
  }

  private recovered(): void {
    this.pausedUntilMs = 0;
    this.log.log({ message: 'decisions are recorded again' });
  }
}

/** How many of the first entries are written at once. */
function portionOf(entries: readonly Entry[]): number {
  let lines = 0;
  const end = entries.findIndex(({ kind }) => (lines += kind === 'host' ? LINES_PER_HOST : 1) > LINES_PER_WRITE);
  return end < 0 ? entries.length : end;
}

/** @param name told of each facts that the entry names: their hash and JSON */
function bodyOf(entry: Entry, name: (hash: string, text: string) => void): string {
  switch (entry.kind) {
    case 'base':
      return JSON.stringify(entry.body);
    case 'policy':
      return entry.text;
    case 'host':
      return hostText(entry.host, name);
    case 'decision':
      return `{"together":${entry.together},"members":[${entry.decided.map(memberText).join()}]}`;
  }
}

function hostText(host: HostSnapshot, name: (hash: string, text: string) => void): string {
  const build = buildFor(host);
  name(build.hash, build.text);
  const { facts, state } = freezeHost(host);
  const text = JSON.stringify(facts);
  const hash = textHash(text);
  name(hash, text);
  return JSON.stringify({ id: host.id, facts: hash, build: build.hash, state } satisfies HostBody);
}

interface KnownBuild {
  readonly host: HostSnapshot;
  readonly text: string;
  readonly hash: string;
}

/** By `units`, which is one object for all hosts that are built alike: the large part of a host is turned into text once for them. */
const builds = new WeakMap<HostSnapshot['units'], KnownBuild>();

function buildFor(host: HostSnapshot): KnownBuild {
  const known = builds.get(host.units);
  if (known && sharesBuild(host, known.host)) return known;
  const text = JSON.stringify(freezeBuild(host));
  const build = { host, text, hash: textHash(text) };
  builds.set(host.units, build);
  return build;
}

/** Servers that were decided one after another, with nothing between them, are one line. */
function joined(entries: readonly Entry[]): Entry[] {
  const lines: Entry[] = [];
  let open: DecidedServer[] | null = null;
  for (const entry of entries) {
    const isSingle = entry.kind === 'decision' && entry.together === null;
    if (isSingle && open) {
      open.push(...entry.decided);
      continue;
    }
    open = isSingle ? [...entry.decided] : null;
    lines.push(isSingle && open ? { ...entry, decided: open } : entry);
  }
  return lines;
}

/** Of many placements of a kind the whole explanation is compared now and then; it is much to turn into text. */
const WHOLE_EVERY = 16;

function memberText({ server, decision }: DecidedServer, index: number): string {
  const isWhole = !server.placement || decision.outcome === 'rejected' || index % WHOLE_EVERY === 0;
  const { request: _request, ...rest }: DecisionMember = {
    server_id: server.id,
    server_name: server.name,
    attempt: server.attempts + 1,
    request: server.request,
    excluded: server.excludedHosts,
    chosen: chosenOf(decision),
    hash: isWhole ? decisionHash(decision) : null,
  };
  return `{"request":${requestText(server.request)},${JSON.stringify(rest).slice(1)}`;
}

const requestTexts = new WeakMap<PlacementRequest, string>();

function requestText(request: PlacementRequest): string {
  const known = requestTexts.get(request);
  if (known !== undefined) return known;
  const text = JSON.stringify(request);
  requestTexts.set(request, text);
  return text;
}
