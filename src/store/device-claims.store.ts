import { randomUUID } from 'node:crypto';
import { BerthError } from '../errors.js';
import type { WireDevice } from '../messages/device-bodies.js';
import type { WireDeviceClaim, WireDeviceClaimState } from '../messages/device-claim-bodies.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import type { AuditBody } from './audit-bodies.js';
import { writeAudit } from './audit.store.js';
import type { Tx } from './database.js';
import type { DeviceClaimEntity } from './entities/device-claim.entities.js';
import type { LockedHost } from './host-admin.store.js';
import { jsonList } from './json-list.js';
import { addToOutbox } from './outbox.store.js';

/**
 * The way of a device claim:
 *
 *            ┌── agent: all bound ─────────────► enabled ◄─┐
 *  pending ──┼── agent: a server or the kernel ► blocked ◄─┤ the agent looks again and again
 *            └── agent: cannot, or no answer ──► refused ◄─┘
 *                          any of them ── deleted ──► releasing ──┬── agent: given back ───────────────────────────► gone
 *                                                                 └── agent: waits or cannot, or no answer ► blocked ─┘
 *
 * It takes nothing from anybody: devices are placed as before, and a claim waits for servers that have one of its devices.
 */

/** A claim as it is shown. */
export type DeviceClaimRow = DeviceClaimEntity & {
  readonly host: string;
  /** As it was made: what it was made for, then its companions. */
  readonly devices: readonly ClaimedDeviceRow[];
};

export interface ClaimedDeviceRow {
  readonly address: string;
  readonly vendor_id: string;
  readonly product_id: string;
  readonly original_driver: string | null;
  /** As reported last; null: it is not there. */
  readonly driver: string | null;
  readonly server_id: string | null;
  readonly server_name: string | null;
}

/** The claims of a host in the order they were made; one only, when its id is given. */
export async function readDeviceClaims(tx: Tx, hostId: string, claimId: string | null): Promise<DeviceClaimRow[]> {
  return tx.query(
    `SELECT c.*, h.name AS host, k.devices
       FROM device_claims c JOIN hosts h ON h.id = c.host_id
       CROSS JOIN LATERAL (
         SELECT json_agg(json_build_object('address', k.address, 'vendor_id', k.vendor_id, 'product_id', k.product_id,
                  'original_driver', k.original_driver, 'driver', CASE WHEN d.status <> 'removed' THEN d.facts->>'driver' END,
                  'server_id', s.id, 'server_name', s.name) ORDER BY k.position) AS devices
           FROM device_claim_devices k
           LEFT JOIN devices d ON d.host_id = k.host_id AND d.address = k.address
           LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
           LEFT JOIN servers s ON s.id = a.server_id
          WHERE k.claim_id = c.id) k
      WHERE c.host_id = $1 AND ($2::uuid IS NULL OR c.id = $2)
      ORDER BY c.created_at, c.id`,
    [hostId, claimId],
  );
}

/** @returns by the address of each claimed device: what its claim was made for */
export async function readClaimedAddresses(tx: Tx, hostId: string): Promise<Map<string, string>> {
  const rows = (await tx.query(
    `SELECT k.address, c.address AS claimed_for FROM device_claim_devices k JOIN device_claims c ON c.id = k.claim_id
      WHERE k.host_id = $1`,
    [hostId],
  )) as { address: string; claimed_for: string }[];
  return new Map(rows.map((row) => [row.address, row.claimed_for]));
}

/**
 * Takes down a claim and tells the agent. The host is locked, and none of the devices is claimed.
 *
 * @param devices what the claim is made for, then its companions, as reported
 * @returns its id
 */
export async function createDeviceClaim(
  tx: Tx,
  { id: hostId, name }: LockedHost,
  devices: readonly Pick<WireDevice, 'address' | 'vendor_id' | 'product_id'>[],
): Promise<string> {
  const id = randomUUID();
  const address = devices[0]?.address;
  await tx.query(`INSERT INTO device_claims (id, host_id, address, state) VALUES ($1, $2, $3, 'pending')`, [
    ...[id, hostId, address],
  ]);
  await tx.query(
    `INSERT INTO device_claim_devices (host_id, address, claim_id, position, vendor_id, product_id)
     SELECT $1, address, $2, ordinality - 1, vendor_id, product_id
       FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS d(address, vendor_id, product_id)`,
    [
      ...[hostId, id, devices.map((device) => device.address)],
      ...[devices.map(({ vendor_id }) => vendor_id), devices.map(({ product_id }) => product_id)],
    ],
  );
  const taken = devices.map((device) => device.address);
  await audit(tx, 'device_claim.create', 'rest', {
    host_id: hostId,
    host: name,
    claim_id: id,
    address,
    devices: taken,
  });
  await nextRevision(tx, hostId);
  await tellAll(tx, [name]);
  return id;
}

