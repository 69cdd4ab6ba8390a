import { setTimeout as sleep } from 'node:timers/promises';
import type { TreeDevice } from '../support/fleet.js';
import type { Load, Wanted } from './load.js';
import type { World } from './world.js';

/** What is wrong, each as a sentence that names ids. */
export interface Findings {
  /** Acknowledged, and not so in the ledger. */
  readonly lost: string[];
  /** Two owners, or two of what was asked for once. */
  readonly double: string[];
  /** Taken by nobody, or known to one side only. */
  readonly leaked: string[];
  /** Did not come to an end in the time that is allowed. */
  readonly unsettled: string[];
  /** Answers that a client could not make sense of. */
  readonly strange: string[];
}

export type Trees = Readonly<Record<string, Readonly<Record<string, TreeDevice>>>>;

const POLL_MS = 250;
const AGREE_MS_MAX = 30_000;

export function treesOf({ agents }: World): Trees {
  return Object.fromEntries(agents.map(({ host }) => [host.name, host.devices()]));
}

/** Waits until everything that was asked for has come to an end. @returns what has not */
export async function settle({ database }: World, timeoutMs: number): Promise<string[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const moving = await database.query<Record<string, unknown>>(UNSETTLED);
    if (moving.length === 0 || Date.now() > deadline) return moving.map((row) => JSON.stringify(row));
    await sleep(POLL_MS);
  }
}

const UNSETTLED = `
  SELECT 'server' AS what, s.id, s.name, s.status, s.task_state, s.updated_at, c.id AS claim, c.status AS claim_status,
         c.expires_at, h.name AS host, now() AS ledger_time
    FROM servers s LEFT JOIN claims c ON c.server_id = s.id AND c.status <> 'released' LEFT JOIN hosts h ON h.id = c.host_id
   WHERE s.status IN ('BUILD', 'DELETING') OR c.status IN ('claimed', 'releasing')
  UNION ALL
  SELECT 'host', id, name, status, NULL, last_seen_at, NULL, NULL, NULL, NULL, now() FROM hosts WHERE status <> 'up'
  UNION ALL
  SELECT 'outbox', NULL, queue, count(*)::text, NULL, min(created_at), NULL, NULL, NULL, NULL, now() FROM outbox GROUP BY queue`;

/** Compares every acknowledgement with the ledger, and the ledger with agents and hosts. */
export async function audit(world: World, load: Load, originals: Trees): Promise<Findings> {
  const findings = { lost: [], double: [], leaked: [], unsettled: [], strange: [...load.strange] } as Findings;
  const ledger = await readLedger(world);
  for (const one of load.wanted) compare(one, ledger, findings);
  for (const [check, kind] of CHECKS) {
    for (const row of await world.database.query(check)) findings[kind].push(JSON.stringify(row));
  }
  const { lost, leaked } = await agreement(world, originals);
  findings.lost.push(...lost);
  findings.leaked.push(...leaked);
  return findings;
}

interface LedgerServer {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly fault: unknown;
  readonly host: string | null;
  /** Of live allocations, sorted. */
  readonly devices: readonly string[];
  /** How many devices it asked for, and how many it has for that. */
  readonly asked: number;
  readonly served: number;
}

interface LedgerView {
  readonly byId: ReadonlyMap<string, LedgerServer>;
  readonly byName: ReadonlyMap<string, readonly LedgerServer[]>;
  /** Idempotency key → resource. */
  readonly keys: ReadonlyMap<string, string>;
}

async function readLedger({ database }: World): Promise<LedgerView> {
  const servers = await database.query<LedgerServer>(
    `SELECT s.id, s.name, s.status, s.fault, h.name AS host,
            coalesce((SELECT json_agg(d.address ORDER BY d.address COLLATE "C") FROM allocations a JOIN devices d ON d.id = a.device_id
              WHERE a.server_id = s.id AND a.released_at IS NULL), '[]') AS devices,
            (SELECT coalesce(sum((w->>'count')::int), 0)::int FROM jsonb_array_elements(s.request->'devices') w) AS asked,
            (SELECT count(*)::int FROM allocations a JOIN claims c ON c.id = a.claim_id AND c.status = 'allocated'
              WHERE a.server_id = s.id AND a.released_at IS NULL AND a.alias IS NOT NULL) AS served
       FROM servers s LEFT JOIN hosts h ON h.id = s.host_id`,
  );
  const keys = await database.query<{ key: string; resource_id: string }>(
    `SELECT key, resource_id FROM idempotency_keys`,
  );
  const byName = new Map<string, LedgerServer[]>();
  for (const server of servers) byName.set(server.name, [...(byName.get(server.name) ?? []), server]);
  return {
    byId: new Map(servers.map((server) => [server.id, server])),
    byName,
    keys: new Map(keys.map(({ key, resource_id }) => [key, resource_id])),
  };
}

