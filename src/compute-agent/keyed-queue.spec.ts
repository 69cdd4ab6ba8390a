import { expect, it } from 'vitest';
import { KeyedQueue } from './keyed-queue.js';

function gate() {
  let open!: () => void;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { open, passed };
}

it('keeps the order of those that share a key, and lets others pass', async () => {
  const queue = new KeyedQueue();
  const done: string[] = [];
  const first = gate();
  const work = [
    queue.run(['a', 'b'], async () => {
      await first.passed;
      done.push('ab');
    }),
    queue.run(['b', 'c'], async () => void done.push('bc')),
    queue.run(['c'], async () => void done.push('c')),
    queue.run(['d'], async () => void done.push('d')),
  ];
  await work[3];
  expect(done).toEqual(['d']);
  first.open();
  await Promise.all(work);
  expect(done).toEqual(['d', 'ab', 'bc', 'c']);
});

it('goes on after a failure, which only its caller sees', async () => {
  const queue = new KeyedQueue();
  const failing = queue.run(['a'], async () => Promise.reject(new Error('no')));
  const next = queue.run(['a'], async () => 'yes');
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('yes');
});
