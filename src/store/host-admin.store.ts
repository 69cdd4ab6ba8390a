import type { WireResources } from '../messages/bodies.js';
import type { AllocationRatios } from '../placement/snapshot.js';
import { writeAudit } from './audit.store.js';
import type { Tx } from './database.js';
import { touchHosts } from './device-states.store.js';

/** How a host `h` is for everybody who decides: what its agent says, unless an administrator knows better. */
export const EFFECTIVE_STATUS = `CASE WHEN h.forced_down THEN 'down' ELSE h.status END`;

/** What an admin says of a host; what is left out stays as it is. */
export interface HostChanges {
  readonly enabled?: boolean;
  readonly disabledReason?: string | null;
  /** It is down, whatever its agent says. */
  readonly forcedDown?: boolean;
  readonly traits?: readonly string[];
  /** null: as the agent says. */
  readonly reserved?: WireResources | null;
  /** null: as the settings say. */
  readonly allocationRatios?: AllocationRatios | null;
}

export interface LockedHost {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly generation: number;
}

/** By name or id; other writers of the host wait. */
export async function lockHostForChange(tx: Tx, nameOrId: string): Promise<LockedHost | null> {
  const [host] = await tx.query<LockedHost[]>(
    `SELECT id, name, enabled, generation FROM hosts WHERE name = $1 OR id::text = lower($1) FOR UPDATE`,
    [nameOrId],
  );
  return host ?? null;
}

/** Writes what was said of a host whose row is locked, and has everybody look at it again. */
export async function changeHost(tx: Tx, id: string, changes: HostChanges): Promise<void> {
  const columns: [string, unknown][] = [
    ['enabled', changes.enabled],
    ['disabled_reason', changes.disabledReason],
    ['forced_down', changes.forcedDown],
    ['traits', changes.traits && JSON.stringify(changes.traits)],
    ['reserved', changes.reserved && JSON.stringify(changes.reserved)],
    ['allocation_ratios', changes.allocationRatios && JSON.stringify(changes.allocationRatios)],
  ];
  const said = columns.filter(([, value]) => value !== undefined);
  if (said.length === 0) return;
  const assignments = said.map(([column], index) => `${column} = $${index + 2}`).join(', ');
  await tx.query(`UPDATE hosts SET ${assignments} WHERE id = $1`, [id, ...said.map(([, value]) => value)]);
  await touchHosts(tx, [{ id, by: 1 }]);
  const {
    disabledReason: disabled_reason,
    forcedDown: forced_down,
    allocationRatios: allocation_ratios,
    ...others
  } = changes;
  const changed = { ...others, disabled_reason, forced_down, allocation_ratios };
  await writeAudit(tx, [{ kind: 'admin', action: 'host.change', actor: 'rest', host_id: id, changed }]);
}
