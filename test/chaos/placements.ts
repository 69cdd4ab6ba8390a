import type { Client } from './client.js';
import type { Wanted } from './load.js';

/** One of the answers to `POST /v1/placements`. */
interface ShownPlacement {
  readonly key: string;
  readonly outcome: 'placed' | 'rejected';
  readonly id?: string;
  /** null: it has failed since, or was given back. */
  readonly host?: { readonly name: string } | null;
  readonly devices?: readonly { readonly address: string }[];
}

/** Whether this api has placements of its own, beside servers. */
export async function hasPlacements(url: string): Promise<boolean> {
  const headers = { 'content-type': 'application/json' };
  const { status } = await fetch(`${url}/v1/placements`, { method: 'POST', headers, body: '{"placements":[]}' });
  return status !== 404 && status !== 405;
}

/** Asks for a batch, and notes what is answered for each. */
export async function createPlacements(
  client: Client,
  batch: readonly Wanted[],
  wishOf: (devices: string) => Record<string, unknown>,
  strange: string[],
): Promise<void> {
  const placements = batch.map(({ key, devices }) => ({ key, name: key, ...wishOf(devices) }));
  const answer = await client.ask({ method: 'POST', path: '/v1/placements', body: { placements } });
  if (answer === null) return;
  if (answer.status !== 200) {
    strange.push(`placements ${batch[0]?.key}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`);
    return;
  }
  const shown = (answer.body as { placements: readonly ShownPlacement[] }).placements;
  for (const one of batch) {
    const found = shown.filter(({ key }) => key === one.key);
    if (found.length === 1 && found[0]) note(one, found[0], strange);
    else strange.push(`placement ${one.key}: answered ${found.length} times`);
  }
}

function note(one: Wanted, shown: ShownPlacement, strange: string[]): void {
  // the other way round is right: a key is kept for what was placed
  if (one.outcome === 'placed' && shown.outcome === 'rejected' && !one.deleteAsked) {
    strange.push(`placement ${one.key}: first placed, then rejected`);
  }
  one.outcome = shown.outcome;
  if (shown.outcome !== 'placed') return;
  if (shown.id === undefined || shown.host === undefined || shown.devices === undefined) {
    strange.push(`placement ${one.key}: placed without id, host or devices`);
    return;
  }
  one.ids.add(shown.id);
  if (shown.host === null) return;
  const told = { host: shown.host.name, devices: shown.devices.map(({ address }) => address).toSorted() };
  if (one.told !== null && !one.deleteAsked && JSON.stringify(one.told) !== JSON.stringify(told)) {
    strange.push(`placement ${one.key} has moved from ${JSON.stringify(one.told)} to ${JSON.stringify(told)}`);
  }
  one.told ??= told;
  one.settled = true;
}

/** Gives a batch back; an answer says that the ledger has it. */
export async function deletePlacements(client: Client, batch: readonly Wanted[], strange: string[]): Promise<void> {
  const ids = batch.map((one) => [...one.ids][0] ?? '');
  const answer = await client.ask({ method: 'DELETE', path: '/v1/placements', body: { ids } });
  if (answer === null) return;
  const shown = (answer.body as { placements?: readonly { id: string; outcome: string }[] }).placements ?? [];
  for (const [index, one] of batch.entries()) {
    const outcome = shown.find(({ id }) => id === ids[index])?.outcome ?? `status ${answer.status}`;
    const isDone = outcome === 'releasing' || outcome === 'released' || (outcome === 'unknown' && answer.attempts > 1);
    if (isDone) one.deleteAcknowledged = true;
    else strange.push(`delete placement ${one.key} ${ids[index]}: ${outcome}`);
  }
}
