import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { applyPlacement } from './apply-placement.js';
import { placeDevices } from './attach.js';
import { place } from './place.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot } from './snapshot.js';

const gpu = wants('gpu', 1, '10de:1bb0');
const required = wants('gpu', 1, '10de:1bb0', { numaPolicy: 'required' });

/** Two GPUs on node 0, one on node 1, and no vCPU left once the server runs there. */
const HOST = aHost(
  'a',
  [
    { address: '0000:01:00.0', numaNode: 0 },
    { address: '0000:02:00.0', numaNode: 0 },
    { address: '0000:81:00.0', numaNode: 1 },
  ],
  { capacity: { vcpus: 4, memoryMb: 4096, diskGb: 0 } },
);

function running(request: Partial<PlacementRequest>, host: HostSnapshot = HOST): HostSnapshot {
  const full = aRequest([gpu], { vcpus: 4, memoryMb: 4096, ...request });
  const decision = place({ hosts: [host], policy: POLICY }, full, []);
  if (decision.outcome === 'rejected') throw new Error(decision.message);
  return applyPlacement(host, decision, full, { serverId: 's', serverName: 'vm' });
}

function attach(host: HostSnapshot, wanted = gpu): string[] | string {
  const server = host.servers[0];
  if (!server) throw new Error('nobody runs there');
  const decision = placeDevices(host, POLICY, server, [wanted]);
  return decision.outcome === 'placed' ? decision.devices.map(({ address }) => address) : decision.message;
}

describe('devices for a server that runs', () => {
  it('need no other room, and no host that takes new servers', () => {
    const host = running({});
    expect(attach({ ...host, enabled: false, disabledReason: 'maintenance' })).toHaveLength(1);
  });

  it('are by the NUMA nodes that the guest is on', () => {
    const onNode1 = { ...HOST, devices: HOST.devices.filter(({ numaNode }) => numaNode === 1) };
    const cells = [{ vcpus: 4, memoryMb: 4096 }];
    const there = running({ guestCells: cells, devices: [required] }, onNode1);
    expect(there.servers[0]?.numaCells).toEqual([1]);
    const others = HOST.devices.filter(({ numaNode }) => numaNode === 0);
    const whole = { ...there, devices: [...others, ...there.devices] };
    expect(attach(whole, required)).toMatch(/^No valid host: .*gpu/);
    expect(attach(whole, wants('gpu', 1, '10de:1bb0', { numaPolicy: 'preferred' }))).toHaveLength(1);
    const onNode0 = { ...HOST, devices: others };
    expect(attach(running({ guestCells: cells, devices: [required] }, onNode0), required)).toEqual(['0000:02:00.0']);
  });

  it.each([
    ['a silent host', { status: 'down' as const }],
    ['a host whose agent only looks', { readOnly: true }],
  ])('are not to be had on %s', (_name, more) =>
    expect(attach({ ...running({}), ...more })).toMatch(/^No valid host: /),
  );
});
