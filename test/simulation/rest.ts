import { envelope } from '../../src/messages/envelope.js';
import { agentQueue } from '../../src/messages/routes.js';
import { acknowledge, deliver, isAnswered, passTime, type Started } from './steps.js';
import { Finding } from './record.js';
import type { World } from './world.js';

const ROUNDS_MAX = 40;
const MESSAGES_MAX = 600;

/** Runs what was started until all is settled. */
export async function settle(world: World, started: readonly Started[]): Promise<void> {
  await world.conductor.settle(started.map(({ operation }) => operation));
  for (const { settled } of started) settled?.();
}

/** No more faults: everybody lives, every message arrives, and time passes, until nothing changes any more. */
export async function comeToRest(world: World): Promise<void> {
  world.setFaults(false);
  world.record.tell('no more faults');
  for (const machine of world.machines) for (const slot of machine.pulled()) machine.putBack(slot);
  for (const role of world.roles) if (!role.isAlive) await settle(world, [{ operation: role.start() }]);
  world.broker.step = Number.MAX_SAFE_INTEGER;
  askAll(world);
  let before = '';
  let quiet = 0;
  for (let round = 1; quiet < 2; round++) {
    if (round > ROUNDS_MAX) throw new Finding('does not come to rest without faults');
    await runRound(world);
    const now = await fingerprint(world);
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}

/**
 * As schedulers ask whom they have not heard. An agent that could not undo a failed claim, because the kernel refused, tries again when
 * its next claim comes, when it starts, or when it has said what it holds.
 */
function askAll({ broker, machines }: World): void {
  for (const { name } of machines) {
    broker.put(agentQueue(name), envelope('report.request', { reason: 'all comes to rest' }));
  }
}

async function runRound(world: World): Promise<void> {
  const { schedulers, agents, unanswered } = world;
  await passTime(world, 61);
  for (const agent of agents) {
    await settleAll(world, [agent.look()]);
    await settleAll(world, [agent.heartbeat()]);
  }
  for (const request of unanswered.splice(0)) {
    const operation = request.send();
    await settleAll(world, [operation]);
    if (operation && isAnswered(operation)) acknowledge(world, request, operation);
    else
      throw new Finding(
        `a request is not answered though nothing fails: ${request.title}: ${String(operation?.value)}`,
      );
  }
  await deliverAll(world);
  for (const scheduler of schedulers) await settleAll(world, [scheduler.compareHeartbeats()]);
  for (const scheduler of schedulers) await settleAll(world, [scheduler.sweep()]);
  await deliverAll(world);
  for (const scheduler of schedulers) await settleAll(world, [scheduler.sealAudit()]);
}

async function deliverAll(world: World): Promise<void> {
  for (let count = 0; ; count++) {
    if (count > MESSAGES_MAX) throw new Finding('messages do not end without faults');
    await settleAll(world, [world.relays[0]?.relay() ?? null]);
    if (world.broker.isEmpty()) return;
    while (!world.broker.isEmpty() && count <= MESSAGES_MAX) {
      count += 1;
      const started = deliver(world);
      if (started.length === 0) throw new Finding(`nobody consumes ${world.broker.ready().join(', ')}`);
      await settle(world, started);
      const failed = started.find(({ operation }) => operation.state !== 'done');
      if (failed)
        throw new Finding(
          `${failed.operation.title} fails though nothing else does: ${String(failed.operation.value)}`,
        );
    }
  }
}

async function settleAll(world: World, operations: readonly (Started['operation'] | null)[]): Promise<void> {
  await settle(
    world,
    operations.filter((operation) => operation !== null).map((operation) => ({ operation })),
  );
}

async function fingerprint({ source }: World): Promise<string> {
  const [row] = (await source.query(`SELECT
    (SELECT string_agg(id::text || status || coalesce(task_state, '') || attempts, ',' ORDER BY id) FROM servers) AS servers,
    (SELECT string_agg(id::text || status, ',' ORDER BY id) FROM claims) AS claims,
    (SELECT string_agg(host_id::text || address || status, ',' ORDER BY host_id, address) FROM devices) AS devices,
    (SELECT string_agg(name || status || report_hash, ',' ORDER BY name) FROM hosts) AS hosts`)) as [object];
  return JSON.stringify(row);
}
