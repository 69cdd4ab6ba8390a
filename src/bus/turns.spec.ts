import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Turns } from './turns.js';

it('turns: so many at a time, in order, and on after one that failed', async () => {
  const turns = new Turns(3);
  const began: number[] = [];
  let running = 0;
  let most = 0;
  const work = async (number: number): Promise<void> => {
    began.push(number);
    most = Math.max(most, ++running);
    await sleep(5);
    running -= 1;
    if (number % 4 === 0) throw new Error('no');
  };
  const numbers = Array.from({ length: 20 }, (_unused, index) => index);
  const ended = await Promise.allSettled(numbers.map((number) => turns.take(() => work(number))));
  expect([began, most, running]).toEqual([numbers, 3, 0]);
  expect(ended.filter(({ status }) => status === 'rejected')).toHaveLength(5);
});
