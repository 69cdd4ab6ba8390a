import { expect, it } from 'vitest';
import { FilesAtRest } from './files-at-rest.js';

/** What the looks answer, one after the other. */
function answers(looks: readonly string[], looksNeeded = 2): boolean[] {
  const atRest = new FilesAtRest('old', looksNeeded);
  return looks.map((look) => {
    const now = atRest.look(look);
    if (now) atRest.take(look);
    return now;
  });
}

it.each<[string, string[], boolean[]]>([
  ['nothing changes', ['old', 'old', 'old', 'old'], [false, false, false, false]],
  ['a change that lies still', ['old', 'new', 'new', 'new', 'new'], [false, false, false, true, false]],
  [
    'one that is written to again and again',
    ['a', 'a', 'b', 'b', 'c', 'c', 'c'],
    [...Array<boolean>(6).fill(false), true],
  ],
  ['one that is taken back', ['new', 'old', 'old', 'old'], [false, false, false, false]],
  ['two changes', ['a', 'a', 'a', 'b', 'b', 'b'], [false, false, true, false, false, true]],
])('%s', (_name, looks, expected) => {
  expect(answers(looks)).toEqual(expected);
});

it('what was read for another reason is not read again', () => {
  const atRest = new FilesAtRest('old', 0);
  expect(atRest.look('new')).toBe(true);
  atRest.take('newer');
  expect([atRest.look('newer'), atRest.look('newest')]).toEqual([false, true]);
});
