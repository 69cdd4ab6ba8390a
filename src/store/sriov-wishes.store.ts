import { BerthError } from '../errors.js';
import type { WireDevice } from '../messages/device-bodies.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import type { WireSriovState, WireSriovWish } from '../messages/sriov-bodies.js';
import { isHeld, type DeviceStatus } from '../pci/device-state.js';
import { writeAudit } from './audit.store.js';
import type { Tx } from './database.js';
import { readDeviceStates, touchHosts, writeDeviceStates } from './device-states.store.js';
import type { SriovWishEntity } from './entities/sriov.entities.js';
import type { LockedHost } from './host-admin.store.js';
import { addToOutbox } from './outbox.store.js';

/**
 * The way of a wish:
 *
 *             ┌──────────── agent: as it shall be ──────────► applied ◄─┐
 *  applying ──┤                                                 │       │ the agent looks again and again
 *             └── agent: cannot, or no answer in time ──► refused ◄─────┘
 *
 * While a wish is `applying` and changes a number of VFs, the PF is reserved: its VFs go and come, and none is given to anybody. The report
 * that says what came of it brings the new VFs and ends that, in one transaction.
 */

/** Why a PF is reserved meanwhile. */
export const HELD_BECAUSE = 'the number of its VFs is being changed';
const NAMED_MAX = 10;

/** A PF as it was reported, with what is wished of it. */
export interface PfRow {
  readonly address: string;
  readonly status: DeviceStatus;
  readonly facts: WireDevice;
  readonly wish: SriovWishEntity | null;
}

/** The PFs of a host that can have VFs, in address order; of one address only, when it is given. */
export async function readPfs(tx: Tx, hostId: string, address: string | null): Promise<PfRow[]> {
  return tx.query(
    `SELECT d.address, d.status, d.facts, to_jsonb(w) AS wish
       FROM devices d LEFT JOIN sriov_wishes w ON w.host_id = d.host_id AND w.address = d.address
      WHERE d.host_id = $1 AND ($2::text IS NULL OR d.address = $2)
        AND (w.address IS NOT NULL OR d.status <> 'removed' AND d.facts->'sriov' <> 'null' AND d.parent_address IS NULL)
      ORDER BY length(d.address), d.address`,
    [hostId, address],
  );
}

/** What the agent of a host says of VFs, whoever said what they shall be. */
export async function readTold(tx: Tx, hostId: string): Promise<readonly WireSriovState[]> {
  const [row] = (await tx.query(`SELECT sriov FROM hosts WHERE id = $1`, [hostId])) as {
    sriov: WireSriovState[] | null;
  }[];
  return row?.sriov ?? [];
}

/**
 * Takes down what is wished of a PF's VFs, and tells the agent. The host is locked. Where the number changes, the PF is reserved
 * before the command goes out.
 *
 * @throws BerthError `sriov.in_use` with the servers, when the number changes and somebody has the PF or a VF, or it is held
 */
export async function wishVfs(
  tx: Tx,
  { id: hostId, name }: LockedHost,
  pf: PfRow,
  wanted: Pick<SriovWishEntity, 'vf_count' | 'autoprobe' | 'vfs'>,
): Promise<void> {
  const { address, wish } = pf;
  const changes = wanted.vf_count !== (pf.facts.sriov?.num_vfs ?? 0) || wish?.holds === true;
  if (changes && !wish?.holds) await hold(tx, hostId, address);
  const revision = await nextRevision(tx, hostId);
  await tx.query(
    `INSERT INTO sriov_wishes (host_id, address, revision, vf_count, autoprobe, vfs, state, holds, vendor_id, product_id)
     VALUES ($1, $2, $3, $4, $5, $6, 'applying', $7, $8, $9)
     ON CONFLICT (host_id, address) DO UPDATE SET revision = excluded.revision, vf_count = excluded.vf_count,
       autoprobe = excluded.autoprobe, vfs = excluded.vfs, state = excluded.state, holds = excluded.holds, step = NULL,
       vendor_id = excluded.vendor_id, product_id = excluded.product_id,
       errno = NULL, message = NULL, vf_problems = '[]', asked_at = now(), sent_at = now(), answered_at = NULL`,
    [
      ...[
        hostId,
        address,
        revision,
        wanted.vf_count,
        wanted.autoprobe,
        wanted.vfs && JSON.stringify(wanted.vfs),
        changes,
      ],
      ...[pf.facts.vendor_id, pf.facts.product_id],
    ],
  );
  await writeAudit(tx, [{ kind: 'admin', action: 'sriov.set', actor: 'rest', host_id: hostId, address, ...wanted }]);
  await sendWishes(tx, [name]);
}

