import { describe, expect, it } from 'vitest';
import type { DeviceStatus } from './device-state.js';
import { DEFAULT_DRIFT_POLICIES, type Drift, type DriftPolicies } from './drift.js';
import { atRelease, notedChanges, settledMoves, type DriftNote, type Noted, type NotedChange } from './drift-notes.js';

const [A, B] = ['0000:41:00.0', '0000:81:00.0'];
const T1 = '2026-01-01T00:00:00.000Z';
const T2 = '2026-01-02T00:00:00.000Z';
const QUARANTINE = Object.fromEntries(
  Object.keys(DEFAULT_DRIFT_POLICIES).map((kind) => [kind, 'quarantine']),
) as unknown as DriftPolicies;

function device(address: string, status: DeviceStatus, more: Partial<Noted> = {}): Noted {
  return { address, status, present: true, notes: [], ...more };
}

const drift = (kind: Drift['kind'], address = A): Drift => ({ kind, address, reason: `${kind}!` });
const moved: Drift = { kind: 'moved', address: B, from: A, reason: 'moved!' };

function one(devices: Noted[], drifts: Drift[], policies = DEFAULT_DRIFT_POLICIES, now = T1): NotedChange | undefined {
  return notedChanges(devices, drifts, policies, now)[0];
}

const states = (...devices: Noted[]): Map<string, Noted> => new Map(devices.map((noted) => [noted.address, noted]));

describe('notes of drift', () => {
  it('are kept of a device in use, which keeps its server, once', () => {
    const first = one([device(A, 'allocated')], [drift('link_degraded')], QUARANTINE);
    expect(first).toMatchObject({ notes: [{ kind: 'link_degraded', since: T1 }], quarantine: null });
    expect(first?.news).toEqual(first?.notes);
    expect(one([device(A, 'allocated', { notes: first?.notes ?? [] })], [drift('link_degraded')], QUARANTINE, T2)).toBe(
      undefined,
    );
  });

  it('end with what lasts, unless it is to be quarantined when it is freed', () => {
    const [kept] = one([device(A, 'allocated')], [drift('driver_stolen')])?.notes ?? [];
    expect(kept?.policy).toBe('quarantine');
    expect(one([device(A, 'allocated', { notes: [kept as DriftNote] })], [])).toBe(undefined);
    const [told] = one([device(A, 'allocated')], [drift('gone')])?.notes ?? [];
    expect(one([device(A, 'allocated', { notes: [told as DriftNote] })], [])).toMatchObject({ notes: [], news: [] });
  });

  it('of a free device go to the audit; by policy it is quarantined at once', () => {
    expect(one([device(A, 'available')], [drift('id_changed')])).toMatchObject({ notes: [], quarantine: null });
    expect(one([device(A, 'available')], [drift('id_changed')])?.news).toHaveLength(1);
    expect(one([device(A, 'available')], [drift('id_changed')], QUARANTINE)?.quarantine).toBe('id_changed!');
    expect(one([device(A, 'quarantined')], [drift('id_changed')], QUARANTINE)?.quarantine).toBe(null);
  });

  it('of a degraded link quarantine once: an administrator who repairs is not overruled', () => {
    const first = one([device(A, 'available')], [drift('link_degraded')], QUARANTINE);
    expect(first?.quarantine).toBe('link_degraded!');
    const repaired = device(A, 'available', { notes: first?.notes ?? [] });
    expect(one([repaired], [drift('link_degraded')], QUARANTINE, T2)).toBe(undefined);
  });

  it('have what was gone quarantined when it is back, where the policy says so', () => {
    const [note] = one([device(A, 'removed', { present: false })], [drift('gone')], QUARANTINE)?.notes ?? [];
    const absent = device(A, 'removed', { present: false, notes: [note as DriftNote] });
    expect(one([absent], [], QUARANTINE, T2)).toBe(undefined);
    const back = device(A, 'available', { notes: [note as DriftNote] });
    expect(one([back], [], QUARANTINE, T2)).toMatchObject({ notes: [], quarantine: 'gone!' });
    expect(one([device(A, 'removed', { present: false })], [drift('gone')])?.notes).toEqual([]);
  });
});

describe('the card of a live allocation that turns up elsewhere', () => {
  const owned = device(A, 'allocated', { present: false });
  const changes = notedChanges([owned, device(B, 'available')], [moved], DEFAULT_DRIFT_POLICIES, T1);
  const [atOld, atNew] = changes;
  const held = device(B, 'quarantined', { notes: atNew?.notes ?? [] });
  const gone = { ...owned, notes: atOld?.notes ?? [] };

  it('is held at the new place, whatever the policy, and both places say so', () => {
    expect(atNew?.quarantine).toBe('moved!, and a server still has it there');
    expect(atNew?.notes).toMatchObject([{ kind: 'moved', from: A }]);
    expect(atOld?.notes).toMatchObject([{ kind: 'moved', to: B, policy: 'keep' }]);
    expect(atOld?.quarantine).toBe(null);
  });

  it('stays held by further reports', () => {
    expect(notedChanges([gone, held], [], DEFAULT_DRIFT_POLICIES, T2)).toEqual([]);
    expect(settledMoves(states(gone, held))).toEqual([]);
  });

  it('is free when the allocation ends', () => {
    expect(settledMoves(states({ ...gone, status: 'removed', notes: [] }, held))).toEqual([B]);
  });

  it('is free when the card is back at its old place', () => {
    const back = { ...gone, present: true };
    const [change] = notedChanges([back, held], [], DEFAULT_DRIFT_POLICIES, T2);
    expect(change).toMatchObject({ address: A, notes: [] });
    expect(settledMoves(states({ ...back, notes: [] }, held))).toEqual([B]);
  });

  it('is held when another server gives back the place that it moved to', () => {
    const notes = [{ kind: 'moved', from: A, reason: 'moved!', policy: 'keep', since: T1 }] as const;
    expect(atRelease(notes, 'available', states(gone))).toEqual({ notes, quarantine: 'moved!' });
    expect(atRelease(notes, 'available', states({ ...gone, status: 'removed' }))).toEqual({
      notes: [],
      quarantine: null,
    });
  });

  it('is nothing but news when no server has it', () => {
    const free = [device(A, 'removed', { present: false }), device(B, 'available')];
    const [change] = notedChanges(free, [moved], DEFAULT_DRIFT_POLICIES, T1);
    expect(change).toMatchObject({ address: B, notes: [], quarantine: null, news: [{ kind: 'moved' }] });
  });
});
