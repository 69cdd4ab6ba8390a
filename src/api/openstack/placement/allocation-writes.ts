import { Injectable } from '@nestjs/common';
import { Deciding } from '../../../batches/deciding.js';
import { BerthError } from '../../../errors.js';
import { commitDecisions } from '../../../store/claims.store.js';
import type { Tx } from '../../../store/database.js';
import type { DecidedServer } from '../../../store/decided-server.js';
import { Ledger } from '../../../store/ledger.js';
import {
  forgetConsumers,
  listHeldBy,
  lockConsumers,
  lockForReplacement,
  touchConsumer,
  writeConsumers,
} from '../../../store/placement-face.store.js';
import { releasePlacements } from '../../../store/placement-releases.store.js';
import type { Caller } from '../../identity/caller.js';
import type { ConsumerWish } from './allocation-body.js';
import { actionsOf, readOnly } from './allocation-actions.js';
import { AllocationPlanner } from './allocation-planner.js';
import { UNKNOWN_USER } from './held.js';
import { KnownNames } from './known-names.js';
import { ProviderReader, type Providers } from './providers.js';
import { dashed, isUuid } from './query.js';

/**
 * Gives devices to consumers, and takes them back. What a consumer has is a placement, as those of `/v1/placements` are: decided by the
 * engine, claimed in one transaction, bound by the agent. What servers have is Berth's business, and is left alone.
 */
@Injectable()
export class AllocationWrites {
  constructor(
    private readonly ledger: Ledger,
    private readonly reader: ProviderReader,
    private readonly deciding: Deciding,
    private readonly names: KnownNames,
  ) {}

  /**
   * All of them, or nothing.
   *
   * @throws BerthError `request.invalid`, `consumer.conflict`, `consumer.read_only`, `inventory.exceeded`, `quota.exceeded`
   */
  async replace(caller: Caller, wishes: readonly ConsumerWish[]): Promise<void> {
    const providers = await this.reader.read();
    await this.assertKnown(wishes, providers);
    const roots = wishes.flatMap(({ wanted }) => [...wanted.keys()].map((uuid) => providers.get(uuid).root));
    await this.ledger.transaction((tx) => this.replaceIn(tx, caller, wishes, roots));
  }

  /** @throws BerthError `consumer.unknown`, `consumer.read_only` */
  async remove(consumer: string): Promise<void> {
    const id = isUuid(consumer) ? dashed(consumer) : null;
    await this.ledger.transaction(async (tx) => {
      const [found] = id === null ? [] : await lockConsumers(tx, [id]);
      if (!found || id === null) {
        throw new BerthError('consumer.unknown', `No allocations for consumer '${consumer.slice(0, 100)}'`);
      }
      if (found.kind === 'server') throw readOnly(id);
      await giveBack(tx, [{ consumerId: id, placementId: found.server_id }]);
    });
  }

  private async assertKnown(wishes: readonly ConsumerWish[], providers: Providers): Promise<void> {
    const classes = new Set<string>();
    for (const [uuid, amounts] of wishes.flatMap(({ wanted }) => [...wanted])) {
      if (!providers.find(uuid)) {
        throw new BerthError('request.invalid', `Allocation for resource provider '${uuid}' that does not exist.`);
      }
      for (const name of amounts.keys()) classes.add(name);
    }
    await this.names.assertClasses(classes, providers);
  }

  /** Decides on hosts that are locked, and on nothing that others have only decided on: so nobody is faster, and a "no" is true. */
  private async replaceIn(
    tx: Tx,
    caller: Caller,
    wishes: readonly ConsumerWish[],
    roots: readonly string[],
  ): Promise<void> {
    const ids = wishes.map(({ consumer }) => consumer);
    const found = await lockConsumers(tx, ids);
    const own = found.filter(({ kind }) => kind === 'placement').map(({ server_id }) => server_id);
    const held = await listHeldBy(tx, ids);
    const hostIds = [...new Set([...roots, ...held.map(({ host_id }) => host_id)])];
    await lockForReplacement(tx, own, hostIds);
    const providers = await this.reader.readLocked(tx, hostIds);
    const actions = actionsOf(wishes, found, held, providers);
    const planner = new AllocationPlanner(providers, caller, await AllocationPlanner.keptHosts(tx));
    const made = actions.make.map((wish) => planner.plan(wish));
    await this.commit(
      tx,
      made.map(({ decided }) => decided),
    );
    await writeConsumers(
      tx,
      made.map(({ wish, decided }) => ({
        ...{ consumerId: wish.consumer, placementId: decided.server.id },
        ...{ userId: wish.userId ?? UNKNOWN_USER, type: wish.type },
      })),
    );
    for (const wish of actions.keep) await touchConsumer(tx, { ...wish, consumerId: wish.consumer });
    await giveBack(tx, actions.giveBack);
  }

  private async commit(tx: Tx, decided: readonly DecidedServer[]): Promise<void> {
    if (decided.length === 0) return;
    const { claimTimeoutMs, queue } = this.deciding.settings;
    const { committed, refused } = await commitDecisions(tx, decided, claimTimeoutMs, queue);
    const [first] = refused;
    if (first)
      throw new BerthError('quota.exceeded', first.fault?.message ?? 'The project would have more than its quota');
    if (committed.length === decided.length) return;
    throw new BerthError('internal.error', 'hosts that are locked have changed');
  }
}

async function giveBack(
  tx: Tx,
  consumers: readonly { readonly consumerId: string; readonly placementId: string }[],
): Promise<void> {
  if (consumers.length === 0) return;
  await forgetConsumers(
    tx,
    consumers.map(({ consumerId }) => consumerId),
  );
  await releasePlacements(
    tx,
    consumers.map(({ placementId }) => placementId),
  );
}
