import { RE2JS } from 're2js';
import { BerthError, messageOf } from '../../../errors.js';
import type {
  ServerCondition,
  ServerOrder,
  SortColumn,
  TextColumn,
  VmState,
} from '../../../store/compute-servers.store.js';
import { PLAIN_TEXT } from '../../fields.js';
import { type Caller, isAdmin } from '../../identity/caller.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { booleanOf } from '../fields.js';
import { type Paging, pagingOf, parameter, type RawQuery } from './paging.js';
import { statesOf } from './server-states.js';

/** A text of a server that has to match. */
export interface ServerPattern {
  readonly column: TextColumn;
  readonly matches: (text: string) => boolean;
}

/** What a list of servers is asked for. */
export interface ServerQuery {
  readonly conditions: readonly ServerCondition[];
  /** Asked of what the conditions leave; the database would not answer in a time that is known before. */
  readonly patterns: readonly ServerPattern[];
  readonly order: readonly ServerOrder[];
  readonly paging: Paging;
}

/** Filters with the text that they look at. A pattern is a regular expression that has to be found in it. */
const FILTERS: Readonly<Record<string, { readonly column: TextColumn; readonly isPattern?: true }>> = {
  name: { column: 'name', isPattern: true },
  display_name: { column: 'name', isPattern: true },
  description: { column: 'description', isPattern: true },
  display_description: { column: 'description', isPattern: true },
  hostname: { column: 'hostname', isPattern: true },
  flavor: { column: 'flavor' },
  image: { column: 'image' },
  image_ref: { column: 'image' },
  reservation_id: { column: 'reservation_id' },
  availability_zone: { column: 'availability_zone' },
  key_name: { column: 'key_name' },
  config_drive: { column: 'config_drive' },
  power_state: { column: 'power_state' },
  task_state: { column: 'task_state' },
  vm_state: { column: 'vm_state' },
  user_id: { column: 'user_id' },
  uuid: { column: 'uuid' },
  host: { column: 'host' },
  node: { column: 'host' },
  launch_index: { column: 'launch_index' },
  access_ip_v4: { column: 'access_ip_v4' },
  access_ip_v6: { column: 'access_ip_v6' },
};

/** From which minor version on whoever is no administrator may use a filter; of others his are passed over. */
const OPEN_SINCE: Readonly<Record<string, number>> = {
  ...{ reservation_id: 1, name: 1, status: 1, image: 1, flavor: 1, ip: 1, 'changes-since': 1, all_tenants: 1, ip6: 5 },
  ...{ tags: 26, 'tags-any': 26, 'not-tags': 26, 'not-tags-any': 26, 'changes-before': 66, locked: 73 },
  ...{
    availability_zone: 83,
    config_drive: 83,
    key_name: 83,
    power_state: 83,
    task_state: 83,
    vm_state: 83,
    user_id: 83,
  },
  hostname: 90,
};

/** Those that mean something beside {@link FILTERS}. */
const OTHERS: ReadonlySet<string> = new Set([
  ...['status', 'all_tenants', 'project_id', 'tenant_id', 'deleted', 'soft_deleted', 'changes-since', 'changes-before'],
  ...['ip', 'ip6', 'locked', 'tags', 'tags-any', 'not-tags', 'not-tags-any', 'limit', 'marker', 'sort_key', 'sort_dir'],
]);

/** Nova takes them; what they would look at is not kept here. */
const NOT_SERVED: ReadonlySet<string> = new Set([
  ...['created_at', 'launched_at', 'terminated_at', 'progress', 'kernel_id', 'ramdisk_id', 'root_device_name'],
  ...['locked_by', 'auto_disk_config'],
]);

/** Names of tables that a filter may not reach into. */
const FORBIDDEN =
  /^(?:_.*|block_device_mapping|services|metadata|system_metadata|info_cache|security_groups|pci_devices)$/s;

const VALUE_LENGTH_MAX = 255;
const STRICT_SINCE = 75;

/**
 * What a query asks for.
 *
 * @param minor of the version that was agreed on
 * @throws BerthError `request.invalid`, `auth.forbidden`
 */
export function serverQuery(caller: Caller, minor: number, query: RawQuery): ServerQuery {
  const given = filtersOf(caller, minor, query);
  const { conditions, patterns } = textConditions(given);
  return {
    conditions: [
      ...projectCondition(caller, given),
      ...stateConditions(given, wantedStates(caller, minor, query)),
      ...changeConditions(given),
      ...tagConditions(given),
      ...(isNothing(given) ? [{ kind: 'nothing' } as const] : []),
      ...conditions,
    ],
    patterns,
    order: orderOf(caller, minor, query),
    paging: pagingOf(query),
  };
}

type Given = ReadonlyMap<string, string>;

