import { FieldProblem, readBoolean } from '../pci/device-spec/device-spec-fields.js';
import { isObject, kindOf, clip } from '../pci/device-spec/device-spec-fields.js';
import { DIALECTS } from '../pci/dialect.js';
import { suggestion } from '../pci/suggest.js';
import type { PlacementPolicyName } from './settings.js';

/** A value as the table has it: plain data. */
export type SettingValue =
  | string
  | number
  | boolean
  | null
  | readonly string[]
  | Readonly<Record<string, number>>
  | Readonly<Record<string, string>>;

/** How a setting is read: from YAML (any value) and from an environment variable or a flag (text). */
export interface SettingKind {
  /** @throws FieldProblem */
  readonly read: (value: unknown) => SettingValue;
  /** What `read` is given for a text of the environment. */
  readonly fromText: (text: string) => unknown;
}

export interface SettingDefinition {
  /** Section and key in YAML: `http.port`. */
  readonly key: string;
  readonly kind: SettingKind;
  readonly initial: SettingValue;
  /** Short name of the environment variable; `BERTH_<SECTION>_<KEY>` always works. */
  readonly variable: string | null;
  /** For config/berth.yaml: what it is, and its unit. */
  readonly comment: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MIB = 1024 * 1024;

const PLACEMENT_POLICIES: readonly PlacementPolicyName[] = ['spread', 'best-fit', 'fragmentation', 'scarcity'];

/** Every setting, once: its key, what it may be, its default. `device_spec`, `alias` and `free_tags` have their own readers. */
export const SETTINGS: readonly SettingDefinition[] = [
  setting('http.host', text(), '127.0.0.1', 'Address that the REST face listens on.'),
  setting('http.port', integer(0, 65_535), 8790, 'Port of the REST face; 0 takes any free one.'),
  setting('http.body_bytes_max', integer(1024, 64 * MIB), MIB, 'Largest request body, in bytes.'),
  setting('http.page_size_max', integer(1, 10_000), 1000, 'Most items on one page of a list.'),
  setting(
    'database.url',
    url(['postgres:', 'postgresql:'], 'postgres://user:password@host:5432/berth'),
    null,
    'postgres://user:password@host:5432/berth; null is the embedded database (only `berth all`).',
    'DATABASE_URL',
  ),
  setting('database.pool_max', integer(1, 1000), 10, 'Most connections of one process.'),
  setting(
    'bus.url',
    url(['amqp:', 'amqps:'], 'amqp://user:password@host:5672/vhost'),
    null,
    'amqp://user:password@host:5672/vhost; null is the bus inside the process (only `berth all`).',
    'AMQP_URL',
  ),
  setting('bus.message_bytes_max', integer(64 * 1024, 64 * MIB), 8 * MIB, 'Largest message, in bytes.'),
  setting('bus.delivery_limit', integer(1, 100), 5, 'How often a message is tried before it goes to the dead letters.'),
  setting(
    'scheduler.filters',
    names(64),
    [
      'ComputeFilter',
      'AvailabilityZoneFilter',
      'AggregateMultiTenancyIsolation',
      'AggregateInstanceExtraSpecsFilter',
      'ComputeCapabilitiesFilter',
      'ImagePropertiesFilter',
      'ServerGroupAntiAffinityFilter',
      'ServerGroupAffinityFilter',
      'DifferentHostFilter',
      'SameHostFilter',
      'CoreFilter',
      'RamFilter',
      'DiskFilter',
      'NUMATopologyFilter',
      'PciPassthroughFilter',
    ],
    'Filters in the order in which they are asked; RetryFilter, TraitsFilter and PciPassthroughFilter always are.',
  ),
  setting(
    'scheduler.weigher_multipliers',
    multipliers(64),
    {},
    'Weigher: multiplier; one that is not named keeps its own. Example: {PCIWeigher: 2.0}',
  ),
  setting(
    'scheduler.placement_policies.default',
    oneOf(PLACEMENT_POLICIES),
    'spread',
    'How a host is chosen: spread (the weighers), best-fit, fragmentation or scarcity, see docs/decisions/0011.',
  ),
  setting(
    'scheduler.placement_policies.aliases',
    byAlias(PLACEMENT_POLICIES, 1000),
    {},
    'Alias: policy; for servers that ask for it. Example: {gpu: scarcity}',
  ),
  setting('scheduler.cpu_allocation_ratio', ratio(), 4, 'Virtual CPUs that may be given out for each one of a host.'),
  setting('scheduler.ram_allocation_ratio', ratio(), 1, 'The same for memory.'),
  setting('scheduler.disk_allocation_ratio', ratio(), 1, 'The same for disk.'),
  setting(
    'scheduler.max_instances_per_host',
    integer(1, 100_000),
    50,
    'Most servers of one host, where NumInstancesFilter or AggregateNumInstancesFilter is asked.',
  ),
  setting(
    'scheduler.max_io_ops_per_host',
    integer(0, 100_000),
    8,
    'Most servers that come to or leave one host at a time, where IoOpsFilter or AggregateIoOpsFilter is asked.',
  ),
  setting(
    'scheduler.tie_break',
    oneOf(['auto', 'process', 'name']),
    'auto',
    'Which of equally good hosts is taken: process (each process begins elsewhere, so that several collide less), name (the first by name), or auto: name in the nova dialect, else process.',
  ),
  setting('scheduler.attempts_max', integer(1, 100), 3, 'How many hosts a server is tried on before it ends in ERROR.'),
  setting('scheduler.claim_timeout_ms', integer(100, HOUR), MINUTE, 'How long an agent may take to prepare devices.'),
  setting(
    'scheduler.host_silent_after_ms',
    integer(100, HOUR),
    MINUTE,
    'A host not heard of for so long gets no servers.',
  ),
  setting('scheduler.sweep_interval_ms', integer(10, HOUR), 5000, 'How often lost messages are made good.'),
  setting('scheduler.batch_size_max', integer(1, 10_000), 512, 'Most servers or placements decided together.'),
  setting('scheduler.batch_delay_ms', integer(0, 10_000), 6, 'How long a batch waits for more.'),
  setting(
    'scheduler.queue.max',
    integer(0, 100_000),
    1000,
    'Most servers that wait for room; beyond that they end in ERROR.',
  ),
  setting(
    'scheduler.queue.ageing_per_minute',
    number(0, 1_000_000),
    1,
    'By how much the priority of a waiting server grows with each minute.',
  ),
  setting(
    'scheduler.queue.patience_ms',
    integer(0, 24 * HOUR),
    10 * MINUTE,
    'Once the first in the queue has waited so long, a host is kept for it; before that, smaller ones may pass it.',
  ),
  setting(
    'scheduler.preemption',
    boolean(),
    false,
    'true: a server may take the place of preemptible ones with a lower priority.',
  ),
  setting(
    'scheduler.journal.keep_hours',
    integer(0, 24 * 366),
    72,
    'How long decisions are kept for `berth replay`; 0 records none.',
  ),
  setting(
    'scheduler.journal.base_interval_ms',
    integer(1000, 24 * HOUR),
    HOUR,
    'How often all hosts are written down with them: a replay begins there.',
  ),
  setting(
    'scheduler.reservation_lead_ms',
    integer(0, 7 * 24 * HOUR),
    HOUR,
    'How long before a window of a reservation its devices are kept, and spares are looked for.',
  ),
  setting(
    'scheduler.relay_interval_ms',
    integer(1, MINUTE),
    100,
    'How often the outbox is looked through for what other processes wrote; what a scheduler writes itself goes out at once.',
  ),
  setting(
    'audit.keep_days',
    integer(0, 36_500),
    365,
    'How long the audit chain goes back, see docs/decisions/0015; 0 keeps it for ever.',
  ),
  setting('agent.host', optional(text()), null, "Name of this host; null is the machine's own.", 'BERTH_HOST'),
  setting('agent.sysfs_root', text(), '/sys', 'Where the sysfs tree is.', 'BERTH_SYSFS_ROOT'),
  setting('agent.proc_root', text(), '/proc', 'Where the proc tree is.', 'BERTH_PROC_ROOT'),
  setting(
    'agent.state_dir',
    text(),
    '/var/lib/berth',
    'Where the agent keeps its epoch and its journal of prepared devices.',
    'BERTH_STATE_DIR',
  ),
  setting(
    'agent.kernel',
    oneOf(['live', 'simulated']),
    'live',
    "live: sysfs_root is a kernel's. simulated: a recorded tree, whose kernel Berth plays.",
    'BERTH_KERNEL',
  ),
  setting('agent.read_only', boolean(), false, 'true: report devices, but never bind one.', 'BERTH_READ_ONLY'),
  setting('agent.scan_interval_ms', integer(100, 24 * HOUR), MINUTE, 'How often all devices are looked at.'),
  setting('agent.heartbeat_interval_ms', integer(100, HOUR), 10_000, 'How often the host says that it is there.'),
  setting('agent.resources.vcpus', optional(integer(0, 65_536)), null, 'CPUs to report; null is what the host has.'),
  setting(
    'agent.resources.memory_mb',
    optional(integer(0, 2 ** 40)),
    null,
    'Memory to report, in MiB; null: as above.',
  ),
  setting('agent.resources.disk_gb', optional(integer(0, 2 ** 40)), null, 'Disk to report, in GiB; null: as above.'),
  setting('agent.reserved.vcpus', integer(0, 65_536), 0, 'CPUs that are kept for the host itself.'),
  setting('agent.reserved.memory_mb', integer(0, 2 ** 40), 0, 'Memory that is kept for the host itself, in MiB.'),
  setting('agent.reserved.disk_gb', integer(0, 2 ** 40), 0, 'Disk that is kept for the host itself, in GiB.'),
  setting(
    'agent.hypervisor.type',
    text(),
    'QEMU',
    'What its servers run on: img_hv_type and capabilities: ask for it.',
  ),
  setting(
    'agent.hypervisor.version',
    optional(integer(0, 1_000_000_000)),
    null,
    'Like 8002000 for 8.2.0; null: not told.',
  ),
  setting(
    'compat',
    oneOf(DIALECTS),
    'strict',
    'strict, or nova: read configuration and choose devices as Nova 26.2 does, see docs/compatibility.md.',
  ),
  setting('log_level', oneOf(['debug', 'info', 'warn', 'error']), 'info', 'debug, info, warn or error.'),
  setting('data_dir', text(), '.berth', 'Where `berth all` keeps the embedded database and the demo hosts.'),
  setting(
    'pci.exclusive_tags',
    names(64),
    ['physical_network'],
    'A device with one of these tags goes only to who names the tag: a port, or an alias that says it.',
  ),
  setting(
    'pci.alias_origin',
    optional(text()),
    null,
    "Name of the files that aliases are from, shared by processes that have the same; null: the machine's name and port.",
  ),
];

function setting(
  key: string,
  kind: SettingKind,
  initial: SettingValue,
  comment: string,
  variable: string | null = null,
): SettingDefinition {
  return { key, kind, initial, comment, variable };
}

function text(): SettingKind {
  return { read: readPlainText, fromText: (given) => given };
}

function readPlainText(value: unknown): string {
  if (typeof value !== 'string') throw new FieldProblem(`has to be a text, not ${kindOf(value)}`);
  if (value.trim() === '') throw new FieldProblem('is empty; give a value, or leave it out');
  if (value.length > 4096) throw new FieldProblem(`has ${value.length} characters; at most 4096`);
  if (/\p{Cc}/u.test(value)) throw new FieldProblem('has a control character in it; remove it');
  return value;
}

function integer(min: number, max: number): SettingKind {
  return {
    read(value) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
        throw new FieldProblem(`has to be a whole number without quotes, not ${shown(value)}`);
      }
      if (value < min || value > max) throw new FieldProblem(`${value} is not between ${min} and ${max}`);
      return value;
    },
    fromText: numberFrom,
  };
}

