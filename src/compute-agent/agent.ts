import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from '../bus/bus.js';
import { BerthError, messageOf } from '../errors.js';
import type { Envelope } from '../messages/envelope.js';
import { agentQueue, HOST_NAME } from '../messages/routes.js';
import type { Address } from '../pci/address.js';
import type { BindingMode } from '../pci/binding-mode.js';
import type { DeviceSpec } from '../pci/device-spec/device-spec.js';
import type { SriovDeclaration } from '../pci/sriov/sriov-declaration.js';
import type { ConfigurationState } from '../settings/live-configuration.js';
import type { AgentSettings, CleaningSettings } from '../settings/settings.js';
import { Aftercare } from './aftercare.js';
import type { AgentLog } from './agent-log.js';
import { BindingModes } from './binding-modes.js';
import { BindingProblems, withProblems } from './binding-problems.js';
import { ChangeWatch } from './change-watch.js';
import { CleaningRecords } from './cleaning-records.js';
import { CommandConsumer } from './command.consumer.js';
import { openCdiFiles } from './compute-driver/cdi-files.js';
import { openGuests } from './compute-driver/open-guests.js';
import { wireConfiguration } from './configuration-facts.js';
import { DriftSigns, strayedIn } from './drift-signs.js';
import { DeviceClaimKeeper, type DeviceClaimKeeperOptions } from './device-claim-keeper.js';
import { DeviceClaimOrders } from './device-claim-orders.js';
import { Journal } from './journal.js';
import { liveIp, simulatedIp } from './ip-program.js';
import { KeyedQueue } from './keyed-queue.js';
import { liveKernel, type Kernel } from './kernel.js';
import { readLastReport, writeLastReport } from './last-report.js';
import { withoutNetdevs } from './netdev/netdev-handover.js';
import { liveNetdevs } from './netdev/netdev-program.js';
import { Reporter, type ReporterOptions } from './reporter.js';
import { simulatedHostKernel } from './simulated-kernel.js';
import { SerialNumbers } from './serial-numbers.js';
import { SriovKeeper, type SriovKeeperOptions } from './sriov-keeper.js';
import { SriovWishes } from './sriov-wishes.js';
import { scanHost, type HostScan } from './sysfs-scanner.js';
import type { BinderHost } from './vfio-binder.js';
import { WhitelistLog } from './whitelist-log.js';

/** Commands side by side: one that waits for a program to let go of a device must not hold up the others. */
const PREFETCH = 8;
/** A write to sysfs can block for as long as a program holds the device; the process ends all the same. */
const STOP_TIMEOUT_MS = 10_000;
const TELL_RETRY_MS = 5_000;
const CHANGE_INTERVAL_MS = 250;
const NO_CLEANING: CleaningSettings = { programs: {}, timeoutMs: 1, attemptsMax: 1, pauseMs: 0 };
/** Attempts of device claims that failed; an id is never used twice. */
const ATTEMPTS_KEPT = 100;

export interface AgentOptions {
  readonly settings: AgentSettings;
  readonly bus: Bus;
  readonly log: AgentLog;
  /** How the settings' files stand; null when there are none to read again. */
  readonly configuration?: ConfigurationState | null;
  /** Has the files read again; what comes of it arrives through `configure`. */
  readonly reload?: (() => Promise<void>) | null;
}

/** What changes in a running agent: always together, so that no report has the one without the other. */
export interface AgentConfiguration {
  readonly deviceSpecs: readonly DeviceSpec[];
  /** VFs that are declared; left out: none. */
  readonly sriov?: readonly SriovDeclaration[];
  readonly state: ConfigurationState | null;
}

export interface AgentStatus {
  readonly host: string;
  readonly epoch: number;
  readonly ready: boolean;
  /** What is missing to be ready, each a sentence. */
  readonly problems: readonly string[];
}

