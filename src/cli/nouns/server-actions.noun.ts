import type { Command } from 'commander';
import type { Schemas } from '../client/rest-client.js';
import { filled, type GivenWait, withWait } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { eachVerb } from '../verbs/verbs.js';
import { watched } from '../verbs/waiting.js';
import { serverId } from './ids.js';

interface GivenAction extends GivenWait {
  readonly hard?: true;
  readonly reason?: string;
  readonly availabilityZone?: string;
  readonly flavor?: string;
  readonly host?: string;
}

interface Action {
  readonly about: string;
  readonly options?: (command: Command) => Command;
}

const ACTIONS = {
  stop: { about: 'stop servers; they keep their devices' },
  start: { about: 'start servers that were stopped' },
  reboot: { about: 'boot servers again', options: (command) => command.option('--hard', 'as if the power went') },
  pause: { about: 'pause servers' },
  unpause: { about: 'go on with servers that were paused' },
  suspend: { about: 'suspend servers' },
  resume: { about: 'go on with servers that were suspended' },
  rebuild: { about: 'start the guests of servers anew, with the same devices' },
  lock: {
    about: 'keep servers from being changed',
    options: (command) => command.option('--reason <text>', 'why'),
  },
  unlock: { about: 'let servers be changed again' },
  shelve: { about: 'shelve servers: their devices are given back' },
  unshelve: {
    about: 'have servers that were shelved placed again',
    options: (command) => command.option('--availability-zone <zone>', 'only there'),
  },
  evacuate: { about: 'have servers of a host that is down placed elsewhere' },
  migrate: {
    about: 'move servers to another host; they boot there',
    options: (command) => command.option('--host <host>', 'only there'),
  },
  resize: {
    about: 'move servers to another host with another flavor; they boot there',
    options: (command) => command.requiredOption('--flavor <flavor>', 'the next one'),
  },
} satisfies Readonly<Record<string, Action>>;

type Verb = keyof typeof ACTIONS;

/** `berth server stop` and the like. */
export function addServerActions(noun: Noun): void {
  for (const [verb, { about, options }] of Object.entries<Action>(ACTIONS)) {
    eachVerb(noun, `${verb} <server...>`, about, {
      what: `server ${verb}`,
      options: (command) => withWait(options ? options(command) : command, 'until it is done'),
      act: (session: Session, given: GivenAction, server) => act(session, verb as Verb, given, server),
    });
  }
}

async function act(session: Session, verb: Verb, given: GivenAction, server: string): Promise<void> {
  const { rest, ask } = session;
  const id = await serverId(session, server);
  const action = verb === 'reboot' && given.hard ? 'reboot_hard' : verb;
  const body = filled({
    ...{ reason: given.reason, availability_zone: given.availabilityZone },
    ...{ flavor: given.flavor, host: given.host },
  });
  await ask(rest.POST('/v1/servers/{id}/actions/{action}', { params: { path: { id, action } }, body }));
  if (!given.wait) return;
  const seen = await watched(
    () => ask(rest.GET('/v1/servers/{id}', { params: { path: { id } } })),
    isSettled,
    ({ name, status, vm_state: state }) => `${name}: ${verb}: ${status}, ${state}`,
    given.timeout,
  );
  if (!isSettled(seen)) throw new Error(`${server}: ${verb} is not done after ${given.timeout} s`);
  if (seen.status === 'ERROR')
    throw new Error(`${server} is ERROR: ${seen.fault?.message ?? 'berth explain tells why'}`);
}

function isSettled({ action, task_state, status }: Schemas['ServerView']): boolean {
  return action === null && task_state === null && status !== 'BUILD';
}
