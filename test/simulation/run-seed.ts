import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { BerthError } from '../../src/errors.js';
import { brokenAtRest } from './end-state.js';
import { MadeFault } from './faults.js';
import { brokenInvariants } from './invariants.js';
import { Finding, type SeedRecord } from './record.js';
import { comeToRest, settle } from './rest.js';
import { STEP_KINDS, type Started } from './steps.js';
import { buildWorld, type World } from './world.js';

/**
 * One seed: a world is built, things happen to it step by step, then the faults stop and it comes to rest. What is found is in
 * the record.
 *
 * @param directory  of this seed's own; it is removed
 * @throws Finding what always holds did not
 */
export async function runSeed(seed: number, source: DataSource, directory: string, record: SeedRecord): Promise<void> {
  mkdirSync(directory, { recursive: true });
  let world: World | null = null;
  try {
    world = await buildWorld(seed, source, directory, record);
    for (const role of world.roles) await settle(world, [{ operation: role.start() }]);
    world.setFaults(true);
    const steps = world.chance.between(25, 60);
    for (let step = 1; step <= steps; step++) await runStep(world, step);
    await comeToRest(world);
    await check('at rest', [...(await brokenInvariants(world)), ...(await brokenAtRest(world))]);
    record.count('placements acknowledged', world.placements.count);
    record.count('points', world.conductor.performed);
  } finally {
    for (const role of world?.roles ?? []) await role.kill(); // what they have open is rolled back
    await rm(directory, { recursive: true, force: true });
  }
}

/** One thing happens, or some at once; and then what is on its way goes on for a while. */
async function runStep(world: World, step: number): Promise<void> {
  const { chance, broker, record, conductor } = world;
  const before = conductor.performed;
  broker.step = step;
  const count = chance.is(0.55) ? 1 : chance.between(2, 4);
  const kinds = Array.from({ length: count }, () => chance.weighted(STEP_KINDS));
  record.count('steps');
  record.tell(`step ${step}: ${kinds.map(({ name }) => name).join(', ')}`);
  const started: Started[] = [];
  for (const kind of kinds) started.push(...(await kind.start(world)));
  for (const { operation } of started) record.tell(`    ${operation.life.name} ${operation.title}`);
  await settle(world, started);
  for (const { operation } of started) tellEnd(world, operation);
  if (conductor.performed > before) await check(`after step ${step}`, await brokenInvariants(world));
}

function tellEnd({ record }: World, { life, title, state, value }: Started['operation']): void {
  if (state === 'done') return;
  record.tell(`    ${life.name} ${title}: ${state}${state === 'failed' ? ` with ${String(value)}` : ''}`);
  if (state === 'failed' && !isExpected(value)) throw new Finding(`${life.name} ${title} fails with ${String(value)}`);
}

/** What a role may fail with: what the simulation made, what a client asked for in vain, and what is tried again. */
function isExpected(error: unknown): boolean {
  for (let cause: unknown = error; cause !== undefined && cause !== null; cause = (cause as Error).cause) {
    if (cause instanceof MadeFault) return true;
    if (cause instanceof BerthError && EXPECTED.has(cause.code)) return true;
  }
  return false;
}

const EXPECTED: ReadonlySet<string> = new Set([
  ...['bus.unavailable', 'claim.conflict'],
  ...['server.invalid_status', 'server.unknown', 'server.device_unknown', 'server.invalid', 'device.wanted'],
  ...['host.unknown', 'binding.failed', 'quota.exceeded', 'request.invalid', 'alias.unknown', 'alias.exists'],
]);

async function check(when: string, broken: readonly string[]): Promise<void> {
  if (broken.length > 0) throw new Finding(`${when}:\n  ${broken.join('\n  ')}`);
}

/** Where a worker keeps the machines of its seeds. */
export function seedDirectory(parent: string, seed: number): string {
  return join(parent, `seed-${seed}`);
}