/** Forgets a wish: from now on the host's files say what shall be, or nobody. VFs stay as they are. The host is locked. */
export async function forgetWish(tx: Tx, { id: hostId, name }: LockedHost, address: string): Promise<void> {
  const [[gone]] = (await tx.query(`DELETE FROM sriov_wishes WHERE host_id = $1 AND address = $2 RETURNING holds`, [
    hostId,
    address,
  ])) as [{ holds: boolean }[], number];
  if (!gone) throw new BerthError('sriov.unknown', `Nothing is wished of the VFs of ${address} on host ${name}`);
  if (gone.holds) await letGo(tx, new Map([[hostId, [address]]]));
  await nextRevision(tx, hostId);
  await touchHosts(tx, [{ id: hostId, by: 1 }]);
  await writeAudit(tx, [{ kind: 'admin', action: 'sriov.forget', actor: 'rest', host_id: hostId, address }]);
  await tellAll(tx, [name]);
}

/** Tells agents all that is wished of their hosts; of a host without wishes nothing. */
export async function sendWishes(tx: Tx, hosts: readonly string[]): Promise<void> {
  const rows = (await tx.query(
    `SELECT DISTINCT h.name FROM hosts h JOIN sriov_wishes w ON w.host_id = h.id WHERE h.name = ANY($1) ORDER BY h.name`,
    [hosts],
  )) as { name: string }[];
  await tellAll(
    tx,
    rows.map(({ name }) => name),
  );
}

interface Answer {
  readonly hostId: string;
  readonly told: readonly WireSriovState[];
}

/** Takes in what agents say came of wishes. Their hosts are locked, and touched afterwards. */
export async function settleWishes(tx: Tx, answers: readonly Answer[]): Promise<void> {
  const said = answers.flatMap(({ hostId, told }) =>
    told.filter(({ source }) => source === 'ledger').map((state) => JSON.stringify({ ...state, host_id: hostId })),
  );
  if (said.length === 0) return;
  const [rows] = (await tx.query(
    `UPDATE sriov_wishes w SET state = r.state, holds = false, step = r.step, errno = r.errno, message = r.message,
            vf_problems = r.vfs, answered_at = now()
       FROM (SELECT r.*, o.holds AS held
               FROM json_to_recordset($1::json) AS r(host_id uuid, address text, revision bigint, state text, step text,
                    errno text, message text, vfs jsonb)
               JOIN sriov_wishes o ON o.host_id = r.host_id AND o.address = r.address) r
      WHERE w.host_id = r.host_id AND w.address = r.address AND w.revision = r.revision
        AND (w.state, w.message, w.vf_problems) IS DISTINCT FROM (r.state, r.message, r.vfs)
     RETURNING w.host_id, w.address, r.held`,
    [`[${said.join()}]`],
  )) as [{ host_id: string; address: string; held: boolean }[], number];
  const held = new Map<string, string[]>();
  for (const row of rows) if (row.held) held.set(row.host_id, [...(held.get(row.host_id) ?? []), row.address]);
  await letGo(tx, held);
  await correct(tx, said);
}

/** An agent that goes by a wish which nobody has any more (its host was removed meanwhile) is told so. */
async function correct(tx: Tx, said: readonly string[]): Promise<void> {
  const hosts = (await tx.query(
    `SELECT DISTINCT h.id, h.name FROM json_to_recordset($1::json) AS r(host_id uuid, address text)
       JOIN hosts h ON h.id = r.host_id LEFT JOIN sriov_wishes w ON w.host_id = r.host_id AND w.address = r.address
      WHERE w.address IS NULL ORDER BY h.id`,
    [`[${said.join()}]`],
  )) as { id: string; name: string }[];
  for (const { id } of hosts) await nextRevision(tx, id);
  await tellAll(
    tx,
    hosts.map(({ name }) => name),
  );
}

