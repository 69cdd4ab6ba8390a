import { Injectable } from '@nestjs/common';
import { capacityByAlias } from '../../placement/capacity.js';
import { type PlacementRequest, requestLabel } from '../../placement/request.js';
import type { Snapshot } from '../../placement/snapshot.js';
import { type AliasFragmentation, fragmentationByAlias } from '../../placement/stranded.js';
import { findAliasDefinitions, listAliases, type VersionedAlias } from '../../store/catalog.store.js';
import { Ledger } from '../../store/ledger.js';
import { LiveMix } from '../../store/live-mix.js';
import { SnapshotCache } from '../../store/snapshot.store.js';
import { HttpLimits } from '../http-limits.js';
import { inTurns } from '../in-turns.js';
import { pageOf } from '../page.js';
import { DryRunPolicy } from '../placements/placements.service.js';
import { hostCountView } from '../placements/placements.views.js';
import { RequestRules } from '../request-rules.js';
import { assertAliasesKnown } from '../unknown-names.js';
import type { AliasesQuery, AliasFragmentationView, CapacityView, FragmentationView } from './capacity.dto.js';
import { learnMix, type LearntMix, oneOf } from './request-mix.js';

interface AliasPage {
  readonly aliases: readonly VersionedAlias[];
  readonly next: string | null;
}

/** Gauges of the hosts as they are now. Read only. */
@Injectable()
export class CapacityService {
  private readonly mix = new LiveMix();

  constructor(
    private readonly ledger: Ledger,
    private readonly snapshots: SnapshotCache,
    private readonly scheduling: DryRunPolicy,
    private readonly rules: RequestRules,
    private readonly limits: HttpLimits,
  ) {}

  /** @throws BerthError `alias.unknown` */
  async capacity(query: AliasesQuery): Promise<CapacityView> {
    const { aliases, next } = await this.aliasesOf(query, '/v1/capacity');
    const wanted = aliases.map((alias) => oneOf(alias, this.rules));
    const found = await inTurns(capacityByAlias(await this.snapshot(), wanted));
    const views = found.map(({ alias, inUse, largest, ...counts }) => {
      return { alias: alias ?? '', ...counts, in_use: inUse, largest: largest && hostCountView(largest) };
    });
    return { aliases: views, next };
  }

  /** @throws BerthError `alias.unknown` */
  async fragmentation(query: AliasesQuery): Promise<FragmentationView> {
    const { aliases, next } = await this.aliasesOf(query, '/v1/fragmentation');
    const mixes = await this.mixesOf(aliases);
    const found = await inTurns(fragmentationByAlias(await this.snapshot(), mixes));
    return { aliases: found.map((one, at) => fragmentationView(one, mixes[at] as LearntMix)), next };
  }

  /** What asks for each of the aliases. */
  async mixesOf(aliases: readonly VersionedAlias[]): Promise<LearntMix[]> {
    const mixes: LearntMix[] = [];
    for (const alias of aliases) mixes.push(await learnMix(this.ledger.pool, alias, this.rules));
    return mixes;
  }

  /** The hosts as they are now; it stays as it is while long work goes on. */
  async snapshot(): Promise<Snapshot> {
    await this.snapshots.refresh();
    const hosts = [...this.snapshots.list()];
    const policy = await this.mix.addTo(this.ledger.pool, { hosts, policy: this.scheduling.policy }, 0);
    return { hosts, policy };
  }

  /** @throws BerthError `alias.unknown` */
  async aliasesNamed(names: readonly string[], field: string): Promise<VersionedAlias[]> {
    const aliases = await findAliasDefinitions(this.ledger.pool, names);
    await assertAliasesKnown(this.ledger.pool, names, aliases, field);
    return aliases;
  }

  private async aliasesOf(query: AliasesQuery, path: string): Promise<AliasPage> {
    if (query.alias !== undefined) return { aliases: await this.aliasesNamed([query.alias], 'alias'), next: null };
    const limit = this.limits.pageSize(query.limit);
    const rows = await listAliases(this.ledger.pool, { after: query.marker ?? null, limit: limit + 1 });
    const { items, next } = pageOf(rows, { path, query, limit }, ({ name }) => name);
    const aliases = items.map(({ name, numa_policy, specs, version }) => ({
      name,
      numaPolicy: numa_policy,
      specs,
      version,
    }));
    return { aliases, next };
  }
}

function fragmentationView(found: AliasFragmentation, { shapes, servers }: LearntMix): AliasFragmentationView {
  const { alias, idle, free, stranded, fragmentation } = found;
  return {
    ...{ alias: alias ?? '', idle, free, stranded, fragmentation },
    causes: found.causes.map(({ vendorId, productId, deviceType, hostCount, ...cause }) => {
      return { ...cause, vendor_id: vendorId, product_id: productId, device_type: deviceType, host_count: hostCount };
    }),
    worst_hosts: found.worstHosts,
    mix: shapes.map(({ request }, at) => ({ asks_for: shapeText(request), servers: servers[at] ?? 0 })),
  };
}

function shapeText({ devices, vcpus, memoryMb, diskGb }: PlacementRequest): string {
  return [...devices.map(requestLabel), `${vcpus} vCPUs`, `${memoryMb} MB`, `${diskGb} GB`].join(', ');
}