function ratio(): SettingKind {
  return {
    read(value) {
      const number = readNumber(value);
      if (number <= 0 || number > 1000) throw new FieldProblem(`${number} is not above 0 and up to 1000`);
      return number;
    },
    fromText: numberFrom,
  };
}

function number(min: number, max: number): SettingKind {
  return {
    read(value) {
      const given = readNumber(value);
      if (given < min || given > max) throw new FieldProblem(`${given} is not between ${min} and ${max}`);
      return given;
    },
    fromText: numberFrom,
  };
}

function boolean(): SettingKind {
  return { read: readBoolean, fromText: (given) => given };
}

function oneOf(words: readonly string[]): SettingKind {
  return {
    read(value) {
      const known = words.find((word) => word === value);
      if (known !== undefined) return known;
      const hint = typeof value === 'string' ? suggestion(value, words) : '';
      throw new FieldProblem(`has to be ${words.join(' or ')}, not ${shown(value)}${hint}`);
    },
    fromText: (given) => given,
  };
}

function optional(kind: SettingKind): SettingKind {
  return { read: (value) => (value === null ? null : kind.read(value)), fromText: kind.fromText };
}

/** The value itself is never shown: it may have a password in it. */
function url(protocols: readonly string[], example: string): SettingKind {
  return {
    read(value) {
      if (value === null) return null;
      if (typeof value !== 'string' || !URL.canParse(value)) throw new FieldProblem(`has to be a URL like ${example}`);
      const { protocol } = new URL(value);
      if (!protocols.includes(protocol)) throw new FieldProblem(`has to begin with ${protocols[0]}//, like ${example}`);
      return value;
    },
    fromText: (given) => given,
  };
}

