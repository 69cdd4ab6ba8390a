import { expect, it } from 'vitest';
import { BatchIntake } from './batch-intake.js';

const nothing = (items: readonly unknown[]): undefined[] => items.map(() => undefined);

it('handles who comes in the moment in which the batch before has ended', async () => {
  const batches: (readonly string[])[] = [];
  const intake = new BatchIntake<string, undefined>(
    async (items) => {
      batches.push(items);
      return nothing(items);
    },
    { sizeMax: 8, delayMs: 0 },
  );
  for (const id of ['a', 'b', 'c']) await intake.add(id);
  expect(batches).toEqual([['a'], ['b'], ['c']]);
});

it('puts items that come together into one batch; who comes meanwhile is in the next; each gets its own answer', async () => {
  const batches: (readonly string[])[] = [];
  const intake: BatchIntake<string, string> = new BatchIntake<string, string>(
    async (items) => {
      batches.push(items);
      if (items.includes('a')) void intake.add('d');
      return items.map((item) => item.toUpperCase());
    },
    { sizeMax: 3, delayMs: 1 },
  );
  expect(await Promise.all(['a', 'b', 'a', 'c'].map((item) => intake.add(item)))).toEqual(['A', 'B', 'A', 'C']);
  await intake.add('e');
  expect(batches).toEqual([['a', 'b', 'a'], ['c', 'd'], ['e']]);
});

it('tells everybody of a batch that it failed, and goes on', async () => {
  const intake = new BatchIntake<string, undefined>(
    async (items) => {
      if (items.includes('bad')) throw new Error('no');
      return nothing(items);
    },
    { sizeMax: 8, delayMs: 1 },
  );
  const ends = await Promise.allSettled([intake.add('bad'), intake.add('good')]);
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await expect(intake.add('good')).resolves.toBeUndefined();
});

it('handles as many batches at once as it may, and no more', async () => {
  const ends: (() => void)[] = [];
  let under = 0;
  let most = 0;
  const intake = new BatchIntake<number, undefined>(
    async (items) => {
      most = Math.max(most, ++under);
      await new Promise<void>((end) => ends.push(end));
      under--;
      return nothing(items);
    },
    { sizeMax: 1, delayMs: 0, atOnce: 2 },
  );
  const all = [1, 2, 3, 4].map((item) => intake.add(item));
  for (let ended = 0; ended < 4; ended++) {
    while (ends.length <= ended) await new Promise((resolve) => setImmediate(resolve));
    ends[ended]?.();
  }
  await Promise.all(all);
  expect(most).toBe(2);
});

it('does not let wait who are enough, unless a batch is being handled', async () => {
  const batches: number[] = [];
  const ends: (() => void)[] = [];
  const intake = new BatchIntake<number, undefined>(
    async (items) => {
      batches.push(items.length);
      if (batches.length === 1) await new Promise<void>((end) => ends.push(end));
      return nothing(items);
    },
    { sizeMax: 8, delayMs: 3_600_000, promptMin: 3, atOnce: 2 },
  );
  const add = (count: number): Promise<unknown> =>
    Promise.all(Array.from({ length: count }, (_unused, item) => intake.add(item)));
  const first = add(4);
  while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const second = add(4);
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(batches).toEqual([4]);
  const third = add(4);
  await Promise.all([second, third]);
  expect(batches).toEqual([4, 8]);
  ends[0]?.();
  await first;
});

it('turns away whoever comes when too many wait', async () => {
  const intake = new BatchIntake<number, undefined>(async (items) => nothing(items), {
    sizeMax: 1,
    delayMs: 1,
    waitingMax: { count: 2, refusal: () => new Error('full') },
  });
  const ends = await Promise.allSettled([1, 2, 3, 4].map((item) => intake.add(item)));
  // the first is being handled
  expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
});
