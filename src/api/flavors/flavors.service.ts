import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { holdAliasDefinitions } from '../../store/catalog.store.js';
import type { Tx } from '../../store/database.js';
import * as flavors from '../../store/flavors.store.js';
import { Ledger } from '../../store/ledger.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce, type GivenKey } from '../idempotency.js';
import { type PageQuery, pageOf } from '../page.js';
import { RequestRules } from '../request-rules.js';
import { invalidFields } from '../request-validation.pipe.js';
import { assertAliasesKnown, unknownFlavor } from '../unknown-names.js';
import { type ExtraSpecs, type FlavorDemands, readExtraSpecs } from './extra-specs.js';
import { type CatalogFlavorView, type FlavorBody, type FlavorPageView, flavorView } from './flavors.dto.js';

export const FLAVORS_PATH = '/v1/flavors';

@Injectable()
export class FlavorsService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
    private readonly rules: RequestRules,
  ) {}

  async list(query: PageQuery): Promise<FlavorPageView> {
    const limit = this.limits.pageSize(query.limit);
    const rows = await flavors.listFlavors(this.ledger.pool, { after: query.marker ?? null, limit: limit + 1 });
    const page = pageOf(rows, { path: FLAVORS_PATH, query, limit }, (row) => row.name);
    return { flavors: page.items.map(flavorView), next: page.next };
  }

  async show(idOrName: string): Promise<CatalogFlavorView> {
    const row = await flavors.findFlavor(this.ledger.pool, idOrName);
    if (!row) throw await unknownFlavor(this.ledger.pool, idOrName, null);
    return flavorView(row);
  }

  create(body: FlavorBody, key: GivenKey | null): Promise<Created> {
    const flavor = flavorFields(body);
    return this.ledger.transaction((tx) =>
      createOnce(tx, { key, path: FLAVORS_PATH, body }, flavor.id, async () => {
        await assertAliases(tx, readExtraSpecs(flavor.extraSpecs, flavor, this.rules.dialect));
        if (await flavors.insertFlavor(tx, flavor)) return;
        const named = body.id ? `the name "${flavor.name}" or the id "${flavor.id}"` : `the name "${flavor.name}"`;
        throw new BerthError('flavor.exists', `There is a flavor with ${named} already`);
      }),
    );
  }

  remove(idOrName: string): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      const row = await lockFlavor(tx, idOrName);
      await flavors.deleteFlavor(tx, row.id);
    });
  }

  /** Writes what `change` makes of the extra specs. */
  changeExtraSpecs(idOrName: string, change: (extraSpecs: ExtraSpecs) => ExtraSpecs): Promise<ExtraSpecs> {
    return this.ledger.transaction(async (tx) => {
      const row = await lockFlavor(tx, idOrName);
      const extraSpecs = change(row.extra_specs);
      const size = { vcpus: row.vcpus, ramMb: row.ram_mb };
      await assertAliases(tx, readExtraSpecs(extraSpecs, size, this.rules.dialect));
      await flavors.updateExtraSpecs(tx, row.id, extraSpecs);
      return extraSpecs;
    });
  }
}

/** The extra specs without one key. */
export function withoutKey(extraSpecs: ExtraSpecs, key: string): ExtraSpecs {
  if (!Object.hasOwn(extraSpecs, key)) {
    throw new BerthError('request.not_found', `The flavor has no extra spec "${key}"`);
  }
  return Object.fromEntries(Object.entries(extraSpecs).filter(([name]) => name !== key));
}

async function lockFlavor(
  tx: Tx,
  idOrName: string,
): Promise<NonNullable<Awaited<ReturnType<typeof flavors.lockFlavor>>>> {
  const row = await flavors.lockFlavor(tx, idOrName);
  if (!row) throw await unknownFlavor(tx, idOrName, null);
  return row;
}

/** The aliases that are named stay until the transaction ends, so that none is deleted under the flavor. */
async function assertAliases(tx: Tx, demands: FlavorDemands): Promise<void> {
  const names = demands.devices.map((device) => device.alias);
  const known = await holdAliasDefinitions(tx, names);
  await assertAliasesKnown(tx, names, known, 'extra_specs.pci_passthrough:alias');
}

function flavorFields(body: FlavorBody): flavors.FlavorFields {
  return {
    id: body.id ?? randomUUID(),
    name: body.name,
    vcpus: body.vcpus,
    ramMb: oneOf(body, 'ram_mb', 'ram') ?? missing('ram_mb'),
    diskGb: oneOf(body, 'disk_gb', 'disk') ?? 0,
    extraSpecs: body.extra_specs ?? {},
  };
}

/** The value of two spellings of one field. */
function oneOf(body: FlavorBody, field: 'ram_mb' | 'disk_gb', other: 'ram' | 'disk'): number | null {
  const [value, otherValue] = [body[field] ?? null, body[other] ?? null];
  if (value !== null && otherValue !== null && value !== otherValue) {
    throw invalidFields([{ field: other, problem: `is ${otherValue} and ${field} is ${value}; leave one out` }]);
  }
  return value ?? otherValue;
}

function missing(field: string): never {
  throw invalidFields([{ field, problem: 'is missing' }]);
}
