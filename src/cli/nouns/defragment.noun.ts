import { defragmentationText } from '../reports/defragmentation-text.js';
import { FAILED } from '../verbs/failures.js';
import { filled, positive, several, wholeNumber } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { reportVerb } from '../verbs/verbs.js';
import type { Schemas } from '../client/rest-client.js';
import { serverId } from './ids.js';

interface GivenPlan {
  readonly flavor?: string;
  readonly devices?: string;
  readonly count?: number;
  readonly alias: readonly string[];
  readonly keep: readonly string[];
  readonly movesMax?: number;
}

const HELP = `
Say what has to fit (--flavor, --devices, --count), or name aliases whose free devices should be of more use.
A plan only: nothing is moved. Exit code:
  0  nothing to do, or the plan reaches the goal
  1  it does not, or not in full
  2  there is no answer`;

/** `berth defragment plan`. */
export function addDefragment(noun: Noun): void {
  reportVerb(noun, 'plan', 'which servers to move so that more fits: moves in order, gain and cost', {
    options: (command) =>
      command
        .option('--flavor <name>', 'a server of this flavor has to fit')
        .option('--devices <wishes>', 'a server with these devices, e.g. gpu:4')
        .option('--count <number>', 'so many of them', positive)
        .option('--alias <name>', 'instead of a goal: free devices of this alias; may be repeated', several, [])
        .option('--keep <server>', 'that must not be moved; may be repeated', several, [])
        .option('--moves-max <number>', 'at most so many moves', wholeNumber),
    help: HELP,
    answer: plan,
    text: defragmentationText,
    codeOf: ({ outcome }) => (outcome === 'reached' || outcome === 'nothing_to_do' ? 0 : FAILED),
  });
}

async function plan(session: Session, given: GivenPlan): Promise<Schemas['DefragmentationPlanView']> {
  const { flavor, devices, count, alias, movesMax } = given;
  const goal = filled({ flavor, devices, count });
  const keep = await Promise.all(given.keep.map((server) => serverId(session, server)));
  const body = {
    ...(Object.keys(goal).length > 0 && { goal }),
    ...(alias.length > 0 && { aliases: [...alias] }),
    ...(keep.length > 0 && { keep }),
    ...filled({ moves_max: movesMax }),
  };
  return session.ask(session.rest.POST('/v1/defragmentation/plan', { body }));
}