/** The filters that count: others are an error, or are passed over. */
function filtersOf(caller: Caller, minor: number, query: RawQuery): Given {
  const given = new Map<string, string>();
  for (const name of Object.keys(query)) {
    const value = parameter(query, name) ?? '';
    if (!isKnown(name, minor)) {
      if (minor >= STRICT_SINCE) throw refused(name, 'is not known here');
      if (!isAdmin(caller) || !FORBIDDEN.test(name)) continue;
      throw refused(name, 'is no filter');
    }
    if (!isAdmin(caller) && minor < (OPEN_SINCE[name] ?? Infinity)) continue;
    if (NOT_SERVED.has(name)) throw refused(name, 'is not served as a filter');
    if (value.length > VALUE_LENGTH_MAX) throw refused(name, `has more than ${VALUE_LENGTH_MAX} characters`);
    if (!PLAIN_TEXT.test(value)) throw refused(name, 'has a control character in it');
    given.set(name, value);
  }
  return given;
}

function isKnown(name: string, minor: number): boolean {
  if (name in FILTERS && Object.hasOwn(FILTERS, name)) return true;
  if (/tags/.test(name)) return minor >= 26 && OTHERS.has(name);
  if (name === 'changes-before') return minor >= 66;
  if (name === 'locked') return minor >= 73;
  return OTHERS.has(name) || NOT_SERVED.has(name);
}

/** Others' servers are only for who asks for them, and may. */
function projectCondition(caller: Caller, given: Given): ServerCondition[] {
  const asked = given.get('all_tenants');
  const isAll = asked === undefined ? false : asked === '' ? true : booleanOf(asked);
  if (typeof isAll !== 'boolean') throw refused('all_tenants', 'has to be true or false');
  if (!isAll) return [{ kind: 'is', column: 'project_id', values: [caller.projectId] }];
  if (!isAdmin(caller)) {
    throw new BerthError('auth.forbidden', 'all_tenants: only an administrator may look into other projects');
  }
  const project = given.get('project_id') ?? given.get('tenant_id');
  return project === undefined ? [] : [{ kind: 'is', column: 'project_id', values: [project] }];
}

/** The states that the query names by status; null: any. */
function wantedStates(caller: Caller, minor: number, query: RawQuery): readonly VmState[] | null {
  const statuses = [query['status'] ?? []].flat();
  if (statuses.length === 0) return null;
  const states = statesOf(statuses);
  if (states === null && minor >= 38) throw refused('status', 'is no status of a server');
  if (states?.join() === 'deleted' && !isAdmin(caller)) {
    throw new BerthError('auth.forbidden', 'status: only an administrator may list deleted servers');
  }
  return states ?? [];
}

/** Deleted servers are shown to administrators who ask, and to whoever asks what has changed. */
function stateConditions(given: Given, states: readonly VmState[] | null): ServerCondition[] {
  if (states?.join() === 'deleted') return [{ kind: 'deleted', deleted: true }];
  const asked = given.get('deleted');
  const isHistory = given.has('changes-since') || given.has('changes-before');
  return [
    ...(states === null ? [] : [{ kind: 'is', column: 'vm_state', values: states } as const]),
    ...(asked === undefined && isHistory ? [] : [{ kind: 'deleted', deleted: booleanOf(asked) === true } as const]),
  ];
}

