import type { Schemas } from '../client/rest-client.js';
import { evacuationPlanText, evacuationText } from '../reports/evacuation-text.js';
import { FAILED } from '../verbs/failures.js';
import { filled, type GivenWait, several, withWait } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { reportVerb } from '../verbs/verbs.js';
import { watched } from '../verbs/waiting.js';
import { serverId } from './ids.js';

type Plan = Schemas['EvacuationPlanView'];
type Progress = Schemas['EvacuationView'];

interface GivenEvacuate extends GivenWait {
  readonly server: readonly string[];
  readonly reason?: string;
  readonly force: boolean;
  readonly disable: boolean;
  readonly retry: boolean;
}

const HELP = `
Servers leave when another host takes them; one for which there is no room stays where it is. Exit code:
  0  asked for; with --wait: every server has left, and every device is given back
  1  with --wait: some have not left in time, or have to be moved by whoever asked for them
  2  there is no answer`;

/** `berth host evacuate` and `berth host evacuation show`. */
export function addEvacuation(noun: Noun): void {
  reportVerb(noun, 'evacuate <host>', 'have the servers of a host placed elsewhere', {
    options: (command) =>
      withWait(command, 'until it is done', 600)
        .option('--server <server>', 'only this server; may be repeated', several, [])
        .option('--reason <text>', 'for the history of the servers')
        .option('--force', 'servers leave also when no host takes them, and wait for room', false)
        .option('--no-disable', 'the host goes on to take servers')
        .option('--no-retry', 'a server for which there is no room is not tried again'),
    help: HELP,
    answer: evacuate,
    text: (answer) => ('done' in answer ? evacuationText(answer) : evacuationPlanText(answer)),
    codeOf: (answer) => ('done' in answer && !isAway(answer) ? FAILED : 0),
  });
  reportVerb(noun, 'evacuation show <host>', 'how an evacuation stands', {
    answer: (session: Session, _given: unknown, host: string) => progress(session, host),
    text: evacuationText,
  });
}

async function evacuate(session: Session, given: GivenEvacuate, host: string): Promise<Plan | Progress> {
  const { force, disable, retry, reason, server } = given;
  const ids = await Promise.all(server.map((name) => serverId(session, name)));
  const body = { force, disable, wait: retry, ...filled({ reason }), ...(ids.length > 0 && { server_ids: ids }) };
  const { rest, ask } = session;
  const plan = await ask(rest.POST('/v1/hosts/{host}/evacuate', { params: { path: { host } }, body }));
  if (!given.wait) return plan;
  return watched(
    () => progress(session, host),
    ({ done }) => done,
    ({ servers }) =>
      `${servers.filter((one) => one.progress === 'moving').length} of ${servers.length} servers to move`,
    given.timeout,
  );
}

function progress({ rest, ask }: Session, host: string): Promise<Progress> {
  return ask(rest.GET('/v1/hosts/{host}/evacuation', { params: { path: { host } } }));
}

function isAway({ done, servers }: Progress): boolean {
  return done && servers.every((one) => one.progress === 'moved' || one.progress === 'gone');
}
