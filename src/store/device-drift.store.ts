import type { Address } from '../pci/address.js';
import { isInUse, type DeviceStatus } from '../pci/device-state.js';
import type { Drift, DriftPolicies } from '../pci/drift.js';
import {
  atRelease,
  notedChanges,
  settledMoves,
  type DriftNote,
  type Noted,
  type NotedChange,
} from '../pci/drift-notes.js';
import { writeAudit } from './audit.store.js';
import type { Tx } from './database.js';
import { readDeviceStates, writeDeviceStates, type HostDeviceStates } from './device-states.store.js';
import { jsonList } from './json-list.js';
import { addServerEvents } from './server-events.store.js';

/** A host whose report says that something happened to its devices, or of which something was known. */
export interface DriftingHost {
  readonly hostId: string;
  readonly hostName: string;
  readonly drifts: readonly Drift[];
  /** All that the ledger has of the host, after the report. */
  readonly devices: readonly Omit<Noted, 'status'>[];
}

/** Notes what happened to devices, and takes them out of use where their policy says so. The hosts are locked. */
export async function recordDrifts(tx: Tx, hosts: readonly DriftingHost[], policies: DriftPolicies): Promise<void> {
  if (hosts.length === 0) return;
  const states = await readDeviceStates(
    tx,
    hosts.map(({ hostId }) => hostId),
  );
  const now = new Date().toISOString();
  const written: Written[] = [];
  for (const host of hosts) {
    const own = states.get(host.hostId) as HostDeviceStates;
    const devices = host.devices.map((device) => ({ ...device, status: own.status(device.address) ?? 'deleted' }));
    const changes = notedChanges(devices, host.drifts, policies, now);
    written.push(...held(own, changes), ...lifted(own, devices, changes));
    await tellOfDrifts(tx, host, own, changes);
  }
  await writeDeviceStates(tx, states.values());
  await writeNotes(tx, written);
}

interface Written {
  readonly id: string;
  readonly notes: readonly DriftNote[];
  /** Why it is held; undefined: as it was. */
  readonly reason?: string | null;
}

function held(states: HostDeviceStates, changes: readonly NotedChange[]): Written[] {
  return changes.map(({ address, notes, quarantine }) => {
    const id = states.idOf(address);
    if (quarantine === null) return { id, notes };
    states.apply('quarantine', address, null);
    return { id, notes, reason: quarantine };
  });
}

/** What was held for a move that is settled; what is not reported has gone meanwhile. */
function lifted(states: HostDeviceStates, devices: readonly Noted[], changes: readonly NotedChange[]): Written[] {
  const notes = new Map(changes.map((change) => [change.address, change.notes]));
  const after = devices.map((device): [Address, Noted] => [
    device.address,
    {
      ...device,
      notes: notes.get(device.address) ?? device.notes,
      status: states.status(device.address) as DeviceStatus,
    },
  ]);
  return lift(states, new Map(after));
}

function lift(states: HostDeviceStates, devices: ReadonlyMap<Address, Noted>): Written[] {
  return settledMoves(devices).map((address) => {
    const device = devices.get(address) as Noted;
    states.apply('repair', address, null);
    if (!device.present) states.apply('remove', address, null);
    return { id: states.idOf(address), notes: device.notes.filter(({ kind }) => kind !== 'moved'), reason: null };
  });
}

/** Into the audit, and into the history of the servers that have the devices. */
async function tellOfDrifts(
  tx: Tx,
  { hostId, hostName }: DriftingHost,
  states: HostDeviceStates,
  changes: readonly NotedChange[],
): Promise<void> {
  const told = changes.flatMap(({ address, news }) =>
    news.map(({ kind, reason, policy }) => {
      const device = { device_id: states.idOf(address), host_id: hostId, address };
      return { ...device, drift: kind, reason, policy, server_id: states.ownerOf(address) };
    }),
  );
  await writeAudit(
    tx,
    told.map((body) => ({ kind: 'drift', ...body })),
  );
  await addServerEvents(
    tx,
    told.flatMap(({ server_id: serverId, address, drift, reason }) =>
      serverId === null
        ? []
        : [{ serverId, event: 'device_drift', message: `Host ${hostName}: ${address}: ${drift}: ${reason}.` }],
    ),
  );
}

/** Of what is said twice of a device, the later holds. */
async function writeNotes(tx: Tx, all: readonly Written[]): Promise<void> {
  if (all.length === 0) return;
  const written = [...new Map(all.map((one) => [one.id, one])).values()];
  await tx.query(
    `UPDATE devices d SET drift = nullif(w.notes, '[]'),
            status_reason = CASE WHEN w.changes THEN w.reason ELSE d.status_reason END
       FROM ROWS FROM (unnest($1::uuid[], $2::boolean[], $3::text[]), jsonb_array_elements($4::jsonb))
            AS w(id, changes, reason, notes) WHERE d.id = w.id`,
    [
      written.map(({ id }) => id),
      written.map(({ reason }) => reason !== undefined),
      written.map(({ reason }) => reason ?? null),
      jsonList(written.map(({ notes }) => JSON.stringify(notes))),
    ],
  );
}

/** A device with notes, as it is before a release. */
export interface DriftedRow {
  readonly device_id: string;
  readonly host_id: string;
  readonly address: Address;
  readonly present: boolean;
  readonly drift: readonly DriftNote[];
}

/** All of these hosts that have notes. */
export async function readDrifted(tx: Tx, hostIds: readonly string[]): Promise<DriftedRow[]> {
  if (hostIds.length === 0) return [];
  return tx.query(
    `SELECT id AS device_id, host_id, address, missing_since IS NULL AND pending_facts IS NULL AS present, drift
       FROM devices WHERE host_id = ANY($1) AND drift IS NOT NULL`,
    [hostIds],
  );
}

/**
 * Devices were freed: those that something happened to are taken out of use, and what waited for them is free.
 *
 * @param freed    ids of the devices
 * @param rows     what {@link readDrifted} has read
 * @param states   by host; after the release
 */
export async function settleDriftsAtRelease(
  tx: Tx,
  freed: ReadonlySet<string>,
  rows: readonly DriftedRow[],
  states: ReadonlyMap<string, HostDeviceStates>,
): Promise<void> {
  const written: Written[] = [];
  for (const [hostId, own] of states) {
    const known = rows.filter((row) => row.host_id === hostId);
    const after = new Map(known.map((row) => [row.address, notedRow(row, own)]));
    for (const { device_id: id, address, drift } of known) {
      if (!freed.has(id) || isInUse(own.status(address) as DeviceStatus)) continue;
      const left = atRelease(drift, own.status(address) as DeviceStatus, after);
      after.set(address, { ...(after.get(address) as Noted), notes: left.notes });
      const isHeld = left.quarantine !== null && own.status(address) !== 'quarantined';
      if (isHeld) own.apply('quarantine', address, null);
      written.push({ id, notes: left.notes, ...(isHeld && { reason: left.quarantine }) });
    }
    const now = [...after].map(([address, noted]): [Address, Noted] => [
      address,
      { ...noted, status: own.status(address) as DeviceStatus },
    ]);
    written.push(...lift(own, new Map(now)));
  }
  await writeNotes(tx, written);
}

function notedRow({ address, present, drift }: DriftedRow, states: HostDeviceStates): Noted {
  return { address, present, notes: drift, status: states.status(address) as DeviceStatus };
}
