import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Rounds } from './rounds.js';

const NEVER_MS = 3_600_000;

/** Does what the test says in each round, and notes whether it was nudged. */
class Told extends Rounds {
  readonly begun: boolean[] = [];

  constructor(
    private readonly work: (round: number) => number | Promise<number>,
    firstMs = 20,
  ) {
    super({ firstMs, maxMs: 40, message: 'failed' });
  }

  protected override async round(isNudged: boolean): Promise<number> {
    return this.work(this.begun.push(isNudged));
  }
}

let rounds: Told;
function start(work: (round: number) => number | Promise<number>, firstMs?: number): void {
  rounds = new Told(work, firstMs);
  rounds.onApplicationBootstrap();
}

describe('rounds', () => {
  beforeAll(() => Logger.overrideLogger(false));
  afterEach(() => rounds.beforeApplicationShutdown());

  it('follow each other at once while there is more to do, and then rest', async () => {
    start((round) => (round < 5 ? 0 : NEVER_MS));
    await sleep(20);
    expect(rounds.begun).toHaveLength(5);
  });

  it('come again when the rest is over', async () => {
    start(() => 5);
    await expect.poll(() => rounds.begun.length).toBeGreaterThan(3);
    expect(rounds.begun).not.toContain(true);
  });

  it('are begun by a nudge while they rest', async () => {
    start(() => NEVER_MS);
    await sleep(5);
    rounds.nudge();
    await expect.poll(() => rounds.begun).toEqual([false, true]);
  });

  it('answer a nudge that comes during a round by another, and several by one', async () => {
    start(async () => {
      await sleep(20);
      return NEVER_MS;
    });
    await sleep(5);
    rounds.nudge();
    rounds.nudge();
    await sleep(80);
    expect(rounds.begun).toEqual([false, true]);
  });

  it('are not begun by nudges after a failure, before its pause is over', async () => {
    start((round) => {
      if (round < 3) throw new Error('no');
      return NEVER_MS;
    }, 60);
    for (let nudges = 0; nudges < 5; nudges++) {
      await sleep(5);
      rounds.nudge();
    }
    expect(rounds.begun).toHaveLength(1);
    await expect.poll(() => rounds.begun.length).toBe(3);
  });

  it('end with the process, however long the rest or the pause', async () => {
    start(() => NEVER_MS);
    await sleep(5);
    await rounds.beforeApplicationShutdown();
    start(() => Promise.reject(new Error('no')), NEVER_MS);
    await sleep(5);
    await rounds.beforeApplicationShutdown();
    expect(rounds.begun).toHaveLength(1);
  });
});
