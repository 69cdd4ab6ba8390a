import { expect, it } from 'vitest';
import { BatchIntake } from './batch-intake.js';

it('handles who comes in the moment in which the batch before has ended', async () => {
  const batches: (readonly string[])[] = [];
  const intake = new BatchIntake(async (ids) => void batches.push(ids), { sizeMax: 8, delayMs: 0 });
  for (const id of ['a', 'b', 'c']) await intake.add(id);
  expect(batches).toEqual([['a'], ['b'], ['c']]);
});

it('puts ids that come together into one batch, each once; who comes meanwhile is in the next', async () => {
  const batches: (readonly string[])[] = [];
  const intake = new BatchIntake(
    async (ids) => {
      batches.push(ids);
      if (ids.includes('a')) void intake.add('d');
    },
    { sizeMax: 3, delayMs: 1 },
  );
  await Promise.all(['a', 'b', 'a', 'c'].map((id) => intake.add(id)));
  await intake.add('e');
  expect(batches).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
});

it('tells everybody of a batch that it failed, and goes on', async () => {
  const intake = new BatchIntake(
    async (ids) => {
      if (ids.includes('bad')) throw new Error('no');
    },
    { sizeMax: 8, delayMs: 1 },
  );
  const ends = await Promise.allSettled([intake.add('bad'), intake.add('good')]);
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await expect(intake.add('good')).resolves.toBeUndefined();
});
