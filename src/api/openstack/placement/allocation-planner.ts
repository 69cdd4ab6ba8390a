import { BerthError } from '../../../errors.js';
import { applyPlacement } from '../../../placement/apply-placement.js';
import type { HostSnapshot } from '../../../placement/snapshot.js';
import type { Tx } from '../../../store/database.js';
import type { DecidedServer } from '../../../store/decided-server.js';
import { newId } from '../../../store/new-id.js';
import { readNominations } from '../../../store/queue.store.js';
import type { Caller } from '../../identity/caller.js';
import type { ConsumerWish } from './allocation-body.js';
import { isTooMuch, judge, requestOf } from './judge.js';
import { leftOf } from './provider-filter.js';
import { type Provider, treeOf } from './provider-tree.js';
import type { Providers } from './providers.js';

export interface Planned {
  readonly wish: ConsumerWish;
  readonly decided: DecidedServer;
}

/** Decides on wishes one after another, each on hosts as those before it leave them. */
export class AllocationPlanner {
  private readonly after = new Map<string, HostSnapshot>();

  constructor(
    private readonly providers: Providers,
    private readonly caller: Caller,
    /** Hosts that are kept for servers which wait. */
    private readonly kept: ReadonlySet<string>,
  ) {}

  static async keptHosts(tx: Tx): Promise<ReadonlySet<string>> {
    return new Set((await readNominations(tx)).map(({ hostId }) => hostId));
  }

  /** @throws BerthError `inventory.exceeded` */
  plan(wish: ConsumerWish): Planned {
    const { wanted, consumer } = wish;
    const tree = this.treeFor(wish);
    this.assertRoom(tree, wish);
    const { policy } = this.providers.context;
    const wisher = { name: consumer, projectId: wish.projectId ?? this.caller.projectId };
    const decision = judge(tree, wanted, wisher, policy);
    if (decision.outcome === 'rejected') throw exceeded(decision.message);
    // what is kept says nothing of providers: no device has that tag
    const request = requestOf(tree, wanted, wisher, false);
    const id = newId();
    const [{ host }] = tree as [Provider];
    this.after.set(host.id, applyPlacement(host, decision, request, { serverId: id, serverName: consumer }));
    const server = {
      ...{ id, name: consumer, attempts: 0, request, excludedHosts: [], taskState: 'scheduling' as const },
      ...{ gang: null, waits: false, rank: 0, waitedMs: 0, placement: { key: null, hash: null, flavor: null } },
    };
    return { wish, decided: { server, decision } };
  }

  private treeFor({ wanted }: ConsumerWish): readonly Provider[] {
    const roots = new Set([...wanted.keys()].map((uuid) => this.providers.get(uuid).root));
    const host = this.providers.hosts.find(({ id }) => roots.has(id));
    if (!host || roots.size > 1)
      throw exceeded('what a consumer has is on one host, and these providers are of several');
    if (this.kept.has(host.id)) throw exceeded(`host ${host.name} is kept for a server that is ahead in the queue`);
    const now = this.after.get(host.id);
    return now ? treeOf(now, this.providers.context) : this.providers.tree(host);
  }

  private assertRoom(tree: readonly Provider[], { wanted }: ConsumerWish): void {
    for (const provider of tree) {
      for (const [name, amount] of wanted.get(provider.uuid) ?? []) {
        if (!provider.inventories.has(name)) {
          throw exceeded(`Inventory for '${name}' on resource provider '${provider.uuid}' invalid: there is none`);
        }
        const left = Math.max(0, leftOf(provider, name));
        if (amount > left) {
          throw exceeded(
            `Unable to create allocation for '${name}' on resource provider '${provider.uuid}'. ` +
              `The requested amount would exceed the capacity: ${amount} wanted, ${left} left`,
          );
        }
      }
    }
    if (isTooMuch(tree, wanted)) throw exceeded('one consumer cannot have so many devices');
  }
}

function exceeded(text: string): BerthError {
  return new BerthError('inventory.exceeded', `Unable to allocate inventory: ${text}`);
}
