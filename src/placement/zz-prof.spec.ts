import { it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { atOnce } from '../../test/support/steps.js';
import { applyPlacement } from './apply-placement.js';
import { arrived } from './capacity.js';
import { planDefragmentation } from './defragment.js';
import { place } from './place.js';
import type { HostSnapshot } from './snapshot.js';
it('prof', () => {
  const devices = Array.from({ length: 8 }, (_, i) => ({ address: `0000:8${i}:00.0`, numaNode: i >> 2 }));
  const requests = new Map();
  const time = (what: string, work: () => unknown): void => {
    const t = process.cpuUsage().user;
    const answer = work();
    console.log(`PROF ${what}: ${((process.cpuUsage().user - t) / 1000).toFixed(0)} ms cpu`, JSON.stringify(answer)?.slice(0, 60), JSON.stringify(answer)?.slice(-230));
  };
  const hosts: HostSnapshot[] = [];
  for (let h = 0; h < 3000; h++) {
      let now = aHost(`h${String(h).padStart(5, '0')}`, devices);
      for (let s = 0; s < h % 4; s++) {
        const request = aRequest([wants('gpu', 1 + ((h + s) % 3), '10de:1bb0')], { vcpus: 4 });
        const d = place({ hosts: [now], policy: POLICY }, request, []);
        if (d.outcome === 'rejected') continue;
        const serverId = `s${h}-${s}`;
        now = arrived(applyPlacement(now, d, request, { serverId, serverName: serverId }), serverId);
        requests.set(serverId, request);
      }
      hosts.push(now);
  }
  const snapshot = { hosts, policy: POLICY };
  const eight = aRequest([wants('gpu', 8, '10de:1bb0')]);
  const alias = wants('gpu', 1, '10de:1bb0');
  time('plan 10 more of eight', () => atOnce(planDefragmentation(snapshot, { goal: { kind: 'fit', request: eight, count: 760 }, requests, keep: new Set(), movesMax: 100, trialsMax: 200_000 })));
  time('mix, 20 moves', () => atOnce(planDefragmentation(snapshot, { goal: { kind: 'mix', mixes: [{ alias, shapes: [{ request: eight, weight: 1 }] }] }, requests, keep: new Set(), movesMax: 20, trialsMax: 200_000 })));
}, 600_000);