/**
 * Sends the wishes again of hosts whose agents have not answered for this long. A host that is down is told when it speaks again.
 *
 * @returns of how many hosts
 */
export async function remindWishes(tx: Tx, afterMs: number, limit: number): Promise<number> {
  const [rows] = (await tx.query(
    `UPDATE sriov_wishes w SET sent_at = now() FROM hosts h
      WHERE h.id = w.host_id AND (w.host_id, w.address) IN (
        SELECT s.host_id, s.address FROM sriov_wishes s JOIN hosts up ON up.id = s.host_id AND up.status = 'up'
         WHERE s.state = 'applying' AND s.sent_at < now() - $1::int * interval '1 millisecond'
         ORDER BY s.sent_at LIMIT $2 FOR UPDATE OF s SKIP LOCKED)
     RETURNING h.name`,
    [afterMs, limit],
  )) as [{ name: string }[], number];
  const hosts = [...new Set(rows.map(({ name }) => name))];
  await sendWishes(tx, hosts);
  return hosts.length;
}

/** Wishes that nobody has answered for so long. */
export async function readOverdueWishes(
  tx: Tx,
  afterMs: number,
  limit: number,
): Promise<{ readonly host_id: string; readonly address: string; readonly revision: number }[]> {
  return tx.query(
    `SELECT host_id, address, revision FROM sriov_wishes
      WHERE state = 'applying' AND asked_at < now() - $1::int * interval '1 millisecond' ORDER BY asked_at LIMIT $2`,
    [afterMs, limit],
  );
}

/** Says of a wish that nobody has answered it. An answer that comes after all is taken. @returns whether it was so still */
export async function giveUpWish(
  tx: Tx,
  { host_id, address, revision }: { readonly host_id: string; readonly address: string; readonly revision: number },
): Promise<boolean> {
  await tx.query(`SELECT 1 FROM hosts WHERE id = $1 FOR UPDATE`, [host_id]);
  const message =
    'The agent has not said what came of it. See whether it runs, reaches the broker and is new enough to know the command; ' +
    'it is told again when it starts';
  const [[late]] = (await tx.query(
    `UPDATE sriov_wishes w SET state = 'refused', holds = false, step = 'answer', errno = 'ETIMEDOUT', message = $4
       FROM (SELECT holds AS held FROM sriov_wishes WHERE host_id = $1 AND address = $2) o
      WHERE w.host_id = $1 AND w.address = $2 AND w.revision = $3 AND w.state = 'applying' RETURNING o.held`,
    [host_id, address, revision, message],
  )) as [{ held: boolean }[], number];
  if (!late) return false;
  if (late.held) await letGo(tx, new Map([[host_id, [address]]]));
  await touchHosts(tx, [{ id: host_id, by: 1 }]);
  return true;
}

/** Ends a hold that nobody needs: its wish is over, or is not there. The host is locked. */
export async function endHold(tx: Tx, hostId: string, address: string): Promise<void> {
  await tx.query(`UPDATE sriov_wishes SET holds = false WHERE host_id = $1 AND address = $2`, [hostId, address]);
  await letGo(tx, new Map([[hostId, [address]]]));
  await touchHosts(tx, [{ id: hostId, by: 1 }]);
}

/** Whether a PF is reserved because its VFs are being changed. */
export async function isHeldByWish(tx: Tx, hostId: string, address: string): Promise<boolean> {
  const rows = (await tx.query(`SELECT 1 FROM sriov_wishes WHERE host_id = $1 AND address = $2 AND holds`, [
    hostId,
    address,
  ])) as unknown[];
  return rows.length > 0;
}

