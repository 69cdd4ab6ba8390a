import { createHash } from 'node:crypto';
import { ERROR_CODES } from '../../../errors.js';
import type { HostRejection } from '../../../placement/decision.js';
import type { ComputeServerRow } from '../../../store/compute-servers.store.js';
import { decisionView } from '../../placements/decision.view.js';
import { linksOf } from './links.js';
import { powerStateOf, statusOf } from './server-states.js';
import { stamp } from './stamp.js';

/** For whom a server is shown, and where. */
export interface ServerAudience {
  /** The minor number of the version that was agreed on. */
  readonly minor: number;
  /** Where this process is: `http://berth.example:8790`. */
  readonly base: string;
  /** Only administrators learn of hosts. */
  readonly isAdmin: boolean;
}

/** `detail`: in a list. `update`: the answer to a change, which is shorter before 2.75. */
type Occasion = 'show' | 'detail' | 'update';

/** Nova's statuses that have a fault, and those that have a progress. */
const WITH_FAULT: ReadonlySet<string> = new Set(['ERROR', 'DELETED']);
const WITH_PROGRESS: ReadonlySet<string> = new Set([
  'ACTIVE',
  'BUILD',
  'REBUILD',
  'RESIZE',
  'VERIFY_RESIZE',
  'MIGRATING',
]);

export function briefView({ id, name }: { readonly id: string; readonly name: string }, base: string): object {
  return { id, name, links: linksOf(base, `servers/${id}`) };
}

/** A server, with exactly the keys that Nova gives it in this version. */
export function serverView(row: ComputeServerRow, audience: ServerAudience, occasion: Occasion): object {
  const { minor } = audience;
  const isWhole = occasion !== 'update' || minor >= 75;
  return {
    ...plainPart(row, audience),
    ...(isWhole ? statePart(row) : {}),
    ...(isWhole && audience.isAdmin ? hostPart(row, minor) : {}),
    ...(minor >= 9 ? { locked: false } : {}),
    ...(minor >= 73 ? { locked_reason: null } : {}),
    ...(minor >= 19 ? { description: row.description } : {}),
    ...(minor >= 26 ? { tags: row.tags } : {}),
    ...(minor >= 63 ? { trusted_image_certificates: null } : {}),
    ...(isWhole && minor >= 90 ? { 'OS-EXT-SRV-ATTR:hostname': hostnameOf(row) } : {}),
    ...(minor >= 71 && occasion !== 'detail' ? { server_groups: row.group_id === null ? [] : [row.group_id] } : {}),
  };
}

/** What every version and every occasion has. */
function plainPart(row: ComputeServerRow, audience: ServerAudience): object {
  const status = statusOf(row);
  return {
    ...briefView(row, audience.base),
    status,
    ...{ tenant_id: row.project_id, user_id: row.user_id ?? '', metadata: row.metadata, hostId: hostIdOf(row) },
    image: imageView(row, audience.base),
    flavor: flavorView(row, audience),
    ...{ created: second(row.created_at), updated: second(row.updated_at), addresses: {} },
    ...{ accessIPv4: row.access_ipv4 ?? '', accessIPv6: row.access_ipv6 ?? '', 'OS-DCF:diskConfig': row.disk_config },
    ...(WITH_FAULT.has(status) && row.fault ? { fault: faultView(row, audience) } : {}),
    ...(WITH_PROGRESS.has(status) ? { progress: 0 } : {}),
  };
}

function statePart(row: ComputeServerRow): object {
  return {
    'OS-EXT-AZ:availability_zone': row.zone,
    config_drive: row.config_drive ? 'True' : '',
    key_name: row.key_name,
    'OS-SRV-USG:launched_at': row.launched_at && stamp(row.launched_at),
    'OS-SRV-USG:terminated_at': row.terminated_at && stamp(row.terminated_at),
    'OS-EXT-STS:task_state': row.task,
    'OS-EXT-STS:vm_state': row.vm_state,
    'OS-EXT-STS:power_state': powerStateOf(row),
    'os-extended-volumes:volumes_attached': [],
  };
}

