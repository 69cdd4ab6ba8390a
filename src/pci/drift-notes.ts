import type { Address } from './address.js';
import { isInUse, type DeviceStatus } from './device-state.js';
import type { Drift, DriftKind, DriftPolicies, DriftPolicy } from './drift.js';

/** A drift as the ledger keeps it with a device, as long as it matters. */
export interface DriftNote {
  readonly kind: DriftKind;
  readonly reason: string;
  readonly policy: DriftPolicy;
  /** ISO 8601. */
  readonly since: string;
  /** `moved`, of the new place: where the card was. */
  readonly from?: Address;
  /** `moved`, of the old place: where the card is. */
  readonly to?: Address;
}

/** A device of the ledger, after what the report itself does to its status. */
export interface Noted {
  readonly address: Address;
  readonly status: DeviceStatus;
  /** Its card is reported, at its place. */
  readonly present: boolean;
  readonly notes: readonly DriftNote[];
}

/** What becomes of a device. */
export interface NotedChange {
  readonly address: Address;
  readonly notes: readonly DriftNote[];
  /** Those of the notes, or of what only the audit keeps, that were not known before. */
  readonly news: readonly DriftNote[];
  /** Why it goes into quarantine now; null: it does not. */
  readonly quarantine: string | null;
}

/** They end when the report does not say them any more; the others are something that happened. */
const LASTING: readonly DriftKind[] = ['gone', 'driver_stolen', 'link_degraded'];
const MAY_BE_QUARANTINED: readonly DeviceStatus[] = ['available', 'unclaimable', 'unavailable', 'reserved'];

/**
 * What the ledger keeps of drifts.
 *
 * A device in use keeps its server: what happened to it is noted, and a note with policy `quarantine` takes the device out of use
 * when it is freed ({@link atRelease}). A free one goes into quarantine at once.
 *
 * The card of a live allocation that turns up elsewhere is given to nobody there, whatever the policy: the server's owner, or an
 * administrator, says first what becomes of it. So the new place is held until the allocation of the old one has ended, the card is
 * back, or an administrator repairs the new place.
 */
export function notedChanges(
  devices: readonly Noted[],
  drifts: readonly Drift[],
  policies: DriftPolicies,
  now: string,
): NotedChange[] {
  const states = new Map(devices.map((device) => [device.address, device]));
  const fresh = freshNotes(drifts, states, policies, now);
  return devices.flatMap((device) => {
    const told = fresh.get(device.address) ?? [];
    if (told.length === 0 && device.notes.length === 0) return [];
    const news = told.filter((note) => !device.notes.some((known) => isSame(known, note)));
    const kept = device.notes.filter((note) => stays(note, told, device));
    const notes = [...kept, ...news.filter((note) => isKept(note, device, states))];
    const cause = returned(device) ?? news.find((note) => holdsNow(note, states));
    const quarantine = cause && MAY_BE_QUARANTINED.includes(device.status) ? cause.reason : null;
    if (news.length === 0 && notes.length === device.notes.length) return [];
    return [{ address: device.address, notes, news, quarantine }];
  });
}

/** What is left of a device's notes when its server gives it back, and why nobody gets it. */
export function atRelease(
  notes: readonly DriftNote[],
  status: DeviceStatus,
  states: ReadonlyMap<Address, Noted>,
): { readonly notes: readonly DriftNote[]; readonly quarantine: string | null } {
  if (status === 'removed') return { notes: notes.filter(comesBackHeld), quarantine: null };
  const moved = notes.filter((note) => isHeldElsewhere(note, states));
  const cause = moved[0] ?? notes.find(({ policy }) => policy === 'quarantine');
  const lasting = notes.filter(({ kind }) => kind === 'link_degraded');
  return { notes: [...lasting, ...moved], quarantine: cause?.reason ?? null };
}

/** New places that are held for an allocation which has ended, or has its card back. */
export function settledMoves(states: ReadonlyMap<Address, Noted>): Address[] {
  return [...states.values()].flatMap(({ address, status, notes }) => {
    const move = notes.find(({ from }) => from !== undefined);
    return move && status === 'quarantined' && !isHeldElsewhere(move, states) ? [address] : [];
  });
}

function freshNotes(
  drifts: readonly Drift[],
  states: ReadonlyMap<Address, Noted>,
  policies: DriftPolicies,
  since: string,
): Map<Address, DriftNote[]> {
  const fresh = new Map<Address, DriftNote[]>();
  const add = (address: Address, note: DriftNote): void =>
    void fresh.set(address, [...(fresh.get(address) ?? []), note]);
  for (const { kind, address, reason, from } of drifts) {
    const note = { kind, policy: policies[kind], since };
    if (from === undefined) {
      // where it went is told already
      if (kind === 'gone' && states.get(address)?.notes.some(({ to }) => to !== undefined)) continue;
      add(address, { ...note, reason });
      continue;
    }
    const owned = isInUse(states.get(from)?.status ?? 'deleted');
    add(address, { ...note, reason: owned ? `${reason}, and a server still has it there` : reason, from });
    if (owned) add(from, { ...note, policy: 'keep', reason: `its card is at ${address} now`, to: address });
  }
  return fresh;
}

function isSame(a: DriftNote, b: DriftNote): boolean {
  return a.kind === b.kind && a.reason === b.reason && a.from === b.from && a.to === b.to;
}

/** What went, and by its policy is to be looked at when it is there again. */
function returned({ status, notes }: Noted): DriftNote | undefined {
  return status === 'removed' ? undefined : notes.find(comesBackHeld);
}

function comesBackHeld({ kind, policy }: DriftNote): boolean {
  return kind === 'gone' && policy === 'quarantine';
}

/** What ended is forgotten, but for what has the device quarantined later. */
function stays(note: DriftNote, told: readonly DriftNote[], { status, present }: Noted): boolean {
  if (note.to !== undefined && present) return false;
  if (status === 'removed') return comesBackHeld(note);
  if (told.some((other) => isSame(other, note))) return true;
  if (told.some(({ kind, from }) => kind === note.kind && (from === undefined) === (note.from === undefined)))
    return false;
  if (!LASTING.includes(note.kind)) return true;
  return isInUse(status) && note.policy === 'quarantine';
}

/** Of a free device only what lasts, and what it is held for; the rest is in the audit. */
function isKept(note: DriftNote, { status }: Noted, states: ReadonlyMap<Address, Noted>): boolean {
  if (status === 'removed') return comesBackHeld(note);
  return isInUse(status) || note.kind === 'link_degraded' || isHeldElsewhere(note, states);
}

function holdsNow(note: DriftNote, states: ReadonlyMap<Address, Noted>): boolean {
  return note.policy === 'quarantine' || isHeldElsewhere(note, states);
}

/** Whether a server has the card at its old place. */
function isHeldElsewhere({ kind, from }: DriftNote, states: ReadonlyMap<Address, Noted>): boolean {
  const origin = from === undefined ? undefined : states.get(from);
  return kind === 'moved' && origin !== undefined && !origin.present && isInUse(origin.status);
}
