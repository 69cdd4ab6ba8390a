import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomNumbers } from '../support/random.js';
import { audit, auditEmpty, settle, treesOf, type Findings } from './audit.js';
import { Client, Traffic } from './client.js';
import { FAULTS, Faults, type Fault } from './faults.js';
import { Load } from './load.js';
import { hasPlacements } from './placements.js';
import { startWorld, type World } from './world.js';

const USAGE = `npm run test:chaos -- [--seconds 60] [--seed N] [--faults a,b,c] [--settle 120] [--logs] [--json]
faults: ${FAULTS.join(', ')}
`;
const INJECTED_MIN = 2;
/** Faults that have not been injected often enough get so many times the load's seconds. */
const LONGER_MAX = 3;
const SHOWN_MAX = 10;
const PACE = { workers: 8, restMs: 160, liveMax: 60 };
/** Intervals that fit a run of a minute, and longer than no fault: then every fault has consequences. */
const QUICK = {
  BERTH_AGENT_SCAN_INTERVAL_MS: '2000',
  BERTH_AGENT_HEARTBEAT_INTERVAL_MS: '1000',
  BERTH_SCHEDULER_SWEEP_INTERVAL_MS: '500',
  BERTH_SCHEDULER_CLAIM_TIMEOUT_MS: '5000',
  BERTH_SCHEDULER_HOST_SILENT_AFTER_MS: '6000',
};

interface Options {
  readonly seconds: number;
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly settleMs: number;
  /** Logs are kept in any case, not only when something is wrong. */
  readonly logs: boolean;
  readonly json: boolean;
}

/** @returns the exit code: 0 when nothing was lost, doubled or leaked, 1 when something was, 2 when it could not be tried */
export async function main(words: readonly string[]): Promise<number> {
  const options = optionsOf(words);
  if (options === null) {
    process.stderr.write(USAGE);
    return 2;
  }
  say(`seed ${options.seed}`);
  const clocks = options.faults.some((fault) => fault.startsWith('clock'));
  const world = await startWorld({ clocks, heaps: false, env: QUICK });
  try {
    const run = new Run(world, options);
    await run.play();
    return run.report();
  } finally {
    await world.close();
  }
}

