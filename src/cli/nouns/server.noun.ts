import { type Command, Option } from 'commander';
import type { Schemas } from '../client/rest-client.js';
import { RestRefusal } from '../client/rest-refusal.js';
import type { Column } from '../output/columns.js';
import { FAILED } from '../verbs/failures.js';
import { filled, type GivenWait, positive, withWait } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { actVerb, eachVerb, listVerb, showVerb } from '../verbs/verbs.js';
import { watched } from '../verbs/waiting.js';
import { demandOf, type GivenDemand, reservationOf, withDemand } from './demand.js';
import { addExplain } from './explain.noun.js';
import { deviceId, serverId } from './ids.js';

/** `servers` is there when several were asked for at once. */
type Server = Schemas['CreatedServerView'];
type Summary = Schemas['ServerSummaryView'];

interface GivenCreate extends GivenDemand, GivenWait {
  readonly min?: number;
  readonly max?: number;
  readonly preemptible?: true;
  readonly queue?: true;
  readonly reservation?: string;
}

const flavor: Column<Summary> = {
  name: 'flavor',
  of: (server) => server.flavor,
  text: (server) => server.flavor?.name ?? '',
};
const wishes: Column<Summary> = {
  name: 'requested_devices',
  text: ({ requested_devices }) => requested_devices.map(wishText).join(', '),
};

const COLUMNS: readonly Column<Summary>[] = ['id', 'name', 'status', 'task_state', 'host', flavor, wishes];
const LONG: readonly Column<Summary>[] = [
  ...(['project_id', 'vcpus', 'ram_mb', 'disk_gb', 'availability_zone', 'server_group'] as const),
  ...(['reservation_id', 'priority', 'preemptible', 'simulated', 'created_at', 'updated_at'] as const),
];
const FIELDS: readonly Column<Server>[] = [
  ...(['id', 'name', 'status', 'task_state', 'vm_state', 'action', 'host', 'project_id'] as const),
  { name: 'fault', text: ({ fault }) => fault?.message ?? '' },
  ...[flavor as Column<Server>, wishes as Column<Server>],
  { name: 'devices', text: ({ devices }) => devices.map(deviceText).join('\n') },
  ...(['ports', 'vcpus', 'ram_mb', 'disk_gb', 'availability_zone', 'server_group', 'reservation_id'] as const),
  ...(['priority', 'preemptible', 'wait', 'waiting_since', 'queue_position', 'numa_cells', 'attempts'] as const),
  { name: 'container', text: ({ container }) => container?.cdi_device ?? '' },
  ...(['locked', 'locked_reason', 'decision_id', 'simulated', 'created_at', 'updated_at'] as const),
  { name: 'servers', text: ({ servers = [] }) => servers.map(({ name, id }) => `${name} (${id})`).join('\n') },
];

const STATUSES = ['BUILD', 'ACTIVE', 'SHELVED', 'ERROR', 'DELETING'];

/** `berth server`. */
export function addServer(noun: Noun): void {
  addCreate(noun);
  listVerb(noun, 'list', 'servers, newest first', {
    options: (command) =>
      command
        .addOption(new Option('--status <status>', 'only those that are').choices(STATUSES))
        .option('--host <host>', 'only on this host')
        .option('--name <name>', 'only of this name')
        .option('--project <id>', 'only of this project'),
    rows: ({ rest, all }: Session, { status, host, name, project }: Partial<Record<string, string>>) => {
      const filter = filled({ status: status as never, host, name, project_id: project });
      return all((query) => rest.GET('/v1/servers', { params: { query: { ...query, ...filter } } }));
    },
    columns: COLUMNS,
    long: LONG,
  });
  showVerb(noun, 'show <server>', 'one server, with its devices', {
    one: async (session: Session, _given: unknown, server: string) => read(session, await serverId(session, server)),
    fields: FIELDS,
  });
  eachVerb(noun, 'delete <server...>', 'delete servers; their devices are given back', {
    what: 'server delete',
    options: (command) => withWait(command, 'until they are gone, and their devices free'),
    act: remove,
  });
  addExplain(noun);
  addHistory(noun);
  addDevices(noun);
}

function addCreate(noun: Noun): void {
  showVerb(noun, 'create <name>', 'ask for a server, or for several of a kind', {
    options: createOptions,
    one: create,
    fields: FIELDS,
    codeOf: async (session: Session, { wait }: GivenCreate, server) => (wait ? codeOf(session, server) : 0),
  });
}

function createOptions(command: Command): Command {
  withDemand(command)
    .option('--reservation <reservation>', 'has the devices of this reservation')
    .option('--min <n>', 'so many at least, or none', positive)
    .option('--max <n>', 'so many if there is room', positive)
    .option('--preemptible', 'gives way to those with a greater priority')
    .option('--queue', 'waits in the queue when there is no room, instead of ending in ERROR');
  return withWait(command, 'until it is ACTIVE; ends with 1, and the reasons, when it is not');
}