/** Has a claim end: it is gone when the agent has given its devices back. Again: the agent is told again. The host is locked. */
export async function endDeviceClaim(tx: Tx, { id: hostId, name }: LockedHost, claimId: string): Promise<void> {
  const [[ended]] = (await tx.query(
    `UPDATE device_claims c
        SET ends = true, state = 'releasing', step = NULL, errno = NULL, held_by = NULL, message = NULL,
            asked_at = now(), sent_at = now(), answered_at = NULL
       FROM (SELECT ends AS ended FROM device_claims WHERE id = $2) before
      WHERE c.host_id = $1 AND c.id = $2 RETURNING c.address, before.ended`,
    [hostId, claimId],
  )) as [{ address: string; ended: boolean }[], number];
  if (!ended) throw new BerthError('device_claim.unknown', `Host ${name} has no device claim ${claimId}`);
  const { address } = ended;
  if (!ended.ended) {
    await audit(tx, 'device_claim.delete', 'rest', { host_id: hostId, host: name, claim_id: claimId, address });
  }
  await nextRevision(tx, hostId);
  await tellAll(tx, [name]);
}

/** Tells agents all claims of their hosts; of a host without claims nothing. */
export async function sendDeviceClaims(tx: Tx, hosts: readonly string[]): Promise<void> {
  const rows = (await tx.query(
    `SELECT DISTINCT h.name FROM hosts h JOIN device_claims c ON c.host_id = h.id WHERE h.name = ANY($1) ORDER BY h.name`,
    [hosts],
  )) as { name: string }[];
  await tellAll(
    tx,
    rows.map(({ name }) => name),
  );
}

interface Answer {
  readonly hostId: string;
  readonly told: readonly WireDeviceClaimState[];
}

/** Takes in what agents say of claims. Their hosts are locked. What is said of a claim from before it was deleted is passed over. */
export async function settleDeviceClaims(tx: Tx, answers: readonly Answer[]): Promise<void> {
  const said = answers.flatMap(({ hostId, told }) => told.map((state) => ({ ...state, host_id: hostId })));
  if (said.length === 0) return;
  const lines = jsonList(said.map((state) => JSON.stringify(state)));
  await tx.query(
    `UPDATE device_claims c
        SET state = CASE WHEN c.ends THEN 'blocked' ELSE r.state END, step = r.step, errno = r.errno, held_by = r.held_by,
            message = r.message, answered_at = coalesce(c.answered_at, now())
       FROM json_to_recordset($1::json) AS r(host_id uuid, claim_id uuid, ends boolean, state text, step text, errno text,
            held_by text, message text)
      WHERE c.host_id = r.host_id AND c.id = r.claim_id AND c.ends = r.ends AND r.state <> 'released'
        AND (c.answered_at IS NULL OR (c.state, c.step, c.errno, c.held_by, c.message) IS DISTINCT FROM
             (CASE WHEN c.ends THEN 'blocked' ELSE r.state END, r.step, r.errno, r.held_by, r.message))`,
    [lines],
  );
  await noteOriginals(tx, lines);
  await forgetReleased(tx, said);
  await correct(tx, said);
}

async function noteOriginals(tx: Tx, lines: string): Promise<void> {
  await tx.query(
    `UPDATE device_claim_devices k SET original_driver = d.original_driver
       FROM json_to_recordset($1::json) AS r(host_id uuid, claim_id uuid, state text, devices json)
       CROSS JOIN LATERAL json_to_recordset(r.devices) AS d(address text, original_driver text)
      WHERE r.state = 'enabled' AND k.host_id = r.host_id AND k.claim_id = r.claim_id AND k.address = d.address
        AND k.original_driver IS DISTINCT FROM d.original_driver`,
    [lines],
  );
}

type Said = WireDeviceClaimState & { readonly host_id: string };

/** They are gone, and what became of their devices is in the audit. */
async function forgetReleased(tx: Tx, said: readonly Said[]): Promise<void> {
  const over = said.filter(({ ends, state }) => ends && state === 'released');
  if (over.length === 0) return;
  const [gone] = (await tx.query(
    `DELETE FROM device_claims c USING unnest($1::uuid[], $2::uuid[]) AS r(host_id, claim_id)
      WHERE c.host_id = r.host_id AND c.id = r.claim_id AND c.ends RETURNING c.id, c.host_id, c.address`,
    [over.map(({ host_id }) => host_id), over.map(({ claim_id }) => claim_id)],
  )) as [{ id: string; host_id: string; address: string }[], number];
  for (const { id, host_id, address } of gone) {
    const devices = over.find(({ claim_id }) => claim_id === id)?.devices;
    await audit(tx, 'device_claim.ended', 'agent', { host_id, claim_id: id, address, devices });
  }
}

