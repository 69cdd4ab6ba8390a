import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL, fileURLToPath } from 'node:url';
import type { HostDescription } from '../../src/recorded-hosts/description.js';
import { PROGRAM } from '../support/berth-process.js';
import { agentOf, writeConfig, type FleetAgent } from '../support/fleet.js';
import { charmsGuideHost, eightGpuHost, quickAssistHost, sriovNicHost, temporaryDirectory } from '../support/hosts.js';
import { beforeDeath, freePort, run } from '../support/processes.js';
import { startRabbitMq, type TestRabbitMq } from '../support/rabbitmq.js';
import { ChaosDatabase } from './database.js';
import { Role } from './role.js';
import { makeSmallDisk } from './small-disk.js';

const PRELOAD = pathToFileURL(fileURLToPath(new URL('./shifted-clock.mjs', import.meta.url))).href;
/** RabbitMQ 3.10 can lose the leader of a quorum queue that is killed just after it was first declared (docs/operating.md). */
const QUEUES_WRITTEN_MS = 3_000;
const REPORTED_MS_MAX = 60_000;

const CONF = `[pci]
device_spec = {"vendor_id": "10de", "product_id": "1bb0"}
device_spec = {"vendor_id": "10de", "product_id": "20b0"}
device_spec = {"vendor_id": "8086", "product_id": "0443"}
device_spec = {"vendor_id": "8086", "product_id": "154c"}
device_spec = {"vendor_id": "8086", "product_id": "1572"}
alias = {"vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "name": "gpu"}
alias = {"vendor_id": "10de", "product_id": "20b0", "device_type": "type-PCI", "name": "a100"}
alias = {"vendor_id": "8086", "product_id": "0443", "name": "QuickAssist"}
alias = {"vendor_id": "8086", "product_id": "154c", "device_type": "type-VF", "name": "vf"}
alias = {"vendor_id": "8086", "product_id": "1572", "device_type": "type-PF", "name": "pf"}
`;

/** What the aliases of {@link CONF} can be asked for; empty: no device. */
export const WISHES = ['gpu:1', 'a100:1', 'a100:1', 'a100:2', 'QuickAssist:1', 'vf:1', 'vf:2', 'pf:1', ''] as const;

export interface WorldAgent {
  readonly role: Role;
  readonly host: FleetAgent;
}

/** Postgres, RabbitMQ, two api, two schedulers and agents: every one a process, or several, of its own. */
export interface World {
  readonly database: ChaosDatabase;
  readonly broker: TestRabbitMq;
  readonly apis: readonly Role[];
  readonly schedulers: readonly Role[];
  readonly agents: readonly WorldAgent[];
  readonly apiUrls: readonly string[];
  /** The kind of file system that Postgres is on. */
  readonly disk: string;
  /** Where the heap of a role is told, when that was asked for. */
  heapFile(role: Role): string;
  roles(): readonly Role[];
  close(): Promise<void>;
}

