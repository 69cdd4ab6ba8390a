import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { applyPlacement } from './apply-placement.js';
import { place } from './place.js';
import type { HostSnapshot } from './snapshot.js';
import { bestFirst } from './weighers/best-first.js';

const REQUESTS = [
  aRequest([]),
  aRequest([wants('gpu', 1, '10de:1bb0')]),
  aRequest([wants('gpu', 2, '10de:1bb0')]),
  aRequest([], { vcpus: 40 }),
];

const gpuHost = (name: string, gpus: number): HostSnapshot =>
  aHost(
    name,
    Array.from({ length: gpus }, (_unused, slot) => ({ address: `0000:8${slot}:00.0` })),
  );

/** What happens to a list of hosts between decisions. */
const events = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ ask: fc.nat(REQUESTS.length - 1) }) },
    fc.record({ goesDown: fc.nat(9) }),
    fc.record({ arrives: fc.nat(3) }),
    fc.record({ leaves: fc.nat(9) }),
  ),
  { maxLength: 25 },
);

describe('judgements', () => {
  it('a list that changes is judged as one that nobody has seen before', () => {
    fc.assert(
      fc.property(events, (all) => {
        const hosts = [gpuHost('a', 2), gpuHost('b', 0), gpuHost('c', 4)];
        for (const [step, event] of all.entries()) {
          if ('goesDown' in event) {
            const at = event.goesDown % Math.max(1, hosts.length);
            if (hosts[at]) hosts[at] = { ...hosts[at], status: 'down' };
          } else if ('arrives' in event) hosts.push(gpuHost(`h${String(step).padStart(3, '0')}`, event.arrives));
          else if ('leaves' in event) hosts.splice(event.leaves % Math.max(1, hosts.length), 1);
          else {
            const request = { ...(REQUESTS[event.ask] ?? aRequest([])), serverName: `server-${step}` };
            const decision = place({ hosts, policy: POLICY }, request, []);
            expect(decision).toEqual(place({ hosts: [...hosts], policy: POLICY }, request, []));
            if (decision.outcome === 'rejected') continue;
            const at = hosts.findIndex((host) => host.id === decision.hostId);
            const owner = { serverId: `server-${step}`, serverName: `server-${step}` };
            hosts[at] = applyPlacement(hosts[at] as HostSnapshot, decision, request, owner);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('a host that failed one server is asked again for another of the same kind', () => {
    const hosts = [gpuHost('a', 1)];
    const request = REQUESTS[1] ?? aRequest([]);
    expect(place({ hosts, policy: POLICY }, request, [{ hostId: 'id-a', reason: 'EBUSY' }]).outcome).toBe('rejected');
    expect(place({ hosts, policy: POLICY }, request, []).outcome).toBe('placed');
  });
});

describe('bestFirst', () => {
  it('is the order of a stable sort', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3, max: 3 })), fc.func(fc.boolean()), (values, isIn) => {
        const indexes = values.map((_value, index) => index).filter((index) => isIn(index));
        const sorted = [...indexes].sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
        expect([...bestFirst(Float64Array.from(values), Uint32Array.from(indexes))]).toEqual(sorted);
      }),
    );
  });
});