function names(max: number): SettingKind {
  return {
    read(value) {
      if (!Array.isArray(value)) throw new FieldProblem(`has to be a list of names, not ${shown(value)}`);
      if (value.length > max) throw new FieldProblem(`has ${value.length} names; at most ${max}`);
      return value.map(readPlainText);
    },
    fromText: (given) => given.split(',').map((name) => name.trim()),
  };
}

function multipliers(max: number): SettingKind {
  return {
    read(value) {
      if (!isObject(value)) throw new FieldProblem(`has to map weigher names to numbers, not ${shown(value)}`);
      const entries = Object.entries(value);
      if (entries.length > max) throw new FieldProblem(`has ${entries.length} names; at most ${max}`);
      return Object.fromEntries(entries.map(([name, factor]) => [readWeigherName(name), readNumber(factor)]));
    },
    fromText: (given) => Object.fromEntries(given.split(',').map(multiplierFrom)),
  };
}

/** One of the words for each of some aliases. */
function byAlias(words: readonly string[], max: number): SettingKind {
  const word = oneOf(words);
  return {
    read(value) {
      if (!isObject(value)) throw new FieldProblem(`has to map aliases to ${words.join(' or ')}, not ${shown(value)}`);
      const entries = Object.entries(value);
      if (entries.length > max) throw new FieldProblem(`has ${entries.length} aliases; at most ${max}`);
      return Object.fromEntries(entries.map(([alias, given]) => [readPlainText(alias), word.read(given) as string]));
    },
    fromText: (given) =>
      Object.fromEntries(
        given.split(',').map((item) => item.split('=').map((part) => part.trim()) as [string, string]),
      ),
  };
}

function readWeigherName(name: string): string {
  if (/^[A-Z][A-Za-z0-9]{0,63}$/.test(name)) return name;
  throw new FieldProblem(`"${clip(name)}" is not the name of a weigher, like PCIWeigher`);
}

function multiplierFrom(item: string): [string, unknown] {
  const [name = '', factor = ''] = item.split('=');
  return [name.trim(), numberFrom(factor.trim())];
}

function readNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new FieldProblem(`has to be a number without quotes, not ${shown(value)}`);
}

/** The number that the text writes, or the text itself, to be refused where it is read. */
function numberFrom(given: string): unknown {
  return /^-?\d{1,15}(?:\.\d{1,15})?$/.test(given.trim()) ? Number(given) : given;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `"${clip(value)}"` : kindOf(value);
}