/** What names hosts, or is for those who know them. */
function hostPart(row: ComputeServerRow, minor: number): object {
  const prefixed = (attributes: Readonly<Record<string, unknown>>): object =>
    Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`OS-EXT-SRV-ATTR:${name}`, value]));
  return {
    ...prefixed({ host: row.host_name, instance_name: `berth-${row.id}`, hypervisor_hostname: row.host_name }),
    ...(minor >= 3
      ? prefixed({
          ...{
            reservation_id: reservationIdOf(row),
            launch_index: (row.gang_place ?? 1) - 1,
            hostname: hostnameOf(row),
          },
          ...{ kernel_id: '', ramdisk_id: '', root_device_name: null, user_data: row.user_data },
        })
      : {}),
    ...(minor >= 16 ? { host_status: hostStatusOf(row) } : {}),
  };
}

/** The same for all servers of one call. */
export function reservationIdOf({ id, gang_id }: Pick<ComputeServerRow, 'id' | 'gang_id'>): string {
  return `r-${(gang_id ?? id).replaceAll('-', '')}`;
}

/** Tells a project which of its servers share a host, and not which host that is: as Nova makes it. */
function hostIdOf({ project_id, host_name }: ComputeServerRow): string {
  return host_name === null ? '' : createHash('sha224').update(`${project_id}${host_name}`).digest('hex');
}

function hostStatusOf({ host_name, host_enabled, host_state }: ComputeServerRow): string {
  if (host_name === null) return '';
  if (host_enabled === false) return 'MAINTENANCE';
  return host_state === 'up' ? 'UP' : 'UNKNOWN';
}

function imageView({ image_id }: ComputeServerRow, base: string): object | string {
  if (image_id === null) return '';
  return { id: image_id, links: linksOf(base, `images/${image_id}`).filter(({ rel }) => rel === 'bookmark') };
}

/** The flavor as it was when the server was created. A server of the native face may have none: then its size is told. */
function flavorView({ flavor, request }: ComputeServerRow, { minor, base }: ServerAudience): object {
  if (minor < 47) {
    const id = flavor?.id ?? '';
    return { id, links: linksOf(base, `flavors/${id}`).filter(({ rel }) => rel === 'bookmark') };
  }
  return {
    original_name: flavor?.name ?? '',
    ...{ vcpus: request.vcpus, ram: request.memoryMb, disk: flavor?.disk_gb ?? request.diskGb },
    ...{ ephemeral: flavor?.ephemeral_gb ?? 0, swap: flavor?.swap_mb ?? 0 },
    extra_specs: flavor?.extra_specs ?? {},
  };
}

/** A name that a guest can have: what is not a letter, a digit or "-" is left out, blanks and dots are "-". */
export function hostnameFor(name: string, id: string): string {
  const plain = name
    .slice(0, 63)
    .replaceAll(/[ _.]/g, '-')
    .replaceAll(/[^a-zA-Z0-9-]/g, '')
    .toLowerCase()
    .replaceAll(/^-+|-+$/g, '');
  return plain === '' ? `server-${id}` : plain;
}

function hostnameOf({ hostname, name, id }: ComputeServerRow): string {
  return hostname ?? hostnameFor(name, id);
}

const NO_VALID_HOST = 'No valid host was found.';
const FAULT_CODE = 500;

/** What a project is told names no hosts; an administrator finds them in the details. */
function faultView({ fault, updated_at }: ComputeServerRow, { isAdmin }: ServerAudience): object {
  const { code, message, details } = fault as NonNullable<ComputeServerRow['fault']>;
  const rejections = (details['rejections'] ?? []) as readonly HostRejection[];
  return {
    code: FAULT_CODE,
    created: second(updated_at),
    message: rejections.length > 0 || code === 'placement.no_valid_host' ? whyNowhere(rejections) : plainWords(code),
    ...(isAdmin ? { details: [message, ...rejections.map(rejectionLine)].join('\n') } : {}),
  };
}

function whyNowhere(rejections: readonly HostRejection[]): string {
  const decision = { outcome: 'rejected', message: '', rejections, hostsConsidered: 0 } as const;
  const { message } = decisionView(decision, { view: 'project', own: new Set() });
  return `${NO_VALID_HOST} ${(message ?? '').replace(/^No valid host[.:] ?/, '')}`.trimEnd();
}

function plainWords(code: string): string {
  const known: Readonly<Record<string, string>> = ERROR_CODES;
  return known[code] ?? 'The server could not be placed or prepared.';
}

function rejectionLine({ filter, hosts, hostCount, reasons }: HostRejection): string {
  const more = hostCount > hosts.length ? ` and ${hostCount - hosts.length} more` : '';
  return `${filter} (${hosts.join(', ')}${more}): ${reasons.map(({ message }) => message).join('; ')}`;
}

function second(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
