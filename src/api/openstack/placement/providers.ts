import { Injectable } from '@nestjs/common';
import { BerthError } from '../../../errors.js';
import type { HostSnapshot } from '../../../placement/snapshot.js';
import { Ledger } from '../../../store/ledger.js';
import { listLeavingDevices, readAggregateIds } from '../../../store/placement-face.store.js';
import type { Tx } from '../../../store/database.js';
import { readHosts, SnapshotCache } from '../../../store/snapshot.store.js';
import { DryRunPolicy } from '../../placements/placements.service.js';
import { cardsOf, type Provider, type TreeContext, treeOf } from './provider-tree.js';
import { clip, dashed, isUuid } from './query.js';

/** The providers of one moment. */
export class Providers {
  private readonly trees = new Map<string, readonly Provider[]>();

  constructor(
    readonly hosts: readonly HostSnapshot[],
    readonly context: TreeContext,
  ) {}

  /** In order of the hosts' names, each host before its devices. */
  *all(): Generator<Provider> {
    for (const host of this.hosts) yield* this.tree(host);
  }

  tree(host: HostSnapshot): readonly Provider[] {
    let tree = this.trees.get(host.id);
    if (!tree) this.trees.set(host.id, (tree = treeOf(host, this.context)));
    return tree;
  }

  /** The host that a provider is, or belongs to. */
  hostOf(uuid: string): HostSnapshot | null {
    return this.hosts.find((host) => host.id === uuid || cardsOf(host).some((card) => card.uuid === uuid)) ?? null;
  }

  find(uuid: string): Provider | null {
    const host = this.hostOf(uuid);
    return (host && this.tree(host).find((provider) => provider.uuid === uuid)) ?? null;
  }

  /** @throws BerthError `provider.unknown` */
  get(uuid: string): Provider {
    const found = isUuid(uuid) ? this.find(dashed(uuid)) : null;
    if (found) return found;
    throw new BerthError('provider.unknown', `No resource provider with uuid ${clip(uuid)} found`);
  }
}

/** Reads the providers as the ledger has them now. */
@Injectable()
export class ProviderReader {
  constructor(
    private readonly ledger: Ledger,
    private readonly snapshots: SnapshotCache,
    private readonly scheduling: DryRunPolicy,
  ) {}

  async read(): Promise<Providers> {
    await this.snapshots.refresh();
    const [leaving, aggregates] = await Promise.all([
      listLeavingDevices(this.ledger.pool),
      readAggregateIds(this.ledger.pool),
    ]);
    return new Providers([...this.snapshots.list()], { policy: this.scheduling.policy, leaving, aggregates });
  }

  /** Only of these hosts, which the transaction has locked; nothing of what others have decided on and not written. */
  async readLocked(tx: Tx, hostIds: readonly string[]): Promise<Providers> {
    const hosts = await readHosts(tx, hostIds);
    const leaving = await listLeavingDevices(tx);
    return new Providers(hosts, { policy: this.scheduling.policy, leaving, aggregates: new Map() });
  }
}