function compare(one: Wanted, ledger: LedgerView, findings: Findings): void {
  const named = ledger.byName.get(one.key) ?? [];
  if (one.ids.size > 1) findings.double.push(`${one.key} was answered as ${[...one.ids].join(' and ')}`);
  if (named.length > 1)
    findings.double.push(`${one.key} is in the ledger as ${named.map(({ id }) => id).join(' and ')}`);
  const [id] = one.ids;
  if (id === undefined) return compareUnplaced(one, named, findings);
  const keyed = ledger.keys.get(one.key);
  if (keyed !== undefined && one.kind === 'server' && keyed !== id) {
    findings.double.push(`${one.key} was answered as ${id}, its key is kept for ${keyed}`);
  }
  const server = ledger.byId.get(id);
  if (server === undefined || server.name !== one.key) findings.lost.push(`${one.key} ${id} is not in the ledger`);
  else compareServer(one, server, findings);
}

/** Rejected, or never answered: then it is all right if it is there, or is not. */
function compareUnplaced(one: Wanted, named: readonly LedgerServer[], findings: Findings): void {
  const holding = named.find(({ devices }) => devices.length > 0);
  if (one.outcome === 'rejected' && holding) {
    findings.leaked.push(`${one.key} was rejected, and ${holding.id} holds ${holding.devices.join(', ')}`);
  }
}

function compareServer(one: Wanted, server: LedgerServer, findings: Findings): void {
  const label = `${one.key} ${server.id} (${server.status})`;
  if (one.deleteAsked) {
    const isGone = server.status === 'DELETED';
    if (one.deleteAcknowledged && !isGone) findings.lost.push(`${label}: its deletion was acknowledged`);
    if (isGone && server.devices.length > 0) findings.leaked.push(`${label} holds ${server.devices.join(', ')}`);
    return;
  }
  if (server.status === 'ERROR') {
    if (server.fault === null) findings.lost.push(`${label} has no reason`);
    if (server.devices.length > 0) findings.leaked.push(`${label} holds ${server.devices.join(', ')}`);
    if (one.told !== null && one.kind === 'server') findings.lost.push(`${label} was seen ACTIVE`);
    return;
  }
  if (server.status !== 'ACTIVE') findings.lost.push(`${label} is neither ACTIVE nor ERROR, and nobody deleted it`);
  if (server.served !== server.asked) findings.lost.push(`${label} has ${server.served} of ${server.asked} devices`);
  const now = { host: server.host, devices: server.devices };
  if (one.told !== null && JSON.stringify(one.told) !== JSON.stringify(now)) {
    findings.lost.push(`${label}: told ${JSON.stringify(one.told)}, the ledger has ${JSON.stringify(now)}`);
  }
}

/** Each gives rows only where something is wrong. */
const CHECKS: readonly (readonly [string, 'double' | 'leaked'])[] = [
  [
    `SELECT device_id, count(*) AS live_owners FROM allocations WHERE released_at IS NULL GROUP BY device_id HAVING count(*) > 1`,
    'double',
  ],
  [
    `SELECT vf.id AS vf, pf.id AS pf, b.claim_id AS vf_claim, a.claim_id AS pf_claim FROM devices vf
       JOIN devices pf ON pf.host_id = vf.host_id AND pf.address = vf.parent_address
       JOIN allocations a ON a.device_id = pf.id AND a.released_at IS NULL
       JOIN allocations b ON b.device_id = vf.id AND b.released_at IS NULL`,
    'double',
  ],
  [
    `SELECT server_id, count(*) AS live_claims FROM claims WHERE status <> 'released' AND kind = 'server'
      GROUP BY server_id HAVING count(*) > 1`,
    'double',
  ],
  [
    `SELECT d.id AS device, d.address, d.status, a.claim_id FROM devices d
       LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
      WHERE (d.status IN ('claimed', 'allocated')) <> (a.id IS NOT NULL)`,
    'leaked',
  ],
  [
    `SELECT a.id AS allocation, a.device_id, c.id AS claim, c.status AS claim_status, s.id AS server, s.status FROM allocations a
       JOIN claims c ON c.id = a.claim_id JOIN servers s ON s.id = a.server_id
      WHERE a.released_at IS NULL AND (c.status = 'released' OR s.status IN ('DELETED', 'ERROR'))`,
    'leaked',
  ],
  [
    `SELECT c.id AS claim, c.status AS claim_status, s.id AS server, s.status FROM claims c JOIN servers s ON s.id = c.server_id
      WHERE c.status <> 'released' AND s.status NOT IN ('ACTIVE')`,
    'leaked',
  ],
];

