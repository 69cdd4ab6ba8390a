import type { AliasDefinition } from '../pci/alias/alias.js';
import type { Dialect } from '../pci/dialect.js';
import type { DeviceSpec } from '../pci/device-spec/device-spec.js';
import type { DriftPolicies } from '../pci/drift.js';
import type { SriovDeclaration } from '../pci/sriov/sriov-declaration.js';

export interface DatabaseSettings {
  /** `postgres://user:password@host:port/database`; null means the embedded Postgres (only in `berth all`). */
  readonly url: string | null;
  readonly poolMax: number;
  /** Left out: as the URL says. */
  readonly tls?: TlsFiles & { readonly mode: 'disable' | 'require' | 'verify-full' | null };
}

/** PEM files of a client; null: those that the system trusts, and no certificate of our own. */
export interface TlsFiles {
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
}

export interface BusSettings {
  /** `amqp://user:password@host:port/vhost`; null means the in-process bus (only in `berth all`). */
  readonly url: string | null;
  readonly messageBytesMax: number;
  readonly deliveryLimit: number;
  /** For `amqps://`; left out: no files. */
  readonly tls?: TlsFiles;
  /** By the user and password of the URL (when left out), or by the certificate. */
  readonly auth?: 'plain' | 'external';
  /** Whether agents share a user of the broker (when left out), or each has its own and can speak for its host only. */
  readonly agentUsers?: 'shared' | 'per_host';
}

export interface HttpSettings {
  /** Where clients find it, e.g. `https://berth.example`; null: as they call it. */
  readonly publicUrl: string | null;
  readonly host: string;
  readonly port: number;
  readonly bodyBytesMax: number;
  readonly pageSizeMax: number;
  /** Addresses and networks of proxies whose word about the client's address is believed. */
  readonly trustedProxies: readonly string[];
  readonly tls: HttpTlsSettings;
  readonly rate: HttpRateSettings;
}

/** PEM files; both or none. */
export interface HttpTlsSettings {
  readonly certFile: string | null;
  readonly keyFile: string | null;
}

/** Each in a minute; 0: as many as come. */
export interface HttpRateSettings {
  readonly requestsPerCaller: number;
  readonly requestsPerAddress: number;
  readonly failedLoginsPerAddress: number;
}

export type AuthRole = 'reader' | 'member' | 'admin';

/** How the REST face finds out who asks. */
export interface AuthSettings {
  readonly strategy: 'none' | 'http_basic' | 'keystone';
  /** An htpasswd file with hashes of bcrypt. */
  readonly usersFile: string | null;
  /** User of that file → project; who is not named has a project of the same name. */
  readonly projects: Readonly<Record<string, string>>;
  /** User of that file → role; who is not named is a member. */
  readonly roles: Readonly<Record<string, AuthRole>>;
  /** How long a token of ours is good. */
  readonly tokenTtlMs: number;
  readonly keystone: KeystoneSettings;
}

/** Where tokens are looked up, and as whom. */
export interface KeystoneSettings {
  readonly url: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly project: string | null;
  /** Ids or names. */
  readonly userDomain: string;
  readonly projectDomain: string;
  readonly cacheMs: number;
}

export interface SchedulerSettings {
  /** The same as {@link Settings.compat}. */
  readonly compat: Dialect;
  /** Filter names in order, e.g. `['ComputeFilter', 'PciPassthroughFilter']`. */
  readonly filters: readonly string[];
  /** Weigher name → multiplier; a weigher that is not named has its default multiplier. */
  readonly weigherMultipliers: Readonly<Record<string, number>>;
  /** How a host is chosen: for all, and for servers that ask for one of these aliases. */
  readonly placementPolicies: {
    readonly default: PlacementPolicyName;
    readonly aliases: Readonly<Record<string, PlacementPolicyName>>;
  };
  readonly cpuAllocationRatio: number;
  readonly ramAllocationRatio: number;
  readonly diskAllocationRatio: number;
  readonly maxInstancesPerHost: number;
  readonly maxIoOpsPerHost: number;
  /** Which of equally good hosts is taken: another one by each process, or the first by name; `auto`: by name where Nova is imitated. */
  readonly tieBreak: 'auto' | 'process' | 'name';
  /** How often one server may be tried on a host before it ends in ERROR. */
  readonly attemptsMax: number;
  readonly claimTimeoutMs: number;
  readonly hostSilentAfterMs: number;
  readonly sweepIntervalMs: number;
  readonly batchSizeMax: number;
  readonly batchDelayMs: number;
  readonly relayIntervalMs: number;
  readonly queue: QueueSettings;
  /** Whether a server may take the place of preemptible ones with a lower priority. */
  readonly preemption: boolean;
  readonly journal: JournalSettings;
  /** What becomes of a device that something happened to; what is left out is as `DEFAULT_DRIFT_POLICIES` says. */
  readonly drift?: Partial<DriftPolicies>;
  /** How long before a window of a reservation its devices are kept. */
  readonly reservationLeadMs: number;
}

