import { describe, expect, it } from 'vitest';
import { aHost, aRequest, type DeviceSketch, POLICY, wants } from '../../test/support/snapshots.js';
import { applyPlacement } from './apply-placement.js';
import { healReservation, type KeptDevice, type KeptWindow } from './heal-reservation.js';
import { place } from './place.js';
import type { PlacementRequest } from './request.js';
import { withReservations } from './reserved-devices.js';
import type { DeviceReservation, HostSnapshot } from './snapshot.js';

const GPU = '10de:1bb0';
const OTHER: DeviceReservation = { id: 'o', name: 'other', projectId: 'default', until: '', isOpen: true };
const OWN: DeviceReservation = { ...OTHER, id: 'r-1' };
const at = (slot: number, more: Partial<DeviceSketch> = {}): DeviceSketch => ({
  address: `0000:8${slot}:00.0`,
  ...more,
});
const id = (slot: number, host = 'a'): string => `${host}/0000:8${slot}:00.0`;

function windowOf(request: PlacementRequest, slots: readonly number[], more: Partial<KeptWindow> = {}): KeptWindow {
  const kept = slots.map((slot): KeptDevice => {
    return { deviceId: id(slot), hostId: 'id-a', server: 0, requestIndex: 0 };
  });
  return { request, kept, users: new Set(), taken: new Map(), ...more };
}

function healed(hosts: readonly HostSnapshot[], window: KeptWindow): (string[] | string)[] {
  const own = new Map(window.kept.map(({ deviceId }) => [deviceId, OWN]));
  const marked = hosts.map((host) => withReservations(host, own));
  return healReservation({ hosts: marked, policy: POLICY }, window).map(({ decision }) =>
    decision.outcome === 'placed' ? decision.devices.map(({ deviceId }) => deviceId) : decision.message,
  );
}

const two = aRequest([wants('gpu', 2, GPU)]);

describe('healing', () => {
  it('has nothing to do where all can be had', () => {
    expect(healed([aHost('a', [at(0), at(1), at(2)])], windowOf(two, [0, 1]))).toEqual([]);
  });

  it.each<[string, Partial<DeviceSketch>]>([
    ['failed', { status: 'failed' }],
    ['was put into quarantine', { status: 'quarantined' }],
    ['is missing', { missing: true }],
    ['is in use by another server', { status: 'allocated', owner: { serverId: 's', serverName: 'vm' } }],
  ])('takes one spare on the same host for a device that %s', (_what, state) => {
    const host = aHost('a', [at(0), at(1), at(2), at(3, state)]);
    expect(healed([host, aHost('b', [at(0), at(1)])], windowOf(two, [2, 3]))).toEqual([[id(0), id(2)]]);
  });

  it('takes all anew elsewhere when there is no spare beside what is left', () => {
    const host = aHost('a', [at(0), at(1, { status: 'failed' })]);
    expect(healed([host, aHost('b', [at(0), at(1)])], windowOf(two, [0, 1]))).toEqual([[id(0, 'b'), id(1, 'b')]]);
  });

  it('leaves what is left where a spare would break a constraint of the request', () => {
    const near = {
      ...two,
      constraints: [{ kind: 'same' as const, attribute: 'numa_node' as const, requests: [0], weight: null }],
    };
    const host = aHost('a', [at(0, { status: 'failed' }), at(1), at(2, { numaNode: 1 }), at(3, { numaNode: 1 })]);
    expect(healed([host], windowOf(near, [0, 1]))).toEqual([[id(2), id(3)]]);
  });

  it.each<[string, Partial<HostSnapshot>]>([
    ['is down', { status: 'down' }],
    ['is disabled', { enabled: false }],
    ['only looks', { readOnly: true }],
  ])('leaves a host that %s', (_what, state) => {
    const hosts = [aHost('a', [at(0), at(1)], state), aHost('b', [at(0), at(1)])];
    expect(healed(hosts, windowOf(two, [0, 1]))).toEqual([[id(0, 'b'), id(1, 'b')]]);
  });

  it('takes nothing that another reservation keeps, and says why there is nothing', () => {
    const host = aHost('a', [at(0), at(1, { status: 'failed' }), at(2)]);
    const [why] = healed([host], windowOf(two, [0, 1], { taken: new Map([[id(2), OTHER]]) }));
    expect(why).toMatch(/^No valid host: 3 devices of alias gpu: 2 wanted, 1 free; .*1 failed/);
  });

  it('gives two servers of one reservation no device twice', () => {
    const one = aRequest([wants('gpu', 1, GPU)]);
    const host = aHost('a', [at(0, { status: 'failed' }), at(1, { status: 'failed' }), at(2), at(3)]);
    const kept = [0, 1].map((slot) => ({ deviceId: id(slot), hostId: 'id-a', server: slot, requestIndex: 0 }));
    expect(healed([host], { ...windowOf(one, []), kept })).toEqual([[id(2)], [id(3)]]);
  });

  it('counts what its own servers have as its own, and leaves alone what was handed over whole', () => {
    const owner = { serverId: 's-1', serverName: 'mine' };
    const plain = aHost('a', [at(0), at(1), at(2)]);
    const placed = place({ hosts: [plain], policy: POLICY }, two, []);
    if (placed.outcome !== 'placed') throw new Error('it fits');
    const used = applyPlacement(plain, placed, two, owner);
    const window = windowOf(two, [0, 1], { users: new Set(['s-1']) });
    expect(healed([used], window)).toEqual([]);
    expect(healed([{ ...used, status: 'down' }, aHost('b', [at(0), at(1)])], window)).toEqual([]);
    // one of two is in use by its own server, the other has failed: the spare is beside it
    const partly = windowOf(two, [0, 2], { users: new Set(['s-1']) });
    const failed = {
      ...used,
      devices: used.devices.map((one) => (one.id === id(2) ? { ...one, status: 'failed' as const } : one)),
    };
    expect(healed([failed], partly)).toEqual([[id(0), id(1)]]);
  });
});