interface Agreement {
  readonly lost: string[];
  readonly leaked: string[];
}

/** Ledger, journals and trees: agents may need a moment for their last answers. */
async function agreement(world: World, originals: Trees): Promise<Agreement> {
  const deadline = Date.now() + AGREE_MS_MAX;
  for (;;) {
    const found = await disagreements(world, originals);
    if ((found.lost.length === 0 && found.leaked.length === 0) || Date.now() > deadline) return found;
    await sleep(POLL_MS);
  }
}

async function disagreements(world: World, originals: Trees): Promise<Agreement> {
  const rows = await world.database.query<{ host: string; claim: string; address: string }>(
    `SELECT h.name AS host, a.claim_id AS claim, d.address FROM allocations a JOIN devices d ON d.id = a.device_id
       JOIN hosts h ON h.id = d.host_id WHERE a.released_at IS NULL`,
  );
  const found: Agreement = { lost: [], leaked: [] };
  for (const { host } of world.agents) {
    const live = rows.filter((row) => row.host === host.name);
    const inLedger = new Set(live.map(({ claim, address }) => `${claim} ${address}`));
    const inJournal = new Set(
      host.claims().flatMap(({ claimId, devices }) => devices.map(({ address }) => `${claimId} ${address}`)),
    );
    for (const one of inLedger)
      if (!inJournal.has(one)) found.lost.push(`${host.name} does not hold ${one}, the ledger does`);
    for (const one of inJournal)
      if (!inLedger.has(one)) found.leaked.push(`${host.name} holds ${one}, the ledger does not`);
    const held = new Set(live.map(({ address }) => address));
    found.leaked.push(...wrongDrivers(host.name, { now: host.devices(), originals: originals[host.name] ?? {}, held }));
  }
  return found;
}

interface DriverView {
  readonly now: Readonly<Record<string, TreeDevice>>;
  readonly originals: Readonly<Record<string, TreeDevice>>;
  readonly held: ReadonlySet<string>;
}

/** What is held is on vfio-pci, what is free as it was. VFs are not there while their PF is held. */
function wrongDrivers(host: string, { now, originals, held }: DriverView): string[] {
  const wrong: string[] = [];
  for (const [address, original] of Object.entries(originals)) {
    const device = now[address];
    if (held.has(address)) {
      if (device?.driver !== 'vfio-pci') wrong.push(`${host} ${address} is held, and on ${device?.driver}`);
    } else if (device === undefined && held.size === 0) {
      wrong.push(`${host} ${address} is not there`);
    } else if (device !== undefined && JSON.stringify(device) !== JSON.stringify(original)) {
      wrong.push(`${host} ${address} is free with ${JSON.stringify(device)}, was ${JSON.stringify(original)}`);
    }
  }
  for (const address of Object.keys(now)) if (!(address in originals)) wrong.push(`${host} ${address} is new`);
  return wrong;
}

/** After everything was deleted: all is as if there had been nothing. */
export async function auditEmpty(world: World, originals: Trees): Promise<string[]> {
  const left = await world.database.query<Record<string, unknown>>(
    `SELECT 'server' AS what, id::text, status FROM servers WHERE status <> 'DELETED'
     UNION ALL SELECT 'claim', id::text, status FROM claims WHERE status <> 'released'
     UNION ALL SELECT 'allocation', id::text, device_id::text FROM allocations WHERE released_at IS NULL
     UNION ALL SELECT 'device', id::text, status FROM devices WHERE status NOT IN ('available', 'unavailable')
     UNION ALL SELECT 'device', id::text, 'missing' FROM devices WHERE missing_since IS NOT NULL`,
  );
  const { lost, leaked } = await agreement(world, originals);
  return [...left.map((row) => JSON.stringify(row)), ...lost, ...leaked];
}
