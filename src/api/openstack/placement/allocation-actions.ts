import { BerthError } from '../../../errors.js';
import type { HeldRow, LockedConsumer } from '../../../store/placement-face.store.js';
import type { ConsumerWish } from './allocation-body.js';
import { allocationsOf, byConsumer } from './held.js';
import type { Wanted } from './judge.js';
import type { Providers } from './providers.js';

/** What has to be done for consumers to have what is wanted. */
export interface Actions {
  readonly make: readonly ConsumerWish[];
  /** They have it already. */
  readonly keep: readonly ConsumerWish[];
  readonly giveBack: readonly { readonly consumerId: string; readonly placementId: string }[];
}

/**
 * @param found those of the consumers that have something, or are servers
 * @throws BerthError `consumer.conflict`, `consumer.read_only`
 */
export function actionsOf(
  wishes: readonly ConsumerWish[],
  found: readonly LockedConsumer[],
  held: readonly HeldRow[],
  providers: Providers,
): Actions {
  const known = new Map(found.map((one) => [one.consumer_id, one]));
  const rows = byConsumer(held);
  const make: ConsumerWish[] = [];
  const keep: ConsumerWish[] = [];
  const giveBack: Actions['giveBack'][number][] = [];
  for (const wish of wishes) {
    const consumer = known.get(wish.consumer);
    if (consumer?.kind === 'server') throw readOnly(wish.consumer);
    assertGeneration(wish, consumer);
    if (!consumer && wish.wanted.size > 0) make.push(wish);
    if (!consumer) continue;
    const own = rows.get(wish.consumer) ?? [];
    if (wish.wanted.size === 0) giveBack.push({ consumerId: wish.consumer, placementId: consumer.server_id });
    else if (consumer.is_own && hasThat(own, wish.wanted, providers)) keep.push(wish);
    else throw changed(wish.consumer);
  }
  return { make, keep, giveBack };
}

function assertGeneration({ consumer, generation }: ConsumerWish, found: LockedConsumer | undefined): void {
  const now = found?.generation ?? null;
  if (generation === undefined || generation === now) return;
  throw new BerthError(
    'consumer.conflict',
    `consumer generation conflict - expected ${now} but got ${generation} (consumer ${consumer})`,
  );
}

/** What came along may be named or not: who reads what he has and writes it again names it. */
function hasThat(rows: readonly HeldRow[], wanted: Wanted, providers: Providers): boolean {
  const asked = rows.map((row) => ({
    ...row,
    device_ids: row.device_ids.filter((id) => !row.companion_ids.includes(id)),
  }));
  return [rows, asked].some((some) => textOf(wantedOf(some, providers)) === textOf(wanted));
}

function wantedOf(rows: readonly HeldRow[], providers: Providers): Wanted {
  return new Map(
    allocationsOf(rows, providers).map(({ provider, resources }) => [
      provider.uuid,
      new Map(Object.entries(resources)),
    ]),
  );
}

function textOf(wanted: Wanted): string {
  return JSON.stringify([...wanted].map(([uuid, amounts]) => [uuid, [...amounts].sort(byName)] as const).sort(byName));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

export function readOnly(consumer: string): BerthError {
  return new BerthError(
    'consumer.read_only',
    `Consumer ${consumer} is a server of Berth, which looks after its allocations: change or delete the server instead`,
  );
}

function changed(consumer: string): BerthError {
  return new BerthError(
    'consumer.read_only',
    `Consumer ${consumer} has other allocations, and devices that are bound are not exchanged for others: ` +
      'delete its allocations first, then set the new ones',
  );
}
