import { setTimeout as sleep } from 'node:timers/promises';
import { randomNumbers, type Random } from '../support/random.js';
import type { Role } from './role.js';
import type { World } from './world.js';

export const FAULTS = [
  ...['kill-api', 'kill-scheduler', 'kill-agent', 'stop-api', 'stop-scheduler', 'stop-agent'],
  ...['kill-broker', 'stop-broker'],
  ...['kill-database', 'full-disk'],
  ...['clock-role', 'clock-database'],
] as const;
export type Fault = (typeof FAULTS)[number];

/** What cannot be at once, because both need the same thing: each lane is one fault after the other, lanes run side by side. */
const LANES: readonly (readonly Fault[])[] = [
  ['kill-api', 'kill-scheduler', 'kill-agent', 'stop-api', 'stop-scheduler', 'stop-agent'],
  ['kill-broker', 'stop-broker'],
  ['kill-database', 'full-disk'],
  ['clock-role', 'clock-database'],
];
const HOUR_S = 3_600;
/** A lane rests so long, at least and at random more, between two faults. */
const REST_MS = { roles: [200, 1_500], services: [4_000, 5_000] } as const;

/** Injects faults at random moments until it is told to end; the same seed makes the same choices. */
export class Faults {
  readonly injected: Partial<Record<Fault, number>> = {};
  readonly notPossible: string[] = [];
  /** When and what, for whoever reads a failure. */
  readonly story: string[] = [];
  private ended = false;
  private readonly startedAt = Date.now();

  constructor(
    private readonly world: World,
    private readonly seed: number,
    private readonly kinds: readonly Fault[],
  ) {
    const { database } = world;
    if (!database.canFill) this.notPossible.push(`full-disk (${world.disk})`);
    if (!database.canShiftClock) this.notPossible.push('clock-database (no libfaketime)');
  }

  /** Resolves when {@link end} was called and everything runs again. */
  async run(): Promise<void> {
    await Promise.all(LANES.map((lane, index) => this.runLane(lane, index)));
  }

  end(): void {
    this.ended = true;
  }

  /** Whether every fault that is possible was injected so often. */
  hasInjected(times: number): boolean {
    return LANES.flat().every((kind) => !this.isPossible(kind) || (this.injected[kind] ?? 0) >= times);
  }

  private isPossible(kind: Fault): boolean {
    return this.kinds.includes(kind) && !this.notPossible.some((one) => one.startsWith(kind));
  }

  private async runLane(lane: readonly Fault[], index: number): Promise<void> {
    const random = randomNumbers(this.seed + 1 + index);
    const kinds = lane.filter((kind) => this.isPossible(kind));
    const [least, more] = index === 0 ? REST_MS.roles : REST_MS.services;
    while (!this.ended && kinds.length > 0) {
      for (const kind of shuffled(kinds, random)) {
        await sleep(least + random(more));
        if (this.ended) return;
        await this.inject(kind, random);
      }
    }
  }

  private async inject(kind: Fault, random: Random): Promise<void> {
    this.injected[kind] = (this.injected[kind] ?? 0) + 1;
    const at = (): string => `${((Date.now() - this.startedAt) / 1000).toFixed(1)} s`;
    const from = at();
    const what = await this.act(kind, random);
    this.story.push(`${from} - ${at()} ${kind} ${what}`);
  }

  private async act(kind: Fault, random: Random): Promise<string> {
    const [verb, noun] = kind.split('-') as [string, string];
    if (verb === 'clock') return noun === 'role' ? this.shiftRole(random) : this.shiftDatabase(random);
    if (kind === 'full-disk') return this.fillDisk(random);
    if (kind === 'kill-database') return this.killDatabase(random);
    if (noun === 'broker') return verb === 'kill' ? this.killBroker(random) : this.stopBroker(random);
    const role = pick(this.rolesCalled(noun), random);
    // at once, or after longer than a host may be silent
    if (verb === 'kill') await role.kill9(random(2) === 0 ? 0 : 1_000 + random(6_000));
    else await role.pause(2_000 + random(9_000));
    return role.name;
  }

  private rolesCalled(noun: string): readonly Role[] {
    const { apis, schedulers, agents } = this.world;
    return noun === 'api' ? apis : noun === 'scheduler' ? schedulers : agents.map(({ role }) => role);
  }

  private async killBroker(random: Random): Promise<string> {
    await this.world.broker.kill9();
    await sleep(random(3_000));
    await this.world.broker.restart();
    return '';
  }

  private async stopBroker(random: Random): Promise<string> {
    await this.world.broker.pause();
    await sleep(5_000 + random(10_000)).finally(() => this.world.broker.resume());
    return '';
  }

  private async killDatabase(random: Random): Promise<string> {
    await this.world.database.kill9();
    await sleep(random(3_000));
    await this.world.database.ensureRunning();
    return '';
  }

  private async fillDisk(random: Random): Promise<string> {
    const { database } = this.world;
    try {
      await database.fillDisk();
      await sleep(2_000 + random(4_000));
    } finally {
      database.freeDisk();
    }
    const survived = database.isRunning();
    await database.ensureRunning();
    return survived ? '(Postgres went on)' : '(Postgres had ended)';
  }

  private async shiftRole(random: Random): Promise<string> {
    const role = pick(this.world.roles(), random);
    const seconds = random(2) === 0 ? HOUR_S : -HOUR_S;
    role.shiftClock(seconds * 1_000);
    await sleep(2_000 + random(6_000));
    role.shiftClock(0);
    return `${role.name} ${seconds} s`;
  }

  private async shiftDatabase(random: Random): Promise<string> {
    const seconds = random(2) === 0 ? HOUR_S : -HOUR_S;
    this.world.database.shiftClock(seconds);
    await sleep(2_000 + random(4_000));
    this.world.database.shiftClock(0);
    return `${seconds} s`;
  }
}

function pick<T>(items: readonly T[], random: Random): T {
  const item = items[random(items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.map(() => left.splice(random(left.length), 1)[0] as T);
}
