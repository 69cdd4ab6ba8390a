import { applyPlacement } from './apply-placement.js';
import type { Placement, Rejection } from './decision.js';
import { Fork } from './fork.js';
import type { PlacementRequest } from './request.js';
import { type Reservations, withoutReservations, withReservations } from './reserved-devices.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';

/** The devices of each of the servers that a reservation is for, in their order. */
export type Choice = readonly Placement[];

export type Chosen =
  | {
      readonly outcome: 'chosen';
      /** For each window. */
      readonly choices: readonly Choice[];
    }
  /** `window`: the first for which there is nothing; `fitting`: for so many of the servers there is. */
  | {
      readonly outcome: 'refused';
      readonly window: number;
      readonly fitting: number;
      readonly rejection: Rejection;
    };

/** What is asked for: so many servers' worth of one request. */
export interface ReservationWish {
  readonly request: PlacementRequest;
  readonly count: number;
}

/**
 * Chooses devices for the windows of a reservation with the engine's own decision, all or nothing: the same for all windows
 * if there are such, else for each what was chosen before where that is free, or others.
 *
 * A device that a server has now is not chosen, however far away the window is: nobody knows when that ends.
 *
 * @param taken for each window what other reservations keep during it
 */
export function chooseReservation(snapshot: Snapshot, wish: ReservationWish, taken: readonly Reservations[]): Chosen {
  const plain = { ...snapshot, hosts: snapshot.hosts.map(withoutReservations) };
  const together = new Map(taken.flatMap((marks) => [...marks]));
  const forAll = chooseOnce(plain, wish, together);
  if (forAll.outcome === 'chosen') return { outcome: 'chosen', choices: taken.map(() => forAll.choice) };
  if (taken.length === 1) return { ...forAll, window: 0 };
  return chooseEach(plain, wish, taken);
}

function chooseEach(snapshot: Snapshot, wish: ReservationWish, taken: readonly Reservations[]): Chosen {
  const choices: Choice[] = [];
  for (const [window, marks] of taken.entries()) {
    const before = choices.toReversed().find((choice) => isFreeFor(snapshot, choice, marks));
    if (before) {
      choices.push(before);
      continue;
    }
    const chosen = chooseOnce(snapshot, wish, marks);
    if (chosen.outcome === 'refused') return { ...chosen, window };
    choices.push(chosen.choice);
  }
  return { outcome: 'chosen', choices };
}

function isFreeFor({ hosts }: Snapshot, choice: Choice, marks: Reservations): boolean {
  return choice.every(({ hostId, devices }) => {
    const host = hosts.find(({ id }) => id === hostId);
    const marked = host && withReservations(host, marks);
    return devices.every(({ deviceId }) => {
      const device = marked?.devices.find(({ id }) => id === deviceId);
      return device !== undefined && device.reservation === undefined;
    });
  });
}

type ChosenOnce =
  | { readonly outcome: 'chosen'; readonly choice: Choice }
  | { readonly outcome: 'refused'; readonly fitting: number; readonly rejection: Rejection };

/** Devices for all of the servers in one window, each as the ones before it leave the hosts. */
function chooseOnce(snapshot: Snapshot, { request, count }: ReservationWish, marks: Reservations): ChosenOnce {
  const fork = new Fork({ ...snapshot, hosts: markedHosts(snapshot.hosts, marks) });
  const choice: Placement[] = [];
  for (let server = 0; server < count; server++) {
    const decision = fork.decide(request);
    if (decision.outcome === 'rejected') return { outcome: 'refused', fitting: server, rejection: decision };
    choice.push(decision);
    const host = fork.get(decision.hostId) as HostSnapshot;
    fork.put(applyPlacement(host, decision, request, ownerOf(server)));
  }
  return { outcome: 'chosen', choice };
}

function markedHosts(hosts: readonly HostSnapshot[], marks: Reservations): readonly HostSnapshot[] {
  return marks.size === 0 ? hosts : hosts.map((host) => withReservations(host, marks));
}

function ownerOf(server: number): { serverId: string; serverName: string } {
  return { serverId: `reserved ${server}`, serverName: `server ${server + 1} of the reservation` };
}
