import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../../test/support/snapshots.js';
import type { Decision } from '../../placement/decision.js';
import { place } from '../../placement/place.js';
import type { PlacementRequest } from '../../placement/request.js';
import type { HostSnapshot } from '../../placement/snapshot.js';
import type { DecisionEntity } from '../../store/entities/workload.entities.js';
import type { ServerRow } from '../../store/servers.store.js';
import type { SmallestChangesView } from './explanation-changes.js';
import type { ExplanationView } from './explanation.dto.js';
import { explanationView } from './explanation.view.js';

const gpus = (count: number): { address: string }[] =>
  Array.from({ length: count }, (_unused, slot) => ({ address: `0000:8${slot}:00.0` }));
const REQUEST = aRequest([wants('gpu', 1, '10de:1bb0')]);

function explain(
  decision: Decision,
  { view = 'admin' as 'admin' | 'project', request = REQUEST as PlacementRequest, changes = NO_CHANGES } = {},
): ExplanationView {
  const server = { id: 's', name: 'vm', status: 'ACTIVE', request } as ServerRow;
  const record = { id: 'd', attempt: 1, created_at: new Date(0), record: decision } as unknown as DecisionEntity;
  return explanationView(server, record, { view, own: new Set() }, changes);
}
const NO_CHANGES = null as SmallestChangesView | null;

function decide(hosts: readonly HostSnapshot[], request = REQUEST): Decision {
  return place({ hosts, policy: POLICY }, request, []);
}

describe('scores of an explanation', () => {
  it('tell how far each host is behind the winner, and which weigher did most', () => {
    const bigger = { capacity: { vcpus: 128, memoryMb: 131_072, diskGb: 1000 } };
    const decision = decide([aHost('one', gpus(1)), aHost('three', gpus(3), bigger), aHost('two', gpus(2))]);
    const { scores, sentences } = explain(decision);
    // fewest left over wins; the bigger host makes up for one part of that
    expect(scores.map(({ host, decided_by }) => [host, decided_by])).toEqual([
      ['one', null],
      ['two', 'PCIWeigher'],
      ['three', 'PCIWeigher'],
    ]);
    for (const { total, delta, parts } of scores) {
      expect(delta).toBeCloseTo((scores[0]?.total ?? 0) - total);
      expect(Object.values(parts).reduce((sum, part) => sum + part.delta, 0)).toBeCloseTo(delta);
    }
    expect(scores[2]?.parts['CPUWeigher']?.delta).toBe(-1);
    expect(sentences[0]).toBe('vm was placed on host one: 3 of 3 hosts could serve.');
    expect(sentences[1]).toMatch(
      /^Host two, the next best, is [\d.]+ behind; PCIWeigher made the difference \([\d.]+\)\.$/,
    );
  });

  it('say so where names decided', () => {
    const { scores, sentences } = explain(decide([aHost('a', gpus(1)), aHost('b', gpus(1))]));
    expect(scores.map(({ delta, decided_by }) => [delta, decided_by])).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(sentences[1]).toBe('Host b, the next best, is as good; the order of names decided.');
  });

  it('keep hosts and what they have from a project', () => {
    const { host, scores, sentences } = explain(decide([aHost('secret-a', gpus(1)), aHost('secret-b', gpus(2))]), {
      view: 'project',
    });
    expect(host).toBeNull();
    expect(scores.map((score) => [score.host, score.parts['RAMWeigher']?.raw])).toEqual([
      [null, null],
      [null, null],
    ]);
    expect(JSON.stringify([scores, sentences])).not.toContain('secret');
  });
});

describe('the rest of an explanation', () => {
  it('tells how near the devices are, and what became of constraints', () => {
    const request: PlacementRequest = {
      ...aRequest([wants('gpu', 2, '10de:1bb0')]),
      constraints: [{ kind: 'within', level: 'PIX', requests: [0], weight: 10 }],
    };
    const { constraints, sentences } = explain(decide([aHost('a', gpus(2))], request), { request });
    expect(constraints).toMatchObject([
      { constraint: 0, text: 'gpu within PIX prefer 10', met: false, distance: 'PHB' },
    ]);
    expect(sentences.slice(1)).toEqual([
      'Its devices are at most PHB apart.',
      '"gpu within PIX prefer 10" is not met: at most PHB apart.',
    ]);
  });

  it('counts hosts by filter, and tells five groups in words', () => {
    const hosts = [1, 2, 3, 4, 5, 6].map((count) => aHost(`h${count}`, gpus(count)));
    const off = [7, 8].map((at) => aHost(`off-${at}`, [], { enabled: false }));
    const request = aRequest([wants('gpu', 9, '10de:1bb0')]);
    const { filters, sentences } = explain(decide([...hosts, ...off], request), { request });
    expect(filters).toEqual([
      { filter: 'PciPassthroughFilter', host_count: 6 },
      { filter: 'ComputeFilter', host_count: 2 },
    ]);
    expect(sentences[0]).toMatch(/^vm was placed nowhere\. No valid host: /);
    expect(sentences[1]).toBe('2 hosts (off-7, …): the host is disabled [ComputeFilter].');
    expect(sentences.at(-1)).toBe('2 more hosts for other reasons.');
  });

  it.each<[Partial<SmallestChangesView>, string]>([
    [{ fits_now: true, fits_on: 'h2' }, 'As of 1970-01-01T00:00:00.000Z it fits on host h2.'],
    [{}, 'As of 1970-01-01T00:00:00.000Z no one or two changes make it fit.'],
    [
      { complete: false },
      'As of 1970-01-01T00:00:00.000Z no one or two changes make it fit (not everything could be tried).',
    ],
    [
      {
        changes: [
          {
            steps: ['enable host a', 'ask for less'].map((sentence) => ({
              ...{ kind: 'x', about: 'fleet' as const, sentence, details: {} },
            })),
            ...{ cost: 1, host: 'a', equal_hosts: 3 },
          },
        ],
      },
      'As of 1970-01-01T00:00:00.000Z it would fit with this change: enable host a, and ask for less (or the same on one ' +
        'of 2 equal hosts).',
    ],
  ])('ends with what would help: %#', (more, sentence) => {
    const none = { computed_at: new Date(0), fits_now: false, fits_on: null, changes: [], trials: 1, complete: true };
    const { sentences } = explain(decide([]), { changes: { ...none, ...more } });
    expect(sentences.at(-1)).toBe(sentence);
  });
});
