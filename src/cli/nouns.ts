import type { Command } from 'commander';
import { addConnectionOptions } from './client/connection-options.js';
import type { Environment } from './client/client-settings.js';
import { below } from './verbs/verbs.js';
import type { Noun } from './verbs/session.js';

interface Entry {
  readonly name: string;
  readonly about: string;
  /** A verb without a noun is put on the program itself. */
  readonly alone?: true;
  readonly load: () => Promise<((noun: Noun) => void)[]>;
}

/** What speaks to the REST face. Each is loaded when a command names it: all of them take longer to load than `berth --version`. */
const ENTRIES: readonly Entry[] = [
  {
    name: 'server',
    about: 'servers, their devices and history, and groups of them',
    load: async () => [
      (await import('./nouns/server.noun.js')).addServer,
      (await import('./nouns/server-actions.noun.js')).addServerActions,
      (await import('./nouns/server-group.noun.js')).addServerGroup,
    ],
  },
  {
    name: 'explain',
    about: 'why a server is where it is, or nowhere',
    alone: true,
    load: async () => [(await import('./nouns/explain.noun.js')).addExplain],
  },
  {
    name: 'flavor',
    about: 'what servers of a kind need',
    load: async () => [(await import('./nouns/flavor.noun.js')).addFlavor],
  },
  {
    name: 'alias',
    about: 'names for kinds of devices',
    load: async () => [(await import('./nouns/alias.noun.js')).addAlias],
  },
  {
    name: 'device',
    about: 'devices of hosts, claims on them, and whitelists',
    load: async () => [(await import('./nouns/device.noun.js')).addDevice],
  },
  { name: 'host', about: 'hosts', load: async () => [(await import('./nouns/host.noun.js')).addHost] },
  {
    name: 'iommu',
    about: 'IOMMU groups of hosts',
    load: async () => [(await import('./nouns/iommu.noun.js')).addIommuGroup],
  },
  { name: 'sriov', about: 'VFs of hosts', load: async () => [(await import('./nouns/sriov.noun.js')).addSriov] },
  {
    name: 'aggregate',
    about: 'aggregates of hosts',
    load: async () => [(await import('./nouns/aggregate.noun.js')).addAggregate],
  },
  {
    name: 'availability',
    about: 'availability zones',
    load: async () => [(await import('./nouns/small.nouns.js')).addAvailabilityZone],
  },
  {
    name: 'quota',
    about: 'how much a project may have',
    load: async () => [(await import('./nouns/quota.noun.js')).addQuota],
  },
  {
    name: 'reservation',
    about: 'devices that are kept for a time',
    load: async () => [(await import('./nouns/reservation.noun.js')).addReservation],
  },
  {
    name: 'placement',
    about: 'devices for workloads that others start, and questions about placing',
    load: async () => [(await import('./nouns/placement.noun.js')).addPlacement],
  },
  {
    name: 'pool',
    about: 'devices that are alike',
    load: async () => [(await import('./nouns/small.nouns.js')).addPool],
  },
  { name: 'queue', about: 'who waits for room', load: async () => [(await import('./nouns/small.nouns.js')).addQueue] },
  {
    name: 'capacity',
    about: 'how much can be had',
    load: async () => [(await import('./nouns/capacity.noun.js')).addCapacity],
  },
  {
    name: 'fragmentation',
    about: 'what is free and of no use',
    load: async () => [(await import('./nouns/capacity.noun.js')).addFragmentation],
  },
  {
    name: 'defragment',
    about: 'make room by moving servers',
    load: async () => [(await import('./nouns/defragment.noun.js')).addDefragment],
  },
  {
    name: 'what-if',
    about: 'what would have a place if things were others',
    alone: true,
    load: async () => [(await import('./nouns/what-if.noun.js')).addWhatIf],
  },
  {
    name: 'audit',
    about: 'the chain of what changed devices and of what was decided',
    load: async () => [(await import('./nouns/small.nouns.js')).addAudit],
  },
];

/** Nouns of two words may be written with a hyphen, too. */
const COMPOUNDS = ['availability-zone', 'device-claim', 'device-specs', 'iommu-group', 'server-group'];

/**
 * Adds the commands that speak to the REST face; in full those that the words name, or all of them.
 *
 * @param words what follows `berth`
 * @returns the words, with nouns as the commands have them
 */
export async function addNouns(
  program: Command,
  words: readonly string[],
  env: Environment,
  all: boolean,
): Promise<readonly string[]> {
  addConnectionOptions(program);
  const spelled = respelled(words);
  for (const { name, about, alone = false, load } of ENTRIES) {
    const isNamed = all || spelled.includes(name);
    if (alone && isNamed) for (const add of await load()) add({ command: program, env });
    if (alone && !isNamed) program.command(name).description(about);
    if (alone) continue;
    const command = below(program, name, about);
    if (isNamed) for (const add of await load()) add({ command, env });
    tellVerbs(command);
  }
  return spelled;
}

/** What stands between a noun and its verbs is described by these. */
function tellVerbs(noun: Command): void {
  for (const part of noun.commands) {
    if (part.description() === '') part.description(part.commands.map((verb) => verb.name()).join(', '));
  }
}

/** Only the noun, which is the first word that is no option: what follows may be a name. */
function respelled(words: readonly string[]): readonly string[] {
  const at = words.findIndex((word) => COMPOUNDS.includes(word));
  const isNoun = at >= 0 && !words.slice(0, at).some((word) => ENTRIES.some(({ name }) => name === word));
  return isNoun ? [...words.slice(0, at), ...(words[at] ?? '').split('-'), ...words.slice(at + 1)] : words;
}
