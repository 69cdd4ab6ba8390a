import type { HostSnapshot } from './snapshot.js';

/** Places of a list at which hosts were put since somebody asked; null: anything may have changed. */
const changes = new WeakMap<readonly HostSnapshot[], number[] | null>();

/**
 * Promises that from here on the list's hosts change by {@link putHost} only, until this is called again: a decision then looks at
 * these places instead of comparing every host with the one that it knows. To be called after each other change.
 */
export function promisePuts(hosts: readonly HostSnapshot[]): void {
  changes.set(hosts, null);
}

/** Puts a host at a place of a list. */
export function putHost(hosts: HostSnapshot[], place: number, host: HostSnapshot): void {
  hosts[place] = host;
  const places = changes.get(hosts);
  if (!places) return;
  places.push(place);
  // nobody asks: to compare all hosts is less by now
  if (places.length > hosts.length) changes.set(hosts, null);
}

/** The places, and begins anew; null: not known. There is one who asks. */
export function takeChanges(hosts: readonly HostSnapshot[]): readonly number[] | null {
  const places = changes.get(hosts);
  if (places === undefined) return null;
  changes.set(hosts, []);
  return places;
}