/** An agent that goes by a claim which nobody has any more (it has ended, or its host was removed meanwhile) is told so. */
async function correct(tx: Tx, said: readonly Said[]): Promise<void> {
  const hosts = (await tx.query(
    `SELECT DISTINCT h.id, h.name FROM unnest($1::uuid[], $2::uuid[]) AS r(host_id, claim_id)
       JOIN hosts h ON h.id = r.host_id LEFT JOIN device_claims c ON c.host_id = r.host_id AND c.id = r.claim_id
      WHERE c.id IS NULL ORDER BY h.id`,
    [said.map(({ host_id }) => host_id), said.map(({ claim_id }) => claim_id)],
  )) as { id: string; name: string }[];
  for (const { id } of hosts) await nextRevision(tx, id);
  await tellAll(
    tx,
    hosts.map(({ name }) => name),
  );
}

/**
 * Sends the claims again of hosts whose agents have not answered for this long. A host that is down is told when it speaks again.
 *
 * @returns of how many hosts
 */
export async function remindDeviceClaims(tx: Tx, afterMs: number, limit: number): Promise<number> {
  const [rows] = (await tx.query(
    `UPDATE device_claims c SET sent_at = now() FROM hosts h
      WHERE h.id = c.host_id AND c.id IN (
        SELECT s.id FROM device_claims s JOIN hosts up ON up.id = s.host_id AND up.status = 'up'
         WHERE s.answered_at IS NULL AND s.sent_at < now() - $1::int * interval '1 millisecond'
         ORDER BY s.sent_at LIMIT $2 FOR UPDATE OF s SKIP LOCKED)
     RETURNING h.name`,
    [afterMs, limit],
  )) as [{ name: string }[], number];
  const hosts = [...new Set(rows.map(({ name }) => name))];
  await sendDeviceClaims(tx, hosts);
  return hosts.length;
}

const UNANSWERED =
  'The agent has not said what came of it. See whether it runs, reaches the broker and is new enough to know the command; ' +
  'it is told again and again, and an answer that comes late is taken';

/** Says of claims that nobody has answered them for so long. @returns them */
export async function giveUpDeviceClaims(
  tx: Tx,
  afterMs: number,
  limit: number,
): Promise<{ readonly id: string; readonly address: string; readonly state: string }[]> {
  const [late] = (await tx.query(
    `UPDATE device_claims SET state = CASE WHEN ends THEN 'blocked' ELSE 'refused' END, step = 'answer', errno = 'ETIMEDOUT',
            message = $3
      WHERE id IN (SELECT id FROM device_claims WHERE answered_at IS NULL AND state IN ('pending', 'releasing')
                      AND asked_at < now() - $1::int * interval '1 millisecond'
                    ORDER BY asked_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id, address, state`,
    [afterMs, limit, UNANSWERED],
  )) as [{ id: string; address: string; state: string }[], number];
  return late;
}

/** By the clock where that is later, so that a ledger that was set back is believed as well. */
async function nextRevision(tx: Tx, hostId: string): Promise<void> {
  await tx.query(
    `UPDATE hosts SET device_claims_revision =
              greatest(device_claims_revision + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
      WHERE id = $1`,
    [hostId],
  );
}

async function tellAll(tx: Tx, hosts: readonly string[]): Promise<void> {
  if (hosts.length === 0) return;
  const rows = (await tx.query(
    `SELECT h.name, h.device_claims_revision AS revision, coalesce(json_agg(json_build_object('claim_id', c.id,
              'address', c.address, 'ends', c.ends, 'devices', k.devices) ORDER BY c.created_at, c.id)
              FILTER (WHERE c.id IS NOT NULL), '[]') AS claims
       FROM hosts h LEFT JOIN device_claims c ON c.host_id = h.id
       LEFT JOIN LATERAL (
         SELECT json_agg(json_build_object('address', k.address, 'vendor_id', k.vendor_id, 'product_id', k.product_id)
                  ORDER BY k.position) AS devices
           FROM device_claim_devices k WHERE k.claim_id = c.id) k ON true
      WHERE h.name = ANY($1) GROUP BY h.id ORDER BY h.name`,
    [hosts],
  )) as { name: string; revision: number; claims: WireDeviceClaim[] }[];
  await addToOutbox(
    tx,
    rows.map(({ name, revision, claims }) => ({
      queue: agentQueue(name),
      message: envelope('device_claims.set', { revision, claims }),
    })),
  );
}

function audit(tx: Tx, action: string, actor: string, detail: Readonly<Record<string, unknown>>): Promise<void> {
  const body: AuditBody = { kind: 'admin', action, actor, ...detail };
  return writeAudit(tx, [body]);
}
