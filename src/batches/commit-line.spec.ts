import { expect, it } from 'vitest';
import { CommitLine } from './commit-line.js';

const fine = { staleHosts: [] };

it('commits in the order of the decisions, one at a time', async () => {
  const line = new CommitLine();
  const log: string[] = [];
  const commit = (name: string, ms: number) => async () => {
    log.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, ms));
    log.push(`${name} ends`);
    return fine;
  };
  await Promise.all([line.run([], commit('a', 5)), line.run([], commit('b', 0))]);
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
});

it('does not trust what was decided on a batch that did not get what it wanted', async () => {
  const line = new CommitLine();
  const wrong = async (isWrongAbout: (hostId: string) => boolean): Promise<typeof fine & { wrong: boolean[] }> => ({
    ...fine,
    wrong: [isWrongAbout('h1'), isWrongAbout('h2')],
  });
  const first = line.run(['h1', 'h2'], async () => ({ staleHosts: ['h1'] }));
  const second = line.run(['h1'], wrong);
  const third = line.run(['h1'], wrong);
  await first;
  const later = line.run(['h1'], wrong);
  expect((await second).wrong).toEqual([true, false]);
  expect((await third).wrong).toEqual([true, false]);
  expect((await later).wrong).toEqual([false, false]);
});

it('does not trust any host of a batch that failed', async () => {
  const line = new CommitLine();
  const failed = line.run(['h1'], () => Promise.reject(new Error('no')));
  const next = line.run(['h1'], async (isWrongAbout) => ({ ...fine, wrong: isWrongAbout('h1') }));
  await expect(failed).rejects.toThrow('no');
  expect((await next).wrong).toBe(true);
});
