import { BerthError } from '../errors.js';
import type { AliasDefinition } from '../pci/alias/alias.js';
import { suggestion } from '../pci/suggest.js';
import { aliasNames } from '../store/catalog.store.js';
import type { Tx } from '../store/database.js';
import { flavorNames, type FlavorRef } from '../store/flavors.store.js';
import { hostNames } from '../store/inventory-views.store.js';

/**
 * @param field where the request names the aliases
 * @throws BerthError `alias.unknown` when one of the names has no alias
 */
export async function assertAliasesKnown(
  tx: Tx,
  names: readonly string[],
  known: readonly AliasDefinition[],
  field: string,
): Promise<void> {
  const unknown = [...new Set(names)].filter((name) => !known.some((alias) => alias.name === name));
  if (unknown.length === 0) return;
  const candidates = await aliasNames(tx);
  const problem = unknown.map((name) => `there is no alias "${name}"${suggestion(name, candidates)}`).join('; ');
  throw new BerthError('alias.unknown', `${field}: ${problem}`, { details: { errors: [{ field, problem }] } });
}

/**
 * The error of a flavor that is not there, or not for that project.
 *
 * @param field where the request names it; null: in the path
 */
export async function unknownFlavor(
  tx: Tx,
  { id: name, projectId }: Pick<FlavorRef, 'id' | 'projectId'>,
  field: string | null,
): Promise<BerthError> {
  const problem = `there is no flavor "${name}"${suggestion(name, await flavorNames(tx, projectId))}`;
  if (field === null) return new BerthError('flavor.unknown', problem);
  return new BerthError('flavor.unknown', `${field}: ${problem}`, { details: { errors: [{ field, problem }] } });
}

/** The error of a host that is not there. */
export async function unknownHost(tx: Tx, host: string): Promise<BerthError> {
  return new BerthError('host.unknown', `There is no host "${host}"${suggestion(host, await hostNames(tx))}`);
}