export interface RunningAgent {
  readonly host: string;
  status(): AgentStatus;
  /** Goes by these from the next scan on, and scans at once. Resolves when that is reported, or cannot be for now. */
  configure(configuration: AgentConfiguration): Promise<void>;
  /** Takes no more commands, finishes those under way (for ten seconds at most), sends nothing more. */
  stop(): Promise<void>;
}

/**
 * Starts the agent of one host: reports it and carries out commands for it. A process may run several, each with a
 * state directory of its own.
 *
 * @throws BerthError `settings.invalid` when the host's name cannot be one; the system's error when the state directory
 *   cannot be used; what the bus throws when the command queue cannot be consumed
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { settings, bus, log } = options;
  const host = hostNameOf(settings);
  const journal = await Journal.open(settings.stateDir, log);
  const epoch = await journal.nextEpoch(Date.now());
  let configuration: AgentConfiguration = {
    deviceSpecs: settings.deviceSpecs,
    sriov: settings.sriov ?? [],
    state: options.configuration ?? null,
  };
  const stopping = new AbortController();
  const modes = new BindingModes(() => scan());
  const brokerAddress = lastKnown(() => bus.localAddress());
  const protection = { ...settings, brokerAddress, deviceSpecs: () => configuration.deviceSpecs };
  const deviceClaims = await Journal.open(join(settings.stateDir, 'device-claims'), log, ATTEMPTS_KEPT);
  const bare = binderOf(settings, { journal, deviceClaims, log, modes, protection, stopping: stopping.signal });
  const { driven, guests } = await drivenBinder(settings, bare, { host, epoch, bus });
  const queue = new KeyedQueue();
  const care = await careOf(settings, bare, queue, (claimId, address) => commands.tellCleaning(claimId, address));
  const binder = { ...driven, care };
  const sriov = await keeperOf(settings, { binder, queue, declarations: () => configuration.sriov ?? [] });
  const claims = await claimKeeperOf(settings, { binder: bare, journal: deviceClaims, queue });
  // VFs first: some may be claimed.
  const keepers = [sriov, claims];
  const eyes = {
    ...{ sriov, claims, brokerAddress, serials: new SerialNumbers(), modes, problems: binder.problems },
    whitelistLog: new WhitelistLog(host, log),
    signs: await DriftSigns.open(settings.stateDir, log),
  };
  const scan = (): Promise<HostScan> => configuredScan(settings, configuration, journal, eyes);
  const reporter = await reporterOf(settings, { host, epoch, scan, bus, log });
  const commands: CommandConsumer = new CommandConsumer({
    readOnly: settings.readOnly,
    ...{ host, epoch, bus, binder, queue, sriov, care, deviceClaims: claims, guests },
    reload: options.reload ?? null,
    reportFully: () => reporter.reportFully(),
    lookAgain: () => {
      for (const keeper of keepers) void keeper.keep();
      reporter.lookAgain();
    },
  });
  for (const keeper of keepers) await keeper.restore();
  commands.resume();
  guests?.watch();
  const telling = tellUntilHeard(commands, host, log);
  // Before the first report: who is told of the host may send it commands at once.
  const take = (message: Envelope): Promise<void> => commands.handle(message);
  const subscription = await bus.consume(agentQueue(host), take, { prefetch: PREFETCH });
  await reporter.start();
  for (const keeper of keepers) keeper.start(settings.scanIntervalMs, () => reporter.lookAgain());
  const watch = watchOf(settings, reporter);
  log('info', 'Agent started', { host, epoch, sysfsRoot: settings.sysfsRoot, kernel: settings.kernel });
  return {
    host,
    status: () => statusOf(host, epoch, reporter, bus),
    configure: async (next) => {
      configuration = next;
      for (const keeper of keepers) await keeper.keepAnew();
      await reporter.reportOrOwe();
    },
    stop: () => {
      stopping.abort();
      const others = guests ? [guests] : [];
      return stopped(host, log, [watch, subscription, ...keepers, reporter, telling, care, ...others]);
    },
  };
}

async function reporterOf(
  { scanIntervalMs, heartbeatIntervalMs, stateDir }: AgentSettings,
  given: Pick<ReporterOptions, 'host' | 'epoch' | 'scan' | 'bus' | 'log'>,
): Promise<Reporter> {
  return new Reporter({
    ...{ ...given, scanIntervalMs, heartbeatIntervalMs },
    lastReport: await readLastReport(stateDir),
    remember: (report) => writeLastReport(stateDir, report, given.log),
  });
}

function watchOf({ sysfsRoot, changeIntervalMs = CHANGE_INTERVAL_MS }: AgentSettings, reporter: Reporter): ChangeWatch {
  const watch = new ChangeWatch({ sysfsRoot, intervalMs: changeIntervalMs, look: () => reporter.look() });
  watch.start();
  return watch;
}

/** Tells what is held once the broker takes it; agents start without a broker, too. */
function tellUntilHeard(commands: CommandConsumer, host: string, log: AgentLog): Stoppable {
  const stopped = new AbortController();
  const work = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        return await commands.tellHeld();
      } catch (error) {
        log('warn', 'The centre could not be told what is held; trying again', { host, problem: messageOf(error) });
        await delay(TELL_RETRY_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
      }
    }
  };
  const working = work();
  return {
    stop: () => {
      stopped.abort();
      return working;
    },
  };
}

