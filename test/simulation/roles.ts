import type { DataSource } from 'typeorm';
import { AliasesService } from '../../src/api/aliases/aliases.service.js';
import { EvacuationController } from '../../src/api/hosts/evacuation.controller.js';
import { HostAdminService } from '../../src/api/hosts/host-admin.service.js';
import { HttpLimits } from '../../src/api/http-limits.js';
import { NativePlacementsService } from '../../src/api/placements/native-placements.service.js';
import { PlacementWishes } from '../../src/api/placements/placement-wishes.js';
import { QuotasService } from '../../src/api/quotas/quotas.service.js';
import { RequestRules } from '../../src/api/request-rules.js';
import { ServerActionsService } from '../../src/api/servers/server-actions.service.js';
import { ServerDevicesService } from '../../src/api/servers/server-devices.service.js';
import { ServersService } from '../../src/api/servers/servers.service.js';
import { Deciding } from '../../src/batches/deciding.js';
import { DecisionRecorder } from '../../src/batches/decision-recorder.js';
import { Placing } from '../../src/batches/placing.js';
import { Aftercare } from '../../src/compute-agent/aftercare.js';
import { BindingProblems } from '../../src/compute-agent/binding-problems.js';
import { CleaningRecords } from '../../src/compute-agent/cleaning-records.js';
import { CommandConsumer } from '../../src/compute-agent/command.consumer.js';
import { Journal } from '../../src/compute-agent/journal.js';
import { KeyedQueue } from '../../src/compute-agent/keyed-queue.js';
import { readLastReport, writeLastReport } from '../../src/compute-agent/last-report.js';
import { Reporter } from '../../src/compute-agent/reporter.js';
import { simulatedHostKernel } from '../../src/compute-agent/simulated-kernel.js';
import { scanHost } from '../../src/compute-agent/sysfs-scanner.js';
import { agentQueue } from '../../src/messages/routes.js';
import { bindingMode } from '../../src/pci/binding-mode.js';
import type { DeviceSpec } from '../../src/pci/device-spec/device-spec.js';
import { parseDeviceSpecs } from '../../src/pci/device-spec/device-spec-reader.js';
import { AuditSealer } from '../../src/scheduler/audit-sealer.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { InventoryService } from '../../src/scheduler/inventory.service.js';
import { LeasesService } from '../../src/scheduler/leases.service.js';
import { OutboxRelay } from '../../src/scheduler/outbox-relay.js';
import { SchedulerConsumer } from '../../src/scheduler/scheduler.consumer.js';
import { SchedulingService } from '../../src/scheduler/scheduling.service.js';
import { SweepsService } from '../../src/scheduler/sweeps.service.js';
import type { SchedulerSettings } from '../../src/settings/settings.js';
import { Ledger } from '../../src/store/ledger.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import type { Conductor, Life, Operation } from './conductor.js';
import type { Machine } from './hosts-on-disk.js';
import { sourceOf } from './ledger-of-life.js';
import { type Broker, BusOfLife, type Subscriber } from './unreliable-bus.js';

/** What all roles share: nothing but the database and the broker. */
export interface Outside {
  readonly shared: DataSource;
  readonly broker: Broker;
  readonly conductor: Conductor;
  readonly settings: SchedulerSettings;
  /** A moment that is later than the last, for epochs. */
  readonly tick: () => number;
}

/** A process that can die and be started again; each time it knows only what is in the database and on its disk. */
export abstract class Role<Parts> {
  private lives = 0;
  private starting: Operation | null = null;
  protected running: { readonly life: Life; readonly parts: Parts; readonly bus: BusOfLife } | null = null;

  constructor(
    readonly name: string,
    protected readonly outside: Outside,
  ) {}

  get isAlive(): boolean {
    return this.running !== null && !this.running.life.isOver;
  }

  /** Neither alive nor on its way up. */
  get isDown(): boolean {
    return !this.isAlive && this.starting?.state !== 'running';
  }

  /** Starts it; `parts` are there at once, what they do first is in the operation. */
  start(): Operation {
    const { conductor, broker } = this.outside;
    const life: Life = { conductor, name: `${this.name}#${++this.lives}`, isOver: false, ends: [] };
    const bus = new BusOfLife(broker, conductor, life);
    this.starting = conductor.start(life, 'starts', async () => {
      this.running = { life, bus, parts: await this.build(life, bus) };
      await this.begin(this.running.parts, bus);
    });
    return this.starting;
  }

  /** Has it do something; null while it is dead or not up yet. */
  act(title: string, work: (parts: Parts) => Promise<unknown>): Operation | null {
    if (!this.running || this.running.life.isOver) return null;
    const { life, parts } = this.running;
    return life.conductor.start(life, title, () => work(parts));
  }

