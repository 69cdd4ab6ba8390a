import { compareAddresses, type Address } from '../pci/address.js';
import type { DeviceType } from '../pci/device.js';
import { transition, type DeviceEvent, type DeviceState, type DeviceStatus } from '../pci/device-state.js';
import { transitionBodies, type AuditedTransition } from './audit-bodies.js';
import { auditing, auditValues } from './audit.store.js';
import type { Tx } from './database.js';

/** What sits at an address: the agent refuses when it is something else by now. */
export interface Card {
  readonly vendor_id: string;
  readonly product_id: string;
}

/** The states of one host's devices in the ledger, inside a transaction that holds the host's row. */
export class HostDeviceStates {
  private readonly states: Map<Address, DeviceState>;
  private readonly rows: ReadonlyMap<Address, DeviceStateRow>;
  private readonly changed = new Set<Address>();
  private readonly hostId: string;
  /** What happened, in order; for the audit. */
  readonly transitions: AuditedTransition[] = [];

  constructor(rows: readonly DeviceStateRow[]) {
    const sorted = [...rows].sort((a, b) => compareAddresses(a.address, b.address));
    this.rows = new Map(sorted.map((row) => [row.address, row]));
    this.hostId = rows[0]?.host_id ?? '';
    this.states = new Map(sorted.map((row) => [row.address, stateOf(row)]));
  }

  /** @throws BerthError as `transition` does */
  apply(event: DeviceEvent, address: Address, ownerId: string | null): void {
    for (const state of transition(this.states, event, address, ownerId)) {
      this.note(event, state, state.address === address ? ownerId : null);
      this.states.set(state.address, state);
      this.changed.add(state.address);
    }
  }

  private note(event: DeviceEvent, { address, status: to }: DeviceState, serverId: string | null): void {
    const device = { device_id: this.rows.get(address)?.id as string, host_id: this.hostId, address };
    this.transitions.push({ ...device, event, from: this.status(address) as DeviceStatus, to, server_id: serverId });
  }

  status(address: Address): DeviceStatus | undefined {
    return this.states.get(address)?.status;
  }

  idOf(address: Address): string {
    return this.rows.get(address)?.id as string;
  }

  ownerOf(address: Address): string | null {
    return this.states.get(address)?.ownerId ?? null;
  }

  card(address: Address): Card | undefined {
    const row = this.rows.get(address);
    return row && { vendor_id: row.vendor_id, product_id: row.product_id };
  }

  /** Device id and new status of everything that changed. */
  changes(): { id: string; status: DeviceStatus }[] {
    return [...this.changed].map((address) => ({
      id: this.rows.get(address)?.id as string,
      status: (this.states.get(address) as DeviceState).status,
    }));
  }
}

interface DeviceStateRow {
  readonly id: string;
  readonly host_id: string;
  readonly address: Address;
  readonly device_type: DeviceType;
  readonly parent_address: Address | null;
  readonly status: DeviceStatus;
  readonly owner_id: string | null;
  readonly vendor_id: string;
  readonly product_id: string;
}

const STATE_COLUMNS = `d.id, d.host_id, d.address, d.device_type, d.parent_address, d.status, d.vendor_id, d.product_id,
            a.server_id AS owner_id`;

/** Reads the states of all devices of these hosts, offered or not: a PF that is not offered is its VFs' relative too. */
export async function readDeviceStates(tx: Tx, hostIds: readonly string[]): Promise<Map<string, HostDeviceStates>> {
  const rows = (await tx.query(
    `SELECT ${STATE_COLUMNS}
       FROM devices d LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
      WHERE d.host_id = ANY($1)`,
    [hostIds],
  )) as DeviceStateRow[];
  return statesByHost(rows, hostIds);
}

/**
 * Reads the states of these devices and their relatives only: a PF with all its VFs, or nobody else. That is all that the state table
 * looks at, and on large hosts a small part.
 */