/** The binder with what starts guests, or tells container runtimes; `guests` is null where the agent starts none. */
async function drivenBinder(
  settings: AgentSettings,
  bare: BinderHost,
  agent: Pick<Parameters<typeof openGuests>[1], 'host' | 'epoch' | 'bus'>,
) {
  const guests = await openGuests(settings, { ...bare, ...agent });
  const attached = guests ?? (await openCdiFiles(settings, bare));
  const modeOf = guests ? withoutNetdevs(bare.modeOf) : bare.modeOf;
  const driven: BinderHost = { ...bare, modeOf, ...(attached && { guests: attached }) };
  return { driven, guests };
}

function binderOf(
  settings: AgentSettings,
  {
    modes,
    ...given
  }: Pick<BinderHost, 'journal' | 'deviceClaims' | 'log' | 'protection' | 'stopping'> & {
    readonly modes: BindingModes;
  },
): BinderHost {
  const { sysfsRoot, procRoot } = settings;
  const modeOf = (address: Address): Promise<BindingMode> => modes.of(address);
  const netdevs = settings.kernel === 'live' ? { netdevs: liveNetdevs(procRoot) } : {};
  return { ...kernelOf(settings), ...given, ...netdevs, sysfsRoot, procRoot, modeOf, problems: new BindingProblems() };
}

async function careOf(
  { stateDir, readOnly, cleaning = NO_CLEANING, reset = 'release' }: AgentSettings,
  host: BinderHost,
  queue: KeyedQueue,
  tell: (claimId: string, address: Address) => Promise<void>,
): Promise<Aftercare> {
  return new Aftercare({
    ...{ ...host, readOnly, settings: cleaning, reset },
    records: await CleaningRecords.open(stateDir, host.log),
    alone: (address, task) => queue.run([address], task),
    tell: ({ claimId, address }) => tell(claimId, address),
  });
}

async function keeperOf(
  { stateDir, kernel, readOnly }: AgentSettings,
  given: Pick<SriovKeeperOptions, 'binder' | 'queue' | 'declarations'>,
): Promise<SriovKeeper> {
  const wishes = await SriovWishes.open(stateDir, given.binder.log);
  return new SriovKeeper({ ...given, readOnly, wishes, ip: kernel === 'live' ? liveIp() : simulatedIp() });
}