  subscriberOf(queue: string): Subscriber | null {
    const handler = this.isAlive ? this.running?.bus.handlers.get(queue) : undefined;
    return this.running && handler ? { life: this.running.life, handler } : null;
  }

  async kill(): Promise<void> {
    if (this.running && !this.running.life.isOver) await this.outside.conductor.crash(this.running.life);
  }

  protected abstract build(life: Life, bus: BusOfLife): Promise<Parts>;

  protected begin(_parts: Parts, _bus: BusOfLife): Promise<void> {
    return Promise.resolve();
  }

  protected ledger(life: Life): { readonly ledger: Ledger; readonly source: DataSource } {
    const source = sourceOf(this.outside.shared, this.outside.conductor, life);
    return { ledger: new Ledger(source), source };
  }

  protected deciding(ledger: Ledger, source: DataSource): Deciding {
    const { settings } = this.outside;
    const cache = new SnapshotCache(source);
    return new Deciding(ledger, cache, settings, new DecisionRecorder(ledger, cache, settings.journal));
  }
}

export interface ApiParts {
  readonly ledger: Ledger;
  readonly servers: ServersService;
  readonly devices: ServerDevicesService;
  readonly actions: ServerActionsService;
  readonly aliases: AliasesService;
  readonly placements: NativePlacementsService;
  readonly evacuations: EvacuationController;
  readonly quotas: QuotasService;
}

/** The services behind the REST face. */
export class ApiRole extends Role<ApiParts> {
  protected override async build(life: Life): Promise<ApiParts> {
    const { ledger, source } = this.ledger(life);
    const limits = new HttpLimits(1_000_000, 1000);
    const rules = new RequestRules('strict', []);
    const placing = new Placing(this.deciding(ledger, source));
    return {
      ledger,
      servers: new ServersService(ledger, limits, rules),
      devices: new ServerDevicesService(ledger, rules),
      actions: new ServerActionsService(ledger, rules),
      aliases: new AliasesService(ledger, limits, rules),
      placements: new NativePlacementsService(ledger, placing, new PlacementWishes(ledger, rules), limits),
      evacuations: new EvacuationController(ledger, new HostAdminService(ledger)),
      quotas: new QuotasService(ledger),
    };
  }
}

export interface SchedulerParts {
  readonly sweeps: SweepsService;
  readonly leases: LeasesService;
  readonly sealer: AuditSealer;
}

/** A scheduler as its module builds it. Sweeps, leases and the sealer have their turn when the simulation says, not by the clock. */
export class SchedulerRole extends Role<SchedulerParts> {
  protected override async build(life: Life, bus: BusOfLife): Promise<SchedulerParts> {
    const { settings } = this.outside;
    const { ledger, source } = this.ledger(life);
    const scheduling = new SchedulingService(this.deciding(ledger, source));
    const claims = new ClaimsService(ledger, settings);
    const sweeps = new SweepsService(ledger, claims, settings, bus, scheduling);
    const leases = new LeasesService(ledger, bus, settings);
    Object.assign(leases, { next: () => undefined }); // it would set its clock
    const sealer = new AuditSealer(ledger, { keepDays: 0 });
    await leases.onApplicationBootstrap();
    await new SchedulerConsumer(bus, scheduling, new InventoryService(ledger), claims).onApplicationBootstrap();
    return { sweeps, leases, sealer };
  }

  sweep(): Operation | null {
    return this.act('sweeps', ({ sweeps }) => sweeps.sweep());
  }

  /** Compares the heartbeats that it heard with the ledger. */
  compareHeartbeats(): Operation | null {
    return this.act('compares heartbeats', ({ leases }) => leases.tick());
  }

  sealAudit(): Operation | null {
    return this.act('seals the audit', ({ sealer }) => (sealer as unknown as { seal(): Promise<void> }).seal());
  }
}

/** An outbox relay in a process of its own, so that it can die alone. One call is one round of its loop. */
export class RelayRole extends Role<OutboxRelay> {
  protected override async build(life: Life, bus: BusOfLife): Promise<OutboxRelay> {
    return new OutboxRelay(this.ledger(life).ledger, bus, this.outside.settings);
  }

  relay(): Operation | null {
    const round = (relay: OutboxRelay): Promise<number> =>
      (relay as unknown as { relayOnce(): Promise<number> }).relayOnce();
    return this.act('relays', round);
  }
}

interface AgentParts {
  readonly commands: CommandConsumer;
  readonly reporter: Reporter;
}

/** The agent of a machine, put together as `startAgent` does, but for its clocks. */
export class AgentRole extends Role<AgentParts> {
  constructor(
    readonly machine: Machine,
    outside: Outside,
  ) {
    super(`agent-${machine.name}`, outside);
  }

  look(): Operation | null {
    return this.act('looks at its host', async ({ reporter }) => reporter.lookAgain());
  }

