import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { suggestion } from '../../pci/suggest.js';
import * as catalog from '../../store/catalog.store.js';
import type { Tx } from '../../store/database.js';
import type { AliasEntity } from '../../store/entities/catalog.entities.js';
import { Ledger } from '../../store/ledger.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce } from '../idempotency.js';
import { type PageQuery, pageOf } from '../page.js';
import { invalidFields } from '../request-validation.pipe.js';
import { aliasDefinition } from './alias-definition.js';
import { type AliasBody, type AliasPageView, type AliasReplaceBody, type AliasView, aliasView } from './aliases.dto.js';

export const ALIASES_PATH = '/v1/aliases';

@Injectable()
export class AliasesService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  async list(query: PageQuery): Promise<AliasPageView> {
    const limit = this.limits.pageSize(query.limit);
    const rows = await catalog.listAliases(this.ledger.pool, { after: query.marker ?? null, limit: limit + 1 });
    const page = pageOf(rows, { path: ALIASES_PATH, query, limit }, (row) => row.name);
    return { aliases: page.items.map(aliasView), next: page.next };
  }

  async show(name: string): Promise<AliasView> {
    const row = await catalog.findAlias(this.ledger.pool, name);
    if (!row) throw await unknownAlias(this.ledger.pool, name);
    return aliasView(row);
  }

  create(body: AliasBody, key: string | null): Promise<Created> {
    const alias = aliasDefinition(body.name, body);
    return this.ledger.transaction((tx) =>
      createOnce(tx, { key, path: ALIASES_PATH, body }, alias.name, async () => {
        if (await catalog.insertAlias(tx, alias, 'rest')) return;
        throw new BerthError('alias.exists', `There is an alias "${alias.name}" already; PUT it to change it`);
      }),
    );
  }

  async replace(name: string, body: AliasReplaceBody): Promise<AliasView> {
    if (body.name !== undefined && body.name !== null && body.name !== name) {
      throw invalidFields([{ field: 'name', problem: `is not the name in the path; an alias keeps its name` }]);
    }
    await this.ledger.transaction(async (tx) => {
      const row = await lockWritable(tx, name);
      await catalog.updateAlias(tx, aliasDefinition(row.name, body));
    });
    return this.show(name);
  }

  /** @throws BerthError `alias.in_use` while a flavor names it */
  remove(name: string): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      await lockWritable(tx, name);
      const flavors = await catalog.flavorsNaming(tx, name);
      if (flavors.length > 0) throw aliasInUse(name, flavors);
      await catalog.deleteAlias(tx, name);
    });
  }
}

async function lockWritable(tx: Tx, name: string): Promise<AliasEntity> {
  const row = await catalog.lockAlias(tx, name);
  if (!row) throw await unknownAlias(tx, name);
  if (row.source === 'file') {
    throw new BerthError('alias.read_only', `Alias "${name}" is defined in a configuration file; change it there`);
  }
  return row;
}

async function unknownAlias(tx: Tx, name: string): Promise<BerthError> {
  return new BerthError(
    'alias.unknown',
    `There is no alias "${name}"${suggestion(name, await catalog.aliasNames(tx))}`,
  );
}

const FLAVORS_NAMED_MAX = 10;

function aliasInUse(name: string, flavors: readonly string[]): BerthError {
  const named = flavors.slice(0, FLAVORS_NAMED_MAX).join(', ');
  const more = flavors.length > FLAVORS_NAMED_MAX ? ` and ${flavors.length - FLAVORS_NAMED_MAX} more` : '';
  return new BerthError('alias.in_use', `Alias "${name}" is named by the flavors ${named}${more}; change those first`);
}
