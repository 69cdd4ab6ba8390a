import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Schemas } from '../client/rest-client.js';
import type { Column } from '../output/columns.js';
import { hostTopologyText } from '../reports/host-topology-text.js';
import { decimal, filled, several, wholeNumber } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { eachVerb, listVerb, reportVerb, showVerb } from '../verbs/verbs.js';
import { addEvacuation } from './evacuation.noun.js';

type Host = Schemas['HostView'];

const FIELDS: readonly Column<Host>[] = [
  ...([
    'id',
    'name',
    'status',
    'forced_down',
    'enabled',
    'disabled_reason',
    'availability_zone',
    'aggregates',
    'devices',
  ] as const),
  ...(['capacity', 'used', 'reserved', 'allocation_ratios', 'numa_cells', 'iommu', 'traits', 'capabilities'] as const),
  ...([
    'ip_address',
    'booted_at',
    'kernel',
    'kernel_kind',
    'simulated',
    'read_only',
    'compute_driver',
    'agent_version',
    'configuration',
  ] as const),
  ...(['failed_builds', 'generation', 'last_seen_at', 'created_at'] as const),
];

/** `berth host`, but for `check` and `prepare`, which ask no service. */
export function addHost(noun: Noun): void {
  listVerb(noun, 'list', 'hosts', {
    options: (command) =>
      command
        .addOption(new Option('--status <status>', 'only those that are').choices(['up', 'down']))
        .option('--aggregate <aggregate>', 'only those in it'),
    rows: ({ rest, all }: Session, { status, aggregate }: { status?: Host['status']; aggregate?: string }) => {
      const filter = filled({ status, aggregate });
      return all((query) => rest.GET('/v1/hosts', { params: { query: { ...query, ...filter } } }));
    },
    columns: [
      ...(['name', 'status', 'enabled', 'availability_zone'] as const),
      { name: 'devices', text: ({ devices }) => `${devices.available} of ${devices.offered} free` },
      ...(['disabled_reason', 'last_seen_at'] as const),
    ],
    long: ['id', 'capacity', 'used', 'aggregates', 'kernel', 'simulated', 'read_only', 'agent_version', 'traits'],
  });
  showVerb(noun, 'show <host>', 'one host', {
    one: ({ rest, ask }: Session, _given: unknown, host: string) =>
      ask(rest.GET('/v1/hosts/{host}', { params: { path: { host } } })),
    fields: FIELDS,
  });
  addSet(noun);
  showVerb(noun, 'reload <host>', 'have the agent of a host read its configuration files again', {
    one: ({ rest, ask }: Session, _given: unknown, host: string) =>
      ask(rest.POST('/v1/hosts/{host}/reload', { params: { path: { host } } })),
    fields: FIELDS,
  });
  eachVerb(noun, 'delete <host...>', 'say that hosts are gone: their devices are forgotten', {
    what: 'host delete',
    options: (command) =>
      command.option('--force', 'also a host that is up, or enabled; never one that servers are on', false),
    act: ({ rest, ask }: Session, { force }: { force: boolean }, host) =>
      ask(rest.DELETE('/v1/hosts/{host}', { params: { path: { host }, query: { force } } })),
  });
  addEvacuation(noun);
  addTopology(noun);
}

interface GivenSet {
  readonly enable?: true;
  readonly disable?: true;
  readonly reason?: string;
  readonly down?: true;
  readonly up?: true;
  readonly cpuRatio?: number;
  readonly ramRatio?: number;
  readonly diskRatio?: number;
  readonly reservedVcpus?: number;
  readonly reservedRam?: number;
  readonly reservedDisk?: number;
  readonly trait?: readonly string[];
  readonly clearTraits?: true;
}

function addSet(noun: Noun): void {
  showVerb(noun, 'set <host>', 'enable or disable a host, and what else is said of it', {
    options: setOptions,
    one: async ({ rest, ask }: Session, given: GivenSet, host: string) => {
      const params = { path: { host } };
      const there = await ask(rest.GET('/v1/hosts/{host}', { params }));
      const enabled = given.enable ? true : given.disable ? false : undefined;
      const body = filled({
        ...{ enabled, disabled_reason: given.reason, forced_down: given.down ?? (given.up && false) },
        allocation_ratios: ratiosOf(given, there),
        reserved: reservedOf(given, there),
        traits: given.clearTraits ? [] : given.trait && [...new Set([...there.traits, ...given.trait])],
      });
      return ask(rest.PATCH('/v1/hosts/{host}', { params, body: body as Schemas['HostChangeBody'] }));
    },
    fields: FIELDS,
  });
}

function setOptions(command: Command): Command {
  return command
    .addOption(new Option('--enable', 'it may take servers again').conflicts('disable'))
    .addOption(new Option('--disable', 'it takes no more servers'))
    .option('--reason <text>', 'why it is disabled')
    .addOption(new Option('--down', 'it is taken for down, whatever its agent says').conflicts('up'))
    .addOption(new Option('--up', 'its agent is believed again'))
    .option('--cpu-ratio <n>', 'vCPUs for each CPU', decimal)
    .option('--ram-ratio <n>', 'the same of memory', decimal)
    .option('--disk-ratio <n>', 'the same of disk', decimal)
    .option('--reserved-vcpus <n>', 'kept for the host itself', wholeNumber)
    .option('--reserved-ram <mb>', 'kept for the host itself', wholeNumber)
    .option('--reserved-disk <gb>', 'kept for the host itself', wholeNumber)
    .option('--trait <trait>', 'a further one of its own; may be repeated', several)
    .option('--clear-traits', 'it has none of its own');
}

/** What is not said stays; undefined: nothing is said. */
function ratiosOf({ cpuRatio: cpu, ramRatio: ram, diskRatio: disk }: GivenSet, there: Host): object | undefined {
  const said = filled({ cpu, ram, disk });
  return Object.keys(said).length === 0 ? undefined : { ...there.allocation_ratios, ...said };
}

function reservedOf(given: GivenSet, there: Host): object | undefined {
  const said = filled({ vcpus: given.reservedVcpus, memory_mb: given.reservedRam, disk_gb: given.reservedDisk });
  return Object.keys(said).length === 0 ? undefined : { ...there.reserved, ...said };
}

interface GivenTopology {
  readonly address: readonly string[];
  readonly device?: { readonly vendor_id: string; readonly product_id: string };
}

function addTopology(noun: Noun): void {
  reportVerb(noun, 'topology show <host>', 'how far the devices of a host are from each other', {
    options: (command) =>
      command
        .option('--address <address>', 'only this device; may be repeated', several, [])
        .option('--device <vendor:product>', 'only such devices, e.g. 10de:20b0', idsOf),
    answer: ({ rest, ask }: Session, { address, device }: GivenTopology, host: string) => {
      const query = { ...(address.length > 0 && { address: address.join(',') }), ...device };
      return ask(rest.GET('/v1/hosts/{host}/topology', { params: { path: { host }, query } }));
    },
    text: hostTopologyText,
  });
}

function idsOf(text: string): NonNullable<GivenTopology['device']> {
  const [, vendor, product] = /^([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(text) ?? [];
  if (vendor !== undefined && product !== undefined) return { vendor_id: vendor, product_id: product };
  throw new InvalidArgumentError('has to be vendor:product, like 10de:20b0');
}
