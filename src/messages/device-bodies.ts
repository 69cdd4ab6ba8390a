import 'reflect-metadata';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsISO8601,
  IsObject,
  IsOptional,
  IsString,
  IsUUID,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';
import { DEVICE_TYPES, TOLD_DRIFT_KINDS, type DeviceType, type ToldDriftKind } from '../pci/device.js';
import { PROTECTION_REASONS_MAX, PROTECTION_TEXT_MAX } from '../pci/protection.js';
import { HOST_NAME } from './routes.js';
import { ADDRESS, HEX4, Nullable } from './wire-fields.js';

export class WireLink {
  @Nullable() @IsString() @MaxLength(64) current_speed: string | null;
  @Nullable() @IsString() @MaxLength(64) max_speed: string | null;
  @Nullable() @IsInt() @Min(0) @Max(1024) current_width: number | null;
  @Nullable() @IsInt() @Min(0) @Max(1024) max_width: number | null;
}

export class WireSriov {
  @IsInt() @Min(0) @Max(65_535) total_vfs: number;
  @IsInt() @Min(0) @Max(65_535) num_vfs: number;
}

export class WireOffer {
  @IsInt() @Min(0) @Max(100_000) entry: number;
  /** Values are texts or null: checked where it is turned into an `Offer`. */
  @IsObject() tags: Record<string, string | null>;
  @Nullable() @IsString() @MaxLength(255) resource_class: string | null;
  @IsArray() @ArrayMaxSize(256) @IsString({ each: true }) @MaxLength(255, { each: true }) traits: string[];
}

/** How a device that the agent holds bound was before. */
export class WireOriginal {
  @Nullable() @IsString() @MaxLength(64) driver: string | null;
  @IsArray() @ArrayMaxSize(64) @IsString({ each: true }) @MaxLength(64, { each: true }) netdevs: string[];
}

/** What the agent has seen happen to a device. */
export class WireDrift {
  @IsIn(TOLD_DRIFT_KINDS) kind: ToldDriftKind;
  @IsString() @MaxLength(300) reason: string;
}

export class WireProtectionReason {
  /** One of `ProtectionCode`, or one of a newer agent. */
  @IsString() @MaxLength(64) code: string;
  @IsString() @MaxLength(PROTECTION_TEXT_MAX) text: string;
  @IsString() @MaxLength(PROTECTION_TEXT_MAX) remedy: string;
}

/** Of a device that the host itself needs. */
export class WireProtection {
  @IsArray()
  @ArrayMaxSize(PROTECTION_REASONS_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireProtectionReason)
  reasons: WireProtectionReason[];
  @IsBoolean() overridden: boolean;
}

const BINDING_PROBLEMS = ['blocked', 'refused', 'driverless'] as const;

/** What keeps a device from being bound or given back, and what is to be done about it. */
export class WireBindingProblem {
  @IsIn(BINDING_PROBLEMS) state: (typeof BINDING_PROBLEMS)[number];
  @IsString() @MaxLength(64) step: string;
  @Nullable() @IsString() @MaxLength(32) errno: string | null;
  @Nullable() @IsString() @MaxLength(500) held_by: string | null;
  @IsString() @MaxLength(1000) remedy: string;
  @IsISO8601({ strict: true }) @MaxLength(40) since: string;
}

/** One PCI function as it travels; `wire-device.ts` turns it into a `ReportedDevice` and back. */
export class WireDevice {
  @Matches(ADDRESS) address: string;
  @Matches(HEX4) vendor_id: string;
  @Matches(HEX4) product_id: string;
  @Matches(/^[0-9a-f]{6}$/) class_code: string;
  @Nullable() @Matches(HEX4) subsystem_vendor_id: string | null;
  @Nullable() @Matches(HEX4) subsystem_product_id: string | null;
  @Nullable() @Matches(/^[0-9a-f]{2}$/) revision: string | null;
  /** Agents up to 0.1 leave it out; nothing is filled in here, because the report's hash is over what was sent. */
  @IsOptional() @IsString() @MaxLength(255) serial_number?: string | null;
  @IsIn(DEVICE_TYPES) device_type: DeviceType;
  @Nullable() @Matches(ADDRESS) parent_address: string | null;
  @Nullable() @IsInt() @Min(0) @Max(65_535) numa_node: number | null;
  @Nullable() @IsString() @MaxLength(64) driver: string | null;
  @Nullable() @IsInt() @Min(0) @Max(1_000_000) iommu_group: number | null;
  @Nullable() @IsObject() @ValidateNested() @Type(() => WireSriov) sriov: WireSriov | null;
  @IsArray() @ArrayMaxSize(64) @IsString({ each: true }) @MaxLength(64, { each: true }) netdevs: string[];
  @IsArray() @ArrayMaxSize(32) @IsString({ each: true }) @MaxLength(32, { each: true }) pcie_path: string[];
  /** Agents up to 0.1 leave it out, as they do `serial_number`. */
  @IsOptional() @IsBoolean() acs_redirect?: boolean | null;
  @Nullable() @IsObject() @ValidateNested() @Type(() => WireLink) link: WireLink | null;
  @IsArray() @ArrayMaxSize(16) @IsString({ each: true }) @MaxLength(32, { each: true }) reset_methods: string[];
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireOriginal) original?: WireOriginal | null;
  @IsOptional() @IsArray() @ArrayMaxSize(4) @ValidateNested({ each: true }) @Type(() => WireDrift) drift?: WireDrift[];
  @Nullable() @IsObject() @ValidateNested() @Type(() => WireOffer) offer: WireOffer | null;
  @Nullable() @IsString() @MaxLength(500) not_offered: string | null;
  /** Left out: nothing protects it, or the agent is older than protections. */
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireProtection) protection?: WireProtection | null;
  /** Left out while there is none. */
  @IsOptional() @IsObject() @ValidateNested() @Type(() => WireBindingProblem) binding_problem?: WireBindingProblem;
}

/** What is done with a device after a server had it. */
export class WireCare {
  /** `cleaning`: nobody gets it before `devices.cleaned` says that it went well. `failed`: nobody gets it. */
  @IsIn(['cleaning', 'failed']) state: 'cleaning' | 'failed';
  @IsOptional() @IsString() @MaxLength(1000) reason?: string;
}

/** What became of the cleaning of a device: said when it is over, after each attempt, and when it is asked for. */
export class DevicesCleaned {
  @Matches(HOST_NAME) host: string;
  @IsInt() @Min(1) epoch: number;
  /** The claim after which it is cleaned. */
  @IsUUID() claim_id: string;
  @Matches(ADDRESS) address: string;
  /** `unknown`: the agent's journal has nothing of it. */
  @IsIn(['passed', 'failed', 'cleaning', 'unknown']) outcome: 'passed' | 'failed' | 'cleaning' | 'unknown';
  /** Why it failed, or failed the last time. */
  @Nullable() @IsString() @MaxLength(1000) reason: string | null;
}

/** Say what became of the cleaning of a device. Idempotent. */
export class RequestCleaning {
  @IsUUID() claim_id: string;
  @Matches(ADDRESS) address: string;
}
