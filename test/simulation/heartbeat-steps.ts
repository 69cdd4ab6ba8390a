import type { Operation } from './conductor.js';
import { passTime, type Started } from './steps.js';
import { isTopic } from './unreliable-bus.js';
import type { World } from './world.js';

const ROUNDS = 4;
const ROUND_SECONDS = 25;

/**
 * Some time in which agents beat, but for one or two that are silent, and schedulers listen: a scheduler that stands still for as long
 * would not know who was silent. What was begun in the step goes on meanwhile.
 */
export async function beatOnAndOn(world: World): Promise<Started[]> {
  const { chance, conductor, agents, schedulers } = world;
  const silent = new Set([chance.one(agents), ...(chance.is(0.3) ? [chance.one(agents)] : [])]);
  for (let round = 1; round <= ROUNDS; round++) {
    await passTime(world, ROUND_SECONDS);
    const beating = agents.filter((agent) => !silent.has(agent));
    await conductor.settle(present(beating.map((agent) => agent.heartbeat())));
    const heard = deliverBroadcasts(world);
    await conductor.settle(heard.map(({ operation }) => operation));
    for (const { settled } of heard) settled?.();
    await conductor.settle(present(schedulers.map((scheduler) => scheduler.compareHeartbeats())));
  }
  return [];
}

function deliverBroadcasts({ broker, roles }: World): Started[] {
  const topics = broker.ready().filter(isTopic);
  return topics.flatMap((queue) => {
    const subscribers = roles.flatMap((role) => role.subscriberOf(queue) ?? []);
    return subscribers.flatMap((subscriber) =>
      broker.dueIn(queue).flatMap(() => broker.deliver(queue, subscriber) ?? []),
    );
  });
}

function present(operations: readonly (Operation | null)[]): Operation[] {
  return operations.filter((operation) => operation !== null);
}