function changeConditions(given: Given): ServerCondition[] {
  const [since, before] = [timeOf(given, 'changes-since'), timeOf(given, 'changes-before')];
  if (since && before && before < since) throw refused('changes-before', 'is before changes-since');
  return [
    ...(since ? [{ kind: 'changed', direction: 'since', time: since } as const] : []),
    ...(before ? [{ kind: 'changed', direction: 'before', time: before } as const] : []),
  ];
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?$/;

/** Without an offset it is UTC. */
function timeOf(given: Given, name: string): Date | null {
  const text = given.get(name)?.replace(' ', '+');
  if (text === undefined) return null;
  const [found, offset] = TIME.exec(text) ?? [];
  const time = new Date(`${text}${offset === undefined ? 'Z' : ''}`);
  if (found === undefined || Number.isNaN(time.getTime())) {
    throw refused(name, 'has to be a time like 2026-03-01T09:00:00Z');
  }
  return time;
}

function tagConditions(given: Given): ServerCondition[] {
  const kinds = {
    tags: ['all', false],
    'tags-any': ['any', false],
    'not-tags': ['all', true],
    'not-tags-any': ['any', true],
  } as const;
  return Object.entries(kinds).flatMap(([name, [match, negated]]) => {
    const text = given.get(name);
    return text === undefined ? [] : [{ kind: 'tags', match, negated, tags: text.split(',') } as const];
  });
}

/** Servers have no addresses, and none is locked. */
function isNothing(given: Given): boolean {
  const locked = given.get('locked');
  if (locked !== undefined && typeof booleanOf(locked) !== 'boolean')
    throw refused('locked', 'has to be true or false');
  return given.has('ip') || given.has('ip6') || booleanOf(locked) === true;
}

/** Characters that stand for themselves in a regular expression. */
const LITERAL = /^[\p{L}\p{N} _@:=,;<>~%&!"'#/-]*$/u;

function textConditions(given: Given): Pick<ServerQuery, 'conditions' | 'patterns'> {
  const conditions: ServerCondition[] = [];
  const patterns: ServerPattern[] = [];
  for (const [name, value] of given) {
    const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (!filter) continue;
    const { column, isPattern } = filter;
    if (!isPattern)
      conditions.push({ kind: 'is', column, values: [column === 'config_drive' ? driveOf(value) : value] });
    else if (LITERAL.test(value)) conditions.push({ kind: 'contains', column, text: value });
    else patterns.push({ column, matches: matcherOf(name, value) });
  }
  return { conditions, patterns };
}

function driveOf(value: string): string {
  return booleanOf(value) === true ? 'True' : '';
}

/** In time that grows with the text only, whatever the expression. */
function matcherOf(name: string, text: string): (text: string) => boolean {
  try {
    const pattern = RE2JS.compile(text);
    return (found) => pattern.matcher(found).find();
  } catch (error) {
    throw refused(name, `is no regular expression (RE2): ${messageOf(error).slice(0, 100)}`);
  }
}

/** Nova's names of what can be sorted by; null: all servers are alike in it. */
const SORT_KEYS: Readonly<Record<string, SortColumn | null>> = {
  ...{ created_at: 'created_at', updated_at: 'updated_at', launched_at: 'launched_at', terminated_at: 'terminated_at' },
  ...{ uuid: 'uuid', display_name: 'name', display_description: 'description', hostname: 'hostname' },
  ...{ project_id: 'project_id', user_id: 'user_id', vm_state: 'vm_state', task_state: 'task_state' },
  ...{ power_state: 'power_state', host: 'host', node: 'host', instance_type_id: 'flavor', image_ref: 'image' },
  ...{ availability_zone: 'availability_zone', launch_index: 'launch_index', key_name: 'key_name' },
  ...{ config_drive: 'config_drive', access_ip_v4: 'access_ip_v4', access_ip_v6: 'access_ip_v6' },
  ...{
    auto_disk_config: null,
    kernel_id: null,
    ramdisk_id: null,
    root_device_name: null,
    progress: null,
    locked_by: null,
  },
};

/** Passed over before 2.75, and refused from there on. */
const FORMER_SORT_KEYS: ReadonlySet<string> = new Set([
  ...[
    'architecture',
    'cell_name',
    'cleaned',
    'default_ephemeral_device',
    'default_swap_device',
    'deleted',
    'deleted_at',
  ],
  ...[
    'disable_terminate',
    'ephemeral_gb',
    'ephemeral_key_uuid',
    'id',
    'key_data',
    'launched_on',
    'memory_mb',
    'os_type',
  ],
  ...['reservation_id', 'root_gb', 'shutdown_terminate', 'user_data', 'vcpus', 'vm_mode'],
]);

const SORT_KEYS_MAX = 10;

function orderOf(caller: Caller, minor: number, query: RawQuery): ServerOrder[] {
  const keys = [query['sort_key'] ?? 'created_at'].flat();
  const directions = [query['sort_dir'] ?? 'desc'].flat();
  if (keys.length > SORT_KEYS_MAX) throw refused('sort_key', `is there more than ${SORT_KEYS_MAX} times`);
  const wrong = directions.find((direction) => direction !== 'asc' && direction !== 'desc');
  if (wrong !== undefined) throw refused('sort_dir', 'has to be asc or desc');
  const order = keys.flatMap((key, at): ServerOrder[] => {
    const column = sortColumn(caller, minor, key);
    const direction = (directions[at] ?? directions[0]) === 'asc' ? 'asc' : 'desc';
    return column === null ? [] : [{ column, direction }];
  });
  return order.length === 0 ? [{ column: 'created_at', direction: 'desc' }] : order;
}

function sortColumn(caller: Caller, minor: number, key: string): SortColumn | null {
  if (key === 'locked') return null;
  if (minor < STRICT_SINCE && FORMER_SORT_KEYS.has(key)) return null;
  if (!Object.hasOwn(SORT_KEYS, key)) throw refused('sort_key', 'is nothing that servers are sorted by');
  if ((key === 'host' || key === 'node') && !isAdmin(caller)) {
    throw new BerthError('auth.forbidden', `sort_key: only an administrator may sort servers by ${key}`);
  }
  return SORT_KEYS[key] ?? null;
}

function refused(field: string, problem: string): BerthError {
  return invalidFields([{ field: field.slice(0, 100), problem }]);
}
