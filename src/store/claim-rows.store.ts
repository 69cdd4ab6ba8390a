import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import type { ChosenDevice, Decision } from '../placement/decision.js';
import { decisionBodies } from './audit-bodies.js';
import { auditing, auditValues } from './audit.store.js';
import { FENCE, type CommandFence } from './agent-lives.store.js';
import type { Tx } from './database.js';
import { wireServer, type PlacedGuest } from './guests.store.js';
import { addToOutbox } from './outbox.store.js';

/** What a claim holds. */
interface ClaimDevices {
  readonly claimId: string;
  readonly serverId: string;
  readonly devices: readonly ChosenDevice[];
}

export async function writeAllocations(tx: Tx, claims: readonly ClaimDevices[]): Promise<void> {
  const rows = claims.flatMap(({ claimId, serverId, devices }) =>
    devices.map((device) => ({ claimId, serverId, ...device })),
  );
  if (rows.length === 0) return;
  await tx.query(
    `INSERT INTO allocations (id, claim_id, server_id, device_id, alias, request_index)
     SELECT gen_random_uuid(), * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[])`,
    [
      rows.map((row) => row.claimId),
      rows.map((row) => row.serverId),
      rows.map((row) => row.deviceId),
      rows.map((row) => row.alias),
      rows.map((row) => row.requestIndex),
    ],
  );
}

/** Writes the prepare commands of claims to the outbox; one that was prepared before is to be taken over as it is. */
export async function sendPrepare(tx: Tx, claimIds: readonly string[]): Promise<void> {
  if (claimIds.length === 0) return;
  const rows = (await tx.query(
    `SELECT c.id AS claim_id, c.server_id, h.name AS host, ${FENCE} AS fence, c.status = 'allocated' AS adopt,
            CASE WHEN h.compute_driver IS NOT NULL AND c.kind = 'server' AND s.kind = 'server'
                 THEN json_build_object('name', s.name, 'request', s.request, 'numaCells', c.numa_cells) END AS guest,
            json_agg(json_build_object('address', d.address, 'vendor_id', d.vendor_id, 'product_id', d.product_id)
                     ORDER BY d.address) AS devices
       FROM claims c JOIN servers s ON s.id = c.server_id JOIN hosts h ON h.id = c.host_id
       JOIN allocations a ON a.claim_id = c.id JOIN devices d ON d.id = a.device_id
      WHERE c.id = ANY($1) GROUP BY c.id, s.id, h.id`,
    [claimIds],
  )) as {
    claim_id: string;
    server_id: string;
    host: string;
    fence: CommandFence;
    adopt: boolean;
    guest: PlacedGuest | null;
    devices: { address: string; vendor_id: string; product_id: string }[];
  }[];
  await addToOutbox(
    tx,
    rows.map(({ host, fence, adopt, guest, ...body }) => ({
      queue: agentQueue(host),
      message: envelope('devices.prepare', {
        ...body,
        ...fence,
        ...(adopt && { adopt }),
        ...(guest && { server: wireServer(guest) }),
      }),
    })),
  );
}

/** Keeps what was decided, as it was, and has the audit tell of it. */
export async function writeDecisions(
  tx: Tx,
  decided: readonly {
    readonly server: { readonly id: string; readonly attempts: number };
    readonly decision: Decision;
  }[],
): Promise<void> {
  if (decided.length === 0) return;
  const records = decided.map((entry) => JSON.stringify(entry.decision));
  await tx.query(
    `${auditing(6)}
     INSERT INTO decisions (id, server_id, attempt, outcome, host_id, record)
     SELECT gen_random_uuid(), * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::uuid[], $5::json[])`,
    [
      decided.map((entry) => entry.server.id),
      decided.map((entry) => entry.server.attempts + 1),
      decided.map((entry) => entry.decision.outcome),
      decided.map(({ decision }) => (decision.outcome === 'placed' ? decision.hostId : null)),
      records,
      ...auditValues(decisionBodies(decided, records)),
    ],
  );
}
