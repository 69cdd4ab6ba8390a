import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { holdAliasDefinitions } from '../../store/catalog.store.js';
import type { Tx } from '../../store/database.js';
import type { FlavorEntity } from '../../store/entities/catalog.entities.js';
import * as flavors from '../../store/flavors.store.js';
import { Ledger } from '../../store/ledger.js';
import { DISK_GB_MAX } from '../fields.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce, type GivenKey } from '../idempotency.js';
import { type Caller, isAdmin } from '../identity/caller.js';
import { type PageQuery, pageOf } from '../page.js';
import { RequestRules } from '../request-rules.js';
import { invalidFields } from '../request-validation.pipe.js';
import { assertAliasesKnown, unknownFlavor } from '../unknown-names.js';
import { wholeDiskGb } from './disk.js';
import { type ExtraSpecs, type FlavorDemands, readEachSpec, readExtraSpecs } from './extra-specs.js';
import { type CatalogFlavorView, type FlavorBody, type FlavorPageView, flavorView } from './flavors.dto.js';

export const FLAVORS_PATH = '/v1/flavors';

/** `together`: all keys of a flavor have to fit each other and its size. `each`: one by one, as clients of Nova set them. */
export type SpecsCheck = 'together' | 'each';

@Injectable()
export class FlavorsService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
    private readonly rules: RequestRules,
  ) {}

  async list(caller: Caller, query: PageQuery): Promise<FlavorPageView> {
    const limit = this.limits.pageSize(query.limit);
    const page = { after: query.marker ?? null, limit: limit + 1 };
    const rows = await flavors.listFlavors(this.ledger.pool, page, projectSeen(caller));
    const { items, next } = pageOf(rows, { path: FLAVORS_PATH, query, limit }, (row) => row.name);
    return { flavors: items.map(flavorView), next };
  }

  async show(caller: Caller, idOrName: string): Promise<CatalogFlavorView> {
    return flavorView(await this.find({ id: idOrName, orName: true, projectId: projectSeen(caller) }));
  }

  /** @throws BerthError `flavor.unknown`, also when its project has no access */
  async find(ref: flavors.FlavorRef): Promise<FlavorEntity> {
    const row = await flavors.findFlavor(this.ledger.pool, ref);
    if (!row) throw await unknownFlavor(this.ledger.pool, ref, null);
    return row;
  }

  create(body: FlavorBody, key: GivenKey | null): Promise<Created> {
    const flavor = flavorFields(body);
    return this.ledger.transaction((tx) =>
      createOnce(tx, { key, path: FLAVORS_PATH, body }, flavor.id, () => this.insert(tx, flavor)),
    );
  }

  /** @throws BerthError `flavor.exists`, `flavor.invalid`, `alias.unknown` */
  add(flavor: flavors.FlavorFields): Promise<void> {
    return this.ledger.transaction((tx) => this.insert(tx, flavor));
  }

  private async insert(tx: Tx, flavor: flavors.FlavorFields): Promise<void> {
    assertDisk(flavor);
    await assertAliases(tx, readExtraSpecs(flavor.extraSpecs, flavor, this.rules.dialect));
    if (await flavors.insertFlavor(tx, flavor)) return;
    throw new BerthError(
      'flavor.exists',
      `There is a flavor with the name "${flavor.name}" or the id "${flavor.id}" already`,
    );
  }

  remove(ref: flavors.FlavorRef): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      const row = await lockFlavor(tx, ref);
      await flavors.deleteFlavor(tx, row.id);
    });
  }

  describe(ref: flavors.FlavorRef, description: string | null): Promise<FlavorEntity> {
    return this.ledger.transaction(async (tx) => {
      const row = await lockFlavor(tx, ref);
      await flavors.updateDescription(tx, row.id, description);
      return { ...row, description };
    });
  }

  /** Writes what `change` makes of the extra specs. */
  changeExtraSpecs(
    ref: flavors.FlavorRef,
    change: (extraSpecs: ExtraSpecs) => ExtraSpecs,
    check: SpecsCheck = 'together',
  ): Promise<ExtraSpecs> {
    return this.ledger.transaction(async (tx) => {
      const row = await lockFlavor(tx, ref);
      const extraSpecs = change(row.extra_specs);
      const size = { vcpus: row.vcpus, ramMb: row.ram_mb };
      const { dialect } = this.rules;
      await assertAliases(
        tx,
        check === 'each' ? readEachSpec(extraSpecs, dialect) : readExtraSpecs(extraSpecs, size, dialect),
      );
      await flavors.updateExtraSpecs(tx, row.id, extraSpecs);
      return extraSpecs;
    });
  }
}

/** The project to whose flavors a caller is limited; null: an administrator sees all. */
export function projectSeen(caller: Caller): string | null {
  return isAdmin(caller) ? null : caller.projectId;
}

/** A flavor as the paths under `/v1` name it, which only administrators change. */
export function idOrName(text: string): flavors.FlavorRef {
  return { id: text, orName: true, projectId: null };
}

/** The extra specs without one key. */
export function withoutKey(extraSpecs: ExtraSpecs, key: string): ExtraSpecs {
  if (!Object.hasOwn(extraSpecs, key)) {
    throw new BerthError('request.not_found', `The flavor has no extra spec "${key}"`);
  }
  return Object.fromEntries(Object.entries(extraSpecs).filter(([name]) => name !== key));
}

async function lockFlavor(tx: Tx, ref: flavors.FlavorRef): Promise<FlavorEntity> {
  const row = await flavors.lockFlavor(tx, ref);
  if (!row) throw await unknownFlavor(tx, ref, null);
  return row;
}

/** The aliases that are named stay until the transaction ends, so that none is deleted under the flavor. */
async function assertAliases(tx: Tx, demands: Pick<FlavorDemands, 'devices'>): Promise<void> {
  const names = demands.devices.map((device) => device.alias);
  const known = await holdAliasDefinitions(tx, names);
  await assertAliasesKnown(tx, names, known, 'extra_specs.pci_passthrough:alias');
}

/** The ledger counts all disks of a server as one number. */
function assertDisk({ diskGb, ephemeralGb, swapMb }: flavors.FlavorFields): void {
  const whole = wholeDiskGb({ disk_gb: diskGb, ephemeral_gb: ephemeralGb, swap_mb: swapMb });
  if (whole <= DISK_GB_MAX) return;
  throw invalidFields([{ field: 'disk_gb', problem: `all disks together have ${whole} GB; at most ${DISK_GB_MAX}` }]);
}

function flavorFields(body: FlavorBody): flavors.FlavorFields {
  return {
    id: body.id ?? randomUUID(),
    name: body.name,
    vcpus: body.vcpus,
    ramMb: oneOf(body, 'ram_mb', 'ram') ?? missing('ram_mb'),
    diskGb: oneOf(body, 'disk_gb', 'disk') ?? 0,
    ephemeralGb: body.ephemeral_gb ?? 0,
    swapMb: body.swap_mb ?? 0,
    rxtxFactor: 1,
    isPublic: body.is_public ?? true,
    description: body.description ?? null,
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
