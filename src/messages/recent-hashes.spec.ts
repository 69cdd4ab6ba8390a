import { describe, expect, it } from 'vitest';
import { jsonHash, RecentHashes } from './recent-hashes.js';

describe('recent hashes', () => {
  it('forget the one that was not asked for the longest time', () => {
    const recent = new RecentHashes(2);
    recent.add('a');
    recent.add('b');
    expect(recent.has('a')).toBe(true);
    recent.add('c');
    expect(['a', 'b', 'c'].map((hash) => recent.has(hash))).toEqual([true, false, true]);
  });

  it('differ where contents do', () => {
    expect(jsonHash({ a: [1, null] })).toBe(jsonHash({ a: [1, null] }));
    expect(jsonHash({ a: [1, 2] })).not.toBe(jsonHash({ a: [12] }));
    const deep: unknown[] = [];
    deep.push(deep);
    expect(jsonHash(deep)).toBeNull();
  });
});
