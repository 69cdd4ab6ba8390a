import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { parseAliases } from '../../src/pci/alias/alias.js';
import type { SchedulerSettings } from '../../src/settings/settings.js';
import { insertAlias } from '../../src/store/catalog.store.js';
import { SETTINGS } from '../support/scheduler-world.js';
import { Chance } from './chance.js';
import { Conductor, type Operation } from './conductor.js';
import { FaultsOfSeed, type Roughness, roughnessOf } from './faults.js';
import { Machine, SHAPE_COUNT } from './hosts-on-disk.js';
import type { SeedRecord } from './record.js';
import { AgentRole, ApiRole, type Outside, RelayRole, type Role, SchedulerRole } from './roles.js';
import { QuotaWatch } from './quota-watch.js';
import { ToldPlacements } from './told-placements.js';
import { Broker, NO_BUS_FAULTS } from './unreliable-bus.js';

/** A request of a client that has no answer yet: it is sent again, as clients do. */
export interface Unanswered {
  readonly title: string;
  readonly send: () => Operation | null;
  readonly answered: (value: unknown) => void;
}

/** Everything of one seed: the machines, the roles, and what the clients know. */
export interface World {
  readonly source: DataSource;
  readonly record: SeedRecord;
  /** Of the steps: what is asked for, and when. */
  readonly chance: Chance;
  readonly conductor: Conductor;
  readonly broker: Broker;
  readonly machines: readonly Machine[];
  readonly api: ApiRole;
  readonly schedulers: readonly SchedulerRole[];
  readonly relays: readonly RelayRole[];
  readonly agents: readonly AgentRole[];
  readonly roles: readonly Role<unknown>[];
  readonly unanswered: Unanswered[];
  /** Ids of servers that a client was told of. */
  readonly servers: string[];
  /** Those whose deletion a client was told of. */
  readonly deleted: Set<string>;
  readonly placements: ToldPlacements;
  readonly quota: QuotaWatch;
  requests: number;
  /** Faults begin, or end. */
  setFaults(on: boolean): void;
}

const ALIASES = [
  { name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' },
  { name: 'v100', vendor_id: '10de', product_id: '1db4', device_type: 'type-PCI' },
  { name: 'vf', vendor_id: '8086', product_id: '154c', device_type: 'type-VF' },
  { name: 'nic', vendor_id: '8086', product_id: '1572', device_type: 'type-PF' },
];

/** @param directory  an empty one, for the machines' trees */
export async function buildWorld(
  seed: number,
  source: DataSource,
  directory: string,
  record: SeedRecord,
): Promise<World> {
  const chance = new Chance(seed, 1);
  const conductor = new Conductor(new Chance(seed, 2), record, (pid) => isLockWaiting(source, pid));
  const broker = new Broker(new Chance(seed, 3), record);
  const rough = roughnessOf(chance);
  const machines: Machine[] = [];
  for (let index = 1; index <= chance.between(2, 5); index++) {
    const shape = chance.below(SHAPE_COUNT);
    record.tell(`host-${index}: shape ${shape}`);
    machines.push(await Machine.build(`host-${index}`, join(directory, `host-${index}`), shape));
  }
  await source.transaction(async (tx) => {
    const given = parseAliases(ALIASES.map((value) => ({ value, where: 'simulation' })));
    for (const alias of given) await insertAlias(tx, alias);
  });
  let moment = 1_700_000_000_000;
  const outside: Outside = { shared: source, broker, conductor, settings: settingsOf(chance), tick: () => ++moment };
  const api = new ApiRole('api', outside);
  const schedulers = [1, 2].map((number) => new SchedulerRole(`scheduler-${number}`, outside));
  const relays = [1, 2].map((number) => new RelayRole(`relay-${number}`, outside));
  const agents = machines.map((machine) => new AgentRole(machine, outside));
  return {
    ...{ source, record, chance, conductor, broker, machines, api, schedulers, relays, agents },
    roles: [api, ...schedulers, ...relays, ...agents],
    ...{ unanswered: [], servers: [], deleted: new Set(), requests: 0 },
    ...{ placements: new ToldPlacements(), quota: new QuotaWatch() },
    setFaults: faultSwitch(seed, rough, { conductor, broker, machines, record }),
  };
}

function settingsOf(chance: Chance): SchedulerSettings {
  return {
    ...SETTINGS,
    attemptsMax: chance.between(1, 4),
    preemption: chance.is(0.4),
    queue: { max: 8, ageingPerMinute: 1, patienceMs: 60_000 },
    journal: { keepHours: chance.is(0.2) ? 1 : 0, baseIntervalMs: 60_000 },
  };
}

function faultSwitch(
  seed: number,
  rough: Roughness,
  { conductor, broker, machines, record }: Pick<World, 'conductor' | 'broker' | 'machines' | 'record'>,
): (on: boolean) => void {
  const faults = new FaultsOfSeed(new Chance(seed, 4), rough);
  const kernel = new Chance(seed, 5);
  const refusal = (path: string, value: string): string | null => {
    if (!kernel.is(rough.kernelRefuses)) return null;
    record.fault('kernel refuses', `${path} = ${value.trim()}`);
    return kernel.one(['EBUSY', 'ENODEV', 'EINVAL']);
  };
  return (on) => {
    conductor.faults = on ? faults : null;
    broker.faults = on ? rough.bus : NO_BUS_FAULTS;
    for (const machine of machines) machine.refusal = on ? refusal : null;
  };
}

async function isLockWaiting(source: DataSource, pid: number): Promise<boolean> {
  const rows = (await source.query(`SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`, [
    pid,
  ])) as unknown[];
  return rows.length > 0;
}
