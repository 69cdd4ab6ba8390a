import type { AliasDefinition } from '../pci/alias/alias.js';
import type { Dialect } from '../pci/dialect.js';
import type { DeviceSpec } from '../pci/device-spec/device-spec.js';

export interface DatabaseSettings {
  /** `postgres://user:password@host:port/database`; null means the embedded Postgres (only in `berth all`). */
  readonly url: string | null;
  readonly poolMax: number;
}

export interface BusSettings {
  /** `amqp://user:password@host:port/vhost`; null means the in-process bus (only in `berth all`). */
  readonly url: string | null;
  readonly messageBytesMax: number;
  readonly deliveryLimit: number;
}

export interface HttpSettings {
  readonly host: string;
  readonly port: number;
  readonly bodyBytesMax: number;
  readonly pageSizeMax: number;
}

export interface SchedulerSettings {
  /** The same as {@link Settings.compat}. */
  readonly compat: Dialect;
  /** Filter names in order, e.g. `['ComputeFilter', 'PciPassthroughFilter']`. */
  readonly filters: readonly string[];
  /** Weigher name → multiplier; a weigher that is not named has its default multiplier. */
  readonly weigherMultipliers: Readonly<Record<string, number>>;
  readonly cpuAllocationRatio: number;
  readonly ramAllocationRatio: number;
  readonly diskAllocationRatio: number;
  /** How often one server may be tried on a host before it ends in ERROR. */
  readonly attemptsMax: number;
  readonly claimTimeoutMs: number;
  readonly hostSilentAfterMs: number;
  readonly sweepIntervalMs: number;
  readonly batchSizeMax: number;
  readonly batchDelayMs: number;
  readonly relayIntervalMs: number;
}

export interface AgentSettings {
  /** null: the machine's host name. */
  readonly host: string | null;
  readonly sysfsRoot: string;
  readonly procRoot: string;
  /** Where the agent keeps its epoch and its journal of prepared devices. */
  readonly stateDir: string;
  /** `live`: `sysfsRoot` is a kernel's. `simulated`: a recorded tree; Berth plays the kernel's part. */
  readonly kernel: 'live' | 'simulated';
  readonly readOnly: boolean;
  readonly deviceSpecs: readonly DeviceSpec[];
  readonly scanIntervalMs: number;
  readonly heartbeatIntervalMs: number;
  /** null: as the host says. */
  readonly resources: {
    readonly vcpus: number | null;
    readonly memoryMb: number | null;
    readonly diskGb: number | null;
  };
}

export interface PciSettings {
  /** A device with one of these tags goes only to who names the tag. */
  readonly exclusiveTags: readonly string[];
  /** Whose files the aliases are from; null: this machine's name and port. */
  readonly aliasOrigin: string | null;
}

/** Everything a process was told, checked and frozen. */
export interface Settings {
  /** Whose rules read whitelists, aliases and requests, and choose devices. */
  readonly compat: Dialect;
  readonly database: DatabaseSettings;
  readonly bus: BusSettings;
  readonly http: HttpSettings;
  readonly scheduler: SchedulerSettings;
  readonly agent: AgentSettings;
  readonly pci: PciSettings;
  /** Aliases of the configuration files; those of the REST face live in the ledger. */
  readonly aliases: readonly AliasDefinition[];
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Where `berth all` keeps the embedded database and the demo's host trees. */
  readonly dataDir: string;
}
