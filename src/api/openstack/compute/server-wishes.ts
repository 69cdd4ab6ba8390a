import { BerthError } from '../../../errors.js';
import type { ServerDetails } from '../../../store/server-details.store.js';
import { type Caller, isAdmin } from '../../identity/caller.js';
import { type FieldError, invalidFields } from '../../request-validation.pipe.js';
import type { SchedulerHintsBody, ServerBody } from '../../servers/servers.dto.js';
import { refuseBefore } from './microversion-fields.js';
import { idOfReference, isUuid, plainIpv6 } from './server-fields.js';
import { CREATE_SINCE, type NewServerBody, type ServerCreateBody } from './servers.dto.js';

/** A new server's body in Nova's words, taken apart. */
export interface ServerOrderForm {
  /** The same in Berth's words. */
  readonly body: ServerBody;
  /** The only host that it may go to; null: any. */
  readonly host: string | null;
  /** What is kept beside the request; servers of one call have the same. */
  readonly details: Partial<Omit<ServerDetails, 'hostname'>>;
  /** null: made of each server's name. */
  readonly hostname: string | null;
}

/** Nova's quota of the same name. */
export const METADATA_ITEMS_MAX = 128;

const NETWORKS_NEEDED_SINCE = 37;
const NETWORK_TAGS = { known: 32, since: 42 } as const;
const NO_FILES_SINCE = 57;

/**
 * Makes Berth's words of Nova's.
 *
 * @param minor of the version that was agreed on
 * @throws BerthError `request.invalid`, `auth.forbidden`
 */
export function orderForm(caller: Caller, minor: number, given: ServerCreateBody): ServerOrderForm {
  const { server } = given;
  assertKnown(minor, server);
  const problems = [...countProblems(server), ...networkProblems(minor, server), ...groupProblems(server)];
  if (problems.length > 0) throw invalidFields(problems);
  const { zone, host } = whereTo(caller, server);
  const count = {
    ...(server.min_count ? { min_count: server.min_count } : {}),
    ...(server.max_count ? { max_count: server.max_count } : {}),
  };
  const hints = hintsOf(given['os:scheduler_hints'] ?? given['OS-SCH-HNT:scheduler_hints'] ?? {});
  return {
    body: {
      ...{ name: server.name, flavor: idOfReference(server.flavorRef), ...count, scheduler_hints: hints },
      ...(zone === null ? {} : { availability_zone: zone }),
    },
    host,
    details: { ...detailsOf(caller, minor, server), image_id: imageOf(server) },
    hostname: server.hostname ?? null,
  };
}

function assertKnown(minor: number, server: NewServerBody): void {
  refuseBefore(minor, server, CREATE_SINCE, 'server');
  if (minor >= NO_FILES_SINCE && server.personality !== undefined) {
    throw invalidFields([{ field: 'server.personality', problem: 'is there before version 2.57 only' }]);
  }
}

function countProblems({ min_count, max_count, hostname }: NewServerBody): FieldError[] {
  const [least, most] = [min_count ?? 1, max_count ?? min_count ?? 1];
  if (most < least) return [{ field: 'server.max_count', problem: `is below min_count, ${least}` }];
  if (most === 1 || hostname === undefined) return [];
  return [{ field: 'server.hostname', problem: 'would be the same for several servers; leave it out' }];
}

/** There are no networks: what says so is taken, and whoever names one learns that there is none. */
function networkProblems(minor: number, { networks }: NewServerBody): FieldError[] {
  const field = 'server.networks';
  if (networks === undefined) {
    return minor < NETWORKS_NEEDED_SINCE ? [] : [{ field, problem: 'is missing; say "none" where none is wanted' }];
  }
  if (typeof networks === 'string') {
    return minor < NETWORKS_NEEDED_SINCE ? [{ field, problem: 'has to be a list before version 2.37' }] : [];
  }
  return networks.slice(0, 1).map((network) => ({ field: `${field}[0]`, problem: networkProblem(minor, network) }));
}

function networkProblem(minor: number, { uuid, port, tag }: Readonly<Record<string, unknown>>): string {
  if (tag !== undefined && minor < NETWORK_TAGS.since && minor !== NETWORK_TAGS.known)
    return 'tag is not known in this version';
  if (port !== undefined && port !== null) {
    return isUuid(port) ? `port ${port} could not be found; there is no network service` : 'port has to be a UUID';
  }
  return isUuid(uuid) ? `network ${uuid} could not be found; there is no network service` : 'uuid has to be a UUID';
}

function groupProblems({ security_groups = [] }: NewServerBody): FieldError[] {
  const at = security_groups.findIndex(({ name }) => name !== 'default');
  if (at < 0) return [];
  return [{ field: `server.security_groups[${at}]`, problem: 'could not be found; there is only "default"' }];
}

