import { hostname } from 'node:os';
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
import type { AgentSettings } from '../settings/settings.js';
import type { AgentLog } from './agent-log.js';
import { BindingModes } from './binding-modes.js';
import { BindingProblems, withProblems } from './binding-problems.js';
import { CommandConsumer } from './command.consumer.js';
import { openCdiFiles } from './compute-driver/cdi-files.js';
import { openGuests } from './compute-driver/open-guests.js';
import { wireConfiguration } from './configuration-facts.js';
import { Journal } from './journal.js';
import { liveIp, simulatedIp } from './ip-program.js';
import { KeyedQueue } from './keyed-queue.js';
import { liveKernel, type Kernel } from './kernel.js';
import { readLastReport, writeLastReport } from './last-report.js';
import { withoutNetdevs } from './netdev/netdev-handover.js';
import { liveNetdevs } from './netdev/netdev-program.js';
import { Reporter } from './reporter.js';
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
  const given = { journal, log, modes, protection, stopping: stopping.signal };
  const { binder, guests } = await drivenBinder(settings, binderOf(settings, given), { host, epoch, bus });
  const queue = new KeyedQueue();
  const sriov = await keeperOf(settings, { binder, queue, declarations: () => configuration.sriov ?? [] });
  const eyes = {
    ...{ sriov, brokerAddress, serials: new SerialNumbers(), modes, problems: binder.problems },
    whitelistLog: new WhitelistLog(host, log),
  };
  const scan = (): Promise<HostScan> => configuredScan(settings, configuration, journal, eyes);
  const reporter = new Reporter({
    ...{ host, epoch, scan, bus, log },
    scanIntervalMs: settings.scanIntervalMs,
    heartbeatIntervalMs: settings.heartbeatIntervalMs,
    lastReport: await readLastReport(settings.stateDir),
    remember: (report) => writeLastReport(settings.stateDir, report, log),
  });
  const commands = new CommandConsumer({
    host,
    epoch,
    readOnly: settings.readOnly,
    bus,
    ...{ binder, queue, sriov },
    reload: options.reload ?? null,
    reportFully: () => reporter.reportFully(),
    lookAgain: () => {
      void sriov.keep();
      reporter.lookAgain();
    },
  });
  await sriov.restore();
  commands.resume();
  guests?.watch();
  const telling = tellUntilHeard(commands, host, log);
  // Before the first report: who is told of the host may send it commands at once.
  const take = (message: Envelope): Promise<void> => commands.handle(message);
  const subscription = await bus.consume(agentQueue(host), take, { prefetch: PREFETCH });
  await reporter.start();
  sriov.start(settings.scanIntervalMs, () => reporter.lookAgain());
  log('info', 'Agent started', { host, epoch, sysfsRoot: settings.sysfsRoot, kernel: settings.kernel });
  return {
    host,
    status: () => statusOf(host, epoch, reporter, bus),
    configure: async (next) => {
      configuration = next;
      await sriov.keepAnew();
      await reporter.reportOrOwe();
    },
    stop: () => {
      stopping.abort();
      return stopped(host, log, [subscription.stop(), sriov.stop(), reporter.stop(), telling.stop(), guests?.stop()]);
    },
  };
}

/** Tells what is held once the broker takes it; agents start without a broker, too. */
function tellUntilHeard(commands: CommandConsumer, host: string, log: AgentLog): { stop(): Promise<void> } {
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
  const binder: BinderHost = { ...bare, modeOf, ...(attached && { guests: attached }) };
  return { binder, guests };
}

function binderOf(
  settings: AgentSettings,
  {
    modes,
    ...given
  }: Pick<BinderHost, 'journal' | 'log' | 'protection' | 'stopping'> & { readonly modes: BindingModes },
): BinderHost {
  const { sysfsRoot, procRoot } = settings;
  const modeOf = (address: Address): Promise<BindingMode> => modes.of(address);
  const netdevs = settings.kernel === 'live' ? { netdevs: liveNetdevs(procRoot) } : {};
  return { ...kernelOf(settings), ...given, ...netdevs, sysfsRoot, procRoot, modeOf, problems: new BindingProblems() };
}

async function keeperOf(
  { stateDir, kernel, readOnly }: AgentSettings,
  given: Pick<SriovKeeperOptions, 'binder' | 'queue' | 'declarations'>,
): Promise<SriovKeeper> {
  const wishes = await SriovWishes.open(stateDir, given.binder.log);
  return new SriovKeeper({ ...given, readOnly, wishes, ip: kernel === 'live' ? liveIp() : simulatedIp() });
}

/** A NIC does not lose its protection because the broker is away. */
function lastKnown(ask: () => string | null): () => string | null {
  let known: string | null = null;
  return () => (known = ask() ?? known);
}

/** What the agent knows from one scan to the next. */
interface Eyes {
  readonly sriov: SriovKeeper;
  readonly serials: SerialNumbers;
  readonly whitelistLog: WhitelistLog;
  readonly modes: BindingModes;
  readonly problems: BindingProblems;
  readonly brokerAddress: () => string | null;
}

/** One whitelist and its state for the whole of a scan, also when they change before it ends. */
async function configuredScan(
  settings: AgentSettings,
  { deviceSpecs, state }: AgentConfiguration,
  journal: Journal,
  { sriov, serials, whitelistLog, modes, problems, brokerAddress }: Eyes,
): Promise<HostScan> {
  const looking = { ...settings, deviceSpecs, brokerAddress: brokerAddress() };
  const found = await scanHost(looking, journal.originals(), serials);
  whitelistLog.tell(deviceSpecs, found.devices);
  modes.learn(found.devices);
  const vfs = sriov.states();
  const more = {
    ...(state !== null && { configuration: wireConfiguration(state) }),
    ...(vfs.length > 0 && { sriov: [...vfs] }),
  };
  return { ...found, devices: withProblems(found.devices, problems), facts: { ...found.facts, ...more } };
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

async function stopped(host: string, log: AgentLog, ends: readonly (Promise<void> | undefined)[]): Promise<void> {
  const timeout = new AbortController();
  const late = delay(STOP_TIMEOUT_MS, 'late' as const, { signal: timeout.signal }).catch(() => 'aborted' as const);
  const end = await Promise.race([Promise.all(ends), late]);
  timeout.abort();
  if (end === 'late') log('warn', 'Agent stopped with work under way; it is finished after the next start', { host });
  else log('info', 'Agent stopped', { host });
}