async function claimKeeperOf(
  { stateDir, readOnly }: AgentSettings,
  given: Pick<DeviceClaimKeeperOptions, 'binder' | 'journal' | 'queue'>,
): Promise<DeviceClaimKeeper> {
  return new DeviceClaimKeeper({
    ...given,
    readOnly,
    orders: await DeviceClaimOrders.open(stateDir, given.binder.log),
  });
}

/** A NIC does not lose its protection because the broker is away. */
function lastKnown(ask: () => string | null): () => string | null {
  let known: string | null = null;
  return () => (known = ask() ?? known);
}

/** What the agent knows from one scan to the next. */
interface Eyes {
  readonly sriov: SriovKeeper;
  readonly claims: DeviceClaimKeeper;
  readonly serials: SerialNumbers;
  readonly whitelistLog: WhitelistLog;
  readonly signs: DriftSigns;
  readonly modes: BindingModes;
  readonly problems: BindingProblems;
  readonly brokerAddress: () => string | null;
}

/** One whitelist and its state for the whole of a scan, also when they change before it ends. */
async function configuredScan(
  settings: AgentSettings,
  { deviceSpecs, state }: AgentConfiguration,
  journal: Journal,
  eyes: Eyes,
): Promise<HostScan> {
  const { sriov, claims, brokerAddress } = eyes;
  const looking = { ...settings, deviceSpecs, brokerAddress: brokerAddress() };
  const found = await scanHost(looking, new Map([...journal.originals(), ...claims.originals()]), eyes.serials);
  eyes.whitelistLog.tell(deviceSpecs, found.devices);
  eyes.modes.learn(found.devices);
  const devices = await eyes.signs.fillIn(found.devices, strayedIn(journal.claims(), settings.sysfsRoot));
  const vfs = sriov.states();
  const claimed = claims.states();
  const more = {
    ...(state !== null && { configuration: wireConfiguration(state) }),
    ...(vfs.length > 0 && { sriov: [...vfs] }),
    ...(claimed.length > 0 && { device_claims: [...claimed] }),
  };
  return { ...found, devices: withProblems(devices, eyes.problems), facts: { ...found.facts, ...more } };
}

function hostNameOf(settings: AgentSettings): string {
  const name = (settings.host ?? hostname()).toLowerCase();
  if (HOST_NAME.test(name)) return name;
  throw new BerthError('settings.invalid', `agent.host: "${name.slice(0, 80)}" is not a DNS name; set another`);
}

function kernelOf({ kernel, sysfsRoot, readOnly }: AgentSettings): Kernel {
  const all = kernel === 'live' ? liveKernel(sysfsRoot) : simulatedHostKernel(sysfsRoot);
  return readOnly ? { ...all, write: refuseWrite, loadModule: refuseWrite } : all;
}

/** The consumer refuses commands before this; it is the second bolt. */
async function refuseWrite(path: string): Promise<void> {
  throw new BerthError('binding.refused', `read_only is set; ${path} is not written`);
}

function statusOf(host: string, epoch: number, reporter: Reporter, bus: Bus): AgentStatus {
  const { scanProblem, hasReported } = reporter.status();
  const problems = [
    ...(scanProblem === null ? [] : [scanProblem]),
    ...(bus.isReady() ? [] : ['the message broker cannot be reached']),
    ...(hasReported ? [] : ['no report was sent yet']),
  ];
  return { host, epoch, ready: problems.length === 0, problems };
}

interface Stoppable {
  stop(): Promise<void>;
}

async function stopped(host: string, log: AgentLog, parts: readonly Stoppable[]): Promise<void> {
  const ends = parts.map((part) => part.stop());
  const timeout = new AbortController();
  const late = delay(STOP_TIMEOUT_MS, 'late' as const, { signal: timeout.signal }).catch(() => 'aborted' as const);
  const end = await Promise.race([Promise.all(ends), late]);
  timeout.abort();
  if (end === 'late') log('warn', 'Agent stopped with work under way; it is finished after the next start', { host });
  else log('info', 'Agent stopped', { host });
}
