import { Injectable } from '@nestjs/common';
import { suggestion } from '../../pci/suggest.js';
import { aliasNames, findAliasDefinitions } from '../../store/catalog.store.js';
import type { Tx } from '../../store/database.js';
import { Ledger } from '../../store/ledger.js';
import { type Amounts, PLAIN_RESOURCES } from '../../store/quota-amounts.js';
import { changeQuotaLimits, KEPT_PREFIX, lockQuotaLimits, readQuotaLimits } from '../../store/quota-limits.store.js';
import { countServerGroups } from '../../store/server-groups.store.js';
import { EVERY_PROJECT, readProjectUsage, UNLIMITED } from '../../store/quotas.store.js';
import { invalidFields } from '../request-validation.pipe.js';
import { RESOURCES_MAX } from './quota-resources.js';
import type { QuotasView, QuotaView } from './quotas.dto.js';

export interface QuotaAmounts {
  readonly own: Amounts;
  readonly defaults: Amounts;
  /** null: of every project. */
  readonly used: Amounts | null;
}

@Injectable()
export class QuotasService {
  constructor(private readonly ledger: Ledger) {}

  show(projectId: string): Promise<QuotasView> {
    return shown(this.ledger.pool, projectId);
  }

  /** All that is limited or used, also what is only kept for clients. */
  amounts(projectId: string): Promise<QuotaAmounts> {
    return readAmounts(this.ledger.pool, projectId);
  }

  /** Makes these all the limits that the project has of its own. */
  replace(projectId: string, limits: Readonly<Record<string, number>>): Promise<QuotasView> {
    return this.ledger.transaction(async (tx) => {
      await lockQuotaLimits(tx, projectId);
      const { own } = await readQuotaLimits(tx, projectId);
      const removed = [...own.keys()].filter(isShown).map((resource) => [resource, null] as const);
      await changeQuotaLimits(tx, projectId, new Map<string, number | null>([...removed, ...Object.entries(limits)]));
      return shown(tx, projectId);
    });
  }

  /** @throws BerthError `request.invalid` when the project would have too many limits */
  change(projectId: string, changes: Readonly<Record<string, number | null>>): Promise<QuotasView> {
    return this.ledger.transaction(async (tx) => {
      await lockQuotaLimits(tx, projectId);
      await changeQuotaLimits(tx, projectId, new Map(Object.entries(changes)));
      const { size } = (await readQuotaLimits(tx, projectId)).own;
      if (size <= RESOURCES_MAX) return shown(tx, projectId);
      const problem = `the project would have limits of ${size} resources; at most ${RESOURCES_MAX}`;
      throw invalidFields([{ field: 'limits', problem }]);
    });
  }

  /** The defaults hold again; of `*`: there are none any more. */
  async remove(projectId: string): Promise<void> {
    await this.replace(projectId, {});
  }
}

async function readAmounts(tx: Tx, projectId: string): Promise<QuotaAmounts> {
  const limits = await readQuotaLimits(tx, projectId);
  if (projectId === EVERY_PROJECT) return { ...limits, used: null };
  const groups = [`${KEPT_PREFIX}server_groups`, await countServerGroups(tx, projectId)] as const;
  return { ...limits, used: new Map([...(await readProjectUsage(tx, projectId)), groups]) };
}

async function shown(tx: Tx, projectId: string): Promise<QuotasView> {
  const { own, defaults, used } = await readAmounts(tx, projectId);
  const others = new Set([...own.keys(), ...defaults.keys(), ...(used?.keys() ?? [])].filter(isShown));
  for (const resource of PLAIN_RESOURCES) others.delete(resource);
  const quotas = [...PLAIN_RESOURCES, ...[...others].sort()].map((resource) =>
    quotaView(resource, { own, defaults, used }),
  );
  return { project_id: projectId, quotas, hints: [...quotas.flatMap(belowUse), ...(await unknownAliases(tx, own))] };
}

function quotaView(
  resource: string,
  { own, defaults, used }: { readonly own: Amounts; readonly defaults: Amounts; readonly used: Amounts | null },
): QuotaView {
  const [ownLimit, byDefault] = [own.get(resource) ?? null, defaults.get(resource) ?? null];
  return {
    resource,
    hard_limit: ownLimit ?? byDefault ?? UNLIMITED,
    own_limit: ownLimit,
    default_limit: byDefault,
    used: used && (used.get(resource) ?? 0),
  };
}

function isShown(resource: string): boolean {
  return !resource.startsWith(KEPT_PREFIX);
}

function belowUse({ resource, hard_limit: limit, used }: QuotaView): string[] {
  if (limit === UNLIMITED || used === null || used <= limit) return [];
  return [
    `${resource}: ${used} used, above the limit of ${limit}; nothing is taken away, and nothing more is given out.`,
  ];
}

/** A limit may be there before its alias is: nobody gets too much in between. */
async function unknownAliases(tx: Tx, own: Amounts): Promise<string[]> {
  const named = [...own.keys()].filter((resource) => resource.startsWith('alias:')).map((text) => text.slice(6));
  if (named.length === 0) return [];
  const known = await findAliasDefinitions(tx, named);
  const unknown = named.filter((name) => !known.some((alias) => alias.name === name));
  const candidates = unknown.length === 0 ? [] : await aliasNames(tx);
  return unknown.map((name) => `alias:${name}: there is no alias "${name}"${suggestion(name, candidates)}`);
}
