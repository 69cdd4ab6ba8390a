import 'reflect-metadata';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  IsUUID,
  Matches,
  MaxLength,
  Min,
  ValidateIf,
  ValidateNested,
} from 'class-validator';

/** Device claims of one host, and devices of one claim. */
export const DEVICE_CLAIMS_MAX = 1024;
export const CLAIMED_DEVICES_MAX = 256;
export const CLAIM_MESSAGE_MAX = 1000;
export const CLAIM_HELD_BY_MAX = 500;
const HEX4 = /^[0-9a-f]{4}$/;
const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

const Nullable = (): PropertyDecorator => ValidateIf((_object, value) => value !== null);

/** One that the claim takes: the agent refuses when another card sits there now. */
export class WireClaimedDevice {
  @Matches(ADDRESS) address: string;
  @Matches(HEX4) vendor_id: string;
  @Matches(HEX4) product_id: string;
}

export class WireDeviceClaim {
  @IsUUID() claim_id: string;
  /** What the claim was made for; one of the devices. */
  @Matches(ADDRESS) address: string;
  /** All that are taken, as somebody was shown and agreed to: nothing else is touched. */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(CLAIMED_DEVICES_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireClaimedDevice)
  devices: WireClaimedDevice[];
  /** true: it is to end. */
  @IsOptional() @IsBoolean() ends?: boolean;
}

/** All device claims of a host: one that is not in it ends as well. Idempotent; an older revision is passed over. */
export class SetDeviceClaims {
  @IsInt() @Min(1) revision: number;
  @IsArray()
  @ArrayMaxSize(DEVICE_CLAIMS_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireDeviceClaim)
  claims: WireDeviceClaim[];
}

/**
 * `enabled`: all of it is bound. `released`: the claim that ends has given all of it back. `refused`: the agent or the kernel cannot.
 * `blocked`: it waits for who has a device, and goes on by itself.
 */
export const WIRE_DEVICE_CLAIM_STATES = ['enabled', 'released', 'refused', 'blocked'] as const;

const OUTCOMES = ['restored', 'restored-other-driver', 'driverless', 'missing'] as const;

export class WireClaimedDeviceState {
  @Matches(ADDRESS) address: string;
  /** That it has now. */
  @Nullable() @IsString() @MaxLength(64) driver: string | null;
  /** That it had, and gets back; left out: not known, or it is over. */
  @IsOptional() @Nullable() @IsString() @MaxLength(64) original_driver?: string | null;
  /** Of a claim that has ended, where the agent remembers. */
  @IsOptional() @IsIn(OUTCOMES) outcome?: (typeof OUTCOMES)[number];
}

/** How it stands with a device claim. */
export class WireDeviceClaimState {
  @IsUUID() claim_id: string;
  /** Whether this is about its end. */
  @IsBoolean() ends: boolean;
  @IsIn(WIRE_DEVICE_CLAIM_STATES) state: (typeof WIRE_DEVICE_CLAIM_STATES)[number];
  @Nullable() @IsString() @MaxLength(32) step: string | null;
  @Nullable() @IsString() @MaxLength(32) errno: string | null;
  /** The server, or the programs, that it waits for. */
  @Nullable() @IsString() @MaxLength(CLAIM_HELD_BY_MAX) held_by: string | null;
  /** What is in the way, and what to do about it. */
  @Nullable() @IsString() @MaxLength(CLAIM_MESSAGE_MAX) message: string | null;
  @IsArray()
  @ArrayMaxSize(CLAIMED_DEVICES_MAX)
  @ValidateNested({ each: true })
  @Type(() => WireClaimedDeviceState)
  devices: WireClaimedDeviceState[];
}
