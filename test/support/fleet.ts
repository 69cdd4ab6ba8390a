import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { Client } from 'pg';

import type { HostDescription } from '../../src/recorded-hosts/description.js';
import { readJournal, type ClaimRecord } from '../../src/compute-agent/journal-state.js';
import { BerthProcess } from './berth-process.js';
import { hostAt, temporaryDirectory } from './hosts.js';
import { createTestDatabase } from './postgres.js';
import { freePort } from './processes.js';
import { startRabbitMq, type RabbitMqOptions, type TestRabbitMq } from './rabbitmq.js';
import { RestClient } from './rest-client.js';

export interface FleetHost {
  readonly name: string;
  /** A description, or a recorded tree's name. */
  readonly tree: HostDescription | string;
  /** Its configuration file, by its name: `nova.conf`, `zun.conf` or `agent.yaml`. */
  readonly config: Readonly<Record<string, string>>;
}

export interface FleetPlan {
  readonly databaseUrl: string;
  readonly hosts: readonly FleetHost[];
  /** What `berth api` is given, by name: the aliases. */
  readonly apiConfig: Readonly<Record<string, string>>;
  /** Environment of all processes, above the short intervals that they have. */
  readonly env?: Readonly<Record<string, string>>;
  /** How the broker is started, when not as usual. */
  readonly broker?: RabbitMqOptions;
  /** What each agent is told beside, or instead, once the broker runs. */
  readonly agentEnv?: (host: string, rabbitMq: TestRabbitMq) => Promise<Readonly<Record<string, string>>>;
}

/** Intervals that fit a test, and the same host every time. */
const QUICK = {
  BERTH_SCHEDULER_TIE_BREAK: 'name',
  BERTH_AGENT_SCAN_INTERVAL_MS: '2000',
  BERTH_AGENT_HEARTBEAT_INTERVAL_MS: '1000',
  BERTH_SCHEDULER_SWEEP_INTERVAL_MS: '500',
};

/** A device as the host's tree has it. */
export interface TreeDevice {
  readonly driver: string | null;
  /** What is written in `driver_override`; null: nothing. */
  readonly override: string | null;
}

/** One agent and the host that it works on. */
export class FleetAgent {
  constructor(
    readonly name: string,
    readonly process: BerthProcess,
    readonly sysfs: string,
    private readonly stateDir: string,
    /** Where its configuration files are. */
    readonly configDir: string,
  ) {}

  /** The tree's devices by address, as they are now. */
  devices(): Record<string, TreeDevice> {
    const directory = join(this.sysfs, 'bus/pci/devices');
    return Object.fromEntries(
      readdirSync(directory)
        .toSorted()
        .map((address) => [address, treeDevice(join(directory, address))]),
    );
  }

  /** Addresses that are bound to vfio-pci now. */
  bound(): string[] {
    return Object.entries(this.devices()).flatMap(([address, { driver }]) => (driver === 'vfio-pci' ? [address] : []));
  }

  /** What the agent's journal says that it holds. */
  claims(): readonly ClaimRecord[] {
    const { state, problem } = readJournal(readFileSync(join(this.stateDir, 'journal.json'), 'utf8'));
    if (!state) throw new Error(`journal of ${this.name}: ${problem}`);
    return state.claims;
  }

  /** What it held is forgotten, as with a new disk; it has stopped. */
  loseJournal(): void {
    rmSync(this.stateDir, { recursive: true });
  }
}

/** `berth api`, `berth scheduler` and agents, each a process, with a database and a broker of their own. */
export interface Fleet {
  readonly api: BerthProcess;
  readonly scheduler: BerthProcess;
  readonly agents: readonly FleetAgent[];
  readonly rabbitMq: TestRabbitMq;
  readonly rest: RestClient;
  /** Of the ledger. */
  readonly databaseUrl: string;
  /** Where the configuration files of `berth api` are. */
  readonly apiConfigDir: string;
  agent(name: string): FleetAgent;
  sql<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** The ends of all processes' logs. */
  tails(): string;
  /** Ends everything; also what is half-way up. */
  close(): Promise<void>;
}

