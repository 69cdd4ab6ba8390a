import { Injectable } from '@nestjs/common';
import { BerthError } from '../../../errors.js';
import { KnownNames } from './known-names.js';
import { isWanted, providerFilter } from './provider-filter.js';
import type { Provider } from './provider-tree.js';
import { ProviderReader } from './providers.js';
import type { RawQuery } from './query.js';

/** Placement has no pages; a longer answer helps nobody. */
const PROVIDERS_MAX = 20_000;

@Injectable()
export class ProviderListing {
  constructor(
    private readonly reader: ProviderReader,
    private readonly names: KnownNames,
  ) {}

  /** @throws BerthError `request.invalid`, `request.too_large` */
  async list(query: RawQuery, minor: number): Promise<Provider[]> {
    const filter = providerFilter(query, minor);
    const providers = await this.reader.read();
    await this.names.assertClasses(filter.resources.keys(), providers);
    await this.names.assertTraits([filter.traits], providers);
    const tree = filter.inTree === null ? null : (providers.hostOf(filter.inTree)?.id ?? null);
    const found: Provider[] = [];
    for (const provider of providers.all()) if (isWanted(provider, filter, tree)) found.push(provider);
    if (found.length <= PROVIDERS_MAX) return found;
    throw new BerthError(
      'request.too_large',
      `There are ${found.length} such providers, and an answer has ${PROVIDERS_MAX} at most; narrow them down with in_tree, resources, required, member_of or name`,
    );
  }
}
