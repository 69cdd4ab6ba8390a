import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Peers } from './peers.js';

const SIZE = 60;
const CHANGE = fc.record({
  member: fc.nat(SIZE - 1),
  key: fc.oneof({ weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c') }, fc.constant(null)),
  asks: fc.boolean(),
});

describe('Peers', () => {
  it('know who is alike, and the first of each, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(CHANGE, { maxLength: 300 }), fc.integer({ min: 1, max: 12 }), (changes, count) => {
        const peers = new Peers(SIZE);
        const keys = new Map<number, string>();
        for (const { member, key, asks } of changes) {
          if (keys.delete(member)) {
            const number = peers.numberOf(member);
            expect(peers.leave(member)).toEqual({ number, isGone: !isOneOf(keys, peers, number) });
          }
          if (key !== null) {
            const isNew = ![...keys.values()].includes(key);
            keys.set(member, key);
            expect(peers.join(member, key)).toEqual({ number: peers.numberOf(member), isNew });
          }
          if (asks) compare(peers, keys, count);
        }
        compare(peers, keys, count);
      }),
    );
  });

  it('use numbers again', () => {
    const peers = new Peers(3);
    for (let round = 0; round < 5; round++) {
      for (const member of [0, 1, 2]) peers.join(member, `${round} ${member}`);
      for (const member of [0, 1, 2]) peers.leave(member);
    }
    expect(peers.end).toBe(3);
  });
});

function compare(peers: Peers, keys: ReadonlyMap<number, string>, count: number): void {
  for (const key of ['a', 'b', 'c']) {
    const members = [...keys.keys()].filter((member) => keys.get(member) === key).sort((a, b) => a - b);
    const [least] = members;
    if (least === undefined) continue;
    const number = peers.numberOf(least);
    expect(peers.keyOf(number)).toBe(key);
    expect(peers.firsts[number]).toBe(least);
    expect(peers.first(number, count)).toEqual(members.slice(0, count));
    expect(members.every((member) => peers.numberOf(member) === number)).toBe(true);
  }
}

function isOneOf(keys: ReadonlyMap<number, string>, peers: Peers, number: number): boolean {
  return [...keys.keys()].some((member) => peers.numberOf(member) === number);
}