/** Resolves when every role is ready and every host has reported. */
export async function startFleet(plan: FleetPlan): Promise<Fleet> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).toReversed()) await end();
  };
  try {
    const fleet = await build(plan, closing, close);
    await startAll(fleet);
    return fleet;
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(plan: FleetPlan, closing: (() => Promise<unknown>)[], close: () => Promise<void>): Promise<Fleet> {
  const directory = await temporaryDirectory();
  closing.push(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const database = await createTestDatabase(plan.databaseUrl);
  closing.push(() => database.drop());
  const rabbitMq = await startRabbitMq(plan.broker);
  closing.push(() => rabbitMq.stop());
  const client = new Client({ connectionString: database.url });
  await client.connect();
  client.on('error', () => undefined);
  closing.push(() => client.end());

  const centre = { DATABASE_URL: database.url, AMQP_URL: rabbitMq.url, ...QUICK, ...plan.env };
  const api = new BerthProcess({
    role: 'api',
    name: 'api',
    config: writeConfig(join(directory, 'api'), plan.apiConfig),
    env: { ...centre, BERTH_HTTP_PORT: String(await freePort()) },
  });
  const scheduler = new BerthProcess({
    role: 'scheduler',
    name: 'scheduler',
    config: [],
    env: { ...centre, BERTH_HTTP_PORT: '0' },
  });
  const agents: FleetAgent[] = [];
  for (const host of plan.hosts) {
    const own = await plan.agentEnv?.(host.name, rabbitMq);
    const env = { AMQP_URL: rabbitMq.url, ...QUICK, ...plan.env, ...own };
    agents.push(await agentOf(host, join(directory, host.name), env));
  }
  closing.push(() => Promise.all([api, scheduler, ...agents.map((agent) => agent.process)].map((one) => one.kill9())));
  return {
    api,
    scheduler,
    agents,
    rabbitMq,
    rest: new RestClient(() => api.url),
    databaseUrl: database.url,
    apiConfigDir: join(directory, 'api'),
    agent(name) {
      const found = agents.find((agent) => agent.name === name);
      if (!found) throw new Error(`no agent ${name}`);
      return found;
    },
    sql: async <Row>(text: string, values: readonly unknown[] = []) =>
      (await client.query(text, [...values])).rows as Row[],
    tails: () => [api, scheduler, ...agents.map((agent) => agent.process)].map((one) => one.tail()).join('\n'),
    close,
  };
}

/** An agent that is not started yet, on a tree below `directory`. */
export async function agentOf(
  host: FleetHost,
  directory: string,
  env: Readonly<Record<string, string>>,
): Promise<FleetAgent> {
  const { sysfs, proc } = await hostAt(join(directory, 'tree'), host.tree);
  const stateDir = join(directory, 'state');
  const process = new BerthProcess({
    role: 'agent',
    name: `agent ${host.name}`,
    config: writeConfig(join(directory, 'config'), host.config),
    env: {
      ...env,
      BERTH_HTTP_PORT: '0',
      BERTH_HOST: host.name,
      BERTH_KERNEL: 'simulated',
      BERTH_SYSFS_ROOT: sysfs,
      BERTH_PROC_ROOT: proc,
      BERTH_STATE_DIR: stateDir,
    },
  });
  return new FleetAgent(host.name, process, sysfs, stateDir, join(directory, 'config'));
}

/** @returns the files' paths */
export function writeConfig(directory: string, files: Readonly<Record<string, string>>): string[] {
  mkdirSync(directory, { recursive: true });
  return Object.entries(files).map(([name, text]) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  });
}

async function startAll(fleet: Fleet): Promise<void> {
  await Promise.all([fleet.api.start(), fleet.scheduler.start()]);
  await Promise.all(fleet.agents.map((agent) => agent.process.start()));
  await eventuallyReported(fleet);
}

async function eventuallyReported({ rest, agents, tails }: Fleet): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { hosts } = await rest.get<{ hosts: { name: string }[] }>('/v1/hosts');
    if (agents.every((agent) => hosts.some((host) => host.name === agent.name))) return;
    if (Date.now() > deadline) throw new Error(`only ${hosts.length} hosts have reported\n${tails()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function treeDevice(directory: string): TreeDevice {
  const override = readFileSync(join(directory, 'driver_override'), 'utf8').trim();
  return {
    driver: orNull(() => basename(readlinkSync(join(directory, 'driver')))),
    override: override === '' || override === '(null)' ? null : override,
  };
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
