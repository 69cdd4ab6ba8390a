import type { Reason } from '../../placement/decision.js';

/** What details may say to a project: of itself, of devices by class, of counts. Whatever else there is stays out. */
const SAFE_DETAILS: ReadonlySet<string> = new Set([
  ...['alias', 'port', 'request', 'requests', 'constraints', 'wanted', 'matching', 'free', 'total', 'classes'],
  ...['exclusive_tags', 'near_misses', 'nodes', 'guest_cells', 'numa_cells', 'trait', 'wish', 'key'],
  ...['group', 'max_server_per_host', 'found', 'hosts', 'servers', 'max', 'projects', 'resource', 'limit', 'used'],
]);

/** Reasons whose text came from an operator or an agent, in records that were made before such texts had a place of their own. */
const PLAIN_MESSAGES: Readonly<Record<string, string>> = {
  'host.disabled': 'the host is disabled',
  'host.tried': 'tried before, and failed there',
};

/**
 * A reason as a project may read it: no names, ids or addresses of what is not its own. Records that are older than this
 * distinction have such things in the message, and `devices` in the details; of them the code is told.
 */
export function projectReason({ code, message, details }: Reason): Reason {
  if ('devices' in details) return { code, message: code, details: {} };
  const safe = Object.entries(details).filter(([name, value]) => SAFE_DETAILS.has(name) && isPlain(name, value));
  return { code, message: PLAIN_MESSAGES[code] ?? message, details: Object.fromEntries(safe) };
}

/** Counts of hosts and servers are for everybody, lists of them are not. */
function isPlain(name: string, value: unknown): boolean {
  return !['hosts', 'servers', 'projects', 'found'].includes(name) || typeof value === 'number';
}
