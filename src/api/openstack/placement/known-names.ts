import { Injectable } from '@nestjs/common';
import { BerthError } from '../../../errors.js';
import { STANDARD_RESOURCE_CLASSES } from '../../../pci/device-spec/device-spec-fields.js';
import { Ledger } from '../../../store/ledger.js';
import {
  type CustomNames,
  deleteCustomName,
  insertCustomName,
  listCustomNames,
} from '../../../store/placement-face.store.js';
import type { Providers } from './providers.js';
import { clip, type TraitWishes } from './query.js';
import { CUSTOM_NAME, STANDARD_TRAITS } from './standard-traits.js';

/** So many names of each sort are kept. */
const CUSTOM_NAMES_MAX = 10_000;

interface Sort {
  readonly table: CustomNames;
  readonly standard: ReadonlySet<string>;
  readonly inUse: (providers: Providers) => ReadonlySet<string>;
}

export const TRAITS: Sort = {
  table: 'custom_traits',
  standard: STANDARD_TRAITS,
  inUse: (providers) => new Set([...providers.all()].flatMap(({ traits }) => traits)),
};

export const CLASSES: Sort = {
  table: 'custom_resource_classes',
  standard: STANDARD_RESOURCE_CLASSES,
  inUse: (providers) => new Set([...providers.all()].flatMap(({ inventories }) => [...inventories.keys()])),
};

/** Traits and resource classes: those that everybody knows, those that devices and hosts have, and those that were made up here. */
@Injectable()
export class KnownNames {
  constructor(private readonly ledger: Ledger) {}

  /** In the order of their names, the standard ones first. */
  async list({ table, standard, inUse }: Sort, providers: Providers): Promise<string[]> {
    const own = await listCustomNames(this.ledger.pool, table);
    const others = new Set([...own, ...inUse(providers)].filter((name) => !standard.has(name)));
    return [...standard, ...[...others].sort()];
  }

  async has(sort: Sort, name: string, providers: Providers): Promise<boolean> {
    return (await this.unknownOf(sort, [name], providers)).length === 0;
  }

  /** @throws BerthError `request.invalid` */
  async assertTraits(wishes: readonly TraitWishes[], providers: Providers): Promise<void> {
    const names = wishes.flatMap(({ required, anyOf, forbidden }) => [...required, ...anyOf.flat(), ...forbidden]);
    const unknown = await this.unknownOf(TRAITS, names, providers);
    if (unknown.length === 0) return;
    throw new BerthError('request.invalid', `No such trait(s): ${unknown.map(clip).join(', ')}.`);
  }

  /** @throws BerthError `request.invalid` */
  async assertClasses(names: Iterable<string>, providers: Providers): Promise<void> {
    const unknown = await this.unknownOf(CLASSES, [...names], providers);
    if (unknown.length === 0) return;
    throw new BerthError(
      'request.invalid',
      `Invalid resource class in resources parameter: No such resource class ${unknown.map(clip).join(', ')}.`,
    );
  }

  /** @returns whether it is new */
  async make({ table }: Sort, name: string): Promise<boolean> {
    const outcome = await insertCustomName(this.ledger.pool, table, name, CUSTOM_NAMES_MAX);
    if (outcome !== 'full') return outcome === 'made';
    throw new BerthError('request.invalid', `There are ${CUSTOM_NAMES_MAX} such names already; delete some`);
  }

  /** @returns whether there was one; one that only devices have is in use, and never comes here */
  remove({ table }: Sort, name: string): Promise<boolean> {
    return deleteCustomName(this.ledger.pool, table, name);
  }

  /** What is in use is looked for last: that takes all hosts. */
  private async unknownOf(
    { table, standard, inUse }: Sort,
    names: readonly string[],
    providers: Providers,
  ): Promise<string[]> {
    const strange = [...new Set(names)].filter((name) => !standard.has(name));
    if (strange.length === 0) return [];
    const own = new Set(await listCustomNames(this.ledger.pool, table));
    const left = strange.filter((name) => !own.has(name));
    if (left.length === 0) return [];
    const used = inUse(providers);
    return left.filter((name) => !used.has(name));
  }
}

export function isCustomName(name: string): boolean {
  return CUSTOM_NAME.test(name);
}