  heartbeat(): Operation | null {
    const beat = async ({ reporter }: AgentParts): Promise<void> =>
      (reporter as unknown as { heartbeat(): void }).heartbeat();
    return this.act('sends a heartbeat', beat);
  }

  protected override async build(life: Life, bus: BusOfLife): Promise<AgentParts> {
    const { machine, outside } = this;
    const log = (): void => undefined;
    const opened = outside.conductor.point(life, 'journal', 'is read', () => Journal.open(machine.stateDir, log));
    const journal = ofLife(await opened, JOURNAL_WRITES, outside.conductor, life);
    const epoch = await journal.nextEpoch(outside.tick());
    const { name: host, sysfs: sysfsRoot, proc: procRoot, stateDir } = machine;
    const kernel = { sysfsRoot, procRoot, stateDir, kernel: 'simulated', readOnly: false } as const;
    const scanned = { ...kernel, deviceSpecs: OFFERED, resources: { vcpus: null, memoryMb: null, diskGb: 100 } };
    const scan = () => outside.conductor.point(life, 'scan', host, () => scanHost(scanned, journal.originals()));
    const onDisk = <T>(what: string, work: () => Promise<T>): Promise<T> =>
      outside.conductor.point(life, 'journal', what, work);
    const reporter = new Reporter({
      ...{ host, epoch, scan, bus, log, scanIntervalMs: 0, heartbeatIntervalMs: 0 },
      lastReport: await onDisk('last report is read', () => readLastReport(stateDir)),
      remember: (report) => onDisk('last report', () => writeLastReport(stateDir, report, log)).catch(() => undefined),
    });
    const write = (path: string, value: string): Promise<void> =>
      outside.conductor.point(life, 'kernel', `${path} = ${value.trim()}`, () => machine.write(path, value));
    const bare = {
      ...simulatedHostKernel(sysfsRoot),
      ...{ sysfsRoot, procRoot, write, journal, log, problems: new BindingProblems() },
      modeOf: () => Promise.resolve(bindingMode({})),
    };
    const queue = new KeyedQueue();
    const records = await onDisk('cleanings are read', () => CleaningRecords.open(stateDir, log));
    const care: Aftercare = new Aftercare({
      ...{ ...bare, reset: 'release', settings: NO_PROGRAMS },
      records: ofLife(records, RECORD_WRITES, outside.conductor, life),
      alone: (address, task) => queue.run([address], task),
      tell: ({ claimId, address }) => commands.tellCleaning(claimId, address),
    });
    const commands: CommandConsumer = new CommandConsumer({
      ...{ host, epoch, readOnly: false, bus, reload: null, queue, care },
      binder: { ...bare, care },
      reportFully: () => reporter.reportFully(),
      lookAgain: () => reporter.lookAgain(),
    });
    return { commands, reporter };
  }

  protected override async begin({ commands, reporter }: AgentParts, bus: BusOfLife): Promise<void> {
    commands.resume();
    const told = tellUntilHeard(commands);
    await bus.consume(agentQueue(this.machine.name), (message) => commands.handle(message), { prefetch: 8 });
    reporter.lookAgain(); // what `Reporter.start` does beside setting its clocks
    await told;
  }
}

/** As `startAgent` does it, in its own time. */
async function tellUntilHeard(commands: CommandConsumer): Promise<void> {
  for (;;) {
    try {
      return await commands.tellHeld();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, TELL_RETRY_MS));
    }
  }
}

const TELL_RETRY_MS = 100;

const JOURNAL_WRITES: ReadonlySet<string | symbol> = new Set([
  ...['nextEpoch', 'begin', 'noteVfs', 'noteBlocked', 'finish', 'split', 'beginRelease', 'endRelease'],
]);

const RECORD_WRITES: ReadonlySet<string | symbol> = new Set(['put', 'change']);

/** Programs that clean are processes of the real system, with a time of their own: devices are reset alone. */
const NO_PROGRAMS = { programs: {}, timeoutMs: 1, attemptsMax: 1, pauseMs: 0 };

/** Every write to the disk is a point: the file is replaced by one rename, so it is whole before and after. */
function ofLife<T extends object>(
  onDisk: T,
  writes: ReadonlySet<string | symbol>,
  conductor: Conductor,
  life: Life,
): T {
  return new Proxy(onDisk, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      const call = (...words: unknown[]): unknown => (member as (...all: unknown[]) => unknown).apply(target, words);
      if (!writes.has(key)) return call;
      return (...words: unknown[]) =>
        conductor.point(life, 'journal', `${String(key)} ${String(words[0]).slice(-8)}`, async () => call(...words));
    },
  });
}

/** Everything that the machines have beside bridges. */
const OFFERED: readonly DeviceSpec[] = parseDeviceSpecs(
  [{ vendor_id: '10de' }, { vendor_id: '8086', product_id: '1572' }, { vendor_id: '8086', product_id: '154c' }],
  'simulation',
  { freeTags: [] },
);