/** Nobody is given the PF or a VF from here on. */
async function hold(tx: Tx, hostId: string, address: string): Promise<void> {
  await assertUnused(tx, hostId, address);
  const states = await readDeviceStates(tx, [hostId]);
  states.get(hostId)?.apply('reserve', address, null);
  await writeDeviceStates(tx, states.values());
  await tx.query(`UPDATE devices SET status_reason = $3 WHERE host_id = $1 AND address = $2`, [
    hostId,
    address,
    HELD_BECAUSE,
  ]);
  await touchHosts(tx, [{ id: hostId, by: 1 }]);
}

interface User {
  readonly address: string;
  readonly status: DeviceStatus;
  readonly server_id: string | null;
  readonly server_name: string | null;
}

async function assertUnused(tx: Tx, hostId: string, address: string): Promise<void> {
  const rows = (await tx.query(
    `SELECT d.address, d.status, s.id AS server_id, s.name AS server_name FROM devices d
       LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
       LEFT JOIN servers s ON s.id = a.server_id
      WHERE d.host_id = $1 AND (d.address = $2 OR d.parent_address = $2) ORDER BY length(d.address), d.address`,
    [hostId, address],
  )) as User[];
  const users = rows.filter(({ status, server_id }) => server_id !== null || isHeld(status));
  if (users.length === 0) return;
  const named = users.slice(0, NAMED_MAX).map(useOf).join(', ');
  const more = users.length > NAMED_MAX ? ` and ${users.length - NAMED_MAX} more` : '';
  const servers = [...new Set(users.map(({ server_id }) => server_id).filter((id) => id !== null))];
  throw new BerthError(
    'sriov.in_use',
    `The VFs of ${address} go and come when their number changes, and this is in use: ${named}${more}; end that first`,
    { details: { servers, devices: users.map((user) => user.address) } },
  );
}

function useOf({ address, status, server_id, server_name }: User): string {
  return server_id === null ? `${address} (${status})` : `${address} (server ${server_name}, ${server_id})`;
}

/** PFs are free again, with the VFs that they have now. @param held addresses by host */
async function letGo(tx: Tx, held: ReadonlyMap<string, readonly string[]>): Promise<void> {
  if (held.size === 0) return;
  const states = await readDeviceStates(tx, [...held.keys()]);
  for (const [hostId, addresses] of held) {
    const host = states.get(hostId);
    // An administrator may have put it into quarantine meanwhile.
    for (const address of addresses) if (host?.status(address) === 'reserved') host.apply('unreserve', address, null);
    await tx.query(
      `UPDATE devices SET status_reason = NULL WHERE host_id = $1 AND address = ANY($2) AND status_reason = $3`,
      [hostId, addresses, HELD_BECAUSE],
    );
  }
  await writeDeviceStates(tx, states.values());
}

/** By the clock where that is later, so that a ledger that was set back is believed as well. */
async function nextRevision(tx: Tx, hostId: string): Promise<number> {
  const [[row]] = (await tx.query(
    `UPDATE hosts SET sriov_revision = greatest(sriov_revision + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
      WHERE id = $1 RETURNING sriov_revision`,
    [hostId],
  )) as [{ sriov_revision: number }[], number];
  return row?.sriov_revision as number;
}

async function tellAll(tx: Tx, hosts: readonly string[]): Promise<void> {
  if (hosts.length === 0) return;
  const rows = (await tx.query(
    `SELECT h.name, h.sriov_revision AS revision,
            coalesce(json_agg(json_build_object('address', w.address, 'revision', w.revision, 'vendor_id', w.vendor_id,
              'product_id', w.product_id, 'vf_count', w.vf_count,
              'autoprobe', w.autoprobe, 'vfs', w.vfs) ORDER BY w.address) FILTER (WHERE w.address IS NOT NULL), '[]') AS wishes
       FROM hosts h LEFT JOIN sriov_wishes w ON w.host_id = h.id WHERE h.name = ANY($1) GROUP BY h.id ORDER BY h.name`,
    [hosts],
  )) as { name: string; revision: number; wishes: WireSriovWish[] }[];
  await addToOutbox(
    tx,
    rows.map(({ name, revision, wishes }) => ({
      queue: agentQueue(name),
      message: envelope('sriov.set', { revision, wishes }),
    })),
  );
}
