import { verifyAudit } from '../../src/scheduler/audit-report.js';
import type { World } from './world.js';

/** What holds when all is at rest, whatever has happened before. @returns what does not, each a sentence */
export async function brokenAtRest(world: World): Promise<string[]> {
  return [
    ...(await unended(world)),
    ...(await disagreeing(world)),
    ...(await notFree(world)),
    ...(await forgotten(world)),
    ...(await world.placements.unknown(world.source)),
    ...(await away(world)),
    ...(await unsealed(world)),
  ];
}

/** Every request has come to an end; who waits has asked to, or was preempted. */
async function unended({ source, record }: World): Promise<string[]> {
  const rows = (await source.query(
    `SELECT id, name, status, task_state, waits, fault->>'code' AS fault FROM servers`,
  )) as {
    id: string;
    name: string;
    status: string;
    task_state: string | null;
    waits: boolean;
    fault: string | null;
  }[];
  for (const { status, task_state } of rows) record.count(`end: ${task_state === null ? status : task_state}`);
  const open = rows.filter(({ status, task_state, waits, fault }) => {
    if (status === 'BUILD') return task_state !== 'waiting' || !waits;
    return (
      task_state !== null ||
      (status === 'ERROR' && fault === null) ||
      !['ACTIVE', 'SHELVED', 'ERROR', 'DELETED'].includes(status)
    );
  });
  const claims = (await source.query(
    `SELECT c.id, c.status, s.name FROM claims c JOIN servers s ON s.id = c.server_id
      WHERE c.status IN ('claimed', 'releasing')`,
  )) as { id: string; status: string; name: string }[];
  const acts = (await source.query(
    `SELECT s.name, a.action FROM server_actions a JOIN servers s ON s.id = a.server_id
      WHERE a.finished_at IS NULL AND s.status <> 'BUILD' AND a.action <> 'evacuate'`,
  )) as { name: string; action: string }[];
  const [{ lines }] = (await source.query('SELECT count(*)::int AS lines FROM outbox')) as [{ lines: number }];
  return [
    ...open.map(({ name, status, task_state }) => `${name} has come to no end: ${status} ${task_state ?? ''}`),
    ...claims.map(({ id, status, name }) => `a claim of ${name} (${id.slice(-8)}) is still ${status}`),
    ...acts.map(({ name, action }) => `${action} of ${name} has come to no end`),
    ...(lines > 0 ? [`${lines} lines are left in the outbox`] : []),
  ];
}

/** Ledger, journals and kernels say the same of who has what. */
async function disagreeing({ source, machines }: World): Promise<string[]> {
  const rows = (await source.query(
    `SELECT h.name AS host, c.id || ': ' || string_agg(d.address, ' ' ORDER BY d.address) AS claim
       FROM allocations a JOIN claims c ON c.id = a.claim_id JOIN hosts h ON h.id = c.host_id JOIN devices d ON d.id = a.device_id
      WHERE a.released_at IS NULL GROUP BY h.name, c.id`,
  )) as { host: string; claim: string }[];
  return machines.flatMap((machine) => {
    const inLedger = rows.filter(({ host }) => host === machine.name).map(({ claim }) => claim);
    const inJournal = machine.journal.map(({ claimId, devices }) => {
      const addresses = devices.map(({ address }) => address).toSorted();
      return `${claimId}: ${addresses.join(' ')}`;
    });
    return [
      ...inLedger
        .filter((claim) => !inJournal.includes(claim))
        .map((claim) => `only the ledger has ${claim} on ${machine.name}`),
      ...inJournal
        .filter((claim) => !inLedger.includes(claim))
        .map((claim) => `only the journal has ${claim} on ${machine.name}`),
      ...machine.journal.flatMap(({ state, claimId }) =>
        state === 'prepared' ? [] : [`${claimId} is ${state} in the journal`],
      ),
    ];
  });
}

/** What nobody has is as it was at first: at the host with its own driver, and in the ledger for anybody to take. */
async function notFree({ source, machines }: World): Promise<string[]> {
  const atHosts = machines.flatMap((machine) => {
    const held = machine.journal.flatMap(({ devices }) => devices.map(({ address }) => address));
    return machine.notAsBefore(new Set(held));
  });
  const kept = (await source.query(
    `SELECT h.name AS host, d.address, d.status FROM devices d JOIN hosts h ON h.id = d.host_id
      WHERE d.status NOT IN ('claimed', 'allocated', 'available') AND NOT EXISTS (
        SELECT 1 FROM devices r LEFT JOIN allocations a ON a.device_id = r.id AND a.released_at IS NULL
         WHERE r.host_id = d.host_id AND (r.parent_address = d.address OR r.address = d.parent_address)
           AND (a.id IS NOT NULL OR (r.status = 'quarantined' AND d.status = 'unclaimable')))`,
  )) as { host: string; address: string; status: string }[];
  const inLedger = kept.filter(({ host, address, status }) => {
    const machine = machines.find(({ name }) => name === host);
    return !machine?.excused.has(address) && !(status === 'quarantined' && machine?.unreset.has(address));
  });
  return [
    ...atHosts,
    ...inLedger.map(({ host, address, status }) => `${host} ${address} is ${status} though nobody has it`),
  ];
}

/** Every agent is heard, so every host is there. */
async function away({ source, record }: World): Promise<string[]> {
  const rows = (await source.query(`SELECT name, status FROM hosts`)) as { name: string; status: string }[];
  const [{ returns }] = (await source.query('SELECT count(*)::int AS returns FROM came_back')) as [{ returns: number }];
  record.count('hosts that were silent and came back', returns);
  return rows.filter(({ status }) => status !== 'up').map(({ name }) => `${name} is down though its agent lives`);
}

/** All that was done is in the chain of the audit, and the chain is whole. */
async function unsealed({ source, record }: World): Promise<string[]> {
  const { broken, entries, pending } = await verifyAudit(source.manager, null, null);
  record.count('audit entries', entries);
  return [
    ...(broken ? [`the chain of the audit is ${broken.kind} at ${broken.seq}`] : []),
    ...(pending > 0 ? [`${pending} audit rows are not sealed`] : []),
  ];
}

/** What a client was told stays true. */
async function forgotten({ source, servers, deleted }: World): Promise<string[]> {
  const rows = (await source.query('SELECT id, status FROM servers')) as { id: string; status: string }[];
  const statuses = new Map(rows.map(({ id, status }) => [id, status]));
  const [{ twice }] = (await source.query(
    `SELECT count(*)::int AS twice FROM (SELECT name FROM servers GROUP BY name HAVING count(*) > 1) n`,
  )) as [{ twice: number }];
  return [
    ...servers.filter((id) => !statuses.has(id)).map((id) => `server ${id} was confirmed and is not there`),
    ...[...deleted]
      .filter((id) => statuses.get(id) !== 'DELETED')
      .map((id) => `server ${id} was deleted and is ${statuses.get(id)}`),
    ...(twice > 0 ? [`${twice} servers were made twice from one request`] : []),
  ];
}
