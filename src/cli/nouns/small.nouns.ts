import { filled } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { listVerb, showVerb } from '../verbs/verbs.js';
import { serverId } from './ids.js';

/** `berth availability zone list`. */
export function addAvailabilityZone(noun: Noun): void {
  listVerb(noun, 'zone list', 'availability zones', {
    rows: ({ rest, all }: Session) => all((query) => rest.GET('/v1/availability-zones', { params: { query } })),
    columns: ['name', 'available', 'host_count', 'hosts_up'],
    long: ['hosts'],
  });
}

/** `berth pool list`. */
export function addPool(noun: Noun): void {
  listVerb(noun, 'list', 'devices that are alike, by host, as a Nova scheduler counts them', {
    options: (command) => command.option('--host <host>', 'only of this host'),
    rows: ({ rest, all }: Session, { host }: { host?: string }) =>
      all((query) => rest.GET('/v1/pools', { params: { query: { ...query, ...filled({ host }) } } })),
    columns: ['host', 'key', 'free', 'total'],
    long: ['simulated'],
  });
}

/** `berth queue list`. */
export function addQueue(noun: Noun): void {
  listVerb(noun, 'list', 'servers that wait for room, the next one first', {
    rows: ({ rest, all }: Session) => all((query) => rest.GET('/v1/queue', { params: { query } })),
    columns: ['position', 'server_id', 'name', 'priority', 'waiting_since', 'reason'],
    long: ['project_id', 'nominated_host', 'reservation_id'],
  });
}

interface GivenTrail {
  readonly device?: string;
  readonly server?: string;
  readonly host?: string;
}

/** `berth audit list` and `status`; `head`, `show` and `verify` read the database. */
export function addAudit(noun: Noun): void {
  listVerb(noun, 'list', 'what changed devices and what was decided, oldest first; from the REST face', {
    options: (command) =>
      command
        .option('--device <id>', 'only about this device')
        .option('--server <server>', 'only about this server, by name or id; a deleted one by its id')
        .option('--host <host>', 'only about this host'),
    rows: async (session: Session, { device, server, host }: GivenTrail) => {
      const server_id = server === undefined ? undefined : await serverId(session, server);
      const filter = filled({ device_id: device, server_id, host });
      return session.all((query) => session.rest.GET('/v1/audit', { params: { query: { ...query, ...filter } } }));
    },
    columns: ['seq', 'at', 'writer', 'body'],
    long: ['hash', 'previous_hash'],
  });
  showVerb(noun, 'status', 'number and hash of the last entry, and how many are not sealed yet; from the REST face', {
    one: ({ rest, ask }: Session) => ask(rest.GET('/v1/audit/head')),
    fields: ['anchor', 'seq', 'hash', 'pending', 'pruned'],
  });
}
