import { canonicalJson } from '../pci/canonical-json.js';
import { messageOf } from '../errors.js';
import type { Decision } from '../placement/decision.js';
import { thawBuild, thawFacts, type Frozen, type HostBuild, type HostFacts } from '../placement/frozen-snapshot.js';
import { place } from '../placement/place.js';
import type { PlacementPolicy } from '../placement/snapshot.js';
import type { Tx } from '../store/database.js';
import {
  readDecisionRecord,
  readJournal,
  readJournalFacts,
  readJournalStarts,
  type JournalEntry,
  type JournalStart,
} from '../store/journal.store.js';
import {
  chosenOf,
  decisionHash,
  type BaseBody,
  type DecisionBody,
  type DecisionMember,
  type HostBody,
  entriesIn,
} from '../batches/decision-recorder-bodies.js';
import { ReplayWorld } from './replay-world.js';

/** How many of each kind a report tells; all are counted. */
const TOLD_MAX = 100;

export interface ReplayQuery {
  readonly from: Date;
  /** Not included. */
  readonly to: Date;
  /** Of one scheduler process; null: of all. */
  readonly run: string | null;
  /** Decisions about this server only, and in detail; null: about all. */
  readonly server: string | null;
}

export interface ReplayReport {
  readonly decisions: number;
  readonly equal: number;
  /** At most 100. */
  readonly different: readonly Difference[];
  /** Where the journal cannot tell; at most 100. */
  readonly gaps: readonly Gap[];
  /** Versions of the engine that decided then, in order. */
  readonly engines: readonly number[];
  /** Of the server that was asked about, at most 100; else none. */
  readonly details: readonly DecisionDetail[];
}

/** Which decision. */
interface DecisionName {
  readonly run: string;
  readonly seq: number;
  readonly at: Date;
  readonly serverId: string;
  readonly serverName: string;
  readonly attempt: number;
}

export interface Difference extends DecisionName {
  /** The whole decision where the ledger has it, else as much as the journal has. */
  readonly recorded: unknown;
  /** As much of what is decided today. */
  readonly now: unknown;
}

export interface Gap {
  readonly run: string;
  readonly at: Date;
  readonly problem: string;
}

/** A decision made again, with what each host by itself has to say. */
export interface DecisionDetail extends DecisionName {
  readonly equal: boolean;
  readonly decision: Decision;
  /** In name order; no reasons: the server fits. */
  readonly hosts: readonly { readonly host: string; readonly reasons: readonly string[] }[];
}

/**
 * Decides again what schedulers decided in that time, each on the hosts as that scheduler saw them, and compares byte
 * for byte. After each decision it goes on from what was decided then: one difference does not make others.
 */
export async function replay(tx: Tx, query: ReplayQuery): Promise<ReplayReport> {
  const replayed = new Replay(tx, query);
  for (const start of await readJournalStarts(tx, query)) await replayed.read(start);
  return replayed.report();
}

class Replay {
  private decisions = 0;
  private equal = 0;
  private readonly different: Difference[] = [];
  private readonly gaps: Gap[] = [];
  private readonly engines = new Set<number>();
  private readonly details: DecisionDetail[] = [];
  private readonly builds = new Map<string, HostBuild>();
  /** See {@link keyOf}. */
  private readonly facts = new Map<string, HostFacts>();
  /** null: what follows cannot be replayed, up to the next base. */
  private world: ReplayWorld | null = null;

  constructor(
    private readonly tx: Tx,
    private readonly query: ReplayQuery,
  ) {}

  report(): ReplayReport {
    const { decisions, equal, different, gaps, details } = this;
    return { decisions, equal, different, gaps, engines: [...this.engines].sort((a, b) => a - b), details };
  }

  async read(start: JournalStart): Promise<void> {
    this.world = null;
    let next = start.seq;
    for await (const entries of readJournal(this.tx, start, this.query.to)) {
      await this.readFacts(entries);
      for (const entry of entries) {
        if (entry.seq !== next) this.breakOff(start.run, entry, `entries ${next} to ${entry.seq - 1} are missing`);
        next = entry.seq + (entry.kind === 'decision' ? entriesIn(entry.body as DecisionBody) : 1);
        await this.step(start.run, entry);
      }
    }
  }

  private async step(run: string, entry: JournalEntry): Promise<void> {
    if (entry.kind === 'base') this.begin(run, entry);
    const { world } = this;
    if (!world) return;
    try {
      if (entry.kind === 'policy') world.policy = entry.body as PlacementPolicy;
      if (entry.kind === 'host') this.becomes(world, entry.body as HostBody);
      if (entry.kind !== 'decision') return;
      for (const [index, body] of oneByOne(entry.body as DecisionBody).entries()) {
        await this.decide(world, { ...entry, seq: entry.seq + index, run }, body);
        world.goOn(body);
      }
    } catch (error) {
      this.breakOff(run, entry, messageOf(error));
    }
  }

