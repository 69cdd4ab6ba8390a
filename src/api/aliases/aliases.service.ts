import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { suggestion } from '../../pci/suggest.js';
import { findAliasVersion, listAliasVersions } from '../../store/alias-versions.store.js';
import * as catalog from '../../store/catalog.store.js';
import type { Tx } from '../../store/database.js';
import { flavorsNaming } from '../../store/flavors.store.js';
import { Ledger } from '../../store/ledger.js';
import { HttpLimits } from '../http-limits.js';
import { type Created, createOnce, type GivenKey } from '../idempotency.js';
import { type PageQuery, pageOf } from '../page.js';
import { RequestRules } from '../request-rules.js';
import { invalidFields } from '../request-validation.pipe.js';
import { aliasDefinition } from './alias-definition.js';
import {
  type AliasBody,
  type AliasPageView,
  type AliasReplaceBody,
  type AliasVersionPageView,
  aliasVersionView,
  type AliasVersionView,
  type AliasView,
  aliasView,
} from './aliases.dto.js';
import { assertVersion } from './if-match.js';

export const ALIASES_PATH = '/v1/aliases';

@Injectable()
export class AliasesService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
    private readonly rules: RequestRules,
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

  create(body: AliasBody, key: GivenKey | null): Promise<Created> {
    const alias = aliasDefinition(body.name, body, this.rules.dialect);
    return this.ledger.transaction((tx) =>
      createOnce(tx, { key, path: ALIASES_PATH, body }, alias.name, async () => {
        if (await catalog.insertAlias(tx, alias)) return;
        const there = await catalog.findAlias(tx, alias.name);
        const owner = there?.source === 'file' ? `it ${belongs(there)}` : 'PUT it to change it';
        throw new BerthError('alias.exists', `There is an alias "${alias.name}" already; ${owner}`);
      }),
    );
  }

  async replace(name: string, body: AliasReplaceBody, ifMatch: string | null): Promise<AliasView> {
    if (body.name !== undefined && body.name !== null && body.name !== name) {
      throw invalidFields([{ field: 'name', problem: `is not the name in the path; an alias keeps its name` }]);
    }
    return this.ledger.transaction(async (tx) => {
      const row = await lockWritable(tx, name, ifMatch);
      await catalog.updateAlias(tx, row, aliasDefinition(row.name, body, this.rules.dialect));
      // as this request wrote it, not as the next one did: the answer has its ETag
      return aliasView((await catalog.findAlias(tx, name)) ?? row);
    });
  }

  /** @throws BerthError `alias.in_use` while a flavor names it */
  remove(name: string, ifMatch: string | null): Promise<void> {
    return this.ledger.transaction(async (tx) => {
      await lockWritable(tx, name, ifMatch);
      const flavors = await flavorsNaming(tx, name);
      if (flavors.length > 0) throw aliasInUse(name, flavors);
      await catalog.deleteAlias(tx, name);
    });
  }

  /** Newest first; also of an alias that is deleted. */
  async versions(name: string, query: PageQuery): Promise<AliasVersionPageView> {
    const limit = this.limits.pageSize(query.limit);
    const before = versionMarker(query.marker);
    const rows = await listAliasVersions(this.ledger.pool, name, { before, limit: limit + 1 });
    if (rows.length === 0 && before === null) throw await unknownAlias(this.ledger.pool, name);
    const path = `${ALIASES_PATH}/${encodeURIComponent(name)}/versions`;
    const page = pageOf(rows, { path, query, limit }, (row) => String(row.version));
    return { versions: page.items.map(aliasVersionView), next: page.next };
  }

  async version(name: string, text: string): Promise<AliasVersionView> {
    const number = versionNumber(text);
    const row = number === null ? null : await findAliasVersion(this.ledger.pool, name, number);
    if (row) return aliasVersionView(row);
    throw new BerthError('alias.version_unknown', `Alias "${name}" has no version "${text.slice(0, 60)}"`);
  }
}

function versionNumber(text: string): number | null {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : null;
}

function versionMarker(marker: string | undefined): number | null {
  if (marker === undefined) return null;
  const number = versionNumber(marker);
  if (number !== null) return number;
  throw invalidFields([{ field: 'marker', problem: 'is not the number of a version; take it from `next`' }]);
}

async function lockWritable(tx: Tx, name: string, ifMatch: string | null): Promise<catalog.AliasRow> {
  const row = await catalog.lockAlias(tx, name);
  if (!row) throw await unknownAlias(tx, name);
  if (row.source === 'file') throw new BerthError('alias.read_only', `Alias "${name}" ${belongs(row)}`);
  assertVersion(ifMatch, row);
  return row;
}

const OWNERS_NAMED_MAX = 3;

function belongs({ owners }: catalog.AliasRow): string {
  const named = owners.slice(0, OWNERS_NAMED_MAX).map(({ origin }) => origin);
  const more = owners.length > named.length ? ` and ${owners.length - named.length} more` : '';
  return `belongs to the configuration files of ${named.join(', ')}${more}; change it there`;
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