async function create(session: Session, given: GivenCreate, name: string): Promise<Server> {
  const { rest, ask } = session;
  const body = {
    ...(await demandOf(session, given)),
    ...filled({
      ...{ min_count: given.min, max_count: given.max, preemptible: given.preemptible, wait: given.queue },
      reservation: await reservationOf(session, given.reservation),
    }),
    name,
  };
  const made = await ask(rest.POST('/v1/servers', { body }));
  if (!given.wait) return made;
  const ids = made.servers?.map(({ id }) => id) ?? [made.id];
  const settled: Server[] = [];
  for (const id of ids) settled.push(await whenBuilt(session, id, given.timeout));
  const first = settled.find(({ status }) => status !== 'ACTIVE') ?? settled[0] ?? made;
  return made.servers ? { ...first, servers: made.servers } : first;
}

function whenBuilt(session: Session, id: string, timeout: number): Promise<Server> {
  return watched(
    () => read(session, id),
    ({ status }) => status !== 'BUILD',
    ({ name, status, task_state: state }) => `${name}: ${status}${state === null ? '' : `, ${state}`}`,
    timeout,
  );
}

/** Tells on standard error why a server is not ACTIVE. */
async function codeOf({ rest, ask }: Session, { id, name, status, fault }: Server): Promise<number> {
  if (status === 'ACTIVE') return 0;
  const path = { params: { path: { id }, query: { changes: true } } };
  const { sentences } = await ask(rest.GET('/v1/servers/{id}/explanation', path));
  const lines = [
    `berth: ${name} is ${status}${sentences.length === 0 && fault !== null ? `: ${fault.message}` : ''}`,
    ...sentences.map((sentence) => `  ${sentence}`),
    `More: berth explain ${id}`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  return FAILED;
}

function read({ rest, ask }: Session, id: string): Promise<Server> {
  return ask(rest.GET('/v1/servers/{id}', { params: { path: { id } } }));
}

async function remove(session: Session, { wait, timeout }: GivenWait, server: string): Promise<void> {
  const { rest, ask } = session;
  const id = await serverId(session, server);
  await ask(rest.DELETE('/v1/servers/{id}', { params: { path: { id } } }));
  if (!wait) return;
  const left = await watched(
    () => readUnlessGone(session, id),
    (seen) => seen === null || seen.status === 'DELETED',
    () => `${server}: its devices are given back`,
    timeout,
  );
  if (left && left.status !== 'DELETED') throw new Error(`${server} is still ${left.status} after ${timeout} s`);
}

async function readUnlessGone(session: Session, id: string): Promise<Server | null> {
  try {
    return await read(session, id);
  } catch (error) {
    if (error instanceof RestRefusal && error.status === 404) return null;
    throw error;
  }
}

function addHistory(noun: Noun): void {
  listVerb(noun, 'event list <server>', 'what has happened to a server: the latest hundred', {
    rows: async (session: Session, _given: unknown, server: string) =>
      (await read(session, await serverId(session, server))).events,
    columns: ['created_at', 'event', 'message'],
  });
  listVerb(noun, 'decision list <server>', 'what was decided for a server', {
    rows: async (session: Session, _given: unknown, server: string) => {
      const path = { id: await serverId(session, server) };
      return (await session.ask(session.rest.GET('/v1/servers/{id}/decisions', { params: { path } }))).decisions;
    },
    columns: ['id', 'attempt', 'outcome', 'host', 'hosts_considered', 'message', 'created_at'],
    long: ['devices', 'numa_cells', 'generation', 'spread', 'constraints', 'scores', 'rejections'],
  });
}

function addDevices(noun: Noun): void {
  showVerb(noun, 'add device <server> <wishes>', 'attach devices to a running server: gpu:1', {
    options: (command) => withWait(command, 'until they are attached, or there are none'),
    one: async (session: Session, { wait, timeout }: GivenWait, server: string, devices: string): Promise<Server> => {
      const id = await serverId(session, server);
      const { rest, ask } = session;
      const seen = await ask(rest.POST('/v1/servers/{id}/devices', { params: { path: { id } }, body: { devices } }));
      if (!wait) return seen;
      return watched(
        () => read(session, id),
        ({ task_state: state }) => state !== 'attaching',
        ({ name }) => `${name}: attaching`,
        timeout,
      );
    },
    fields: FIELDS,
  });
  actVerb(noun, 'remove device <server> <device>', 'detach a device from a running server, with its IOMMU group', {
    options: (command) => command.option('--force', 'also if others of its IOMMU group were asked for', false),
    act: async (session: Session, { force }: { force: boolean }, server: string, device: string) => {
      const path = { id: await serverId(session, server), device_id: await ownDevice(session, server, device) };
      await session.ask(
        session.rest.DELETE('/v1/servers/{id}/devices/{device_id}', { params: { path, query: { force } } }),
      );
    },
  });
}

/** A server is on one host: the address is enough. */
async function ownDevice(session: Session, server: string, device: string): Promise<string> {
  if (!device.includes(':') || device.includes('/')) return deviceId(session, device);
  const { host } = await read(session, await serverId(session, server));
  return deviceId(session, `${host ?? ''}/${device}`);
}

function wishText({ alias, port, count, count_max }: Schemas['RequestedDevicesView']): string {
  return `${alias ?? `port ${port ?? ''}`}:${count}${count_max === count ? '' : `..${count_max}`}`;
}

function deviceText({ address, alias, port, driver, iommu_group, companion }: Schemas['ServerDeviceView']): string {
  const what = companion ? 'companion' : (alias ?? port ?? '');
  return [address ?? 'unknown', what, driver ?? 'no driver', iommu_group === null ? '' : `group ${iommu_group}`]
    .filter((word) => word !== '')
    .join(' ');
}