  private begin(run: string, { at, body }: JournalEntry): void {
    const { engine, lost } = body as BaseBody;
    this.world = new ReplayWorld(engine);
    if (lost > 0) this.gap({ run, at, problem: `${lost} decisions before this were not recorded` });
  }

  private async readFacts(entries: readonly JournalEntry[]): Promise<void> {
    const hosts = entries.filter(({ kind }) => kind === 'host').map(({ body }) => body as HostBody);
    const read = async (hashes: readonly string[]): Promise<Map<string, Frozen>> =>
      hashes.length === 0 ? new Map() : readJournalFacts(this.tx, [...new Set(hashes)]);
    const builds = await read(hosts.map(({ build }) => build).filter((hash) => !this.builds.has(hash)));
    for (const [hash, build] of builds) this.builds.set(hash, thawBuild(build));
    const facts = await read(hosts.filter((body) => !this.facts.has(keyOf(body))).map((body) => body.facts));
    for (const body of hosts) {
      const [build, own] = [this.builds.get(body.build), facts.get(body.facts)];
      if (build && own) this.facts.set(keyOf(body), thawFacts(build, own));
    }
  }

  private becomes(world: ReplayWorld, body: HostBody): void {
    const facts = this.facts.get(keyOf(body));
    if (!facts) throw new Error(`the facts of host ${body.id} are not kept any more`);
    world.becomes(body, facts);
  }

  private async decide(world: ReplayWorld, at: Omit<JournalEntry, 'body'> & { run: string }, body: DecisionBody) {
    const wanted = body.members.map((member) => this.isWanted(at, member));
    if (!wanted.includes(true)) return;
    this.engines.add(world.engine);
    const decisions = world.decide(body);
    for (const [index, member] of body.members.entries()) {
      const decision = decisions[index];
      if (wanted[index] && decision) await this.compare(world, nameOf(at, member), member, decision);
    }
  }

  private isWanted({ at }: Pick<JournalEntry, 'at'>, { server_id }: DecisionMember): boolean {
    return at >= this.query.from && (this.query.server === null || this.query.server === server_id);
  }

  private async compare(world: ReplayWorld, name: DecisionName, member: DecisionMember, decision: Decision) {
    const equal = isEqual(member, decision);
    this.decisions++;
    if (equal) this.equal++;
    else if (this.different.length < TOLD_MAX) {
      this.different.push({ ...name, ...(await this.differenceOf(member, decision)) });
    }
    if (this.query.server === null || this.details.length === TOLD_MAX) return;
    this.details.push({ ...name, equal, decision, hosts: eachHost(world, member) });
  }

  /** The ledger has only what was committed, and that may be another decision about the same attempt. */
  private async differenceOf(member: DecisionMember, now: Decision): Promise<Pick<Difference, 'recorded' | 'now'>> {
    const record = (await readDecisionRecord(this.tx, member.server_id, member.attempt)) as Decision | null;
    const isIt = record !== null && canonicalJson(chosenOf(record)) === canonicalJson(member.chosen);
    return isIt ? { recorded: record, now } : { recorded: member.chosen, now: chosenOf(now) };
  }

  private breakOff(run: string, { at }: JournalEntry, problem: string): void {
    this.world = null;
    this.gap({ run, at, problem });
  }

  private gap(gap: Gap): void {
    if (this.gaps.length < TOLD_MAX) this.gaps.push(gap);
  }
}

/** Of the facts and the build of a host, read back and joined. */
function keyOf({ facts, build }: HostBody): string {
  return `${facts} ${build}`;
}

function nameOf({ run, seq, at }: Omit<JournalEntry, 'body'> & { run: string }, member: DecisionMember): DecisionName {
  const { server_id: serverId, server_name: serverName, attempt } = member;
  return { run, seq, at, serverId, serverName, attempt };
}

/** What was decided one after another is decided so again. */
function oneByOne(body: DecisionBody): DecisionBody[] {
  if (body.together !== null) return [body];
  return body.members.map((member) => ({ together: null, members: [member] }));
}

function isEqual({ hash, chosen }: DecisionMember, now: Decision): boolean {
  return hash === null ? canonicalJson(chosenOf(now)) === canonicalJson(chosen) : decisionHash(now) === hash;
}

/** The record of a decision names some hosts of each kind; here each is asked by itself. */
function eachHost({ hosts, policy }: ReplayWorld, { request, excluded }: DecisionMember): DecisionDetail['hosts'] {
  if (policy === null) return [];
  return hosts.map((host) => {
    const { rejections } = place({ hosts: [host], policy }, request, excluded);
    const reasons = rejections.flatMap((no) => no.reasons.map(({ message }) => `${no.filter}: ${message}`));
    return { host: host.name, reasons };
  });
}