/** The words are those of `placement/placement-policies.ts`. */
export type PlacementPolicyName = 'spread' | 'best-fit' | 'fragmentation' | 'scarcity';

/** How decisions are recorded, for replay. */
export interface JournalSettings {
  /** How long the journal goes back; 0: nothing is recorded. */
  readonly keepHours: number;
  /** How often, at least, all hosts are written down: where a replay can begin. */
  readonly baseIntervalMs: number;
}

/** How long the audit chain is kept. */
export interface AuditSettings {
  /** 0: for ever. */
  readonly keepDays: number;
}

/** How servers wait for room. */
export interface QueueSettings {
  readonly max: number;
  /** By how much the priority of a waiting server grows with each minute. */
  readonly ageingPerMinute: number;
  /** How long smaller ones may pass the first in the queue. */
  readonly patienceMs: number;
}

/** Of the guests that an agent starts. */
export interface GuestSettings {
  /** Their virtual machine: `q35`. */
  readonly machine: string;
  /** `auto`: kvm where this agent can use it. */
  readonly accel: 'auto' | 'kvm' | 'tcg';
  /** null: the host's with kvm, everything that can be emulated without. */
  readonly cpu: string | null;
  /** Where images are that servers name; null: they can name none. */
  readonly imageDir: string | null;
  /** For servers that name none; a path. null: they have no disk. */
  readonly image: string | null;
  /** Started instead of what is on the disk; paths. null: not so. */
  readonly kernel: string | null;
  readonly initrd: string | null;
  readonly append: string | null;
  /** Free PCIe ports of a guest, for devices that are attached while it runs. */
  readonly hotplugPorts: number;
  readonly vcpusMax: number;
  readonly memoryMbMax: number;
  readonly startTimeoutMs: number;
  /** So long a guest may take to shut down before it is ended. */
  readonly stopTimeoutMs: number;
}

export interface QemuSettings {
  readonly program: string;
  /** More words for its command line; `{server_id}` in them stands for the server's id. */
  readonly arguments: readonly string[];
}

export interface CleaningSettings {
  /** `class:0108` or `device:144d:a80a` → absolute path of a program. */
  readonly programs: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** How often one device is tried before it goes into quarantine. */
  readonly attemptsMax: number;
  /** Between two attempts. */
  readonly pauseMs: number;
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
  /** VFs that are declared; left out: none. */
  readonly sriov?: readonly SriovDeclaration[];
  readonly scanIntervalMs: number;
  /** How often the kernel is asked whether anything has changed; left out: every 250 ms. */
  readonly changeIntervalMs?: number;
  readonly heartbeatIntervalMs: number;
  /** null: as the host says. */
  readonly resources: {
    readonly vcpus: number | null;
    readonly memoryMb: number | null;
    readonly diskGb: number | null;
  };
  /** Kept for the host itself. */
  readonly reserved: { readonly vcpus: number; readonly memoryMb: number; readonly diskGb: number };
  /** When devices are reset: after a server had them (when left out), before the next one gets them as well, or never. */
  readonly reset?: 'never' | 'release' | 'always';
  /** How devices are cleaned after a server had them; left out: not at all. */
  readonly cleaning?: CleaningSettings;
  /** Who starts guests; left out: somebody else. */
  readonly computeDriver?: 'attach-only' | 'cdi' | 'qemu' | 'libvirt';
  /** Where the driver `cdi` writes its files; left out: as the setting's default. */
  readonly cdiDir?: string;
  readonly guests?: GuestSettings;
  readonly qemu?: QemuSettings;
  readonly libvirt?: { readonly uri: string };
  /** What the host's servers run on, for filters; version as a number, null: not known. */
  readonly hypervisor: { readonly type: string; readonly version: number | null };
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
  readonly auth: AuthSettings;
  readonly scheduler: SchedulerSettings;
  readonly audit: AuditSettings;
  readonly agent: AgentSettings;
  readonly pci: PciSettings;
  /** Aliases of the configuration files; those of the REST face live in the ledger. */
  readonly aliases: readonly AliasDefinition[];
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Where `berth all` keeps the embedded database and the demo's host trees. */
  readonly dataDir: string;
}
