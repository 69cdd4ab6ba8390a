import { type Command, InvalidArgumentError, Option } from 'commander';
import { BerthError } from '../../errors.js';
import type { Schemas } from '../client/rest-client.js';
import { filled, pairs, wholeNumber } from '../verbs/options.js';
import type { Session } from '../verbs/session.js';
import { reservationId, serverGroupId, serverId } from './ids.js';

type Hint = readonly [key: string, value: string];

/** What a server needs, as servers, placements, dry runs and reservations ask for it. */
export interface GivenDemand {
  readonly flavor?: string;
  readonly devices?: string;
  readonly port?: readonly Schemas['PortBody'][];
  readonly vcpus?: number;
  readonly ram?: number;
  readonly disk?: number;
  readonly availabilityZone?: string;
  readonly hint?: readonly Hint[];
  readonly cpuPolicy?: 'shared' | 'dedicated';
  readonly imageProperty?: Readonly<Record<string, string>>;
  readonly topology?: string;
  readonly priority?: number;
}

type Demand = Pick<
  Schemas['ServerBody'],
  | 'availability_zone'
  | 'cpu_policy'
  | 'devices'
  | 'disk_gb'
  | 'flavor'
  | 'image_properties'
  | 'ports'
  | 'priority'
  | 'ram_mb'
  | 'scheduler_hints'
  | 'topology'
  | 'vcpus'
>;

const HINTS = ['group', 'same_host', 'different_host'];
const HEADING = 'What it needs:';
const PORT = 'vnic_type=direct,physical_network=physnet1';

export function withDemand(command: Command): Command {
  const option = (flags: string, about: string, parser?: (text: string, earlier: never) => unknown): Option => {
    const made = new Option(flags, about).helpGroup(HEADING);
    return parser ? made.argParser(parser as (text: string, earlier: unknown) => unknown) : made;
  };
  const options = [
    option('--flavor <flavor>', 'name or id'),
    option('--devices <wishes>', 'e.g. gpu:2,nic:1; instead of those of the flavor'),
    option('--port <port>', `${PORT}; may be repeated`, ports),
    option('--vcpus <n>', 'without a flavor', wholeNumber),
    option('--ram <mb>', 'without a flavor', wholeNumber),
    option('--disk <gb>', 'without a flavor', wholeNumber),
    option('--availability-zone <zone>', 'only there'),
    option('--hint <key=value>', 'group=SERVER_GROUP, same_host=SERVER, different_host=SERVER; may be repeated', hints),
    option('--cpu-policy <policy>', 'of its CPUs').choices(['shared', 'dedicated']),
    option('--image-property <key=value>', 'e.g. hw_pci_numa_affinity_policy=required; may be repeated', pairs),
    option('--topology <text>', 'e.g. "gpu,nic within PXB; gpu same numa_node prefer"'),
    option('--priority <n>', 'the greater comes first', wholeNumber),
  ];
  for (const one of options) command.addOption(one);
  return command;
}

/** The part of a body that says it. Names in hints become ids. */
export async function demandOf(session: Session, given: GivenDemand): Promise<Demand> {
  const hints = await hintsOf(session, given.hint);
  return filled({
    ...{ flavor: given.flavor, devices: given.devices, vcpus: given.vcpus, ram_mb: given.ram, disk_gb: given.disk },
    ports: given.port && [...given.port],
    availability_zone: given.availabilityZone,
    scheduler_hints: hints,
    cpu_policy: given.cpuPolicy,
    image_properties: given.imageProperty && { ...given.imageProperty },
    ...{ topology: given.topology, priority: given.priority },
  });
}

export async function reservationOf(session: Session, name: string | undefined): Promise<string | undefined> {
  return name === undefined ? undefined : reservationId(session, name);
}

async function hintsOf(
  session: Session,
  hints: readonly Hint[] | undefined,
): Promise<Schemas['SchedulerHintsBody'] | undefined> {
  if (hints === undefined) return undefined;
  const of = (wanted: string): string[] => hints.filter(([key]) => key === wanted).map(([, value]) => value);
  const servers = (key: string): Promise<string[]> => Promise.all(of(key).map((name) => serverId(session, name)));
  const [same, different, groups] = [await servers('same_host'), await servers('different_host'), of('group')];
  const [group, more] = groups;
  if (more !== undefined) throw new BerthError('request.invalid', '--hint: a server is in one group only');
  return filled({
    group: group === undefined ? undefined : await serverGroupId(session, group),
    same_host: same.length > 0 ? same : undefined,
    different_host: different.length > 0 ? different : undefined,
  }) as Schemas['SchedulerHintsBody'];
}

function hints(text: string, earlier: readonly Hint[] = []): readonly Hint[] {
  const [key = '', value = ''] = Object.entries(pairs(text))[0] ?? [];
  if (!HINTS.includes(key)) throw new InvalidArgumentError(`"${key}" is none of ${HINTS.join(', ')}`);
  return [...earlier, [key, value]];
}

const PORT_KEYS = ['name', 'vnic_type', 'physical_network', 'numa_policy', 'trusted'];

/** What is not a key is told here, what is not a value by the REST face. */
function ports(text: string, earlier: readonly Schemas['PortBody'][] = []): readonly Schemas['PortBody'][] {
  const port = text.split(',').reduce<Readonly<Record<string, string>>>((all, part) => pairs(part, all), {});
  const unknown = Object.keys(port).find((key) => !PORT_KEYS.includes(key));
  if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is none of ${PORT_KEYS.join(', ')}`);
  const { physical_network: network = null, trusted, ...rest } = port;
  const body = { ...rest, physical_network: network, ...(trusted !== undefined && { trusted: trusted === 'true' }) };
  return [...earlier, body as Schemas['PortBody']];
}
