import { AsyncLocalStorage } from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
import type { Chance } from './chance.js';
import { Finding, type SeedRecord } from './record.js';

/**
 * Who lets things happen, one at a time.
 *
 * Whatever a role does outside its own memory (a statement, a message, a write to its journal or to the kernel, a scan, a wait)
 * is a *point*: it does not happen when the role asks for it, but when all roles have come to a point and the conductor picks
 * this one. So the seed decides the order of everything that runs at the same time, statement by statement, and at every point
 * what goes wrong: that it fails, that it happens and the answer is lost, or that the role dies, before it or after it.
 *
 * A statement that waits for a lock of another transaction steps aside (Postgres is asked) until that transaction is over.
 */
export class Conductor {
  private arrived: Point[] = [];
  private waiting: Point[] = [];
  private aside: Aside[] = [];
  /** Points performed. */
  performed = 0;
  /** The clock of the roles: a point takes a millisecond, and {@link passTime} makes it later. */
  private elapsedMs = 0;
  private readonly beganAt = Date.now();
  /** Faults happen only while this is set. */
  faults: Faults | null = null;

  constructor(
    private readonly chance: Chance,
    private readonly record: SeedRecord,
    private readonly isLockWaiting: (pid: number) => Promise<boolean>,
  ) {}

  /** Resolves or rejects when the conductor has let it happen; never, once the life is over. */
  point<T>(life: Life, kind: PointKind, label: string, run: () => Promise<T>, connection = NONE): Promise<T> {
    if (life.isOver) return new Promise(() => undefined);
    return new Promise<T>((resolve, reject) => {
      this.arrived.push({ life, kind, label, run, connection, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  /** Starts work of a role; it goes on in {@link settle}. */
  start(life: Life, title: string, work: () => Promise<unknown>): Operation {
    const operation: Operation = { life, title, state: 'running', value: undefined };
    const ended = (state: 'done' | 'failed') => (value: unknown) => {
      if (life.isOver || operation.state !== 'running') return;
      Object.assign(operation, { state, value });
    };
    lives.run(life, () => {
      void work().then(ended('done'), ended('failed'));
    });
    return operation;
  }

  /** Lets everything happen that anybody waits for. */
  async settle(operations: readonly Operation[]): Promise<void> {
    for (let count = 0; ; count++) {
      if (count > POINTS_MAX)
        throw new Finding(`does not come to rest: ${operations.map(({ title }) => title).join('; ')}`);
      await turn();
      this.lineUp();
      if (await this.lookAside()) continue;
      const next = this.pick();
      if (next) await this.perform(next);
      else if (this.aside.length > 0) await this.endOfRing();
      else break;
    }
    for (const operation of operations) {
      if (operation.state !== 'running') continue;
      if (!operation.life.isOver) throw new Finding(`hangs: ${operation.life.name}: ${operation.title}`);
      operation.state = 'crashed';
    }
  }

  /** What the clock on the wall says to roles. */
  get nowMs(): number {
    return this.beganAt + this.elapsedMs;
  }

  passTime(ms: number): void {
    this.elapsedMs += ms;
  }

  /** Ends a life: what it waits for never comes, and its transactions are rolled back. */
  async crash(life: Life): Promise<void> {
    life.isOver = true;
    this.arrived = this.arrived.filter((point) => point.life !== life);
    this.waiting = this.waiting.filter((point) => point.life !== life);
    for (const end of life.ends) await end();
  }

  /** What comes at the same time has no order of its own: rows that no query orders would say it, differently each time. */
  private lineUp(): void {
    const order = (point: Point): string => `${point.life.name} ${point.kind} ${point.label}`;
    this.waiting.push(...this.arrived.toSorted((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0)));
    this.arrived = [];
  }

  /** In the order they came, mostly; a wait is over when nobody else has anything to do, mostly. */
  private pick(): Point | undefined {
    if (this.waiting.length === 0) return undefined;
    const busy = this.waiting.filter(({ kind }) => kind !== 'wait');
    const choices = busy.length === 0 || this.chance.is(0.1) ? this.waiting : busy;
    const picked = choices.length === 1 || this.chance.is(0.6) ? choices[0] : this.chance.one(choices);
    this.waiting = this.waiting.filter((point) => point !== picked);
    return picked;
  }

  private async perform(point: Point): Promise<void> {
    const { life, kind, label } = point;
    this.performed += 1;
    this.elapsedMs += POINT_MS;
    const fault = this.faults?.at(point) ?? null;
    if (fault !== null) this.record.fault(`${kind} ${fault}`, `${life.name} ${label}`);
    if (fault?.startsWith('crash')) this.record.count('crashes');
    if (fault === 'crash before') return this.crash(life);
    if (fault === 'fails') return this.fail(point);
    const done = outcomeOf(point.run());
    const blocked = point.connection.mayWait() && (await this.waitsForLock(done, point.connection));
    const entry: Aside = { point, fault, done };
    if (blocked) this.aside.push(entry);
    else await this.finish(entry, await done);
  }

  private async finish({ point, fault }: Aside, outcome: Outcome): Promise<void> {
    const { life } = point;
    if (life.isOver) {
      for (const end of life.ends) await end();
      return;
    }
    if (fault === 'crash after') return this.crash(life);
    if (fault === 'answer lost') return this.fail(point);
    if ('error' in outcome) {
      // no statement of Berth counts on Postgres to refuse it: a deadlock, a constraint, a lost race are all findings
      if (point.kind === 'sql')
        throw new Finding(`Postgres refuses: ${life.name} ${point.label}: ${String(outcome.error)}`);
      point.reject(outcome.error);
    } else point.resolve(outcome.value);
  }

  private async fail(point: Point): Promise<void> {
    const error = this.faults?.failure(point) ?? new Error('it failed');
    if (point.kind === 'sql') await point.connection.lose(error);
    point.reject(error);
  }

  private async waitsForLock(done: Promise<Outcome>, { pid }: Connection): Promise<boolean> {
    for (let ms = LOCK_LOOK_MS; ; ms = Math.min(2 * ms, LOCK_LOOK_MS_MAX)) {
      if ((await Promise.race([done, late(ms)])) !== LATE) return false;
      const id = pid();
      if (id !== undefined && (await this.isLockWaiting(id))) return true;
    }
  }

  /** Ends statements whose lock has come meanwhile. @returns whether there were any */
  private async lookAside(): Promise<boolean> {
    const before = this.aside.length;
    for (const entry of [...this.aside]) {
      if (await this.waitsForLock(entry.done, entry.point.connection)) continue;
      this.aside = this.aside.filter((other) => other !== entry);
      await this.finish(entry, await entry.done);
    }
    return this.aside.length < before;
  }

  /** All that is left waits for locks: Postgres finds the ring within a second. */
  private async endOfRing(): Promise<void> {
    const first = this.aside[0];
    if (first)
      await Promise.race([...this.aside.map(({ done }) => done), new Promise((end) => realTimeout(end, 5000))]);
    if (first && (await Promise.race([first.done, late(LOCK_LOOK_MS)])) === LATE && this.aside.length === 1) {
      throw new Finding(`waits for a lock that nobody gives back: ${first.point.life.name} ${first.point.label}`);
    }
  }
}

/** One life of a role: from its start to its end or its crash. */
export interface Life {
  readonly conductor: Conductor;
  /** `scheduler-1`, and which life it is. */
  readonly name: string;
  isOver: boolean;
  /** What becomes of its connections when it dies. A statement that waits for a lock has its end when it has waited. */
  readonly ends: (() => Promise<void>)[];
}

export type PointKind = 'sql' | 'bus' | 'journal' | 'kernel' | 'scan' | 'wait' | 'handled';

export interface Point {
  readonly life: Life;
  readonly kind: PointKind;
  readonly label: string;
  readonly run: () => Promise<unknown>;
  /** With the database; {@link NONE} of what is no statement. */
  readonly connection: Connection;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface Connection {
  /** Of the backend at its other end. */
  pid(): number | undefined;
  /** Whether another transaction is open, for whose locks it may wait. */
  mayWait(): boolean;
  /** Postgres rolls back what was open on it; whoever uses it again gets the error. */
  lose(error: Error): Promise<void>;
}

export type Fault = 'crash before' | 'crash after' | 'fails' | 'answer lost';

export interface Faults {
  at(point: Point): Fault | null;
  failure(point: Point): Error;
}

export interface Operation {
  readonly life: Life;
  readonly title: string;
  state: 'running' | 'done' | 'failed' | 'crashed';
  /** What it answered, or the error that it failed with. */
  value: unknown;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

interface Aside {
  readonly point: Point;
  readonly fault: Fault | null;
  readonly done: Promise<Outcome>;
}

const POINTS_MAX = 20_000;
const POINT_MS = 1;
const LATE = Symbol('late');
const LOCK_LOOK_MS = 4;
const LOCK_LOOK_MS_MAX = 64;
/** Waits of the program are at most this long; longer ones are time limits, which are left alone. */
const WAIT_MS_MAX = 2000;

const lives = new AsyncLocalStorage<Life>();
const realTimeout = globalThis.setTimeout;

const NONE: Connection = { pid: () => undefined, mayWait: () => false, lose: () => Promise.resolve() };

function late(ms: number): Promise<typeof LATE> {
  return new Promise((resolve) => realTimeout(() => resolve(LATE), ms));
}

/** All that memory alone can do has been done. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

function outcomeOf(work: Promise<unknown>): Promise<Outcome> {
  return work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

/** A wait of a role; what it waited for may have come before. */
interface Wait {
  isOver: boolean;
}

/**
 * Makes the waits of roles (`setTimeout`) points of theirs, and their clocks that of the conductor: nobody waits for a clock, and
 * the time of a seed is the seed's. For the whole process.
 */
export function takeOverTime(): void {
  const [plainClear, plainNow, plainSince] = [clearTimeout, Date.now, performance.now.bind(performance)];
  const waits = new WeakSet<object>();
  const taken = (wake: (...words: unknown[]) => void, ms = 0, ...words: unknown[]): unknown => {
    const life = lives.getStore();
    if (!life || ms > WAIT_MS_MAX) return realTimeout(wake, ms, ...words);
    const wait: Wait = { isOver: false };
    waits.add(wait);
    void life.conductor
      .point(life, 'wait', `${ms} ms`, () => Promise.resolve())
      .then(() => {
        if (!wait.isOver) wake(...words);
      });
    return wait;
  };
  const cleared = (wait: unknown): void => {
    if (typeof wait === 'object' && wait !== null && waits.has(wait)) (wait as Wait).isOver = true;
    else plainClear(wait as NodeJS.Timeout);
  };
  const plainSleep = timers.setTimeout;
  const slept = (ms = 0, value?: unknown, options?: { readonly signal?: AbortSignal }): Promise<unknown> => {
    const life = lives.getStore();
    if (!life || ms > WAIT_MS_MAX) return plainSleep(ms, value, options as object);
    return life.conductor.point(life, 'wait', `${ms} ms`, async () => {
      options?.signal?.throwIfAborted();
      return value;
    });
  };
  Object.assign(globalThis, { setTimeout: taken, clearTimeout: cleared });
  Object.assign(timers, { setTimeout: slept });
  syncBuiltinESMExports();
  const clock = (plain: () => number) => (): number => lives.getStore()?.conductor.nowMs ?? plain();
  Object.assign(Date, { now: clock(plainNow) });
  Object.assign(performance, { now: clock(plainSince) });
}
