import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { PlacementPolicyName } from '../../src/placement/placement-policies.js';
import type { PlacementPolicy } from '../../src/placement/snapshot.js';
import { LiveMix } from '../../src/store/live-mix.js';
import { insertServers } from '../../src/store/servers.store.js';
import { onLedger } from '../support/ledger.js';
import { aRequest, POLICY, wants } from '../support/snapshots.js';

let source: DataSource;

onLedger((opened) => {
  source = opened;
});

async function ask(...counts: number[]): Promise<void> {
  const servers = counts.map((count) => ({
    ...{ id: randomUUID(), flavor: null, waits: false, gang: null },
    request: aRequest(count === 0 ? [] : [wants('gpu', count, '10de:1bb0')]),
  }));
  await source.transaction((tx) => insertServers(tx, servers));
}

function policy(name: PlacementPolicyName): PlacementPolicy {
  return { ...POLICY, placementPolicies: { default: 'spread', aliases: { gpu: name } } };
}

describe('the live mix', () => {
  const withMix = (mix: LiveMix, name: PlacementPolicyName, deciding = 1): Promise<PlacementPolicy> =>
    mix.addTo(source.manager, { hosts: [], policy: policy(name) }, deciding);

  it('is learnt from the servers that there are', async () => {
    await ask(1, 4, 0, 1, 1);
    const { mix } = await withMix(new LiveMix(), 'scarcity');
    expect(mix?.shapes.map(({ devices, popularity }) => [devices[0]?.count, popularity])).toEqual([
      [1, 0.75],
      [4, 0.25],
    ]);
  });

  it('is not learnt where no policy looks at it', async () => {
    await ask(1);
    expect(await withMix(new LiveMix(), 'best-fit')).not.toHaveProperty('mix');
  });

  it('is one and the same until many servers were decided, and some seconds', async () => {
    let nowMs = 0;
    const mix = new LiveMix(() => nowMs);
    await ask(1);
    const first = await withMix(mix, 'fragmentation');
    await ask(2);
    expect((await withMix(mix, 'fragmentation', 100)).mix).toBe(first.mix);
    nowMs = 5_000;
    expect((await withMix(mix, 'fragmentation', 200)).mix).toBe(first.mix);
    nowMs = 5_001;
    expect((await withMix(mix, 'fragmentation')).mix?.shapes).toHaveLength(2);
  });

  it('is learnt anew after a while', async () => {
    let nowMs = 0;
    const mix = new LiveMix(() => nowMs);
    await ask(1);
    const first = await withMix(mix, 'fragmentation');
    await ask(2);
    nowMs = 60_000;
    expect((await withMix(mix, 'fragmentation')).mix).toBe(first.mix);
    nowMs = 60_001;
    expect((await withMix(mix, 'fragmentation')).mix?.shapes).toHaveLength(2);
  });
});