export async function readStatesAround(tx: Tx, deviceIds: readonly string[]): Promise<Map<string, HostDeviceStates>> {
  if (deviceIds.length === 0) return new Map();
  const rows = (await tx.query(
    `WITH chosen AS (
       SELECT id, host_id, address, parent_address, device_type FROM devices WHERE id = ANY($1)
     ), parents AS (
       SELECT DISTINCT host_id, coalesce(parent_address, address) AS address FROM chosen
        WHERE parent_address IS NOT NULL OR device_type = 'type-PF'
     )
     SELECT ${STATE_COLUMNS}
       FROM devices d LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
      WHERE d.id IN (SELECT id FROM chosen
                     UNION ALL
                     SELECT f.id FROM parents p JOIN devices f ON f.host_id = p.host_id
                      WHERE f.address = p.address OR f.parent_address = p.address)`,
    [deviceIds],
  )) as DeviceStateRow[];
  return statesByHost(rows, [...new Set(rows.map((row) => row.host_id))]);
}

function statesByHost(rows: readonly DeviceStateRow[], hostIds: readonly string[]): Map<string, HostDeviceStates> {
  const byHost = new Map<string, DeviceStateRow[]>(hostIds.map((hostId) => [hostId, []]));
  for (const row of rows) byHost.get(row.host_id)?.push(row);
  return new Map([...byHost].map(([hostId, own]) => [hostId, new HostDeviceStates(own)]));
}

/** Writes what the state table made of devices. */
export async function writeDeviceStates(tx: Tx, states: Iterable<HostDeviceStates>): Promise<void> {
  const hosts = [...states];
  const changes = hosts.flatMap((state) => state.changes());
  await writeStatuses(
    tx,
    changes,
    hosts.flatMap((state) => state.transitions),
  );
}

/** Sets statuses as a check works them out where no event of the table leads there. The hosts are locked. */
export async function mendDeviceStates(
  tx: Tx,
  mended: readonly Omit<AuditedTransition, 'event' | 'server_id'>[],
): Promise<void> {
  const changes = mended.map(({ device_id: id, to: status }) => ({ id, status }));
  await writeStatuses(
    tx,
    changes,
    mended.map((one) => ({ ...one, event: 'repair', server_id: null })),
  );
}

/** The only place where the status of a device is changed: the audit tells of each change in the same statement. */
async function writeStatuses(
  tx: Tx,
  changes: readonly { readonly id: string; readonly status: DeviceStatus }[],
  transitions: readonly AuditedTransition[],
): Promise<void> {
  if (changes.length === 0) return;
  await tx.query(
    `${auditing(3)}
     UPDATE devices d SET status = c.status, updated_at = now()
       FROM unnest($1::uuid[], $2::text[]) AS c(id, status) WHERE d.id = c.id`,
    [
      changes.map((change) => change.id),
      changes.map((change) => change.status),
      ...auditValues(transitionBodies(transitions)),
    ],
  );
}

/** Raises the generation of hosts: whoever decided on an older one has to look again, at all of the host. */
export async function touchHosts(tx: Tx, hosts: readonly { id: string; by: number }[]): Promise<void> {
  await raise(tx, hosts, ', facts_generation = h.generation + c.by');
}

/** {@link touchHosts} where nothing has changed but who has what. */
export async function touchTakings(tx: Tx, hosts: readonly { id: string; by: number }[]): Promise<void> {
  await raise(tx, hosts, '');
}

async function raise(
  tx: Tx,
  hosts: readonly { id: string; by: number }[],
  more: '' | ', facts_generation = h.generation + c.by',
): Promise<void> {
  if (hosts.length === 0) return;
  await tx.query(
    `UPDATE hosts h SET generation = h.generation + c.by, changed_xid = (pg_current_xact_id()::text)::bigint${more}
       FROM unnest($1::uuid[], $2::int[]) AS c(id, by) WHERE h.id = c.id`,
    [hosts.map((host) => host.id), hosts.map((host) => host.by)],
  );
}

function stateOf(row: DeviceStateRow): DeviceState {
  return {
    address: row.address,
    deviceType: row.device_type,
    parentAddress: row.parent_address,
    status: row.status,
    ownerId: row.owner_id,
  };
}
