import { AmqpBus } from '../bus/amqp.bus.js';
import type { BusLog } from '../bus/bus-log.js';
import { BerthError } from '../errors.js';
import type { BusSettings } from '../settings/settings.js';
import { FleetSimulator, type FleetCounts } from './fleet-simulator.js';
import { KINDS, readKinds } from './host-kinds.js';

/** As the command line has them. */
export interface FleetCommandOptions {
  readonly hosts: string;
  readonly kinds?: string;
  readonly heartbeatInterval: string;
  readonly latencyMs: string;
  readonly failureRate: string;
  readonly seed: string;
  readonly restartStorm?: boolean;
}

export interface RunningFleet {
  restartAll(): Promise<void>;
  counts(): FleetCounts;
  stop(): Promise<void>;
}

const HOSTS_MAX = 99_999;

/**
 * `berth fleet`: plays the agents of many hosts. Resolves when every host has reported (and, with `--restart-storm`, has
 * started again once).
 *
 * @throws BerthError `settings.invalid`
 */
export async function startFleet(
  settings: BusSettings,
  options: FleetCommandOptions,
  log: BusLog,
): Promise<RunningFleet> {
  const { url } = settings;
  if (url === null) throw new BerthError('settings.invalid', 'bus.url: berth fleet needs RabbitMQ; set AMQP_URL');
  const read = {
    hosts: numberOf('--hosts', options.hosts, { from: 1, to: HOSTS_MAX }),
    heartbeatIntervalMs: numberOf('--heartbeat-interval', options.heartbeatInterval, { from: 100, to: 3_600_000 }),
    latencyMs: numberOf('--latency-ms', options.latencyMs, { from: 0, to: 600_000 }),
    failureRate: numberOf('--failure-rate', options.failureRate, { from: 0, to: 1, whole: false }),
    seed: numberOf('--seed', options.seed, { from: 0, to: 2 ** 32 - 1 }),
    kinds: await readKinds(options.kinds?.split(',').map((kind) => kind.trim()) ?? KINDS),
  };
  const bus = new AmqpBus({ ...settings, url }, log);
  const simulator = new FleetSimulator(bus, read, log);
  await simulator.start();
  if (options.restartStorm) await simulator.restartAll();
  return {
    restartAll: () => simulator.restartAll(),
    counts: () => simulator.counts(),
    stop: async () => {
      await simulator.stop();
      await bus.close();
    },
  };
}

function numberOf(name: string, text: string, { from, to, whole = true }: Range): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (value >= from && value <= to && (!whole || Number.isInteger(value))) return value;
  throw new BerthError('settings.invalid', `${name}: a${whole ? ' whole' : ''} number from ${from} to ${to} is needed`);
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly whole?: boolean;
}
