import 'reflect-metadata';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsIP,
  IsISO8601,
  IsObject,
  IsOptional,
  IsString,
  IsUUID,
  Matches,
  MaxLength,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { IOMMU_STATES, type IommuState } from '../pci/iommu-groups.js';
import { WireCare, WireDevice } from './device-bodies.js';
import { COMMANDS_PER_MESSAGE_MAX, HOST_NAME } from './routes.js';
import { DEVICE_CLAIMS_MAX, WireDeviceClaimState } from './device-claim-bodies.js';
import { WireServer } from './server-bodies.js';
import { SRIOV_PFS_MAX, WireSriovState } from './sriov-bodies.js';
import { ADDRESS, HEX4, Nullable } from './wire-fields.js';

/** The most PCI functions one host may report (64 SR-IOV ports with 256 VFs each). */
export const DEVICES_PER_HOST_MAX = 16_384;
const NUMA_CELLS_MAX = 256;
export const CPU_FEATURES_MAX = 1024;
/** Characters of `configuration.problem`. */
export const CONFIGURATION_PROBLEM_MAX = 2000;

/** A nudge: the server's state in the ledger says what is to be done. */
export class ServerNudge {
  @IsUUID()
  server_id: string;
}

export class WireNumaCell {
  @IsInt() @Min(0) @Max(65_535) id: number;
  @IsInt() @Min(0) @Max(65_536) cpus: number;
  @IsInt() @Min(0) memory_mb: number;
  @Nullable() @IsInt() @Min(0) @Max(65_535) socket: number | null;
}

/** How the host's configuration files stand to what its agent goes by. */
export class WireConfiguration {
  /** ISO 8601: when what is in force was read. */
  @IsISO8601({ strict: true }) @MaxLength(40) loaded_at: string;
  /** Why the files as they are now are not in force, one problem a line; null: they are. */
  @Nullable() @IsString() @MaxLength(CONFIGURATION_PROBLEM_MAX) problem: string | null;
  /** Changed settings that wait for the agent's next start. */
  @IsArray() @ArrayMaxSize(200) @IsString({ each: true }) @MaxLength(100, { each: true }) needs_restart: string[];
}

/** What the hypervisor is and can. */
export class WireCapabilities {
  @Nullable() @IsString() @MaxLength(64) architecture: string | null;
  @Nullable() @IsString() @MaxLength(64) hypervisor_type: string | null;
  @Nullable() @IsInt() @Min(0) hypervisor_version: number | null;
  @IsArray()
  @ArrayMaxSize(CPU_FEATURES_MAX)
  @IsString({ each: true })
  @MaxLength(64, { each: true })
  cpu_features: string[];
}

/** Whether devices can be isolated at all. */
export class WireIommu {
  @IsIn(IOMMU_STATES) state: IommuState;
  /** Remapping units that the kernel uses. */
  @IsInt() @Min(0) @Max(1024) units: number;
}

export class WireResources {
  @IsInt() @Min(0) vcpus: number;
  @IsInt() @Min(0) memory_mb: number;
  @IsInt() @Min(0) disk_gb: number;
}

/** What the host is, next to its devices. */
export class WireHostFacts {
  @IsInt() @Min(0) @Max(65_536) vcpus: number;
  @IsInt() @Min(0) memory_mb: number;
  @IsInt() @Min(0) disk_gb: number;
  @IsArray()
  @ArrayMaxSize(NUMA_CELLS_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireNumaCell)
  numa_cells: WireNumaCell[];
  @Nullable() @IsString() @MaxLength(255) kernel: string | null;
  /** `live`: the machine's own kernel. `simulated`: a recorded tree whose kernel Berth plays. */
  @IsIn(['live', 'simulated']) kernel_kind: 'live' | 'simulated';
  /** A read-only agent looks and reports, and binds nothing. */
  @IsBoolean() read_only: boolean;
  @IsString() @MaxLength(64) agent_version: string;
  /** Agents up to 0.1 leave it out. */
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireConfiguration) configuration?: WireConfiguration | null;
  /** Agents up to 0.1 leave it out. */
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireCapabilities) capabilities?: WireCapabilities | null;
  /** Kept for the host itself. Agents up to 0.1 leave it out. */
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireResources) reserved?: WireResources | null;
  /** Agents up to 0.1 leave it out. */
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireIommu) iommu?: WireIommu | null;
  /** Left out where nothing is said of VFs. */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(SRIOV_PFS_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireSriovState)
  sriov?: WireSriovState[];
  /** Left out where there are none. */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(DEVICE_CLAIMS_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireDeviceClaimState)
  device_claims?: WireDeviceClaimState[];
  /** Who starts guests here; left out: not the agent. */
  @IsOptional() @IsString() @MaxLength(64) compute_driver?: string;
  /** Of the host in the network of the broker; left out: not known. */
  @IsOptional() @IsIP() ip_address?: string;
  /** ISO 8601; left out: not known. */
  @IsOptional() @IsISO8601({ strict: true }) @MaxLength(40) booted_at?: string;
}