function optionsOf(words: readonly string[]): Options | null {
  try {
    const { values } = parseArgs({
      args: [...words],
      options: {
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        faults: { type: 'string', default: FAULTS.join(',') },
        settle: { type: 'string', default: '120' },
        logs: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const faults = values.faults
      .split(',')
      .filter((word): word is Fault => (FAULTS as readonly string[]).includes(word));
    const [seconds, seed, settleS] = [Number(values.seconds), Number(values.seed), Number(values.settle)];
    const isRight = seconds > 0 && Number.isInteger(seed) && settleS > 0;
    if (!isRight || faults.length !== values.faults.split(',').length) return null;
    return { seconds, seed, faults, settleMs: settleS * 1000, logs: values.logs, json: values.json };
  } catch {
    return null;
  }
}

/** Load and faults, the quiet after them, the comparison. */
class Run {
  private readonly traffic = new Traffic();
  private readonly faults: Faults;
  private load: Load | null = null;
  private findings: Findings = { lost: [], double: [], leaked: [], unsettled: [], strange: [] };
  private readonly lasted: Record<string, number> = {};
  private readonly ends: Record<string, number> = {};

  constructor(
    private readonly world: World,
    private readonly options: Options,
  ) {
    this.faults = new Faults(world, options.seed, options.faults);
  }

  async play(): Promise<void> {
    const originals = treesOf(this.world);
    const load = await this.makeLoad();
    this.load = load;
    await this.timed('load_s', () => this.loadAndBreak(load));
    const unsettled = await this.timed('settle_s', () => settle(this.world, this.options.settleMs));
    this.findings = await this.timed('audit_s', () => audit(this.world, load, originals));
    this.findings.unsettled.push(...unsettled);
    await this.countEnds();
    const isSound = Object.values(this.findings).every((found) => found.length === 0);
    // what is wrong already is left for whoever looks
    if (isSound) await this.timed('clean_s', () => this.cleanUp(load, originals));
    // whatever breaks beneath it, an api knows what to call it
    for (const [answer, count] of this.traffic.answers) {
      if (answer.includes('internal.error')) this.findings.strange.push(`${answer}: ${count} times`);
    }
  }

  private async makeLoad(): Promise<Load> {
    const [first] = this.world.apiUrls;
    const withPlacements = await hasPlacements(first ?? '');
    say(`placements: ${withPlacements ? 'yes' : 'not in this api'}; disk: ${this.world.disk}`);
    const random = randomNumbers(this.options.seed);
    const client = new Client(this.world.apiUrls, random, this.traffic, () => this.answersUntil);
    return new Load(client, random, PACE, withPlacements);
  }

  private answersUntil = Number.POSITIVE_INFINITY;

  private async loadAndBreak(load: Load): Promise<void> {
    const loading = load.run();
    const breaking = this.faults.run();
    const { seconds } = this.options;
    const longest = Date.now() + LONGER_MAX * seconds * 1000;
    await Promise.race([sleep(seconds * 1000), breaking]);
    while (!this.faults.hasInjected(INJECTED_MIN) && Date.now() < longest) await sleep(500);
    this.faults.end();
    await breaking;
    load.end();
    this.answersUntil = Date.now() + this.options.settleMs;
    await loading;
  }

  private async countEnds(): Promise<void> {
    const rows = await this.world.database.query<{ end: string; count: number }>(
      `SELECT status || coalesce(' ' || (fault->>'code'), '') AS end, count(*)::int AS count FROM servers GROUP BY 1 ORDER BY 1`,
    );
    for (const { end, count } of rows) this.ends[end] = count;
  }

  /** Gives everything back, and looks whether all is as it was. */
  private async cleanUp(load: Load, originals: ReturnType<typeof treesOf>): Promise<void> {
    this.answersUntil = Date.now() + this.options.settleMs;
    await load.deleteAll();
    const before = this.findings.strange.length;
    this.findings.strange.push(...load.strange.slice(before));
    this.findings.unsettled.push(...(await settle(this.world, this.options.settleMs)));
    this.findings.leaked.push(
      ...(await auditEmpty(this.world, originals)).map((one) => `after the last deletion: ${one}`),
    );
  }

  private async timed<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedAt = Date.now();
    try {
      return await work();
    } finally {
      this.lasted[name] = Math.round((Date.now() - startedAt) / 100) / 10;
      say(`${name.replace('_s', '')} took ${this.lasted[name]} s`);
    }
  }

  /** @returns the exit code */
  report(): number {
    const wanted = this.load?.wanted ?? [];
    const counts = Object.fromEntries(Object.entries(this.findings).map(([name, found]) => [name, found.length]));
    const figures = {
      seed: this.options.seed,
      faults: this.faults.injected,
      not_possible: this.faults.notPossible,
      own_ends: Object.fromEntries(
        this.world.roles().flatMap((role) => (role.ownEnds > 0 ? [[role.name, role.ownEnds]] : [])),
      ),
      sent: this.traffic.sent,
      answered: this.traffic.answered,
      retried: this.traffic.retried,
      acknowledged: wanted.filter(({ ids, outcome }) => ids.size > 0 || outcome !== null).length,
      placed: wanted.filter(({ outcome, told }) => outcome === 'placed' || told !== null).length,
      deleted: wanted.filter(({ deleteAcknowledged }) => deleteAcknowledged).length,
      ends: this.ends,
      ...this.lasted,
      ...counts,
    };
    const isSound = Object.values(counts).every((count) => count === 0);
    this.tell(figures, isSound);
    process.stdout.write(
      this.options.json ? `${JSON.stringify({ ...figures, ok: isSound })}\n` : isSound ? 'ok\n' : 'FAILED\n',
    );
    return isSound ? 0 : 1;
  }

  private tell(figures: Readonly<Record<string, unknown>>, isSound: boolean): void {
    for (const [name, value] of Object.entries(figures)) say(`  ${name.padEnd(14)} ${textOf(value)}`);
    say('  answers');
    for (const [answer, count] of [...this.traffic.answers].toSorted())
      say(`    ${String(count).padStart(6)} ${answer}`);
    for (const [name, found] of Object.entries(this.findings) as [string, string[]][]) {
      if (found.length > 0) say(`${name}:\n  ${found.slice(0, SHOWN_MAX).join('\n  ')}`);
    }
    if (!isSound || this.options.logs) say(`Logs, and when there was which fault: ${this.saveLogs()}`);
  }

  private saveLogs(): string {
    const folder = mkdtempSync(join(tmpdir(), `berth-chaos-logs-${this.options.seed}-`));
    for (const role of this.world.roles()) writeFileSync(join(folder, `${role.name}.log`), role.process.log());
    writeFileSync(join(folder, 'postgres.log'), this.world.database.logText());
    writeFileSync(join(folder, 'faults.txt'), `${this.faults.story.join('\n')}\n`);
    writeFileSync(join(folder, 'findings.json'), JSON.stringify(this.findings, null, 2));
    return folder;
  }
}

function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return value.join(', ') || 'none';
  return (
    Object.entries(value)
      .map(([name, count]) => `${name} ${String(count)}`)
      .join(', ') || 'none'
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