export interface WorldPlan {
  /** Clocks of processes and of Postgres can be set. */
  readonly clocks: boolean;
  /** Roles tell how large their heap is. */
  readonly heaps: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** Resolves when all roles are ready and all hosts have reported; closes what it began when it fails. */
export async function startWorld(plan: WorldPlan): Promise<World> {
  const closing: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).toReversed()) await end();
  };
  try {
    const world = await build(plan, closing, close);
    await Promise.all([...world.apis, ...world.schedulers].map((role) => role.start()));
    await Promise.all(world.agents.map(({ role }) => role.start()));
    await whenReported(world);
    await sleep(QUEUES_WRITTEN_MS);
    return world;
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(plan: WorldPlan, closing: (() => unknown)[], close: () => Promise<void>): Promise<World> {
  const folder = await temporaryDirectory();
  // Postgres, who may be another user, looks at its clock here
  chmodSync(folder, 0o711);
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const forget = beforeDeath(removeFolder);
  closing.push(removeFolder, forget);
  const disk = makeSmallDisk();
  closing.push(() => disk.remove());
  const database = await ChaosDatabase.start(disk, folder, plan.clocks);
  closing.push(() => database.stop());
  const broker = await startRabbitMq();
  closing.push(async () => {
    await broker.resume();
    await broker.stop();
  });
  await run(process.execPath, [PROGRAM, 'migrate'], {
    env: { PATH: process.env['PATH'] ?? '', DATABASE_URL: database.url },
  });

  const makeRole = new RoleMaker(folder, plan, { DATABASE_URL: database.url, AMQP_URL: broker.url });
  const ports = [await freePort(), await freePort()];
  const aliases = writeConfig(join(folder, 'api'), { 'nova.conf': CONF });
  const apis = ports.map((port, index) => makeRole.centre('api', index, port, aliases));
  const schedulers = [0, 1].map((index) => makeRole.centre('scheduler', index, 0, []));
  const agents: WorldAgent[] = [];
  for (const tree of hosts()) agents.push(await makeRole.agent(tree));
  const roles = [...apis, ...schedulers, ...agents.map(({ role }) => role)];
  closing.push(() => Promise.all(roles.map((role) => role.close())));
  return {
    ...{ database, broker, apis, schedulers, agents, disk: disk.kind, close },
    apiUrls: ports.map((port) => `http://127.0.0.1:${port}`),
    heapFile: (role) => makeRole.file(role.name, 'heap'),
    roles: () => roles,
  };
}

function hosts(): HostDescription[] {
  return [
    charmsGuideHost('gpu-1'),
    quickAssistHost('qat-1', 6),
    sriovNicHost('nic-1', 4),
    sriovNicHost('nic-2', 4),
    eightGpuHost('board-1'),
    eightGpuHost('board-2'),
  ];
}

class RoleMaker {
  constructor(
    private readonly folder: string,
    private readonly plan: WorldPlan,
    private readonly centreEnv: Readonly<Record<string, string>>,
  ) {}

  centre(role: 'api' | 'scheduler', index: number, port: number, config: readonly string[]): Role {
    const name = `${role}-${index + 1}`;
    const env = {
      ...this.centreEnv,
      ...this.env(name),
      BERTH_HTTP_PORT: String(port),
      BERTH_PCI_ALIAS_ORIGIN: 'chaos',
    };
    return new Role({ role, name, config, env }, this.file(name, 'clock'));
  }

  async agent(tree: HostDescription): Promise<WorldAgent> {
    const name = `agent ${tree.name}`;
    const env = { AMQP_URL: this.centreEnv['AMQP_URL'] ?? '', ...this.env(name) };
    const plan = { name: tree.name, tree, config: { 'nova.conf': CONF } };
    const host = await agentOf(plan, join(this.folder, tree.name), env);
    const options = { role: 'agent', name, config: [], env } as const;
    return { host, role: new Role(options, this.file(name, 'clock'), host.process) };
  }

  file(name: string, what: string): string {
    const directory = join(this.folder, 'told');
    mkdirSync(directory, { recursive: true });
    return join(directory, `${name.replace(' ', '-')}.${what}`);
  }

  private env(name: string): Record<string, string> {
    const { clocks, heaps, env } = this.plan;
    writeFileSync(this.file(name, 'clock'), '0');
    return {
      ...env,
      ...(clocks || heaps ? { NODE_OPTIONS: `--import=${PRELOAD}` } : {}),
      ...(clocks ? { CHAOS_CLOCK_FILE: this.file(name, 'clock') } : {}),
      ...(heaps ? { CHAOS_HEAP_FILE: this.file(name, 'heap') } : {}),
    };
  }
}

async function whenReported({ database, agents }: World): Promise<void> {
  const deadline = Date.now() + REPORTED_MS_MAX;
  for (;;) {
    const up = await database.query(`SELECT name FROM hosts WHERE status = 'up' AND report_hash <> ''`);
    if (up.length === agents.length) return;
    if (Date.now() > deadline) throw new Error(`only ${up.length} of ${agents.length} hosts have reported`);
    await sleep(100);
  }
}