/** `zone`, or `zone:host`, or `zone:host:node`; or the host in a field of its own. Hosts are for administrators. */
function whereTo(
  caller: Caller,
  server: NewServerBody,
): { readonly zone: string | null; readonly host: string | null } {
  const [zone, ...hosts] = (server.availability_zone ?? '').split(':');
  if (hosts.length > 2) throw refused('availability_zone', 'has to be zone, zone:host or zone:host:node');
  const forced = hosts.filter((host) => host !== '');
  const named = [server.host ?? [], server.hypervisor_hostname ?? []].flat();
  if (forced.length > 0 && named.length > 0)
    throw refused('host', 'is in availability_zone already; leave one of them out');
  const [host = null, other = host] = [...forced, ...named];
  if (host !== null && !isAdmin(caller)) {
    throw new BerthError('auth.forbidden', 'Only an administrator may choose the host of a server');
  }
  if (other !== host) throw refused('hypervisor_hostname', 'is another one than the host; here a host has one name');
  return { zone: zone === undefined || zone === '' ? null : zone, host };
}

/** Those that are served; others that Nova's own filters have are refused, and whatever nobody knows is passed over. */
const HINTS_REFUSED = ['query', 'build_near_host_ip', 'cidr', 'target_cell', 'different_cell'] as const;
const HINTED_SERVERS_MAX = 100;

function hintsOf(hints: Readonly<Record<string, unknown>>): SchedulerHintsBody {
  const stranger = HINTS_REFUSED.find((name) => hints[name] !== undefined && hints[name] !== null);
  if (stranger !== undefined)
    throw refusedHint(stranger, 'is not served here; group, same_host and different_host are');
  const group = hints['group'] ?? null;
  if (group !== null && !isUuid(group)) throw refusedHint('group', 'has to be the id of a server group, a UUID');
  const same = hintedServers(hints, 'same_host');
  const different = hintedServers(hints, 'different_host');
  return {
    ...(group === null ? {} : { group }),
    ...(same.length === 0 ? {} : { same_host: same }),
    ...(different.length === 0 ? {} : { different_host: different }),
  };
}

function hintedServers(hints: Readonly<Record<string, unknown>>, name: 'same_host' | 'different_host'): string[] {
  const ids = [hints[name] ?? []].flat();
  if (ids.length > HINTED_SERVERS_MAX) throw refusedHint(name, `has more than ${HINTED_SERVERS_MAX}`);
  if (ids.every(isUuid)) return ids;
  throw refusedHint(name, 'has to be the id of a server, a UUID, or a list of them');
}

/** The image to boot from, wherever the body names it; null: none. */
function imageOf({ imageRef, block_device_mapping, block_device_mapping_v2 }: NewServerBody): string | null {
  const old = block_device_mapping ?? [];
  const disks = block_device_mapping_v2 ?? [];
  if (old.length > 0) throw refused('block_device_mapping', 'asks for volumes, and there are none');
  const at = disks.findIndex((disk) => isOfVolume(disk));
  if (at >= 0) throw refused(`block_device_mapping_v2[${at}]`, 'asks for a volume, and there are none');
  const booted = disks.find(({ source_type, boot_index }) => source_type === 'image' && Number(boot_index ?? 0) === 0);
  const named =
    imageRef === undefined || imageRef === '' ? (booted?.['uuid'] ?? booted?.['image_id']) : idOfReference(imageRef);
  if (named === undefined) {
    if (imageRef === '') return null;
    throw refused('imageRef', 'is missing; an empty text where there is no image');
  }
  if (isUuid(named)) return named.toLowerCase();
  throw refused('block_device_mapping_v2', 'has to name an image by its id, a UUID');
}

function isOfVolume({
  source_type,
  destination_type,
  volume_id,
  snapshot_id,
}: Readonly<Record<string, unknown>>): boolean {
  if (volume_id !== undefined || snapshot_id !== undefined) return true;
  if (destination_type !== undefined && destination_type !== 'local') return true;
  return source_type !== 'image' && source_type !== 'blank';
}

function detailsOf({ userId }: Caller, minor: number, server: NewServerBody): ServerOrderForm['details'] {
  const metadata = server.metadata ?? {};
  assertMetadataFits(metadata);
  return {
    user_id: userId,
    // before 2.19 a server's description is its name
    description: minor < CREATE_SINCE.description ? server.name : (server.description ?? null),
    ...{ metadata, tags: [...new Set(server.tags)], key_name: server.key_name ?? null },
    ...{ config_drive: server.config_drive ?? false, user_data: server.user_data ?? null },
    access_ipv4: server.accessIPv4 ?? null,
    access_ipv6: server.accessIPv6 === undefined ? null : plainIpv6(server.accessIPv6),
    disk_config: server['OS-DCF:diskConfig'] ?? 'MANUAL',
  };
}

/** @throws BerthError `quota.exceeded` */
export function assertMetadataFits(metadata: Readonly<Record<string, string>>): void {
  const count = Object.keys(metadata).length;
  if (count <= METADATA_ITEMS_MAX) return;
  throw new BerthError(
    'quota.exceeded',
    `A server has at most ${METADATA_ITEMS_MAX} metadata items; these are ${count}`,
  );
}

function refused(field: string, problem: string): BerthError {
  return invalidFields([{ field: `server.${field}`, problem }]);
}

function refusedHint(name: string, problem: string): BerthError {
  return invalidFields([{ field: `os:scheduler_hints.${name}`, problem }]);
}
