import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { place } from './place.js';

describe('the version of an alias', () => {
  it('is for people: a decision is the same whatever it is', () => {
    const hosts = [aHost('node-1', [{ address: '0000:83:00.0' }])];
    const decide = (count: number, aliasVersion: number | null) =>
      place({ hosts, policy: POLICY }, aRequest([{ ...wants('gpu', count, '10de:1bb0'), aliasVersion }]), []);
    for (const count of [1, 2]) expect(decide(count, 3)).toEqual(decide(count, null));
    expect([decide(1, 3).outcome, decide(2, 3).outcome]).toEqual(['placed', 'rejected']);
  });
});
