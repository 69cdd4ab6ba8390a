import { CLAIM_CHECKS } from '../store/check-claims.store.js';
import { readCheckedDevices, type CheckedDevice } from '../store/check-devices.store.js';
import { runSqlCheck, type CheckLimits, type CheckScope, type Found } from '../store/check-found.js';
import { checkHosts, type CheckRatios } from '../store/check-hosts.store.js';
import { SERVER_CHECKS } from '../store/check-servers.store.js';
import { SRIOV_CHECKS } from '../store/check-sriov.store.js';
import type { Tx } from '../store/database.js';
import { judgeDevices } from './check-devices.js';

const HOSTS_PER_READ = 500;
const SQL_CHECKS = [...CLAIM_CHECKS, ...SERVER_CHECKS, ...SRIOV_CHECKS];

/** What a check goes by. */
export interface CheckRules extends CheckLimits {
  readonly ratios: CheckRatios;
}

/** Everything that is wrong in the ledger itself. Call it on one consistent view. */
export async function checkLedger(
  tx: Tx,
  scope: CheckScope,
  hostIds: readonly string[],
  rules: CheckRules,
): Promise<Found[]> {
  const found: Found[] = [];
  for (const check of SQL_CHECKS) found.push(...(await runSqlCheck(tx, check, scope, rules)));
  found.push(...(await checkHosts(tx, scope, rules, rules.ratios)));
  for (let from = 0; from < hostIds.length; from += HOSTS_PER_READ) {
    found.push(...(await checkDevices(tx, hostIds.slice(from, from + HOSTS_PER_READ), rules)));
  }
  return found;
}

/** Looks again for one finding, in a transaction that holds what it is about; null when it is no longer so. */
export async function findAgain(tx: Tx, found: Found, rules: CheckRules): Promise<Found | null> {
  const again =
    found.device_id !== null && isOfDevice(found)
      ? await checkDevices(tx, [found.host_id ?? ''], rules)
      : await sqlAgain(tx, found, rules);
  return again.find((other) => isSame(other, found)) ?? null;
}

/** The same thing wrong with the same one. */
export function isSame(a: Found, b: Found): boolean {
  const keys = ['code', 'host_id', 'server_id', 'claim_id', 'device_id'] as const;
  return keys.every((key) => a[key] === b[key]);
}

async function sqlAgain(tx: Tx, found: Found, rules: CheckRules): Promise<Found[]> {
  const check = SQL_CHECKS.find(({ code }) => code === found.code);
  const isOfHost = found.server_id === null && found.claim_id === null;
  const scope: CheckScope = {
    hostId: isOfHost ? found.host_id : null,
    serverId: found.server_id,
    claimId: found.claim_id,
  };
  if (check) return runSqlCheck(tx, check, scope, rules);
  return checkHosts(tx, { hostId: found.host_id, serverId: null, claimId: null }, rules, rules.ratios);
}

function isOfDevice({ code }: Found): boolean {
  return !SQL_CHECKS.some((check) => check.code === code);
}

async function checkDevices(tx: Tx, hostIds: readonly string[], { slowMs }: CheckLimits): Promise<Found[]> {
  const byHost = new Map<string, CheckedDevice[]>();
  for (const device of await readCheckedDevices(tx, hostIds, slowMs)) {
    const own = byHost.get(device.host_id);
    if (own) own.push(device);
    else byHost.set(device.host_id, [device]);
  }
  return [...byHost.values()].flatMap(judgeDevices);
}