export class WirePool {
  @IsObject() key: Record<string, string | number | null>;
  @IsInt() @Min(0) count: number;
}

/** What fences a message of an agent: a later epoch is a later life of the agent, a later sequence a later report. */
export class AgentStamp {
  @Matches(HOST_NAME) host: string;
  /** Milliseconds since 1970 at the agent's start, or one more than its last epoch, whichever is greater. */
  @IsInt() @Min(1) epoch: number;
  /** Counts the reports of this epoch from 1. */
  @IsInt() @Min(0) sequence: number;
  /** SHA-256, hex, of the report's canonical content: see `content-hash.ts`. */
  @Matches(/^[0-9a-f]{64}$/) hash: string;
}

/** A full, numbered statement of what a host has; never a delta. */
export class AgentReport extends AgentStamp {
  @IsObject() @ValidateNested() @Type(() => WireHostFacts) facts: WireHostFacts;
  @IsArray()
  @ArrayMaxSize(DEVICES_PER_HOST_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireDevice)
  devices: WireDevice[];
  @IsArray()
  @ArrayMaxSize(DEVICES_PER_HOST_MAX)
  @ValidateNested({ each: true })
  @Type(() => WirePool)
  pools: WirePool[];
}

/** "I live, and nothing has changed since the report with this hash." */
export class AgentHeartbeat extends AgentStamp {}

export class PrepareTarget {
  @Matches(ADDRESS) address: string;
  /** The agent refuses when another card sits there now. */
  @Matches(HEX4) vendor_id: string;
  @Matches(HEX4) product_id: string;
}

/** What keeps a late command from being carried out. Only agents that have said what they hold are sent it. */
class CommandFence {
  /** The claim's number in the ledger: a later claim has a higher one. */
  @IsOptional() @IsInt() @Min(1) claim_number?: number;
  /** Whose journal the command is for, as far as the centre knows. */
  @IsOptional() @IsUUID() incarnation?: string;
}

/** Bind these devices for a claim. Idempotent: a prepared claim answers again as before. */
export class PrepareDevices extends CommandFence {
  @IsUUID() claim_id: string;
  @IsUUID() server_id: string;
  @IsArray() @ArrayMaxSize(1024) @ValidateNested({ each: true }) @Type(() => PrepareTarget) devices: PrepareTarget[];
  /** Left out: there is no guest to start with them. */
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireServer) server?: WireServer;
  /** true: the agent has lost what it had prepared for the claim, whose server may have the devices open. */
  @IsOptional() @IsBoolean() adopt?: boolean;
}

/** Which devices of which claim. */
export class WireSplit {
  @IsUUID() claim_id: string;
  @IsArray() @ArrayMaxSize(1024) @Matches(ADDRESS, { each: true }) addresses: string[];
}

/**
 * Give the claim's devices back to their drivers. Idempotent; a claim once released is never prepared again.
 *
 * With `split_from`, the devices are those of a part of another claim, which goes on without them.
 */
export class ReleaseDevices extends CommandFence {
  @IsUUID() claim_id: string;
  @IsUUID() server_id: string;
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireSplit) split_from?: WireSplit | null;
}

/** One of several commands: exactly one of the two. */
export class AgentCommand {
  @IsOptional() @IsObject() @ValidateNested() @Type(() => PrepareDevices) prepare?: PrepareDevices;
  @IsOptional() @IsObject() @ValidateNested() @Type(() => ReleaseDevices) release?: ReleaseDevices;
}

/** Commands that were given at the same time. Each is carried out, and answered, as if it had come alone. */
export class AgentCommands {
  @IsArray()
  @ArrayMaxSize(COMMANDS_PER_MESSAGE_MAX)
  @ValidateNested({ each: true })
  @Type(() => AgentCommand)
  commands: AgentCommand[];
}

/** Ask for a full report now. */
export class RequestReport {
  @IsOptional() @IsString() @MaxLength(500) reason?: string;
}

/** Read your configuration files again, then report in full. Idempotent. */
export class ReloadAgent {
  @IsOptional() @IsString() @MaxLength(500) reason?: string;
}

/** Say what your journal holds. Idempotent. */
export class RequestJournal {
  /** Comes back in the answer: which question it answers. */
  @IsISO8601({ strict: true }) @MaxLength(40) asked_at: string;
}

/** A claim as the agent's journal has it. */
export class WireJournalClaim {
  @IsUUID() claim_id: string;
  @IsUUID() server_id: string;
  @IsIn(['preparing', 'prepared', 'releasing']) state: 'preparing' | 'prepared' | 'releasing';
  @IsArray() @ArrayMaxSize(1024) @Matches(ADDRESS, { each: true }) addresses: string[];
}

