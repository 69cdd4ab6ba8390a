import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostSnapshot } from '../../../placement/snapshot.js';
import { aHost, type DeviceSketch, POLICY } from '../../../../test/support/snapshots.js';
import { candidateQuery } from './candidate-query.js';
import { type Candidate, findCandidates } from './candidates.js';
import { Providers } from './providers.js';

const WISHER = { name: 'w', projectId: 'p' };
const ID = randomUUID();

/** A host of cards with so many VFs each. */
function hostWithCards(cards: readonly number[], name = 'h', id = ID): HostSnapshot {
  const devices = cards.flatMap((count, card): DeviceSketch[] =>
    Array.from({ length: count }, (_unused, index) => ({
      ...{ address: `0000:0${card}:00.${index + 1}`, parentAddress: `0000:0${card}:00.0` },
      ...{ ids: '15b3:1018', deviceType: 'type-VF' as const, resourceClass: 'VF', group: card * 10 + index },
    })),
  );
  return aHost(name, devices, { id });
}

function found(hosts: readonly HostSnapshot[], query: Readonly<Record<string, string>>): Candidate[] {
  const context = { policy: POLICY, leaving: new Set<string>(), aggregates: new Map() };
  const steps = findCandidates(new Providers(hosts, context), candidateQuery(query, 39), true, WISHER);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Which amounts which providers serve: groups of equal amounts may change places. */
function keyOf(served: readonly (readonly [amount: number, provider: string])[]): string {
  return served
    .map(([amount, provider]) => `${amount}@${provider}`)
    .sort()
    .join(' ');
}

/** The same by trying every provider for every group. */
function byTrying(cards: readonly number[], amounts: readonly number[], isolate: boolean): Set<string> {
  const keys = new Set<string>();
  const total = cards.length ** amounts.length;
  for (let number = 0; number < total; number++) {
    const chosen = amounts.map((_amount, group) => Math.floor(number / cards.length ** group) % cards.length);
    if (isolate && new Set(chosen).size < chosen.length) continue;
    const taken = cards.map((_free, card) =>
      amounts.reduce((sum, amount, group) => sum + (chosen[group] === card ? amount : 0), 0),
    );
    if (taken.some((amount, card) => amount > (cards[card] ?? 0))) continue;
    keys.add(keyOf(amounts.map((amount, group) => [amount, `0000:0${chosen[group]}:00.0`])));
  }
  return keys;
}

describe('candidates', () => {
  it('are all ways there are, each once, whatever cards and groups there are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (cards, amounts, isolate) => {
          const groups = amounts.map((amount, index) => [`resources${index + 1}`, `VF:${amount}`] as const);
          const policy = isolate ? 'isolate' : 'none';
          const host = hostWithCards(cards);
          const keys = found([host], { ...Object.fromEntries(groups), group_policy: policy }).map(
            ({ tree, mappings }) => {
              const addressOf = (uuid: string): string => tree.find((one) => one.uuid === uuid)?.address ?? '';
              return keyOf(
                amounts.map((amount, index) => [amount, addressOf(mappings.get(String(index + 1))?.[0] ?? '')]),
              );
            },
          );
          expect(keys).toHaveLength(new Set(keys).size);
          expect(new Set(keys)).toEqual(byTrying(cards, amounts, isolate));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('eight of eight equal cards are one, found at once', () => {
    const cards = Array.from({ length: 8 }, () => 1);
    const groups = cards.map((_one, index) => [`resources${index + 1}`, 'VF:1'] as const);
    const [only, ...others] = found([hostWithCards(cards)], { ...Object.fromEntries(groups), group_policy: 'none' });
    expect(only?.wanted.size).toBe(8);
    expect(others).toEqual([]);
  });

  it('with a limit, each host has one before a host has two', () => {
    const hosts = ['a', 'b', 'c'].map((name) => hostWithCards([2, 2, 2], name, randomUUID()));
    const names = found(hosts, { resources: 'VF:1', limit: '4' }).map(({ tree }) => tree[0]?.name);
    expect(new Set(names.slice(0, 3))).toEqual(new Set(['a', 'b', 'c']));
    expect(names).toHaveLength(4);
  });

  it('none is where the engine says no, though the numbers are enough', () => {
    const host = hostWithCards([1]);
    expect(found([host], { resources: 'VF:1' })).toHaveLength(1);
    expect(found([{ ...host, enabled: false }], { resources: 'VF:1' })).toEqual([]);
    // a VF whose IOMMU group is in use by somebody else cannot be had
    const shared = aHost(
      'h',
      [
        { address: '0000:01:00.0', group: 1, resourceClass: 'GPU' },
        {
          address: '0000:01:00.1',
          group: 1,
          resourceClass: 'SOUND',
          owner: { serverId: 's', serverName: 's' },
          status: 'allocated',
        },
      ],
      { id: ID },
    );
    expect(found([shared], { resources: 'GPU:1' })).toEqual([]);
  });
});