/** All claims of an agent's journal, as they were after the question. */
export class AgentJournal {
  @Matches(HOST_NAME) host: string;
  @IsInt() @Min(1) epoch: number;
  @IsISO8601({ strict: true }) @MaxLength(40) asked_at: string;
  @IsArray()
  @ArrayMaxSize(DEVICES_PER_HOST_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireJournalClaim)
  claims: WireJournalClaim[];
}

/** How a hypervisor takes one prepared device; libvirt XML and QEMU arguments are derived from it. */
export class WireBinding {
  @Matches(ADDRESS) address: string;
  @IsString() @MaxLength(64) driver: string;
  @Nullable() @IsString() @MaxLength(64) original_driver: string | null;
  @Nullable() @IsInt() @Min(0) iommu_group: number | null;
  /** Its interface, which a container may take while the device stays with its own driver; left out: it is handed over by vfio. */
  @IsOptional() @IsString() @MaxLength(64) netdev?: string;
}

export class DevicesPrepared {
  @Matches(HOST_NAME) host: string;
  @IsInt() @Min(1) epoch: number;
  @IsUUID() claim_id: string;
  @IsUUID() server_id: string;
  @IsArray() @ArrayMaxSize(1024) @ValidateNested({ each: true }) @Type(() => WireBinding) bindings: WireBinding[];
}

/** Nothing is left bound: what had been done was undone. */
export class PrepareFailed {
  @Matches(HOST_NAME) host: string;
  @IsInt() @Min(1) epoch: number;
  @IsUUID() claim_id: string;
  @IsUUID() server_id: string;
  @IsString() @MaxLength(64) code: string;
  @IsString() @MaxLength(2000) message: string;
  @Nullable() @Matches(ADDRESS) address: string | null;
  /** Which step failed: `check`, `modprobe`, `sriov_numvfs`, `unbind`, `driver_override`, `drivers_probe`, `read_back`. */
  @Nullable() @IsString() @MaxLength(64) step: string | null;
  @Nullable() @IsString() @MaxLength(32) errno: string | null;
  /** The agent's own, with code `command.stale`: the command was for another one. */
  @IsOptional() @IsUUID() incarnation?: string;
}

/** A claim in an agent's journal. */
export class WireHeldClaim {
  @IsUUID() claim_id: string;
  @IsUUID() server_id: string;
  /** Its devices are not all bound: it was interrupted, or is under way. */
  @IsOptional() @IsBoolean() preparing?: boolean;
}

/**
 * All that an agent holds, said at its start and when it is asked for a report. What earlier lives have prepared and is not in it is
 * no longer held.
 */
export class AgentHolds {
  @Matches(HOST_NAME) host: string;
  @IsInt() @Min(1) epoch: number;
  @IsUUID() incarnation: string;
  @IsArray()
  @ArrayMaxSize(DEVICES_PER_HOST_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireHeldClaim)
  claims: WireHeldClaim[];
}

export class ReleasedDevice {
  @Matches(ADDRESS) address: string;
  @IsIn(['restored', 'restored-other-driver', 'driverless', 'missing']) outcome: ReleaseOutcome;
  @Nullable() @IsString() @MaxLength(64) driver: string | null;
  /** Left out: it can be used as it is. */
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireCare) care?: WireCare;
  /** Of a device that is not as it was: which step did not help (`drivers_probe`, `bind`, `modprobe`, `read_back`). */
  @IsOptional() @IsString() @MaxLength(64) step?: string;
  @IsOptional() @IsString() @MaxLength(32) errno?: string;
  @IsOptional() @IsString() @MaxLength(1000) remedy?: string;
}

export class DevicesReleased {
  @Matches(HOST_NAME) host: string;
  @IsInt() @Min(1) epoch: number;
  @IsUUID() claim_id: string;
  @IsUUID() server_id: string;
  /** One line for each device: how it ended (`restored`, `restored-other-driver`, `driverless`, `missing`). */
  @IsArray() @ArrayMaxSize(1024) @ValidateNested({ each: true }) @Type(() => ReleasedDevice) devices: ReleasedDevice[];
}

/** One of several outcomes: exactly one of the three. */
export class AgentOutcome {
  @IsOptional() @IsObject() @ValidateNested() @Type(() => DevicesPrepared) prepared?: DevicesPrepared;
  @IsOptional() @IsObject() @ValidateNested() @Type(() => PrepareFailed) prepare_failed?: PrepareFailed;
  @IsOptional() @IsObject() @ValidateNested() @Type(() => DevicesReleased) released?: DevicesReleased;
}

/** What an agent has carried out at about the same time. */
export class AgentOutcomes {
  @IsArray()
  @ArrayMaxSize(COMMANDS_PER_MESSAGE_MAX)
  @ValidateNested({ each: true })
  @Type(() => AgentOutcome)
  outcomes: AgentOutcome[];
}

export type ReleaseOutcome = 'restored' | 'restored-other-driver' | 'driverless' | 'missing';
